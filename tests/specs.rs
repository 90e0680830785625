//! Broken pipelines and their messages, working pipelines and what they become.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use restage_pipeline::graph::Graph;
use restage_pipeline::render::render;
use restage_pipeline::{
    self, Action, ColumnRule, DepPattern, LoadOptions, Pipeline, Resources, Stage,
};

#[path = "specs/common.rs"]
mod common;

use common::{build, check_places, files, folder, valid};

/// `# options: --profile x -S a=b` in the first line replaces the command line.
fn options(text: &str) -> LoadOptions {
    let mut options = LoadOptions::default();
    let line = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("# options: "));
    let mut words = line.unwrap_or_default().split_whitespace();
    while let Some(word) = words.next() {
        let value = words.next().unwrap().to_owned();
        match word {
            "--profile" => options.profile = Some(value),
            "-S" => options.overrides.push(value),
            other => panic!("unknown option {other}"),
        }
    }
    options
}

/// Run with `UPDATE=1` to write the messages again; then read them as a stranger would.
#[test]
fn every_broken_pipeline_has_its_own_message() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let cases = files(&folder("invalid"), "yaml");
    assert!(cases.len() >= 24, "only {} broken pipelines", cases.len());
    for path in cases {
        let text = fs::read_to_string(&path).unwrap();
        let found = match build(&text, &options(&text)) {
            Ok(_) => panic!("{} is not broken", path.display()),
            Err(diagnostics) => render(&diagnostics, false),
        };
        assert!(
            seen.insert(found.clone()),
            "{} has another's message",
            path.display()
        );
        let snapshot = path.with_extension("stderr");
        if update {
            fs::write(&snapshot, &found).unwrap();
        } else if fs::read_to_string(&snapshot).unwrap_or_default() != found {
            wrong.push(format!("--- {}\n{found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "not as recorded:\n{}", wrong.join("\n"));
}

/// Run with `UPDATE=1` to write the page anew.
#[test]
fn the_reference_page_says_what_the_tables_of_fields_say() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/pipeline.md");
    let found = restage_pipeline::reference();
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        fs::write(&page, &found).unwrap();
    }
    assert!(
        fs::read_to_string(&page).unwrap_or_default() == found,
        "docs/reference/pipeline.md is stale; renew it: UPDATE=1 cargo test --test specs reference"
    );
}

#[test]
fn every_recorded_message_belongs_to_a_broken_pipeline() {
    for snapshot in files(&folder("invalid"), "stderr") {
        assert!(
            snapshot.with_extension("yaml").exists(),
            "{}",
            snapshot.display()
        );
    }
}

#[test]
fn working_pipelines_load_and_build() {
    let cases = files(&folder("valid"), "yaml");
    assert!(!cases.is_empty());
    for path in cases {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(diagnostics) = build(&text, &options(&text)) {
            panic!("{}\n{}", path.display(), render(&diagnostics, false));
        }
    }
}

fn load(text: &str) -> Pipeline {
    restage_pipeline::load("pipeline.yaml", text, &LoadOptions::default())
        .unwrap_or_else(|diagnostics| panic!("{}", render(&diagnostics, false)))
}

fn stage<'a>(pipeline: &'a Pipeline, name: &str) -> &'a Stage {
    pipeline
        .stages
        .iter()
        .find(|stage| stage.name == name)
        .unwrap()
}

