//! What is and what isn't part of a stage's key.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::{
    Change, DepContent, Digest, KeyAction, KeyDep, KeyEnvironment, KeyGlob, KeyOut, KeyPackage,
    StageKey, diff,
};

fn key() -> StageKey {
    let content = DepContent::Bytes(Digest::of(b"data"));
    StageKey {
        version: StageKey::VERSION,
        action: KeyAction::Program {
            package: "train".into(),
            code: Digest::of(b"code"),
            args: vec!["--variant".into(), "resnet18".into()],
        },
        params: BTreeMap::from([
            ("seed".into(), json!(42)),
            (
                "train".into(),
                json!({"lr": 1e-3, "optimizer": {"name": "adam"}, "steps": [1, 2]}),
            ),
        ]),
        deps: vec![
            KeyDep {
                path: "data/x.bin".into(),
                content,
            },
            KeyDep {
                path: "t.csv".into(),
                content: DepContent::VolatileOf(Digest::of(b"key")),
            },
        ],
        globs: vec![KeyGlob {
            pattern: "d/*".into(),
            paths: vec!["d/a".into(), "d/b".into()],
        }],
        env: BTreeMap::from([("A".into(), Some("1".into())), ("B".into(), None)]),
        outs: vec![
            KeyOut {
                path: "w.bin".into(),
                volatile: false,
            },
            KeyOut {
                path: "t.csv".into(),
                volatile: true,
            },
        ],
        machine: BTreeMap::from([("gpu".into(), "h100".into())]),
        tools: BTreeMap::new(),
        secrets: BTreeSet::new(),
        environment: None,
    }
}

