//! What makes a stage stale, and what does not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::space::Space;

/// `numbers.txt` and `a` -> `double` -> `total`.
const CHAIN: &str = r"
  double:
    cmd: while read n; do echo $((n * ${a})); done < numbers.txt > doubled.txt
    deps: [numbers.txt]
    outs: [doubled.txt]
  total:
    cmd: awk '{s += $1} END {print s}' doubled.txt > results/total.txt
    deps: [doubled.txt]
    outs: [results/total.txt]
";

fn chain() -> Space {
    let space = Space::new(CHAIN);
    space.write("numbers.txt", "1\n2\n3\n");
    space
}

#[test]
fn a_second_run_runs_nothing() {
    let space = chain();
    assert_eq!(space.ran(&[]), ["double", "total"]);
    assert_eq!(space.read("results/total.txt"), "6\n");
    assert_eq!(space.ran(&[]), [""; 0]);
    assert_eq!(
        space.reproduce(&[]).exits(0).with_outcome("fresh"),
        ["double", "total"]
    );
}

#[test]
fn a_touched_file_reruns_nothing() {
    let space = chain();
    assert_eq!(space.ran(&[]).len(), 2);
    space.write("numbers.txt", "1\n2\n3\n");
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn an_edited_input_reruns_what_reads_it() {
    let space = chain();
    assert_eq!(space.ran(&[]).len(), 2);
    space.write("numbers.txt", "1\n2\n4\n");
    assert_eq!(space.ran(&[]), ["double", "total"]);
    assert_eq!(space.read("results/total.txt"), "7\n");
}

#[test]
fn an_unchanged_output_reruns_nothing_downstream() {
    let space = chain();
    assert_eq!(space.ran(&[]).len(), 2);
    space.stages(&CHAIN.replace("while read", "true; while read"));
    let said = space.reproduce(&[]).exits(0);
    assert_eq!(said.with_outcome("ran"), ["double"]);
    assert_eq!(said.with_outcome("fresh"), ["total"]);
}

#[test]
fn a_reverted_edit_restores_without_running() {
    let space = chain();
    assert_eq!(space.ran(&[]).len(), 2);
    assert_eq!(space.ran(&["-S", "a=3"]), ["double", "total"]);
    assert_eq!(space.read("results/total.txt"), "18\n");
    let said = space.reproduce(&[]).exits(0);
    assert_eq!(said.with_outcome("restored"), ["double", "total"]);
    assert_eq!(said.with_outcome("ran"), [""; 0]);
    assert_eq!(space.read("results/total.txt"), "6\n");
}

#[test]
fn an_output_edited_or_deleted_by_hand_is_restored_without_running() {
    let space = chain();
    assert_eq!(space.ran(&[]).len(), 2);
    space.write("results/total.txt", "7\n");
    fs::remove_file(space.path("doubled.txt")).unwrap();
    let said = space.reproduce(&[]).exits(0);
    assert_eq!(said.with_outcome("restored"), ["double", "total"]);
    assert_eq!(space.read("results/total.txt"), "6\n");
    assert_eq!(space.read("doubled.txt"), "1\n2\n3\n");
}

#[test]
fn only_stages_that_declare_a_parameter_see_it_change() {
    let space = Space::new(
        r#"
  one: {cmd: 'echo "$RESTAGE_PARAMS" > one.txt', params: [a], outs: [one.txt]}
  two: {cmd: 'echo "$RESTAGE_PARAMS" > two.txt', params: [b], outs: [two.txt]}
"#,
    );
    assert_eq!(space.ran(&[]).len(), 2);
    assert_eq!(space.read("one.txt"), "{\"a\":1}\n");
    assert_eq!(space.ran(&["-S", "a=5"]), ["one"]);
    assert_eq!(space.read("one.txt"), "{\"a\":5}\n");
}

#[test]
fn descriptions_resources_and_timeouts_rerun_nothing() {
    let stage = |extra: &str| format!("  s: {{cmd: 'echo x > s.txt', outs: [s.txt]{extra}}}\n");
    let space = Space::new(&stage(""));
    assert_eq!(space.ran(&[]), ["s"]);
    space.stages(&stage(
        ", desc: words, resources: {cpu: 2, mem: 1MiB}, timeout: 1h, retries: 3",
    ));
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn bytes_of_a_volatile_output_make_nothing_stale() {
    let space = Space::new(
        r"
  time:
    cmd: cat in.txt > kept.txt; date +%s%N > time.txt
    deps: [in.txt]
    outs: [kept.txt, {path: time.txt, volatile: true}]
  show: {cmd: cat time.txt > show.txt, deps: [time.txt], outs: [show.txt]}
",
    );
    space.write("in.txt", "x");
    assert_eq!(space.ran(&[]).len(), 2);
    assert_eq!(space.ran(&["-f", "time"]), ["time"]);
    space.write("in.txt", "y");
    assert_eq!(space.ran(&[]), ["time", "show"]);
}

#[test]
fn a_file_that_joins_or_leaves_a_glob_is_noticed() {
    let space =
        Space::new("  all: {cmd: 'cat in/*.txt > all.out', deps: ['in/*.txt'], outs: [all.out]}\n");
    space.write("in/1.txt", "1");
    space.write("in/2.md", "not read");
    assert_eq!(space.ran(&[]), ["all"]);
    space.write("in/3.txt", "3");
    assert_eq!(space.ran(&[]), ["all"]);
    assert_eq!(space.read("all.out"), "13");
    space.write("in/2.md", "edited");
    assert_eq!(space.ran(&[]), [""; 0]);
    fs::remove_file(space.path("in/1.txt")).unwrap();
    assert_eq!(space.ran(&[]), ["all"]);
    assert_eq!(space.read("all.out"), "3");
}

#[test]
fn a_folder_is_one_input_whatever_changes_in_it() {
    let space =
        Space::new("  n: {cmd: 'find in -type f | wc -l > n.txt', deps: [in], outs: [n.txt]}\n");
    space.write("in/a/1", "1");
    assert_eq!(space.ran(&[]), ["n"]);
    space.write("in/b/2", "2");
    assert_eq!(space.ran(&[]), ["n"]);
    assert_eq!(space.read("n.txt").trim(), "2");
}

#[test]
fn folders_are_outputs_too_and_come_back_whole() {
    let space = Space::new(
        r"
  make: {cmd: 'mkdir -p d/e && echo 1 > d/1 && echo 2 > d/e/2 && chmod +x d/1', outs: [d]}
  read: {cmd: 'cat d/1 d/e/2 > sum', deps: [d], outs: [sum]}
  part: {cmd: 'cat d/e/2 > part', deps: [d/e/2], outs: [part]}
",
    );
    assert_eq!(space.ran(&[]).len(), 3);
    assert_eq!(space.read("sum"), "1\n2\n");
    assert_eq!(space.read("part"), "2\n");
    fs::remove_dir_all(space.path("d/e")).unwrap();
    assert_eq!(
        space.reproduce(&[]).exits(0).with_outcome("restored"),
        ["make"]
    );
    assert_eq!(space.read("d/e/2"), "2\n");
}

#[test]
fn a_declared_variable_enters_the_key_and_others_do_not_reach_the_stage() {
    let space = Space::new(
        "  s: {cmd: 'echo \"$SEEN-$HIDDEN\" > s.txt', env: {SEEN: null}, outs: [s.txt]}\n",
    );
    let run = |seen: &[u8]| {
        let mut command = space.command(&["--json", "reproduce"]);
        let output = command
            .env("SEEN", OsStr::from_bytes(seen))
            .env("HIDDEN", "x")
            .output()
            .unwrap();
        crate::space::Said::from(output)
            .exits(0)
            .with_outcome("ran")
    };
    assert_eq!(run(b"1"), ["s"]);
    assert_eq!(space.read("s.txt"), "1-\n");
    assert_eq!(run(b"1"), [""; 0]);
    assert_eq!(run(b"2"), ["s"]);
    for not_utf8 in [b"caf\xe9", b"caf\xe8"] {
        assert_eq!(run(not_utf8), ["s"]);
        assert_eq!(run(not_utf8), [""; 0]);
    }
    // The bytes reach records and pipeline.lock and come back.
    let why = space.restage(&["why", "s"]).exits(0);
    assert!(why.out.contains("SEEN"), "{}", why.out);
}

#[test]
fn an_undeclared_input_is_not_there() {
    let space = Space::new("  s: {cmd: 'cat secret.txt > s.txt', outs: [s.txt]}\n");
    space.write("secret.txt", "x");
    let said = space.restage(&["reproduce"]).exits(1);
    assert!(
        said.err.contains("secret.txt: No such file"),
        "{}",
        said.err
    );
}

#[test]
fn profiles_keep_their_results_apart_and_share_the_store() {
    let space = Space::empty();
    space.write(
        "pipeline.yaml",
        r"
schema: 1
name: p
params: {n: 1}
profiles: {small: {}, large: {n: 9}}
default_profile: small
stages:
  s: {cmd: 'echo ${n} > results/${profile}/n.txt', outs: ['results/${profile}/n.txt']}
",
    );
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.ran(&["-p", "large"]), ["s"]);
    assert_eq!(space.ran(&[]), [""; 0]);
    assert_eq!(space.read("results/small/n.txt"), "1\n");
    assert_eq!(space.read("results/large/n.txt"), "9\n");
}

#[test]
fn a_renamed_stage_runs_again_if_it_asks_for_its_name_and_only_then() {
    for (asks, stage) in [
        (true, "cmd: echo $RESTAGE_STAGE > out, outs: [out]"),
        (
            true,
            "cmd: RESTAGE_STAGE=$RESTAGE_STAGE sh say.sh, deps: [say.sh], outs: [out]",
        ),
        (false, "cmd: sh say.sh, deps: [say.sh], outs: [out]"),
    ] {
        let space = Space::new(&format!("  old: {{{stage}}}\n"));
        space.write("say.sh", "echo ${RESTAGE_STAGE-none} > out\n");
        assert_eq!(space.ran(&[]), ["old"]);
        assert_eq!(space.read("out"), if asks { "old\n" } else { "none\n" });
        space.stages(&format!("  new: {{{stage}}}\n"));
        let ran = space.ran(&[]);
        assert_eq!(ran, ["new"; 1][..usize::from(asks)], "{stage}");
        assert_eq!(space.read("out"), if asks { "new\n" } else { "none\n" });
    }
}
