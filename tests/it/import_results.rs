//! `init --from dvc.yaml` beside a dvc.lock: what DVC made is adopted, if it is still that.

use std::collections::BTreeMap;
use std::fs;

use crate::space::{Said, Space};

const DVC: &str = r#"
stages:
  prepare:
    cmd: sh src/prepare.sh
    deps: [src/prepare.sh, data/raw.txt]
    params: [prepare.count]
    outs: [data/rows]
  train:
    wdir: model
    cmd: [sh train.sh, "true"]
    deps: [train.sh, ../data/rows]
    params:
      - ../params.yaml: [train]
    outs: [weights.txt]
    metrics:
      - lines.txt: {cache: false}
  each:
    foreach: ${sizes}
    do:
      cmd: mkdir -p sizes && echo ${item} ${train.rate} > sizes/${item}.txt
      outs: ["sizes/${item}.txt"]
  named:
    foreach: {big: {n: 1}, a+b: {n: 2}}
    do:
      cmd: echo ${item.n} > named-${item.n}.txt
      outs: ["named-${item.n}.txt"]
  mat:
    matrix: {a: [x, y], b: [1]}
    cmd: echo ${item.a} ${key} > mat-${item.a}.txt
    outs: ["mat-${item.a}.txt"]
"#;

/// As DVC 3.67 wrote it.
const LOCK: &str = r"
schema: '2.0'
stages:
  prepare:
    cmd: sh src/prepare.sh
    deps:
    - path: data/raw.txt
      hash: md5
      md5: 40c53c58fdafacc83cfff6ee3d2f6d69
      size: 6
    - path: src/prepare.sh
      hash: md5
      md5: 6eef921ffaaf060d6178d429f6a7f3a9
      size: 96
    params:
      params.yaml:
        prepare.count: 2
    outs:
    - path: data/rows
      hash: md5
      md5: 58c7dd6ed3fdb5fe89c17273ec71ffae.dir
      size: 6
      nfiles: 2
  train:
    cmd:
    - sh train.sh
    - 'true'
    deps:
    - path: ../data/rows
      hash: md5
      md5: 58c7dd6ed3fdb5fe89c17273ec71ffae.dir
      size: 6
      nfiles: 2
    - path: train.sh
      hash: md5
      md5: c0c1653f9003258948c1271fc5674b73
      size: 69
    params:
      ../params.yaml:
        train:
          rate: 1e-05
    outs:
    - path: lines.txt
      hash: md5
      md5: 26ab0db90d72e28ad0ba1e22ee510510
      size: 2
    - path: weights.txt
      hash: md5
      md5: dd8c6a395b5dd36c56d23275028f526c
      size: 4
  each@3:
    cmd: mkdir -p sizes && echo 3 1e-05 > sizes/3.txt
    outs:
    - path: sizes/3.txt
      hash: md5
      md5: 3480388ba5426f4a87957bdf120f68b9
      size: 8
  each@4:
    cmd: mkdir -p sizes && echo 4 1e-05 > sizes/4.txt
    outs:
    - path: sizes/4.txt
      hash: md5
      md5: 743a963f89c3397a97f64b655cb802ba
      size: 8
  named@big:
    cmd: echo 1 > named-1.txt
    outs:
    - path: named-1.txt
      hash: md5
      md5: b026324c6904b2a9cb4b88d6d61c81d1
      size: 2
  named@a+b:
    cmd: echo 2 > named-2.txt
    outs:
    - path: named-2.txt
      hash: md5
      md5: 26ab0db90d72e28ad0ba1e22ee510510
      size: 2
  mat@x-1:
    cmd: echo x x-1 > mat-x.txt
    outs:
    - path: mat-x.txt
      hash: md5
      md5: 6ec6d84c52e0bcb9b43b677648337525
      size: 6
  mat@y-1:
    cmd: echo y y-1 > mat-y.txt
    outs:
    - path: mat-y.txt
      hash: md5
      md5: 2b4869e7f495d1dc2a0ca0832afee463
      size: 6
";

const PARAMS: &str = "prepare: {count: 2, unused: 1}\ntrain: {rate: 0.00001}\nsizes: [3, 4]\n";

const PREPARE: &str = "mkdir -p data/rows/sub
head -n 2 data/raw.txt > data/rows/a.txt
echo x > \"data/rows/sub/é.txt\"
";

/// The files of a project that DVC has run.
fn project() -> Space {
    let space = Space::empty();
    for (name, text) in [
        ("dvc.yaml", DVC),
        ("dvc.lock", LOCK),
        ("params.yaml", PARAMS),
        ("data/raw.txt", "a\nb\nc\n"),
        ("src/prepare.sh", PREPARE),
        (
            "model/train.sh",
            "cat ../data/rows/a.txt > weights.txt\nwc -l < weights.txt > lines.txt\n",
        ),
        ("data/rows/a.txt", "a\nb\n"),
        ("data/rows/sub/é.txt", "x\n"),
        ("model/weights.txt", "a\nb\n"),
        ("model/lines.txt", "2\n"),
        ("sizes/3.txt", "3 1e-05\n"),
        ("sizes/4.txt", "4 1e-05\n"),
        ("named-1.txt", "1\n"),
        ("named-2.txt", "2\n"),
        ("mat-x.txt", "x x-1\n"),
        ("mat-y.txt", "y y-1\n"),
    ] {
        space.write(name, text);
    }
    space
}

