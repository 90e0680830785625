//! DVC files and the pipelines they become, recorded side by side.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use restage_core::rel_path::RelPath;
use restage_import_dvc::{DvcFile, DvcLock, Files, Imported};
use restage_pipeline::render::render;
use restage_pipeline::{Diagnostics, LoadOptions, OpenFile};

#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "specs/common.rs"]
mod common;

use common::{build, check_places, folder};

/// In a case's folder, `src.params.yaml` stands for `src/params.yaml`.
fn texts_of(case: &Path) -> Texts {
    let mut texts = Texts::default();
    for entry in fs::read_dir(case).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let path_of = match name.split('.').collect::<Vec<_>>()[..] {
            [folder, stem, ending] => format!("{folder}/{stem}.{ending}"),
            _ => name,
        };
        if !["dvc.yaml", "pipeline.yaml", "notes"].contains(&path_of.as_str()) {
            texts.0.insert(path_of, fs::read_to_string(path).unwrap());
        }
    }
    texts
}

/// Files by their paths.
#[derive(Default)]
struct Texts(BTreeMap<String, String>);

impl Files for Texts {
    fn is_file(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn is_folder(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        self.0.keys().any(|name| name.starts_with(&inside))
    }

    fn text(&self, path: &str) -> Option<String> {
        self.0.get(path).cloned()
    }
}

impl Texts {
    fn of(name: &str, text: &str) -> Self {
        Self([(name.to_owned(), text.to_owned())].into())
    }

    fn options(&self) -> LoadOptions {
        let texts = self.0.clone();
        let open = move |path: &RelPath| {
            let text = texts.get(path.as_str());
            Ok(text.map(|text| text.clone().into_bytes()))
        };
        LoadOptions {
            open: OpenFile::by(open),
            ..LoadOptions::default()
        }
    }
}

fn tried(text: &str, texts: &Texts) -> Result<Imported, Diagnostics> {
    let file = DvcFile::read("dvc.yaml", text)?;
    restage_import_dvc::import(&[file], "test", texts)
}

fn import(text: &str, texts: &Texts) -> Imported {
    tried(text, texts).unwrap_or_else(|wrong| panic!("{}", render(&wrong, false)))
}

fn notes(imported: &Imported) -> String {
    let mut text = format!("stages: {}\n", imported.stages.join(", "));
    text += &format!("params from: {}\n", imported.from.join(", "));
    for change in &imported.changes {
        text += &format!(
            "changed {}: {}: {}\n",
            change.line, change.stage, change.text
        );
    }
    for item in &imported.unmapped {
        let stage = item.stage.as_deref().unwrap_or("-");
        let kind = if item.breaks { "broken" } else { "unmapped" };
        text += &format!(
            "{kind} {}: {stage}: {}: {}\n",
            item.line, item.field, item.advice
        );
    }
    text
}

/// Run with `UPDATE=1` to record again; then read it as a stranger would.
#[test]
fn every_dvc_file_becomes_the_recorded_pipeline_with_the_recorded_notes() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut seen = 0;
    for entry in fs::read_dir(folder("dvc")).unwrap() {
        let case = entry.unwrap().path();
        let text = fs::read_to_string(case.join("dvc.yaml")).unwrap();
        let texts = texts_of(&case);
        let imported = import(&text, &texts);
        if let Err(wrong) = build(&imported.text, &texts.options()) {
            panic!(
                "{}\n{}\n{}",
                case.display(),
                render(&wrong, false),
                imported.text
            );
        }
        for (name, found) in [
            ("pipeline.yaml", imported.text.clone()),
            ("notes", notes(&imported)),
        ] {
            let path = case.join(name);
            if update {
                fs::write(&path, &found).unwrap();
            }
            assert_eq!(
                fs::read_to_string(&path).unwrap_or_default(),
                found,
                "{}",
                path.display()
            );
        }
        seen += 1;
    }
    assert!(seen >= 6, "only {seen} files");
}

