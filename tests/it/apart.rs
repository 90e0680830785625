//! How a run was kept apart is in its record, outside the key, and said where results are explained.

use std::process::Command;

use serde_json::{Value, json};

use crate::space::{Said, Space, Who};

/// A stage that is kept apart as far as possible, and one that asks not to be. Both write where they
/// ran.
const STAGES: &str = "
  as_allowed: {cmd: pwd > allowed.txt, outs: [allowed.txt]}
  asked: {cmd: 'mkdir d; pwd > d/asked.txt', outs: [d], isolation: none}
";

const REFUSED: &str = "without isolation: `clone` was refused (ENOSPC)";
const ASKED: &str = "without isolation: `isolation: none`";

fn said(mut command: Command) -> Said {
    command.output().expect("it starts").into()
}

/// The only record of a stage, and its file.
fn record(space: &Space, stage: &str) -> (String, Value) {
    for entry in std::fs::read_dir(space.path(".restage/records")).expect("records") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a record");
        let line = text.lines().next().expect("a line");
        let value: Value = serde_json::from_str(line).expect("JSON");
        if value["stage"] == format!("default/{stage}") {
            return (path.display().to_string(), value);
        }
    }
    panic!("no record of {stage}");
}

/// Whether this machine lets stages be kept apart wholly.
fn allows(space: &Space) -> bool {
    let output = space.command(&["reproduce"]).output();
    let output = output.expect("restage starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let allowed = !text.contains("warning: isolation: ");
    if !allowed {
        println!("skipped: in namespaces: {text}");
    }
    allowed
}

#[test]
fn a_record_says_that_its_run_was_in_namespaces() {
    let space = Space::new(STAGES);
    if !allows(&space) {
        return;
    }
    let (_, value) = record(&space, "as_allowed");
    assert_eq!(
        value["isolation"],
        json!({"files": true, "processes": true})
    );
    let why = space.restage(&["why", "as_allowed"]).exits(0).out;
    let first = why.lines().next().unwrap_or_default();
    assert!(first.ends_with(", in namespaces"), "{why}");
    let trace = space.restage(&["trace", "allowed.txt"]).exits(0).out;
    assert!(trace.contains(", in namespaces\n"), "{trace}");

    space.reproduce(&["--audit", "-f", "as_allowed"]).exits(0);
    let why = space.restage(&["why", "as_allowed"]).exits(0).out;
    let audited = ", without a view of its own files: `--audit`\n";
    assert!(why.contains(audited), "{why}");
}

#[test]
fn a_record_says_why_its_run_was_not_kept_apart() {
    for who in [Who::Root, Who::User] {
        let space = Space::new(STAGES);
        let Some(command) = space.refused(who, &["reproduce"]) else {
            continue;
        };
        said(command).exits(0);
        for (stage, why) in [("as_allowed", REFUSED), ("asked", ASKED)] {
            let words = space.restage(&["why", stage]).exits(0).out;
            let first = words.lines().next().unwrap_or_default();
            assert!(first.ends_with(&format!(", {why}")), "{who:?}: {words}");
        }
        let trace = space.restage(&["trace", "allowed.txt"]).exits(0).out;
        assert!(trace.contains(&format!(", {REFUSED}\n")), "{trace}");
        let line = space.restage(&["--json", "why", "asked"]).exits(0).out;
        let line: Value = serde_json::from_str(&line).expect("JSON");
        let isolation = json!({"files": false, "processes": false, "why": "`isolation: none`"});
        assert_eq!(line["isolation"], isolation);
        // It enters no key: where namespaces are allowed, nothing runs again.
        assert_eq!(space.ran(&[]), [""; 0]);
    }
}

#[test]
fn a_record_that_does_not_say_it_is_read_and_nothing_is_claimed() {
    let space = Space::new(STAGES);
    space.restage(&["reproduce"]).exits(0);
    let (path, mut value) = record(&space, "asked");
    value.as_object_mut().expect("a record").remove("isolation");
    let json = value.to_string();
    let digest = restage_core::digest::Digest::of(json.as_bytes());
    std::fs::remove_file(&path).expect("our record");
    std::fs::write(&path, format!("{json}\n{digest}\n")).expect("a record");
    assert_eq!(space.ran(&[]), [""; 0]);
    let why = space.restage(&["why", "asked"]).exits(0).out;
    let first = why.lines().next().unwrap_or_default();
    assert!(
        !first.contains("isolation") && !first.contains("namespaces"),
        "{why}"
    );
    let said = space.restage(&["verify", "asked"]).exits(3);
    let said = said.says(&format!("\n  rerun {ASKED}\n"));
    assert!(!said.err.contains("recorded without"), "{}", said.err);
}

#[test]
fn a_page_says_how_each_run_was_kept_apart() {
    let space = Space::new(
        "  s: {cmd: 'echo a > t.csv', outs: [t.csv], isolation: none}\n\
         report: {path: page.html, title: T, sections: [{title: S, show: [{table: t.csv}]}]}\n",
    );
    space.restage(&["reproduce"]).exits(0);
    space.restage(&["report"]).exits(0);
    let page = space.read("page.html");
    assert!(page.contains(&format!(", {ASKED}")), "{page}");
}

#[test]
fn a_rerun_that_wrote_the_path_of_its_folder_is_told_so_with_the_line_to_write() {
    let space = Space::new(STAGES);
    space.restage(&["reproduce"]).exits(0);
    let said = space.restage(&["verify", "asked"]).exits(3);
    said.says(&format!("\n  recorded and rerun {ASKED}\n"))
        .says("hint: `d/asked.txt` contains the path of the folder that the rerun ran in")
        .says("under `asked:` (line 7 of the pipeline) write `isolation: auto`\n");
    let rewritten = STAGES.replace(", isolation: none", "");
    space.stages(&rewritten);
    if allows(&space) {
        space.restage(&["reproduce", "-f"]).exits(0);
        space.restage(&["verify"]).exits(0);
    }
}

#[test]
fn where_namespaces_are_refused_a_path_that_differs_can_be_declared_not_to_count() {
    for who in [Who::Root, Who::User] {
        let space = Space::new(STAGES);
        let call = |args: &[&str]| space.refused(who, args).map(said);
        let Some(ended) = call(&["reproduce"]) else {
            continue;
        };
        ended.exits(0);
        let ended = call(&["verify", "as_allowed"]).expect("as before");
        ended
            .exits(3)
            .says(&format!("\n  recorded and rerun {REFUSED}\n"))
            .says("hint: `allowed.txt` contains the path of the folder")
            .says("write `{path: allowed.txt, volatile: true}` among its `outs`");
    }
}

#[test]
fn a_difference_that_is_not_a_path_keeps_the_general_hint() {
    let space = Space::new(
        "  s: {cmd: 'date +%s%N > s.txt; pwd > t.txt', outs: [s.txt, t.txt], isolation: none}\n",
    );
    space.restage(&["reproduce"]).exits(0);
    let said = space.restage(&["verify"]).exits(3);
    said.says(&format!("  recorded and rerun {ASKED}\n"))
        .says("hint: common causes: ");
}