#[test]
fn fields_become_what_they_say() {
    let pipeline = load(&valid("every_field.yaml"));
    assert_eq!(pipeline.profile, "quick");
    let export = &pipeline.export;
    assert_eq!(export.tensorboard[0].tables, "quick/**/h.csv");
    assert_eq!(
        export.ro_crate.description.as_deref(),
        Some("What quick gives")
    );
    assert_eq!(export.ro_crate.also, ["notes/*.md"]);
    assert_eq!(pipeline.params["models"]["large"]["depth"], 4);
    let names: Vec<&str> = pipeline
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "prepare",
            "train@small",
            "train@large",
            "grid@1-small",
            "grid@1-large",
            "grid@2-small",
            "list@1",
            "list@x",
            "list@0.5",
            "gather"
        ]
    );

    let prepare = stage(&pipeline, "prepare");
    assert_eq!(prepare.desc.as_deref(), Some("Makes quick data"));
    let line =
        "# it's a comment\nmake-data --seed 42 > \"data/quick.csv\" && echo ${HOME} '${key}'";
    assert_eq!(prepare.action, Action::command(line));
    let outs: Vec<(&str, bool)> = prepare
        .outs
        .iter()
        .map(|out| (out.path.as_str(), out.volatile))
        .collect();
    assert_eq!(outs, [("data/quick.csv", false), ("data/times.csv", true)]);
    let env: Vec<(&str, Option<&str>)> = prepare
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect();
    assert_eq!(
        env,
        [
            ("LANG", Some("C")),
            ("LEVEL", Some("3")),
            ("PATH", None),
            ("STRICT", Some("true"))
        ]
    );
    let secrets: Vec<&str> = prepare.secrets.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(secrets, ["API_TOKEN", "DEPLOY_KEY"]);
    let tools: Vec<&str> = prepare.tools.iter().map(|t| t.line.as_str()).collect();
    assert_eq!(tools, ["make-data --version", "printf '%s' quick"]);
    assert_eq!(
        prepare.resources,
        Resources {
            cpu: restage_pipeline::Cores::whole(2),
            gpu: restage_pipeline::Gpus::Count(1),
            mem: Some(3 << 29)
        }
    );
    assert_eq!(prepare.timeout, Some(Duration::from_secs(5400)));
    assert_eq!(prepare.retries, 2);

    let train = stage(&pipeline, "train@large");
    assert_eq!(train.group, "train");
    let args = ["--depth", "4", "--lr", "0.001", "--name=large"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(
        train.action,
        Action::Program {
            package: "train".to_owned(),
            args
        }
    );
    let params: Vec<&str> = train.params.keys().map(String::as_str).collect();
    assert_eq!(params, ["lr", "models.large", "seed"]);
    assert_eq!(
        train.params["models.large"],
        serde_json::json!({"depth": 4})
    );

    let gather = stage(&pipeline, "gather");
    assert_eq!(
        gather.deps[3].pattern,
        DepPattern::Glob("data/{x,y}?.csv".to_owned())
    );
    assert_eq!(stage(&pipeline, "grid@1-small").env["HOME"], None);
    assert_eq!(pipeline.compare[1].files, "grid/quick*.csv");
    assert_eq!(pipeline.compare[1].columns["c"], ColumnRule::absolute(0.1));
    assert_eq!(pipeline.compare[1].columns["*"], ColumnRule::Ignore);
}

#[test]
fn anchors_and_merge_keys_are_followed() {
    let pipeline = load(&valid("anchors.yaml"));
    assert_eq!(
        pipeline.params["big"],
        serde_json::json!({"lr": 0.2, "layers": [1, 2]})
    );
    assert_eq!(pipeline.params["same"], pipeline.params["base"]);
}

#[test]
fn line_ends_and_a_byte_order_mark_do_not_matter() {
    for path in files(&folder("valid"), "yaml") {
        let text = fs::read_to_string(&path).unwrap();
        for changed in [text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
            let (expected, found) = (load(&text), load(&changed));
            assert_eq!(found.params, expected.params, "{}", path.display());
            assert_eq!(
                found.stages.len(),
                expected.stages.len(),
                "{}",
                path.display()
            );
        }
    }
    let broken = "\u{feff}schema: 1\r\nname: t\r\nstagess: {}\r\n";
    let error =
        restage_pipeline::load("pipeline.yaml", broken, &LoadOptions::default()).unwrap_err();
    let marked = error.items[0].location;
    assert_eq!(&broken[marked.offset..marked.end()], "stagess");
    assert_eq!(marked.line, 3);
}

#[test]
fn aliases_can_neither_grow_without_bound_nor_contain_themselves() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    let mut tower = "b0: &b0 [x]\n".to_owned();
    for n in 1..200 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb += &format!("a{n}: &a{n} [{list}]\n");
        let deep = format!("{}*b{}{}", "[".repeat(100), n - 1, "]".repeat(100));
        tower += &format!("b{n}: &b{n} {deep}\n");
    }
    let itself = "a: &a [*a]\n".to_owned();
    let deep = format!("a: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    for (text, expected) in [
        (bomb, "aliases expand to more than"),
        (tower, "nested more than"),
        (itself, "alias"),
        (deep, "not valid YAML"),
    ] {
        let error =
            restage_pipeline::load("pipeline.yaml", &text, &LoadOptions::default()).unwrap_err();
        check_places(&error);
        assert!(
            error
                .items
                .iter()
                .any(|item| item.message.contains(expected)),
            "{error}"
        );
    }
}

