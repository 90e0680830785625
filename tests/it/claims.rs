//! `restage claims`: verdicts, and where they go.

use crate::space::Space;

const CLAIMS: &str = r#"
  s: {cmd: 'echo x > s.txt', outs: [s.txt]}
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
    space.write("t.csv", "no table");
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
