//! Results are verified by rerunning their stages, and that changes nothing.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::space::{Said, Space, wait_until};

const SURE: &str = r"
  one: {cmd: 'echo ${a} > one.txt', outs: [one.txt]}
  two:
    cmd: cat one.txt > results/two.csv; date +%s%N > t.txt
    deps: [one.txt]
    outs: [results/two.csv, {path: t.txt, volatile: true}]
";

/// A stage that never writes the same twice, and one that copies it.
const CHANCE: &str = r"
  chance: {cmd: 'date +%s%N > chance.txt', outs: [chance.txt]}
  after: {cmd: 'cp chance.txt after.txt', deps: [chance.txt], outs: [after.txt]}
";

/// Everything in the workspace and the store except its caches, key locks and `lock`.
fn everything(space: &Space) -> BTreeMap<String, Vec<u8>> {
    let mut found = space.files();
    let mut folders = vec![space.path(".restage")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(space.root()).expect("below the root");
            let name = name.display().to_string();
            if path.is_dir() {
                found.insert(format!("{name}/"), Vec::new());
                folders.push(path);
            } else if name != ".restage/stat-cache" {
                found.insert(name, std::fs::read(&path).expect("a readable file"));
            }
        }
    }
    found
}

fn verified(said: &Said) -> BTreeMap<String, Value> {
    said.out
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["event"] == "verified")
        .map(|event| (event["stage"].as_str().unwrap().to_owned(), event))
        .collect()
}

fn lines(said: &Said) -> Vec<&str> {
    said.out.lines().collect()
}