#[test]
fn an_invalid_dvc_yaml_says_where() {
    let text =
        "stages:\n  a:\n    deps: x\n  b: {foreach: [1]}\n  c: {cmd: [], outs: {}}\n  d: 3\n";
    let wrong = DvcFile::read("dvc.yaml", text).unwrap_err();
    insta::assert_snapshot!(render(&wrong, false), @r"
    error: stage `a` has no `cmd`
     --> dvc.yaml:2:3
      |
    2 |   a:
      |   ^ nothing to run

    error: `deps` of stage `a` must be a list
     --> dvc.yaml:3:11
      |
    3 |     deps: x
      |           ^ this is text

    error: stage `b` has `foreach` without `do`
     --> dvc.yaml:4:7
      |
    4 |   b: {foreach: [1]}
      |       ^^^^^^^ nothing is done for each

    error: `cmd` of stage `c` must be text, or a list of texts
     --> dvc.yaml:5:12
      |
    5 |   c: {cmd: [], outs: {}}
      |            ^^ this is a list

    error: `outs` of stage `c` must be a list
     --> dvc.yaml:5:22
      |
    5 |   c: {cmd: [], outs: {}}
      |                      ^^ this is a map

    error: the value of stage `d` must be a map of fields
     --> dvc.yaml:6:6
      |
    6 |   d: 3
      |      ^ this is a number
    ");
    for text in [
        "",
        "[]",
        "a: 1",
        "stages: []",
        "stages:\n\ta: 1",
        "stages: {a: {cmd: x, cmd: y}}",
    ] {
        check_places(&DvcFile::read("dvc.yaml", text).unwrap_err());
    }
}

#[test]
fn a_file_from_which_nothing_maps_says_why() {
    let text = "stages:\n  a:\n    cmd: x ${y}\n    outs: [x]\n";
    let wrong = tried(text, &Texts::default()).unwrap_err();
    assert!(
        render(&wrong, false).contains("dvc.yaml:3:5"),
        "{}",
        render(&wrong, false)
    );
}

#[test]
fn a_params_file_that_is_not_yaml_is_no_source_of_parameters() {
    let stage = "stages: {a: {cmd: x, outs: [x], params: [a]}}";
    let imported = import(stage, &Texts::of("params.yaml", "a: 1\nb: [2\n"));
    assert_eq!(imported.from, Vec::<String>::new());
    let text = &imported.changes[0].text;
    assert!(text.contains("(params.yaml:2)"), "{text}");
    assert!(
        imported.text.contains("deps: [params.yaml]"),
        "{}",
        imported.text
    );
}

fn json_tree() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|x| json!(x)),
        any::<i64>().prop_map(|x| json!(x)),
        any::<f64>().prop_map(|x| json!(x)),
        "\\PC{0,8}|[ -~\n\t]{0,12}".prop_map(|x| json!(x)),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|x| json!(x)),
            prop::collection::btree_map("[a-z_.]{1,4}", inner, 0..4).prop_map(|x| json!(x)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_tree_of_params_survives(
        tree in prop::collection::btree_map("[a-z]{1,4}", json_tree(), 1..5),
        vars in json_tree(),
    ) {
        prop_assume!(!["key", "item", "profile"].iter().any(|name| tree.contains_key(*name)));
        let dvc = serde_json::json!({
            "vars": [{"Extra": vars}],
            "stages": {"a": {"cmd": "x", "params": ["params.yaml"], "outs": ["x"]}},
        });
        let text = dvc.to_string();
        let params = serde_json::to_string(&tree).unwrap();
        let texts = Texts::of("params.yaml", &params);
        let mut expected = serde_json::json!(tree);
        expected["Extra"] = vars;
        let imported = import(&text.replace("\"params.yaml\"", "{\"params.yaml\": null}"), &texts);
        let graph = build(&imported.text, &texts.options());
        let graph = graph.unwrap_or_else(|wrong| panic!("{}\n{}", render(&wrong, false), imported.text));
        prop_assert_eq!(&graph.pipeline().params, &expected);
        let given = &graph.pipeline().stages[0].params;
        prop_assert_eq!(serde_json::json!(given), serde_json::json!(tree));
    }

    #[test]
    fn any_lock_has_places_of_what_is_wrong_in_it_or_no_more_than_it_names(
        text in "(stages|schema):\n  a:\n    (cmd|deps|outs|params): ([a-z{}\\[\\]:, ]{0,20}|\\PC{0,20})\n"
    ) {
        let stage = "stages: {a: {cmd: x, outs: [x]}}";
        let instance = import(stage, &Texts::default()).instances.remove(0);
        match DvcLock::read("dvc.lock", &text) {
            Err(wrong) => check_places(&wrong),
            Ok(lock) => prop_assert!(lock.files(&instance).is_err(), "{}", text),
        }
    }

    #[test]
    fn any_text_gives_a_sound_pipeline_or_places_in_it(
        text in "stages:\n  a:\n    cmd: [a-z$&;|#{}.\\[\\]\\\\ ]{1,20}\n    (outs|deps|params|wdir|foreach|vars): \\PC{0,20}\n"
    ) {
        let texts = Texts::of("params.yaml", "a: {b: 1}\n");
        match tried(&text, &texts) {
            Err(wrong) => check_places(&wrong),
            Ok(imported) => {
                if let Err(wrong) = build(&imported.text, &texts.options()) {
                    check_places(&wrong);
                }
            }
        }
    }
}