fn import(space: &Space) -> Said {
    let said = space.restage(&["--json", "init", "--from", "dvc.yaml"]);
    said.exits(0)
}

/// Why stages were not adopted, by stage.
fn not_adopted(said: &Said) -> BTreeMap<String, String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let events = said.events("not_adopted");
    let events = events.iter();
    let reasons: BTreeMap<_, _> = events
        .map(|event| (text(&event["stage"]), text(&event["reason"])))
        .collect();
    assert_eq!(said.events("adopted").len() + reasons.len(), 8);
    reasons
}

#[test]
fn results_that_dvc_made_are_adopted_and_nothing_runs() {
    let space = project();
    let before = space.files();
    let said = space.restage(&["init", "--from", "dvc.yaml"]).exits(0);
    let line = "adopted 8 results from dvc.lock: prepare, train, each (2), named (2), mat (2)\n";
    assert!(said.out.contains(line), "{}", said.out);
    assert!(!said.out.contains("not adopted"), "{}", said.out);
    let mut after = space.files();
    assert!(after.remove("pipeline.yaml").is_some() && after.remove("pipeline.lock").is_some());
    assert_eq!(before, after, "nothing else is touched");
    assert_eq!(space.ran(&[]), [""; 0]);
    let why = space.restage(&["why", "train"]).exits(0).out;
    let mark = "train is fresh: adopted from dvc.lock by an unnamed user at 2";
    assert!(why.starts_with(mark), "{why}");
    // Like any other result, until something changes.
    space.write("data/raw.txt", "c\nb\na\n");
    assert_eq!(space.ran(&[]), ["prepare", "train"]);
    assert_eq!(space.read("model/weights.txt"), "c\nb\n");
}

#[test]
fn what_is_no_longer_what_dvc_read_or_wrote_is_not_adopted() {
    let runs = "it reads what `prepare` writes, which is not adopted";
    let cases = [
        (
            "data/raw.txt",
            Some("other\n"),
            vec![
                ("prepare", "`data/raw.txt` is not what DVC read"),
                ("train", runs),
            ],
        ),
        (
            "data/rows/sub/é.txt",
            Some("other\n"),
            vec![
                ("prepare", "`data/rows` is not what DVC wrote"),
                ("train", "`data/rows` is not what DVC read"),
            ],
        ),
        (
            "data/rows/more",
            Some(""),
            vec![
                ("prepare", "`data/rows` is not what DVC wrote"),
                ("train", "`data/rows` is not what DVC read"),
            ],
        ),
        (
            "model/lines.txt",
            None,
            vec![("train", "`model/lines.txt` is not there")],
        ),
        (
            "sizes/4.txt",
            Some("4\n"),
            vec![("each@4", "`sizes/4.txt` is not what DVC wrote")],
        ),
    ];
    for (name, text, expected) in cases {
        let space = project();
        match text {
            Some(text) => space.write(name, text),
            None => fs::remove_file(space.path(name)).unwrap(),
        }
        let reasons = not_adopted(&import(&space));
        let reasons: Vec<_> = reasons
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(reasons, expected, "{name}");
        let ran = space.ran(&["--set-aside"]);
        let stages: Vec<&str> = expected.iter().map(|(stage, _)| *stage).collect();
        assert_eq!(ran, stages, "{name}");
    }
}

#[test]
fn a_stage_that_dvc_would_run_again_is_not_adopted() {
    for (name, from, to, stage, reason) in [
        (
            "params.yaml",
            "count: 2",
            "count: 3",
            "prepare",
            "its parameter `prepare.count` of `params.yaml` is another one in dvc.lock",
        ),
        (
            "params.yaml",
            "train: {",
            "train: {more: 1, ",
            "train",
            "its parameter `train` of `params.yaml` is another one in dvc.lock",
        ),
        (
            "dvc.yaml",
            "[prepare.count]",
            "[prepare.count, sizes]",
            "prepare",
            "its parameter `sizes` of `params.yaml` is another one in dvc.lock",
        ),
        (
            "dvc.yaml",
            "[sh train.sh, \"true\"]",
            "sh train.sh",
            "train",
            "its `cmd` is another one in dvc.lock",
        ),
        (
            "dvc.yaml",
            "[train.sh, ",
            "[",
            "train",
            "its `deps` are others in dvc.lock",
        ),
        (
            "dvc.yaml",
            "[weights.txt]",
            "[weights.txt, train.log]",
            "train",
            "its `outs` are others in dvc.lock",
        ),
        (
            "dvc.yaml",
            "wdir: model",
            "wdir: model\n    always_changed: true",
            "train",
            "it is `always_changed` in dvc.yaml",
        ),
        (
            "dvc.lock",
            "each@4:",
            "each@5:",
            "each@4",
            "dvc.lock has no entry for it",
        ),
        (
            "dvc.lock",
            "      md5: 743a963f89c3397a97f64b655cb802ba\n",
            "",
            "each@4",
            "dvc.lock has no MD5 of `sizes/4.txt`",
        ),
    ] {
        let space = project();
        let text = space.read(name);
        assert!(text.contains(from), "{from}");
        space.write(name, &text.replace(from, to));
        let reasons = not_adopted(&import(&space));
        assert_eq!(reasons.get(stage).map(String::as_str), Some(reason));
    }
}

