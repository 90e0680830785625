//! Stages that a machine can't run: skipped, with the reason; their committed outs stand.

use std::fs;

use crate::space::{Said, Space};

const STAGES: &str = r"
  train:
    cmd: cp data.txt weights.txt; date +%s%N > times.txt
    deps: [data.txt]
    requires: {env: [TOKEN], files: [licence.lic]}
    outs: [weights.txt, {path: times.txt, volatile: true}]
  eval: {cmd: cat weights.txt > eval.txt, deps: [weights.txt], outs: [eval.txt]}
  other: {cmd: echo other > other.txt, outs: [other.txt]}
";

fn space() -> Space {
    let space = Space::new(STAGES);
    space.write("data.txt", "one\n");
    space.write("licence.lic", "");
    space
}

fn call(space: &Space, args: &[&str], token: Option<&str>) -> Said {
    let mut command = space.command(args);
    if let Some(token) = token {
        command.env("TOKEN", token);
    }
    Said::from(command.output().expect("restage starts"))
}

/// A clone of a machine that had all that is required: outs and `pipeline.lock`, no store.
fn cloned() -> Space {
    let space = space();
    call(&space, &["reproduce"], Some("t"))
        .exits(0)
        .says("3 ran");
    fs::remove_dir_all(space.path(".restage")).expect("a store to lose");
    fs::remove_file(space.path("licence.lic")).expect("a file");
    space
}

#[test]
fn a_stage_runs_where_there_is_what_it_requires_and_needs_none_of_it_once_it_is_up_to_date() {
    let space = space();
    call(&space, &["reproduce"], Some("t"))
        .exits(0)
        .says("3 ran");
    fs::remove_file(space.path("licence.lic")).expect("a file");
    call(&space, &["reproduce"], None).exits(0).says("3 fresh");
    fs::remove_file(space.path("weights.txt")).expect("an out");
    call(&space, &["reproduce"], None)
        .exits(0)
        .says("1 restored, 2 fresh");
}

#[test]
fn committed_outs_stand_and_are_read_where_something_is_missing() {
    let space = cloned();
    let lock = space.read("pipeline.lock");
    let said = call(&space, &["status"], None).exits(0);
    let expected = "gated  train  `TOKEN` is not set, there is no `licence.lic`; its outs are those of \
                    `pipeline.lock`";
    assert!(
        said.out.contains(&expected.replace("gated  ", "gated    ")),
        "{}",
        said.out
    );
    let said = space.reproduce(&["-j1"]).exits(0);
    assert_eq!(said.with_outcome("gated"), ["train"]);
    assert_eq!(said.with_outcome("ran"), ["eval", "other"]);
    assert_eq!(space.read("eval.txt"), "one\n");
    assert_eq!(space.read("pipeline.lock"), lock);
    // Again: the gate is still there, and its reader is up to date.
    call(&space, &["reproduce"], None)
        .exits(0)
        .says("2 fresh, 1 gated");
    call(&space, &["status", "--check"], None).exits(0);
    // With all that it requires, it runs.
    space.write("licence.lic", "");
    call(&space, &["reproduce"], Some("t"))
        .exits(0)
        .says("1 ran, 2 fresh");
}

#[test]
fn committed_outs_of_other_inputs_stand_and_are_told_apart() {
    let space = cloned();
    space.write("data.txt", "two\n");
    let said = call(&space, &["reproduce"], None).exits(0);
    said.says("train: gated: `TOKEN` is not set, there is no `licence.lic`; its outs are those of `pipeline.lock`, made from other inputs");
    assert_eq!(space.read("eval.txt"), "one\n");
    call(&space, &["status", "--check"], None).exits(3);
}

#[test]
fn outs_that_are_not_those_of_pipeline_lock_do_not_stand() {
    let space = cloned();
    space.write("weights.txt", "mine\n");
    let said = space.reproduce(&["-j1"]).exits(1);
    assert_eq!(said.with_outcome("gated"), ["train"]);
    assert_eq!(said.with_outcome("blocked"), ["eval"]);
    assert_eq!(said.with_outcome("ran"), ["other"]);
    assert_eq!(space.read("weights.txt"), "mine\n");
}

#[test]
fn what_was_made_of_committed_volatile_outs_is_never_taken_for_the_result_of_a_run() {
    let reads = "  late: {cmd: cat times.txt > late.txt, deps: [times.txt], outs: [late.txt]}\n";
    let space = cloned();
    space.stages(&format!("{STAGES}{reads}"));
    // pipeline.lock has no digest by which this could be told from what the run wrote.
    space.write("times.txt", "mine\n");
    let said = space.reproduce(&["-j1", "late"]).exits(0);
    assert_eq!(said.with_outcome("gated"), ["train"]);
    assert_eq!(space.read("late.txt"), "mine\n");
    space.write("licence.lic", "");
    call(&space, &["reproduce", "--replace"], Some("t"))
        .exits(0)
        .says("late: done");
    assert_eq!(space.read("late.txt"), space.read("times.txt"));
    // The store knows these bytes as those of the run: its results count.
    fs::remove_file(space.path("licence.lic")).expect("a file");
    space.write("data.txt", "two\n");
    let said = space.reproduce(&["-j1", "late"]).exits(0);
    assert_eq!(said.with_outcome("gated"), ["train"]);
    assert_eq!(said.with_outcome("fresh"), ["late"]);
}

#[test]
fn a_gated_stage_that_nobody_reads_fails_no_run_and_asks_for_no_secret() {
    let space = Space::new(
        "  one: {cmd: 'echo $TOKEN | wc -c > one.txt', secret: [TOKEN], requires: {env: [TOKEN]}, outs: [one.txt]}\n",
    );
    let said = call(&space, &["reproduce"], None).exits(0);
    said.says("one: gated: `TOKEN` is not set; its outs are not those of `pipeline.lock`");
    assert!(!space.path("one.txt").exists());
    call(&space, &["reproduce", "-n"], None).exits(0).says("");
    call(&space, &["reproduce", "-f"], Some(""))
        .exits(0)
        .says("1 gated");
    call(&space, &["reproduce"], Some("12345678"))
        .exits(0)
        .says("1 ran");
}

#[test]
fn cards_gate_a_stage_that_requires_them_and_stop_a_run_otherwise() {
    let stages = "  one: {cmd: echo 1 > one.txt, resources: {gpu: 2}, outs: [one.txt]}\n";
    let space = Space::new(stages);
    let call = |cards: &str| {
        let mut command = space.command(&["reproduce"]);
        let output = command.env("CUDA_VISIBLE_DEVICES", cards).output();
        Said::from(output.expect("restage starts"))
    };
    call("")
        .exits(2)
        .says("with `requires: {gpu: true}` the stage is skipped");
    space.stages(&stages.replace("outs", "requires: {gpu: true}, outs"));
    call("").exits(0).says("one: gated: no graphics card;");
    call("0")
        .exits(0)
        .says("one: gated: 1 of 2 graphics cards;");
    call("0,1").exits(0).says("1 ran");
}

#[test]
fn a_value_among_the_names_of_required_variables_is_refused_with_what_to_write() {
    let stage = "  s: {cmd: 'true > o', outs: [o], requires: {env: [\"TOKEN=hunter2\"]}}\n";
    let said = Space::new(stage).restage(&["status"]).exits(2);
    let said = said.says("`requires.env` of stage `s` cannot have `TOKEN`");
    let _ = said.says("write `requires: {env: [NAME]}`");
}
