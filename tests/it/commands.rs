//! The commands that only look, and those that write small files.

use crate::space::Space;

const TWO: &str = r"
  one: {cmd: 'echo ${a} > one.txt', outs: [one.txt], desc: The first}
  two: {cmd: 'cat one.txt > results/two.csv', deps: [one.txt], outs: [results/two.csv]}
";

#[test]
fn status_predicts_what_reproduce_does() {
    let space = Space::new(TWO);
    let said = space.restage(&["status"]).exits(0);
    insta::assert_snapshot!(said.out, @r"
    stale    one  never ran
    waits    two  on one
    profile default: 0 of 2 stages are fresh
    ");
    assert!(space.restage(&["status", "--check"]).code == Some(3));
    assert_eq!(space.ran(&[]).len(), 2);
    let said = space.restage(&["status", "--check", "-S", "b=9"]).exits(0);
    insta::assert_snapshot!(said.out, @r"
    fresh    one
    fresh    two
    profile default: all 2 stages are fresh
    ");
    let said = space.restage(&["status", "-S", "a=4"]).exits(0);
    insta::assert_snapshot!(said.out, @r"
    stale    one  command: echo 1 > one.txt -> echo 4 > one.txt
    waits    two  on one
    profile default: 0 of 2 stages are fresh
    ");
}

#[test]
fn why_names_the_parameter_that_changed() {
    let space = Space::new("  s: {cmd: 'echo x > s.txt', params: [a, b], outs: [s.txt]}\n");
    assert_eq!(space.ran(&[]), ["s"]);
    let said = space.restage(&["why", "s", "-S", "b=3"]).exits(0);
    assert!(
        said.out.contains("s is stale:\n  param b: 2 -> 3\n"),
        "{}",
        said.out
    );
    let said = space.restage(&["why", "s"]).exits(0);
    assert!(said.out.starts_with("s is fresh: ran 20"), "{}", said.out);
    space.restage(&["why", "t"]).exits(2).says("`t`");
}

#[test]
fn a_dry_run_changes_nothing() {
    let space = Space::new(TWO);
    let said = space.restage(&["reproduce", "-n"]).exits(0);
    assert!(said.out.contains("one: run, never ran"), "{}", said.out);
    assert!(!space.exists("one.txt"));
}

#[test]
fn force_runs_what_is_fresh() {
    let space = Space::new(TWO);
    assert_eq!(space.ran(&[]).len(), 2);
    assert_eq!(space.ran(&["-f", "one"]), ["one"]);
    assert_eq!(space.ran(&["-f"]), ["one", "two"]);
}

#[test]
fn a_stage_whose_bytes_change_under_the_same_key_is_called_not_reproducible() {
    let space = Space::new("  s: {cmd: 'date +%s%N > s.txt', outs: [s.txt]}\n");
    assert_eq!(space.ran(&[]), ["s"]);
    space
        .restage(&["reproduce", "-f"])
        .exits(0)
        .says("is not reproducible: the same inputs gave other bytes in s.txt");
}

#[test]
fn logs_show_what_the_last_attempt_printed() {
    let space = Space::new(
        "  s: {cmd: 'echo to stdout; echo to stderr >&2; echo > s.txt', outs: [s.txt]}\n",
    );
    space.restage(&["logs", "s"]).exits(2).says("has not run");
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(
        space.restage(&["logs", "s"]).exits(0).out,
        "to stdout\nto stderr\n"
    );
}

#[test]
fn init_writes_a_pipeline_that_works_and_overwrites_nothing() {
    let space = Space::empty();
    space.restage(&["init"]).exits(0);
    assert_eq!(
        space.ran(&[]).len(),
        space.restage(&["status"]).out.lines().count() - 1
    );
    assert_eq!(space.ran(&[]), [""; 0]);
    let before = space.files();
    space
        .restage(&["init"])
        .exits(2)
        .says("nothing was written");
    assert_eq!(space.files(), before);
}

#[test]
fn a_folder_without_a_pipeline_says_what_to_do() {
    Space::empty()
        .restage(&["status"])
        .exits(2)
        .says("restage init");
}

#[test]
fn the_schema_is_printed() {
    let space = Space::empty();
    let schema = space.restage(&["schema"]).exits(0).out;
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert!(schema["properties"]["stages"].is_object());
}