#[test]
fn params_that_no_stage_declares_and_the_layout_of_the_files_matter_to_no_result() {
    let space = project();
    space.write("params.yaml", &PARAMS.replace("unused: 1", "unused: 2"));
    space.write(
        "dvc.lock",
        &LOCK.replace("1e-05\n    outs", "0.00001\n    outs"),
    );
    assert_eq!(not_adopted(&import(&space)), BTreeMap::new());
}

#[test]
fn a_stage_that_is_not_adopted_is_named_with_the_reason() {
    let space = project();
    space.write("dvc.lock", &LOCK.replace("each@", "every@"));
    let said = space.restage(&["init", "--from", "dvc.yaml"]).exits(0);
    let lines = "adopted 6 results from dvc.lock: prepare, train, named (2), mat (2)\nnot adopted:\n  each (2)  dvc.lock has no \
                 entry for it\nthese stages run; `restage reproduce --set-aside` moves away";
    assert!(said.out.contains(lines), "{}", said.out);
    let _ = space.restage(&["reproduce"]).exits(2).says("--set-aside");
    assert_eq!(space.ran(&["--set-aside"]).len(), 2);
}

#[test]
fn a_dvc_lock_that_cannot_be_read_costs_its_results_not_the_import() {
    for wrong in ["", "<<<<<<< HEAD\n", "schema: '2.0'\n", "stages: []\n"] {
        let space = project();
        space.write("dvc.lock", wrong);
        let said = import(&space);
        assert_eq!(said.events("summary")[0]["adopted"], 0);
        let _ = said
            .says("DVC's results are not adopted:")
            .says("dvc.lock:1");
        assert!(space.exists("pipeline.yaml") && !space.exists(".restage"));
    }
}

#[test]
fn a_dvc_lock_below_the_pipeline_names_files_from_its_own_folder() {
    let space = Space::empty();
    space.write("raw.txt", "a\nb\nc\n");
    space.write("sub/copy.txt", "a\nb\nc\n");
    space.write(".git/HEAD", "");
    let yaml = "stages: {s: {cmd: cp ../raw.txt copy.txt, deps: [../raw.txt], outs: [copy.txt]}}\n";
    space.write("sub/dvc.yaml", yaml);
    let md5 = "md5: 40c53c58fdafacc83cfff6ee3d2f6d69";
    space.write(
        "sub/dvc.lock",
        &format!(
            "schema: '2.0'\nstages: {{s: {{cmd: cp ../raw.txt copy.txt, deps: [{{path: ../raw.txt, {md5}}}], \
             outs: [{{path: copy.txt, {md5}}}]}}}}\n"
        ),
    );
    let said = space.restage(&["init", "--from", "sub/dvc.yaml"]).exits(0);
    assert!(
        said.out.contains("adopted 1 result from dvc.lock: s\n"),
        "{}",
        said.out
    );
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn results_of_several_dvc_yaml_are_adopted_from_the_lock_beside_each() {
    let space = Space::empty();
    space.write(".dvc/config", "");
    space.write("raw", "1\n");
    space.write(
        "data/dvc.yaml",
        "stages: {prep: {cmd: cat ../raw > clean, deps: [../raw], outs: [clean]}}\n",
    );
    space.write(
        "train/dvc.yaml",
        "stages: {prep: {cmd: cat ../data/clean > model, deps: [../data/clean], outs: [model]}}\n",
    );
    let lock = |cmd: &str, dep: &str, out: &str| {
        let md5 = "b026324c6904b2a9cb4b88d6d61c81d1";
        format!(
            "schema: '2.0'\nstages:\n  prep:\n    cmd: {cmd}\n    deps:\n    - path: {dep}\n      md5: {md5}\n    \
             outs:\n    - path: {out}\n      md5: {md5}\n"
        )
    };
    space.write(
        "data/dvc.lock",
        &lock("cat ../raw > clean", "../raw", "clean"),
    );
    space.write(
        "train/dvc.lock",
        &lock("cat ../data/clean > model", "../data/clean", "model"),
    );
    space.write("data/clean", "1\n");
    space.write("train/model", "1\n");
    let said = space
        .restage(&["init", "--from", "train/dvc.yaml"])
        .exits(0);
    assert!(
        said.out
            .contains("adopted 2 results from dvc.lock: data-prep, train-prep"),
        "{}",
        said.out
    );
    assert_eq!(space.ran(&[]), Vec::<String>::new());
    space.write("raw", "2\n");
    assert_eq!(space.ran(&[]), ["data-prep", "train-prep"]);
}
