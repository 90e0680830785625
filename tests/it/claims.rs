//! `restage claims`: verdicts, and where they go.

use crate::space::Space;

const CLAIMS: &str = r#"
  s: {cmd: 'echo x > s.txt', outs: [s.txt]}
  times: {cmd: 'echo x > times.csv', outs: [times.csv]}
claims:
  near: {says: A has 0.9, paper: 0.9, ours: 'cell("t.csv", "model=a", "x")', tolerance: {abs: 0.01}, where: Table I}
  side: {says: 'A < b & "c" by 1 | 2', paper: 1, unit: points, ours: 'cell("t.csv", 2, "x")', tolerance: {rel: 0.1}, direction: {above: 0}}
  order: {says: A is above b, holds: 'cell("t.csv", 1, "x") < cell("t.csv", 2, "x")'}
  gone: {says: It is fast, holds: 'first("times.csv", "x", 1, "x") < 2.0'}
  empty: {says: C has one, holds: 'cell("t.csv", "model=c", "x") == 1.0'}
"#;

fn space() -> Space {
    let space = Space::new(CLAIMS);
    space.write("t.csv", "model,x\na,0.905\nb,0.5\nc,\n");
    space
}

#[test]
fn each_claim_has_its_verdict_and_its_reason() {
    let said = space().restage(&["claims"]).exits(0);
    insta::assert_snapshot!(said.out);
    assert!(said.out.lines().all(|line| line.len() <= 80));
    said.says("`restage claims --write` creates it");
}