#[test]
fn stages_that_write_the_same_are_reproducible_and_nothing_is_touched() {
    let space = Space::new(SURE);
    assert_eq!(space.ran(&[]), ["one", "two"]);
    let before = everything(&space);
    let said = space.restage(&["verify"]).exits(0);
    assert_eq!(
        lines(&said)[..3],
        [
            "identical  one  one.txt",
            "identical  two  results/two.csv",
            "volatile   two  t.txt",
        ]
    );
    assert!(
        lines(&said)[3].starts_with("profile default: all 2 stages are reproducible (1 rerun each"),
        "{}",
        said.out
    );
    assert!(said.err.contains("two: done"), "{}", said.err);
    assert_eq!(everything(&space), before);
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn a_stage_is_rerun_as_often_as_asked() {
    let space = Space::new(SURE);
    assert_eq!(space.ran(&[]).len(), 2);
    let said = space.restage(&["--json", "verify", "two", "--times", "3"]);
    let said = said.exits(0);
    assert_eq!(said.with_outcome("ran"), ["two"; 3]);
    let found = verified(&said);
    assert_eq!(found.len(), 1);
    assert_eq!(found["two"]["reruns"], 3);
    assert_eq!(found["two"]["verdict"], "identical");
    space.restage(&["verify", "--times", "0"]).exits(2);
}

#[test]
fn a_stage_that_differs_is_named_with_the_first_byte_and_those_after_it_are_not_to_blame() {
    let space = Space::new(CHANCE);
    assert_eq!(space.ran(&[]).len(), 2);
    let outs = space.files();
    let history = space.read(".restage/history.jsonl");
    let said = space.restage(&["verify", "-q", "--times", "2"]).exits(3);
    assert_eq!(
        lines(&said)[..2],
        [
            "differs    chance  chance.txt",
            "identical  after   after.txt"
        ]
    );
    let said = said
        .says("error: stage `chance` is not reproducible: `chance.txt` differs from the recorded")
        .says("first different byte: ")
        .says(" of 20\n")
        .says("so nothing we track changed");
    assert!(
        said.out.contains("of 2 stages: 1 not reproducible ("),
        "{}",
        said.out
    );
    assert_eq!(space.files(), outs);
    assert_eq!(space.read(".restage/history.jsonl"), history);
}

#[test]
fn a_stage_that_differs_is_marked_and_both_results_are_kept() {
    let space =
        Space::new("  s: {cmd: 'mkdir d; date +%s%N > d/now; echo > d/same', outs: [d/]}\n");
    assert_eq!(space.ran(&[]), ["s"]);
    let said = space.restage(&["--json", "verify"]).exits(3);
    let found = verified(&said);
    assert_eq!(found["s"]["kept"], true);
    let text = found["s"]["outs"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("d/now: first different byte: "), "{text}");
    let key = found["s"]["key"].as_str().unwrap();
    let record = space.read(&format!(".restage/records/{key}.json"));
    let record: Value = serde_json::from_str(record.lines().next().unwrap()).unwrap();
    assert_eq!(record["nondeterministic"], true);
    let variants = record["variants"].as_array().unwrap();
    assert_eq!(variants.len(), 1);
    assert_eq!(
        variants[0][0]["content"]["digest"],
        found["s"]["outs"][0]["now"]
    );
    assert_eq!(space.ran(&[]), [""; 0]);
    space.restage(&["fsck"]).exits(0);
}

/// A table whose figure is `recorded` in the first run and `later` in every other.
fn table(space: &Space, recorded: &str, later: &str) {
    let cmd = format!(
        "if [ -e {} ]; then v={later}; else v={recorded}; fi; printf 'name,loss\\na,1\\nb,%s\\n' $v > results/t.csv",
        space.path("later").display()
    );
    space.write(
        "pipeline.yaml",
        &format!(
            "schema: 1\nname: t\nisolation: none\nstages:\n  s: {{cmd: \"{}\", outs: [results/t.csv]}}\n\
             compare:\n  - files: 'results/*.csv'\n    key: [name]\n    columns: {{loss: {{abs: 0.1}}}}\n",
            cmd.replace('\\', "\\\\")
        ),
    );
    assert_eq!(space.ran(&[]), ["s"]);
    space.write("later", "");
}

#[test]
fn a_table_within_its_tolerance_counts_as_reproduced_and_leaves_the_record_alone() {
    let space = Space::empty();
    table(&space, "0.50", "0.55");
    let before = everything(&space);
    let said = space.restage(&["verify"]).exits(0);
    assert_eq!(lines(&said)[0], "within     s  results/t.csv");
    assert_eq!(everything(&space), before);
}

#[test]
fn a_table_beyond_its_tolerance_shows_the_row_the_column_and_both_values() {
    let space = Space::empty();
    table(&space, "0.50", "0.75");
    let said = space.restage(&["verify", "-q"]).exits(3);
    assert_eq!(lines(&said)[0], "differs    s  results/t.csv");
    said.says("results/t.csv: 1 cell differs, in 1 of 2 rows")
        .says("name=b  loss    0.50     -> 0.75    0.25    0.1");
}

#[test]
fn stages_that_are_not_fresh_are_refused_before_anything_runs() {
    let space = Space::new(SURE);
    let said = space.restage(&["verify"]).exits(3);
    said.says("nothing to verify: one, two are not up to date")
        .says("run `restage reproduce` first");
    assert_eq!(space.ran(&[]).len(), 2);
    space.restage(&["verify", "two"]).exits(0);
    let said = space.restage(&["verify", "-S", "a=7", "one"]).exits(3);
    said.says("nothing to verify: one is not up to date");
    space.restage(&["verify", "three"]).exits(2).says("`three`");
}

#[test]
fn a_rerun_that_fails_shows_its_output_and_keeps_its_files_for_reading() {
    let space = Space::empty();
    let stage = |end: &str| {
        format!(
            "  s: {{cmd: 'echo x > s.txt; if [ -e {} ]; then echo woe >&2; exit 5; fi', outs: [s.txt]}}\n{end}",
            space.path("later").display()
        )
    };
    space.stages(&stage(
        "  t: {cmd: 'echo y > t.txt', deps: [s.txt], outs: [t.txt]}\n",
    ));
    assert_eq!(space.ran(&[]).len(), 2);
    space.restage(&["gc"]).exits(0);
    let before = everything(&space);
    space.write("later", "");
    let said = space.restage(&["verify", "-k", "--times", "2"]).exits(1);
    assert!(said.out.contains("identical  t  t.txt"), "{}", said.out);
    assert!(!said.out.contains("s.txt"), "{}", said.out);
    assert!(said.out.contains("of 2 stages: 1 failed ("), "{}", said.out);
    let said = said.says("stage `s` exited with 5").says("| woe");
    let log = said
        .err
        .lines()
        .find_map(|line| line.trim().strip_prefix("log: "))
        .expect("a log is named");
    assert_eq!(std::fs::read_to_string(log).unwrap(), "woe\n");
    space.restage(&["gc"]).exits(0);
    std::fs::remove_file(space.path("later")).unwrap();
    assert_eq!(everything(&space), before);
}

/// Finishes at once, but if `slow` exists, writes a mark and waits.
/// Only a stage that is not kept apart can outlive its runner.
fn slow(space: &Space) {
    let mark = space.path("begun").display().to_string();
    let wait = space.path("wait").display().to_string();
    space.stages(&format!(
        "  s: {{isolation: none, cmd: 'echo x > s.txt; if [ -e {wait} ]; then echo $$ > {mark}; sleep 30; fi', outs: [s.txt]}}\n"
    ));
    assert_eq!(space.ran(&[]), ["s"]);
}

/// Starts a verification and waits until its stage runs; the stage's process.
fn begin(space: &Space) -> (std::process::Child, String) {
    space.write("wait", "");
    let child = space
        .command(&["verify"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("restage starts");
    wait_until("the stage has begun", || {
        std::fs::read_to_string(space.path("begun")).is_ok_and(|pid| pid.ends_with('\n'))
    });
    (child, space.read("begun").trim().to_owned())
}

fn kill(signal: &str, pid: &str) {
    let status = Command::new("kill").args([signal, "--", pid]).status();
    assert!(
        status.expect("kill starts").success(),
        "kill {signal} {pid}"
    );
}

fn clean(space: &Space) {
    for name in ["wait", "begun"] {
        std::fs::remove_file(space.path(name)).unwrap();
    }
}

#[test]
fn an_interrupted_verification_leaves_nothing_behind() {
    let space = Space::empty();
    slow(&space);
    let before = everything(&space);
    let (mut child, _) = begin(&space);
    kill("-INT", &child.id().to_string());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    clean(&space);
    assert_eq!(everything(&space), before);
}

#[test]
fn a_stage_that_outlives_a_killed_verification_is_ended_before_its_folder_goes() {
    let space = Space::empty();
    slow(&space);
    space.restage(&["gc"]).exits(0);
    let before = everything(&space);
    let (mut child, stage) = begin(&space);
    kill("-KILL", &child.id().to_string());
    child.wait().unwrap();
    space.restage(&["gc"]).exits(0);
    // A zombie has no command line.
    let line = std::fs::read(format!("/proc/{stage}/cmdline")).unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(&line), "");
    clean(&space);
    assert_eq!(everything(&space), before);
}
