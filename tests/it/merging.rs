//! Merging `pipeline.lock` between branches, and what happens to a damaged one.

use std::process::Command;

use crate::space::Space;

const THREE: &str = r"
  one: {cmd: 'echo ${a} > one.txt', outs: [one.txt]}
  two: {cmd: 'echo ${b} > two.txt', outs: [two.txt]}
  six: {cmd: 'echo six > six.txt', outs: [six.txt]}
";

fn has_git() -> bool {
    let found = Command::new("git").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: there is no git");
    }
    found
}

/// A repository whose branches `left` and `right` reproduced with different parameters.
fn branches(left: [&str; 2], right: [&str; 2]) -> Space {
    let space = Space::new(THREE);
    space.write(".gitignore", ".restage\n*.txt\n");
    space.write(".gitattributes", "pipeline.lock merge=restage\n");
    space.git(&["init", "-q", "-b", "main"]).exits(0);
    let driver = format!("'{}' merge-lock %O %A %B", env!("CARGO_BIN_EXE_restage"));
    space
        .git(&["config", "merge.restage.driver", &driver])
        .exits(0);
    let commit = |args: &[&str]| {
        space.reproduce(args).exits(0);
        space.git(&["add", "-A"]).exits(0);
        space.git(&["commit", "-qm", "reproduced"]).exits(0);
    };
    commit(&[]);
    for (name, set) in [("left", left), ("right", right)] {
        space.git(&["checkout", "-q", "-b", name, "main"]).exits(0);
        commit(&set);
    }
    space
}

#[test]
fn git_merges_what_two_branches_reproduced_and_the_next_run_has_nothing_to_add() {
    if !has_git() {
        return;
    }
    let space = branches(["-S", "a=5"], ["-S", "b=6"]);
    let said = space.git(&["merge", "-q", "--no-edit", "left"]).exits(0);
    assert!(!said.err.contains("left out"), "{}", said.err);
    let merged = space.read("pipeline.lock");
    assert_eq!(space.ran(&["-S", "a=5", "-S", "b=6"]), [""; 0]);
    assert_eq!(space.read("pipeline.lock"), merged);
}

#[test]
fn a_stage_that_both_branches_changed_is_left_out_until_it_is_reproduced() {
    if !has_git() {
        return;
    }
    let space = branches(["-S", "a=5"], ["-S", "a=6"]);
    let said = space.git(&["merge", "--no-edit", "left"]).exits(0);
    let told = "warning: pipeline.lock: 1 stage left out because the two sides disagree:\n  \
                one (profile default): different results on the two sides\n\
                hint: once everything is merged, run `restage reproduce` and commit pipeline.lock\n";
    assert!(said.err.contains(told), "{}", said.err);
    let merged = space.read("pipeline.lock");
    assert!(
        !merged.contains("\"one\"") && merged.contains("\"two\""),
        "{merged}"
    );
    space.reproduce(&[]).exits(0);
    assert!(space.read("pipeline.lock").contains("\"one\""));
}

#[test]
fn merging_a_damaged_lock_changes_nothing_and_says_what_to_do() {
    let space = Space::new(THREE);
    space.reproduce(&[]).exits(0);
    let lock = space.read("pipeline.lock");
    space.write("base", "");
    space.write("theirs", &lock[..lock.len() / 2]);
    let merge = ["merge-lock", "base", "pipeline.lock", "theirs"];
    space
        .restage(&merge)
        .exits(2)
        .says("hint: run `restage reproduce`");
    assert_eq!(space.read("pipeline.lock"), lock);
    space.write("theirs", &lock);
    space.restage(&merge).exits(0);
    assert_eq!(space.read("pipeline.lock"), lock);
    assert!(
        space
            .restage(&["merge-lock", "--help"])
            .out
            .contains("merge.restage.driver")
    );
}

#[test]
fn a_damaged_lock_is_reported_and_recreated_with_all_that_it_had() {
    let space = Space::new(THREE);
    space.write(
        "pipeline.yaml",
        &space.read("pipeline.yaml").replace(
            "stages:",
            "profiles: {p: {}, q: {a: 7}}\ndefault_profile: p\nstages:",
        ),
    );
    space.reproduce(&["-p", "q"]).exits(0);
    space.reproduce(&[]).exits(0);
    let whole = space.read("pipeline.lock");
    let line = whole.lines().nth(7).expect("a lock of many lines");
    let at_a_line = whole.find(line).expect("the line");
    let marked = format!("<<<<<<< HEAD\n{whole}");
    for (damaged, what) in [
        ("", "it is empty"),
        (&whole[..at_a_line], "it was cut"),
        (marked.as_str(), "it has merge conflicts"),
    ] {
        space.write("pipeline.lock", damaged);
        let said = space.restage(&["status", "--check"]).exits(0).says(what);
        assert!(
            said.err.lines().all(|line| line.len() <= 80),
            "{}",
            said.err
        );
        space.restage(&["gc"]).exits(4).says(what);
        assert_eq!(
            space.read("pipeline.lock"),
            damaged,
            "looking changes nothing"
        );
        // Only one target: the rest comes from the records.
        let said = space.restage(&["reproduce", "one"]).exits(0);
        said.says(what).says("rebuilt");
        assert_eq!(space.read("pipeline.lock"), whole, "{what}");
        assert_eq!(space.read(".restage/pipeline.lock.damaged"), damaged);
    }
}

#[test]
fn a_lock_that_was_edited_by_hand_but_is_still_valid_is_corrected() {
    let space = Space::new(THREE);
    space.reproduce(&[]).exits(0);
    let whole = space.read("pipeline.lock");
    let start = whole.find("    \"six\"").expect("a stage");
    let end = whole.find("    \"two\"").expect("the next one");
    space.write(
        "pipeline.lock",
        &format!("{}{}", &whole[..start], &whole[end..]),
    );
    let said = space.restage(&["reproduce"]).exits(0);
    assert!(!said.err.contains("warning"), "{}", said.err);
    assert_eq!(space.read("pipeline.lock"), whole);
}