#[test]
fn a_worse_verdict_than_the_committed_one_exits_with_3_and_a_better_one_does_not() {
    let space = space();
    space.restage(&["claims", "--write"]).exits(0);
    space.restage(&["claims"]).exits(0);
    space.write("t.csv", "model,x\na,0.95\nb,0.99\nc,\n");
    let said = space.restage(&["claims"]).exits(3);
    assert!(
        said.out
            .contains("worse: near was reproduced, now not reproduced"),
        "{}",
        said.out
    );
    assert!(
        said.out
            .contains("better: side was direction only, now reproduced"),
        "{}",
        said.out
    );
    space.restage(&["claims", "side"]).exits(0);
    let xml = space.restage(&["claims", "--junit"]).exits(3);
    assert!(
        xml.out
            .contains(r#"<failure message="not reproduced (was reproduced)">"#),
        "{}",
        xml.out
    );
    space.write("t.csv", "model,x\nb,0.99\n");
    let said = space.restage(&["claims", "near"]).exits(3);
    assert!(said.out.contains("now not measured"), "{}", said.out);
    space.restage(&["claims", "--write"]).exits(0);
    space.restage(&["claims"]).exits(0);
}

#[test]
fn a_volatile_claim_is_never_worse() {
    let space = space();
    space.stages(&CLAIMS.replace("near: {", "near: {volatile: true, "));
    space.restage(&["claims", "--write"]).exits(0);
    space.write("t.csv", "model,x\na,0.1\nb,0.5\nc,\n");
    space.restage(&["claims"]).exits(0);
}

#[test]
fn verdicts_are_written_as_json_markdown_and_junit() {
    let space = space();
    let said = space.restage(&["--json", "claims"]).exits(0);
    let claims = said.events("claim");
    assert_eq!(claims.len(), 5);
    assert_eq!(claims[0]["verdict"], "reproduced");
    assert_eq!(claims[3]["reason"], "there is no `times.csv`");
    assert_eq!(said.events("claims")[0]["worse"], 0);
    insta::assert_snapshot!(space.restage(&["claims", "--md"]).exits(0).out);
    insta::assert_snapshot!(space.restage(&["claims", "--junit"]).exits(0).out);
    space
        .restage(&["--json", "claims", "--md"])
        .exits(2)
        .says("`--json` cannot be combined with");
}

#[test]
fn a_slip_in_a_file_or_a_column_is_an_error_and_no_verdict() {
    let space = space();
    for (right, slip, says) in [
        (
            "t.csv\", 1",
            "tt.csv\", 1",
            "there is no `tt.csv`, and no stage writes it: did you mean `t.csv`?",
        ),
        (
            "\"t.csv\", 1, \"x\"",
            "\"t.csv\", 1, \"y\"",
            "`t.csv` has no column `y`: it has: `model`, `x`",
        ),
        (
            "model=c",
            "modle=c",
            "`t.csv` has no column `modle`: did you mean `model`?",
        ),
    ] {
        space.stages(&CLAIMS.replace(right, slip));
        let said = space.restage(&["claims", "--write"]).exits(2).says(says);
        assert!(said.err.contains("evaluated on the tables"), "{}", said.err);
        assert!(!space.exists("results/default/claims.csv"));
    }
}

#[test]
fn metrics_of_all_kinds_and_sparse_logs_are_measured() {
    let space = Space::new(
        r#"
  s: {cmd: 'echo x > s.txt', outs: [s.txt]}
  t: {cmd: 'echo 1 > later.json', outs: [later.json]}
tables: [{files: de.csv, decimal: ","}]
claims:
  json: {says: x, paper: 0.91, ours: 'cell("m.json", "/test/accuracy")', tolerance: {abs: 1.0e-9}}
  row: {says: x, paper: 0.91, ours: 'cell("m.json", 1, "test/accuracy")', tolerance: {abs: 1.0e-9}}
  yaml: {says: x, paper: 3, ours: 'cell("m.yaml", "/scores/-1")', tolerance: {abs: 0}}
  toml: {says: x, holds: 'text("m.toml", "/run/name") == "a" && cell("m.toml", "/run/lr") == 0.001'}
  lines: {says: x, paper: 0.25, ours: 'min(column("log.jsonl", "loss"))', tolerance: {abs: 0}}
  runs: {says: x, paper: 0.5, ours: 'samples("r/*/m.json", "/acc")', tolerance: {abs: 1.0e-9}}
  pairs: {says: x, paper: 0.2, ours: 'difference(samples("r/*/m.json", "/acc"), samples("r/*/m.json", "/base"))', tolerance: {abs: 1.0e-9}}
  comma: {says: x, paper: 0.75, ours: 'mean(column("de.csv", "wert"))', tolerance: {abs: 1.0e-9}}
  best: {says: x, paper: 0.82, ours: 'max(column("log.csv", "val_acc"))', tolerance: {abs: 1.0e-9}}
  count: {says: x, holds: 'count(column("log.csv", "val_acc")) == 2.0 && first(column("log.csv", "val_acc")) == 0.7'}
  later: {says: x, paper: 1, ours: 'cell("later.json", "/x")', tolerance: {abs: 1}}
  null: {says: x, paper: 1, ours: 'cell("m.json", "/none")', tolerance: {abs: 1}}
"#,
    );
    space.write("m.json", r#"{"test": {"accuracy": 0.91}, "none": null}"#);
    space.write("m.yaml", "scores: [1, 2, 3]\n");
    space.write("m.toml", "[run]\nname = 'a'\nlr = 1e-3\n");
    space.write(
        "log.jsonl",
        "{\"step\": 1, \"loss\": 0.5}\n{\"step\": 2, \"loss\": 0.25}\n{\"step\": 3}\n",
    );
    space.write("r/1/m.json", r#"{"acc": 0.4, "base": 0.2}"#);
    space.write("r/2/m.json", r#"{"acc": 0.6, "base": 0.4}"#);
    space.write("de.csv", "name;wert\na;0,5\nb;1\n");
    space.write(
        "log.csv",
        "epoch, val_acc ,share\n0,0.7,\n0,,1%\n1,0.82,85.3%\n2,,\n",
    );
    let said = space.restage(&["--json", "claims"]).exits(0);
    for claim in said.events("claim") {
        let (wanted, reason) = match claim["id"].as_str() {
            Some("later") => ("not measured", Some("there is no `later.json`")),
            Some("null") => ("not measured", Some("`m.json` has null at `/none`")),
            _ => ("reproduced", None),
        };
        assert_eq!(claim["verdict"], wanted, "{claim}");
        assert_eq!(claim["reason"].as_str(), reason, "{claim}");
    }
}

#[test]
fn a_claim_that_no_run_can_answer_is_an_error_with_its_place() {
    for (ours, says) in [
        (
            r#"cell("log.csv", "epoch=1", "share")"#,
            "`log.csv` has `85.3%` in row `epoch=1`, column `share`, which is not a number",
        ),
        (
            r#"max(column("log.csv", "share"))"#,
            "`log.csv` has `1%` in row 2, column `share`, which is not a number",
        ),
        (
            r#"cell("m.json", "/test/acuracy")"#,
            "`m.json` has nothing at `/test/acuracy`: did you mean `/test/accuracy`?",
        ),
        (
            r#"cell("m.json", "/test")"#,
            "`m.json` has an object of `/test/accuracy` at `/test`, not a single value",
        ),
        (r#"cell("bad.json", "/a")"#, "`bad.json` gives `a` twice"),
        (
            r#"cell("log.csv", "share=", "epoch")"#,
            "`log.csv` has several of row `share=`",
        ),
    ] {
        let space = Space::new(&format!(
            "
  s: {{cmd: 'echo x > s.txt', outs: [s.txt]}}
claims:
  good: {{says: x, paper: 0.91, ours: 'cell(\"m.json\", \"/test/accuracy\")', tolerance: {{abs: 0}}}}
  odd: {{says: x, paper: 85.3, ours: '{ours}', tolerance: {{abs: 1}}}}
"
        ));
        space.write("m.json", r#"{"test": {"accuracy": 0.91}}"#);
        space.write("bad.json", r#"{"a": 1, "a": 2}"#);
        space.write(
            "log.csv",
            "epoch,val_acc,share\n0,0.7,\n0,,1%\n1,0.82,85.3%\n2,,\n",
        );
        let said = space.restage(&["claims", "--write"]).exits(2).says(says);
        assert!(said.err.contains("pipeline.yaml:9:"), "{}", said.err);
        assert!(!space.exists("results/default/claims.csv"));
        let said = space.restage(&["--json", "claims"]).exits(2);
        assert_eq!(said.events("mistake")[0]["id"], "odd");
        assert_eq!(said.events("mistake")[0]["reason"], says);
        space.restage(&["claims", "good"]).exits(0);
    }
}

#[test]
fn what_is_not_a_claim_or_a_record_is_refused() {
    let space = space();
    space
        .restage(&["claims", "near", "ordr"])
        .exits(2)
        .says("no claim `ordr`");
    space.write("results/default/claims.csv", "id,reason\n");
    space
        .restage(&["claims"])
        .exits(2)
        .says("is not a table of verdicts");
    space.stages(&CLAIMS.replace("cell(\"t.csv\", 1", "cel(\"t.csv\", 1"));
    space
        .restage(&["claims"])
        .exits(2)
        .says("there is no `cel`");
    space.stages("  s: {cmd: s, outs: [s]}\n");
    space.restage(&["claims"]).exits(2).says("has no `claims:`");
}

#[test]
fn verdicts_on_a_table_that_no_current_run_wrote_come_with_a_warning() {
    let space = Space::new(
        r#"
  a: {cmd: 'printf "k,x\nm,${a}\n" > t.csv', outs: [t.csv]}
  b: {cmd: cp t.csv u.csv, deps: [t.csv], outs: [u.csv]}
claims:
  c: {says: s, paper: 1, ours: 'cell("t.csv", 1, "x")', tolerance: {abs: 0.1}}
  d: {says: s, paper: 1, ours: 'cell("u.csv", 1, "x")', tolerance: {abs: 0.1}}
"#,
    );
    space.write("t.csv", "k,x\nm,1\n");
    let said = space.restage(&["claims", "c"]).exits(0);
    said.says("`t.csv` was not written by a run of `a` that is known here");
    std::fs::remove_file(space.path("t.csv")).unwrap();
    space.restage(&["run"]).exits(0);
    let said = space.restage(&["claims"]).exits(0);
    assert!(!said.err.contains("warning"), "{}", said.err);
    let said = space.restage(&["claims", "-S", "a=2"]).exits(0);
    let said = said.says("`t.csv` is from a run of `a` before a change (");
    said.says("`u.csv` is from a run of `b` before `a` changed");
    std::fs::remove_file(space.path("t.csv")).unwrap();
    space.write("t.csv", "k,x\nm,1.01\n");
    let said = space.restage(&["claims"]).exits(0);
    let said = said.says("warning: `t.csv` is not what `a` wrote: it was edited");
    assert!(said.out.contains("2 reproduced"), "{}", said.out);
    let said = space.restage(&["claims", "d"]).exits(0);
    assert!(!said.err.contains("warning"), "{}", said.err);
}

#[test]
fn a_claim_that_meets_nan_is_not_measured_and_the_others_have_their_verdicts() {
    let space = Space::new(
        r#"
  s: {cmd: 'echo x > s.txt', outs: [s.txt]}
claims:
  good: {says: s, holds: 'cell("t.csv", 2, "x") > 0.5'}
  bad: {says: s, holds: 'cell("t.csv", 1, "x") > 0.5'}
"#,
    );
    space.write("t.csv", "k,x\na,nan\nb,2\n");
    let said = space.restage(&["claims"]).exits(0);
    assert!(
        said.out.contains("1 reproduced, 1 not measured"),
        "{}",
        said.out
    );
    assert!(said.out.contains("compares NaN by `>`"), "{}", said.out);
}