#[test]
fn later_overrides_win_and_scalars_stay_text_where_text_stood() {
    let text = "schema: 1\nname: t\nparams: {lr: 1, label: auto, deep: {a: 1, b: 2}, off: ~}\n\
                stages: {s: {cmd: s, outs: [s], params: [lr]}}\n";
    let overrides = [
        "lr=5",
        "lr=0.5",
        "label=0012",
        "deep={b: 3}",
        "off=[1, x]",
        "deep.a=null",
    ];
    let overrides = overrides.map(str::to_owned).to_vec();
    let options = LoadOptions {
        overrides,
        ..LoadOptions::default()
    };
    let pipeline = restage_pipeline::load("pipeline.yaml", text, &options).unwrap();
    let expected = serde_json::json!(
        {"lr": 0.5, "label": "0012", "deep": {"a": null, "b": 3}, "off": [1, "x"]}
    );
    assert_eq!(pipeline.params, expected);
}

#[test]
fn a_pipeline_of_thousands_of_stages_loads_quickly() {
    let mut text = "schema: 1\nname: t\nparams: {seed: 1}\nstages:\n".to_owned();
    for n in 0..5_000 {
        text += &format!(
            "  s{n}: {{cmd: \"run ${{seed}}\", deps: [in/{n}], params: [seed], outs: [out/{n}]}}\n"
        );
    }
    let start = Instant::now();
    assert_eq!(
        build(&text, &LoadOptions::default())
            .unwrap()
            .stages()
            .len(),
        5_000
    );
    // A generous limit, for unoptimised code on a busy machine; a quadratic step would take
    // minutes.
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}

/// This repository's own pipeline.
fn paper(profile: &str, overrides: &[&str]) -> Graph {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipeline.yaml"));
    let options = LoadOptions {
        profile: Some(profile.to_owned()),
        overrides: overrides.iter().map(|text| (*text).to_owned()).collect(),
        ..LoadOptions::default()
    };
    build(&text.unwrap(), &options)
        .unwrap_or_else(|diagnostics| panic!("{}", render(&diagnostics, false)))
}

#[test]
fn the_paper_loads_in_every_profile_with_an_override() {
    for profile in ["quick", "cpu", "paper"] {
        let before = paper(profile, &[]);
        let after = paper(profile, &["models.mini_resnet.dropout=0.4"]);
        let changed = |before: &Graph, after: &Graph| -> Vec<String> {
            let pairs = before.stages().iter().zip(after.stages());
            pairs
                .filter(|(a, b)| a != b)
                .map(|(a, _)| a.name.clone())
                .collect()
        };
        let seeds = before.pipeline().params["seeds"].as_u64().unwrap();
        let expected: Vec<String> = ["train", "gradients"]
            .iter()
            .flat_map(|stage| {
                (42..42 + seeds).map(move |seed| format!("{stage}@mini_resnet+{seed}"))
            })
            .collect();
        assert_eq!(changed(&before, &after), expected, "{profile}");
        let order: Vec<&str> = before
            .topological()
            .iter()
            .map(|id| before.stage(*id).name.as_str())
            .collect();
        assert_eq!(order.first(), Some(&"download"), "{profile}");
        // Each training run and its gradients.
        let report = before.id("report").unwrap();
        assert_eq!(
            before.dependencies(report).len() as u64,
            2 * 4 * seeds,
            "{profile}"
        );
    }
}

#[test]
fn the_pipeline_that_init_writes_works_and_can_be_run_by_hand() {
    let [(name, text)] = restage_pipeline::init_files();
    assert_eq!(name, "pipeline.yaml");
    let graph = build(text, &LoadOptions::default())
        .unwrap_or_else(|diagnostics| panic!("{}", render(&diagnostics, false)));
    let folder = tempfile::tempdir().unwrap();
    for id in graph.topological() {
        let stage = graph.stage(*id);
        for out in &stage.outs {
            fs::create_dir_all(out.path.under(folder.path()).parent().unwrap()).unwrap();
        }
        let restage_pipeline::Action::Command(script) = &stage.action else {
            panic!("{}", stage.name)
        };
        let argv = script.argv();
        let status = std::process::Command::new(&argv[0])
            .args(&argv[1..])
            .current_dir(folder.path())
            .status()
            .unwrap();
        assert!(status.success(), "{}", stage.name);
        for out in &stage.outs {
            assert!(out.path.under(folder.path()).is_file(), "{}", out.path);
        }
    }
    let summary = fs::read_to_string(folder.path().join("summary.csv")).unwrap();
    let rows: Vec<Vec<&str>> = summary
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(rows[0], ["scale", "samples", "mean", "deviation"]);
    assert_eq!(
        [rows[1][0], rows[1][1], rows[2][0], rows[2][1]],
        ["narrow", "200", "wide", "200"]
    );
    assert_eq!(rows.len(), 3);
}