/// A name, and an edit that must change the key.
type Edit = (&'static str, fn(&mut StageKey));

const EDITS: &[Edit] = &[
    ("version", |k| k.version += 1),
    ("command", |k| k.action = KeyAction::Command("train".into())),
    ("script", |k| k.action = script(&["sh"], &["train", "test"])),
    ("script's text", |k| {
        k.action = script(&["sh"], &["train", "tests"])
    }),
    ("script's order", |k| {
        k.action = script(&["sh"], &["test", "train"])
    }),
    ("script in one text", |k| {
        k.action = script(&["sh"], &["train\ntest"])
    }),
    ("script's shell", |k| {
        k.action = script(&["bash"], &["train", "test"])
    }),
    ("script's shell with a word of the text", |k| {
        k.action = script(&["sh", "train"], &["test"])
    }),
    ("package", |k| program(k).0.push('x')),
    ("code", |k| *program(k).1 = Digest::of(b"other")),
    ("argument", |k| program(k).2[1].push('x')),
    ("arguments' order", |k| program(k).2.swap(0, 1)),
    ("argument split elsewhere", |k| {
        *program(k).2 = vec!["--variantr".into(), "esnet18".into()]
    }),
    ("argument added", |k| program(k).2.push(String::new())),
    ("parameter", |k| {
        _ = k.params.insert("seed".into(), json!(43))
    }),
    ("parameter's type", |k| {
        _ = k.params.insert("seed".into(), json!(42.0))
    }),
    ("parameter as text", |k| {
        _ = k.params.insert("seed".into(), json!("42"))
    }),
    ("parameter added", |k| {
        _ = k.params.insert("x".into(), json!(null))
    }),
    ("parameter removed", |k| _ = k.params.remove("seed")),
    ("list's order", |k| {
        k.params.get_mut("train").unwrap()["steps"] = json!([2, 1])
    }),
    ("list's nesting", |k| {
        k.params.get_mut("train").unwrap()["steps"] = json!([[1], 2])
    }),
    ("inner parameter", |k| {
        k.params.get_mut("train").unwrap()["optimizer"]["name"] = json!("sgd")
    }),
    ("inner parameter to empty", |k| {
        k.params.get_mut("train").unwrap()["optimizer"] = json!({})
    }),
    ("dep's path", |k| k.deps[0].path.push('x')),
    ("dep's bytes", |k| {
        k.deps[0].content = DepContent::Bytes(Digest::of(b"other"))
    }),
    ("dep missing", |k| k.deps[0].content = DepContent::Missing),
    ("dep volatile", |k| {
        k.deps[0].content = DepContent::VolatileOf(Digest::of(b"data"))
    }),
    ("dep removed", |k| _ = k.deps.pop()),
    ("glob's pattern", |k| k.globs[0].pattern.push('x')),
    ("glob's match added", |k| {
        k.globs[0].paths.push("d/c".into())
    }),
    ("glob's match removed", |k| _ = k.globs[0].paths.pop()),
    ("glob's matches all removed", |k| k.globs[0].paths.clear()),
    ("glob removed", |k| k.globs.clear()),
    ("variable", |k| {
        _ = k.env.insert("A".into(), Some("2".into()))
    }),
    ("variable unset", |k| _ = k.env.insert("A".into(), None)),
    ("variable set to nothing", |k| {
        _ = k.env.insert("B".into(), Some(String::new()))
    }),
    ("variable set to the word", |k| {
        _ = k.env.insert("B".into(), Some("not set".into()))
    }),
    ("variable removed", |k| _ = k.env.remove("B")),
    ("out's path", |k| k.outs[0].path.push('x')),
    ("out volatile", |k| k.outs[0].volatile = true),
    ("out removed", |k| _ = k.outs.pop()),
    ("machine", |k| {
        _ = k.machine.insert("gpu".into(), "h200".into())
    }),
    ("machine fact removed", |k| k.machine.clear()),
    ("tool", |k| _ = tool(k, "gcc --version", "gcc 13")),
    ("tool's version", |k| _ = tool(k, "gcc --version", "gcc 14")),
    ("tool that says nothing", |k| {
        _ = tool(k, "gcc --version", "")
    }),
    ("tool's line split", |k| {
        _ = tool(k, "gcc --version", "gcc\n13")
    }),
    ("tool's command", |k| _ = tool(k, "cc --version", "gcc 13")),
    ("two tools", |k| {
        _ = tool(k, "cc --version", "gcc 13");
        _ = tool(k, "gcc --version", "gcc 13");
    }),
    ("download", |k| k.action = download("12", None)),
    ("download's digest", |k| k.action = download("13", None)),
    ("download unpacked", |k| {
        k.action = download("12", Some("zip"))
    }),
    ("download unpacked otherwise", |k| {
        k.action = download("12", Some("tar"))
    }),
    ("secret", |k| _ = k.secrets.insert("TOKEN".into())),
    ("secret's name", |k| _ = k.secrets.insert("KEY".into())),
    ("tool and secret", |k| {
        _ = tool(k, "gcc --version", "gcc 13");
        _ = k.secrets.insert("TOKEN".into());
    }),
    ("tool with a secret's words", |k| {
        _ = tool(k, "secrets", "TOKEN\nwhatever its value")
    }),
    ("environment", |k| k.environment = Some(environment("1.0"))),
    ("package's version", |k| {
        k.environment = Some(environment("1.1"))
    }),
    ("package's bytes", |k| {
        in_environment(k, |e| {
            e.packages.get_mut("numpy").unwrap().content = Digest::of(b"other")
        })
    }),
    ("package's name", |k| {
        in_environment(k, |e| {
            let numpy = e.packages.remove("numpy").unwrap();
            e.packages.insert("scipy".into(), numpy);
        })
    }),
    ("environment's kind", |k| {
        in_environment(k, |e| e.kind = "venv".into())
    }),
    ("interpreter", |k| {
        in_environment(k, |e| {
            e.facts.insert("python".into(), "CPython 3.12.1".into());
        })
    }),
    ("environment's fact removed", |k| {
        in_environment(k, |e| e.facts.clear())
    }),
];

fn environment(numpy: &str) -> KeyEnvironment {
    KeyEnvironment {
        kind: "uv".into(),
        facts: BTreeMap::from([("python".into(), "CPython 3.11.7".into())]),
        packages: BTreeMap::from([(
            "numpy".into(),
            KeyPackage {
                version: numpy.into(),
                content: Digest::of(numpy.as_bytes()),
            },
        )]),
    }
}

fn in_environment(key: &mut StageKey, edit: impl Fn(&mut KeyEnvironment)) {
    edit(key.environment.insert(environment("1.0")));
}

#[test]
fn a_package_that_changes_is_named_by_its_versions_and_by_its_bytes_if_the_version_stays() {
    let with = |edit: fn(&mut KeyEnvironment)| {
        let mut key = key();
        in_environment(&mut key, edit);
        key
    };
    let changes = |new: &StageKey| {
        let all = diff(&with(|_| {}), new);
        all.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let newer = with(|e| *e = environment("1.1"));
    assert_eq!(changes(&newer), ["package numpy: 1.0 -> 1.1"]);
    let other = with(|e| e.packages.get_mut("numpy").unwrap().content = Digest::of(b"other"));
    let [old, new] = [b"1.0", &b"other"[..]].map(|bytes| Digest::of(bytes).short());
    let change = format!("package numpy: 1.0 {old} -> 1.0 {new}");
    assert_eq!(changes(&other), [change]);
    let none = with(|e| e.packages.clear());
    let change = format!("package numpy: gone, was 1.0 {old}");
    assert_eq!(changes(&none), [change]);
}

#[test]
fn an_environment_keeps_its_name_and_another_one_has_another() {
    // Should this fail, every environment is built again: say so in the frame's name.
    insta::assert_snapshot!(environment("1.0").digest(), @"5d7daa2edbe866c0ecb89e934739317d58e570003b7d527f5eae2520539b70f5");
    assert_ne!(environment("1.0").digest(), environment("1.1").digest());
    let mut other = environment("1.0");
    other.kind = "venv".into();
    assert_ne!(environment("1.0").digest(), other.digest());
}

fn script(shell: &[&str], lines: &[&str]) -> KeyAction {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    KeyAction::Script {
        shell: owned(shell),
        lines: owned(lines),
    }
}

fn download(sha256: &str, unpack: Option<&str>) -> KeyAction {
    KeyAction::Fetch {
        sha256: sha256.into(),
        unpack: unpack.map(str::to_owned),
    }
}

fn tool(key: &mut StageKey, command: &str, said: &str) -> Option<String> {
    key.tools.insert(command.into(), said.into())
}

fn program(key: &mut StageKey) -> (&mut String, &mut Digest, &mut Vec<String>) {
    match &mut key.action {
        KeyAction::Program {
            package,
            code,
            args,
        } => (package, code, args),
        KeyAction::Command(_) | KeyAction::Script { .. } | KeyAction::Fetch { .. } => {
            panic!("the test's key is a program's")
        }
    }
}

#[test]
fn the_digest_of_a_known_key_stays_what_it_is() {
    // Should this fail, every user's every stage runs again: raise StageKey::VERSION and say
    // so in its history, or undo the change.
    insta::assert_snapshot!(key().digest(), @"a0b898ae1737e8903c135eb4116abfb3b47a87667ad4f6539881b0c9560d95e3");
}

#[test]
fn a_key_of_version_1_is_still_what_it_was() {
    // Records and histories of earlier restages stay readable: `why` says what changed.
    let old = StageKey {
        version: 1,
        ..key()
    };
    insta::assert_snapshot!(old.digest(), @"105a8b5e1f3a1768055b9e155be5c469551eacf198ca59169a614102e904316c");
    let text = r#"{"command":"make"}"#;
    let read: KeyAction = serde_json::from_str(text).unwrap();
    assert_eq!(read, KeyAction::Command("make".into()));
}

#[test]
fn each_ingredient_changes_the_key_to_one_of_its_own() {
    let mut seen = BTreeMap::from([(key().digest(), "nothing")]);
    for (name, edit) in EDITS {
        let mut edited = key();
        edit(&mut edited);
        if let Some(other) = seen.insert(edited.digest(), name) {
            panic!("editing {name} gives the key of editing {other}");
        }
    }
}

#[test]
fn each_ingredient_that_changes_the_key_is_explained() {
    for (name, edit) in EDITS {
        let mut edited = key();
        edit(&mut edited);
        assert!(!diff(&key(), &edited).is_empty(), "{name}");
        assert!(!diff(&edited, &key()).is_empty(), "{name}");
    }
}

#[test]
fn order_and_repetition_of_deps_outs_and_matches_do_not_matter() {
    let mut same = key();
    same.deps.reverse();
    same.deps.push(same.deps[0].clone());
    same.outs.reverse();
    same.globs[0].paths.reverse();
    same.globs.push(same.globs[0].clone());
    assert_eq!(same.digest(), key().digest());
    assert_eq!(diff(&key(), &same), []);
}

#[test]
fn how_a_number_is_spelt_does_not_matter() {
    let mut same = key();
    let train = r#"{"steps":[1,2],"optimizer":{"name":"adam"},"lr":0.0010}"#;
    same.params
        .insert("train".into(), serde_json::from_str(train).unwrap());
    assert_eq!(same.digest(), key().digest());
}

#[test]
fn a_changed_parameter_is_said_with_both_values() {
    let mut new = key();
    new.params.get_mut("train").unwrap()["lr"] = json!(0.0005);
    new.deps[0].content = DepContent::Bytes(Digest::of(b"other"));
    new.globs[0].paths.push("d/c".into());
    let said: Vec<String> = diff(&key(), &new).iter().map(Change::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    param train.lr: 0.001 -> 0.0005
    dep data/x.bin: 28a249c2e4d3 -> 3f796163ebf9
    match of d/*: new, d/c
    ");
}

#[test]
fn a_key_is_explained_line_by_line() {
    let lines: Vec<String> = key()
        .explain()
        .iter()
        .map(|(label, value)| format!("{label} = {value}"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    key version = 2
    program = train
    code = bd124bf390b2978f6fa38a38904b8d7d773fc518b52ebefa6462bf2d7b6f5a3f
    arg 1 = --variant
    arg 2 = resnet18
    param seed = 42
    param train.lr = 0.001
    param train.optimizer.name = "adam"
    param train.steps[0] = 1
    param train.steps[1] = 2
    dep data/x.bin = 28a249c2e4d3a92bc0a16ed8f1b5cf83ca20415ee12e502b096624902bbc97bd
    dep t.csv = written under key ff8e2bab3b26e0c127002127905539b47eb421de85d554e15f55a446459b52b4
    glob d/* = d/*
    match of d/* = d/a
    match of d/* = d/b
    env A = "1"
    env B = not set
    out t.csv = volatile
    out w.bin = kept exactly
    machine gpu = h100
    "#);
}

/// What [`key`] has not: a command, a dep that is missing, leaves that are empty or have strange
/// names, tools and secrets.
fn other_key() -> StageKey {
    let mut key = key();
    key.action = script(&["bash", "-c"], &["make all", "make install"]);
    key.params = BTreeMap::from([(
        "p".into(),
        json!({"": 1, "a.b": 2, "a": {"b": 3}, "list": [], "map": {}}),
    )]);
    key.deps.push(KeyDep {
        path: "gone.txt".into(),
        content: DepContent::Missing,
    });
    tool(&mut key, "cc --version", "cc 13\nfree");
    tool(&mut key, "ld --version", "ld 2");
    key.secrets = BTreeSet::from(["KEY".into(), "TOKEN".into()]);
    key
}

#[test]
fn the_digest_and_the_lines_of_a_key_with_all_other_kinds_of_ingredients_stay_what_they_are() {
    let key = other_key();
    let explained = key.explain();
    let kinds = [
        "shell",
        "command",
        "param",
        "dep gone.txt",
        "tool",
        "secret",
    ];
    let lines: Vec<String> = explained
        .iter()
        .filter(|(label, _)| kinds.iter().any(|kind| label.starts_with(kind)))
        .map(|(label, value)| format!("{label} = {value}"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    shell = bash
    shell = -c
    command = make all
    command = make install
    param p."" = 1
    param p.a.b = 3
    param p."a.b" = 2
    param p.list = []
    param p.map = {}
    dep gone.txt = missing
    tool "cc --version" = cc 13
    tool "cc --version" = free
    tool "ld --version" = ld 2
    secret KEY = whatever its value
    secret TOKEN = whatever its value
    "#);
    // As above: another digest lets every such stage run again.
    let pinned = "cfa8b52272a7a9e14ed2576ed99641a9da192d6f79ae665239e64534b121e514";
    assert_eq!(key.digest().to_string(), pinned);
    let mut other = other_key();
    other.action = script(&["bash", "-c"], &["make", "make install"]);
    assert_ne!(other.digest(), key.digest());
}

#[test]
fn what_a_run_was_given_leaves_out_code_command_and_files() {
    let mut key = key();
    tool(&mut key, "cc --version", "cc 13");
    key.secrets.insert("TOKEN".into());
    let labels: Vec<String> = key.given().into_iter().map(|(label, _)| label).collect();
    let expected = [
        "param seed",
        "param train.lr",
        "param train.optimizer.name",
        "param train.steps[0]",
        "param train.steps[1]",
        "env A",
        "env B",
        "machine gpu",
        "tool \"cc --version\"",
        "secret TOKEN",
    ];
    assert_eq!(labels, expected);
}

#[test]
fn a_tools_new_version_is_said_line_by_line() {
    let with = |python: &str, packages: &str| {
        let mut key = key();
        tool(&mut key, "python3 --version", python);
        tool(&mut key, "pip freeze", packages);
        key
    };
    let old = with("Python 3.11.7", "numpy==1.26\nscipy==1.11\ntqdm==4.66");
    let new = with("Python 3.12.1", "numpy==2.0\nscipy==1.11");
    let said: Vec<String> = diff(&old, &new).iter().map(Change::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    tool "pip freeze": new, numpy==2.0
    tool "pip freeze": gone, was numpy==1.26
    tool "pip freeze": gone, was tqdm==4.66
    tool "python3 --version": Python 3.11.7 -> Python 3.12.1
    "#);
}

#[test]
fn a_key_from_before_tools_and_secrets_reads_as_one_without_any() {
    let text = serde_json::to_string(&key()).unwrap();
    assert!(!text.contains("tools") && !text.contains("secrets"));
    let back: StageKey = serde_json::from_str(&text).unwrap();
    assert_eq!(back, key());
}

#[test]
fn the_same_values_declared_otherwise_are_still_explained() {
    let (mut a, mut b) = (key(), key());
    a.params = BTreeMap::from([("a.b".into(), json!(1))]);
    b.params = BTreeMap::from([("a".into(), json!({"b": 1}))]);
    assert_eq!(diff(&a, &b)[0].label, "declared params");
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|v| json!(v)),
        any::<i64>().prop_map(|v| json!(v)),
        any::<f64>()
            .prop_filter("finite", |v| v.is_finite())
            .prop_map(|v| json!(v)),
        "[a.\\[\" ]{0,3}".prop_map(|v| json!(v)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|v| json!(v)),
            prop::collection::btree_map("[a.\\[\" ]{0,2}", inner, 0..3).prop_map(|v| json!(v)),
        ]
    })
}

fn params() -> impl Strategy<Value = BTreeMap<String, serde_json::Value>> {
    prop::collection::btree_map("[ab]", value(), 0..3)
}

fn tools() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[ab]{1,2}", "[12\n]{0,3}", 0..3)
}

proptest! {
    #[test]
    fn keys_are_equal_exactly_when_their_parameters_are(a in params(), b in params()) {
        let with = |params: &BTreeMap<_, _>| StageKey { params: params.clone(), ..key() };
        // A stage is given texts, and -0.0, which is equal to 0.0, has one of its own.
        let [one, other] = [&a, &b].map(|params| json!(params).to_string());
        let same = one == other;
        prop_assert_eq!(same, with(&a).digest() == with(&b).digest());
        prop_assert_eq!(same, diff(&with(&a), &with(&b)).is_empty());
    }

    #[test]
    fn keys_are_equal_exactly_when_their_tools_are(a in tools(), b in tools()) {
        let with = |tools: &BTreeMap<_, _>| StageKey { tools: tools.clone(), ..key() };
        prop_assert_eq!(a == b, with(&a).digest() == with(&b).digest());
        prop_assert_eq!(a == b, diff(&with(&a), &with(&b)).is_empty());
    }

    #[test]
    fn keys_are_equal_exactly_when_their_secrets_are(
        a in prop::collection::btree_set("[AB]{1,2}", 0..3),
        b in prop::collection::btree_set("[AB]{1,2}", 0..3),
    ) {
        let with = |secrets: &BTreeSet<_>| StageKey { secrets: secrets.clone(), ..key() };
        prop_assert_eq!(a == b, with(&a).digest() == with(&b).digest());
    }

    #[test]
    fn a_key_that_was_written_and_read_has_the_same_digest(params in params()) {
        let key = StageKey { params, ..key() };
        let text = serde_json::to_string(&key).unwrap();
        let back: StageKey = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back.digest(), key.digest());
    }
}
