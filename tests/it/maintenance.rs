//! `gc` removes only what nothing needs; `fsck` reports what is wrong and repairs it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::damages::{objects, overwrite, records};
use crate::space::{Space, wait_until};

/// One stage whose result is its parameter, and one that reads it.
const EDITED: &str = r"
  one: {cmd: 'echo ${a} > one.txt; mkdir d; echo ${a} > d/x', outs: [one.txt, d]}
  two: {cmd: 'cat one.txt d/x > results/two.csv', deps: [one.txt, d], outs: [results/two.csv]}
";

/// Runs with `a` from 1 to `last`, as if it were edited each time.
fn edited(last: u32) -> Space {
    let space = Space::empty();
    for a in 1..=last {
        edit(&space, a);
        assert_eq!(space.ran(&[]), ["one", "two"]);
    }
    space
}

fn edit(space: &Space, a: u32) {
    let text = format!("schema: 1\nname: gc\nparams: {{a: {a}}}\nstages:{EDITED}");
    space.write("pipeline.yaml", &text);
}

/// Every file of the store except those that any call may rewrite, with size and times.
fn stored(space: &Space) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![space.path(".restage")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let seen = fs::symlink_metadata(&path).unwrap();
            if seen.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, (seen.len(), seen.mtime(), seen.mtime_nsec()));
        }
    }
    found
}

#[test]
fn gc_keeps_what_is_in_place_and_the_last_runs_and_removes_older_ones() {
    let space = edited(6);
    space.restage(&["gc"]).exits(0);
    let said = space.restage(&["status"]).exits(0);
    assert!(said.out.contains("all 2 stages are fresh"), "{}", said.out);
    space.restage(&["fsck"]).exits(0);
    for a in [4, 5] {
        edit(&space, a);
        let said = space.reproduce(&[]).exits(0);
        assert_eq!(said.with_outcome("restored"), ["one", "two"], "a: {a}");
        assert_eq!(said.with_outcome("ran"), [""; 0], "a: {a}");
    }
    edit(&space, 3);
    assert_eq!(space.ran(&[]), ["one", "two"], "an older one just runs");
    assert_eq!(space.read("results/two.csv"), "3\n3\n");
    // With no history at all, what is in the workspace stays.
    space.restage(&["gc", "--keep-runs", "0"]).exits(0);
    let said = space.restage(&["status", "--check"]).exits(0);
    assert!(said.out.contains("all 2 stages are fresh"), "{}", said.out);
    assert_eq!(records(&space).len(), 2);
    let said = space.restage(&["gc", "--keep-runs", "0"]).exits(0);
    assert_eq!(said.out, "nothing to remove: everything stored is needed\n");
}

#[test]
fn gc_keeps_what_the_pipeline_would_restore_even_if_it_is_older() {
    let space = edited(5);
    edit(&space, 1);
    space.restage(&["gc"]).exits(0);
    let said = space.reproduce(&[]).exits(0);
    assert_eq!(said.with_outcome("restored"), ["one", "two"]);
}

#[test]
fn a_dry_run_of_gc_lists_what_would_go_and_changes_nothing() {
    let space = edited(5);
    fs::write(space.path(".restage/quarantine/.x.restage-1-1"), "damaged").unwrap();
    let before = stored(&space);
    let said = space.restage(&["gc", "-n", "--keep-runs", "2"]).exits(0);
    assert_eq!(stored(&space), before);
    let figures = said.out.lines().filter(|line| !line.starts_with("records"));
    let figures: Vec<&str> = figures.filter(|line| !line.contains("free")).collect();
    insta::assert_snapshot!(figures.join("\n"), @r"
                    to remove      size      kept
    objects                 9     273 B         6
    logs                    6      18 B         4
    quarantine              1       7 B         0
    would remove 1 damaged file from quarantine for good
    ");
    let said = space.restage(&["--json", "gc", "-n"]).exits(0);
    let lines = said.out.lines();
    let parts: Vec<serde_json::Value> = lines.map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(parts.iter().all(|part| part["dry_run"] == true));
    let records = parts.iter().find(|part| part["category"] == "records");
    assert_eq!(records.unwrap()["removed"], 4);
    assert_eq!(stored(&space), before);
}

const SLOW: &str =
    "  s: {cmd: 'touch $RESTAGE_SCRATCH/begun; sleep 0.6; echo x > s.txt', outs: [s.txt]}\n";

fn begun(space: &Space) -> bool {
    let keys = fs::read_dir(space.path(".restage/scratch"));
    keys.is_ok_and(|keys| keys.flatten().any(|key| key.path().join("begun").exists()))
}

#[test]
fn gc_and_fsck_leave_a_store_alone_that_another_restage_works_in() {
    let space = Space::new(SLOW);
    let mut other = space.spawn(&[]);
    wait_until("the stage has begun", || begun(&space));
    for verb in [vec!["gc"], vec!["gc", "-n"], vec!["fsck"]] {
        let said = space.restage(&verb).exits(4);
        let said = said.says("another restage has").says("nothing was changed");
        said.says("wait until it ends, or run this again later");
    }
    assert!(begun(&space));
    assert!(other.wait().unwrap().success());
    space.restage(&["gc"]).exits(0);
    space.restage(&["fsck"]).exits(0);
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn a_run_waits_for_gc_and_fsck_and_says_so() {
    let space = Space::new(SLOW);
    fs::create_dir(space.path(".restage")).unwrap();
    fs::write(space.path(".restage/lock"), "").unwrap();
    let lock = fs::File::open(space.path(".restage/lock")).unwrap();
    lock.lock().unwrap();
    let said = space.path("said");
    let mut run = space.command(&["reproduce"]);
    let stderr = fs::File::create(&said).unwrap();
    let mut run = run.stderr(stderr).spawn().unwrap();
    wait_until("it says that it waits", || {
        fs::read_to_string(&said).is_ok_and(|text| text.starts_with("waiting for another"))
    });
    assert!(!begun(&space));
    drop(lock);
    assert!(run.wait().unwrap().success());
}

#[test]
fn gc_keeps_the_checkpoints_of_stages_that_would_run_next_and_no_others() {
    let stage = |cmd: &str| {
        format!(
            "  s: {{cmd: 'echo {cmd} >> $RESTAGE_SCRATCH/n; test $(wc -l < $RESTAGE_SCRATCH/n) = 2 && cp $RESTAGE_SCRATCH/n s.txt', outs: [s.txt]}}\n"
        )
    };
    let space = Space::new(&stage("x"));
    space.reproduce(&[]).exits(1);
    space.restage(&["gc"]).exits(0);
    assert_eq!(space.ran(&[]), ["s"], "it goes on where it was");
    space.stages(&stage("y"));
    space.reproduce(&[]).exits(1);
    space.stages(&stage("x"));
    // What would run is unknown, so everything stays.
    let pipeline = space.read("pipeline.yaml");
    space.write("pipeline.yaml", "nonsense");
    space.restage(&["gc"]).exits(0).says("checkpoints");
    assert_eq!(scratch_folders(&space), 1);
    space.write("pipeline.yaml", &pipeline);
    space.restage(&["gc"]).exits(0);
    assert_eq!(scratch_folders(&space), 0);
}

fn scratch_folders(space: &Space) -> usize {
    fs::read_dir(space.path(".restage/scratch"))
        .unwrap()
        .count()
}

#[test]
fn gc_refuses_to_guess_if_the_lock_file_cannot_be_read() {
    let space = edited(5);
    space.write("pipeline.lock", "<<<<<<< ours\n");
    let before = stored(&space);
    space.restage(&["gc"]).exits(4).says("merge conflicts");
    assert_eq!(stored(&space), before);
}

#[test]
fn gc_killed_at_many_moments_leaves_a_sound_store() {
    for delay in 0..24 {
        let space = edited(5);
        let mut gc = space
            .command(&["gc", "--keep-runs", "1"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = gc.kill();
        gc.wait().unwrap();
        space.restage(&["fsck"]).exits(0);
        space.restage(&["status", "--check"]).exits(0);
        space.restage(&["gc", "--keep-runs", "1"]).exits(0);
        assert_eq!(records(&space).len(), 2, "killed after {delay} ms");
    }
}

#[test]
fn a_folder_where_nothing_ran_has_nothing_to_remove_or_to_check() {
    let space = Space::new(EDITED);
    for verb in ["gc", "fsck"] {
        space.restage(&[verb]).exits(0).says("nothing has run here");
        assert!(!space.exists(".restage"));
        Space::empty().restage(&[verb]).exits(2).says("-C DIR");
    }
}

#[test]
fn fsck_says_what_it_found_what_it_did_and_what_will_run() {
    let space = edited(1);
    let mut objects = objects(&space);
    objects.retain(|_, path| fs::read(path).unwrap() == b"1\n1\n");
    let two = objects.values().next().unwrap();
    overwrite(two, b"1\n2\n");
    let said = space.restage(&["fsck"]).exits(3);
    insta::assert_snapshot!(without_last_line(&said.out), @r"
    object df44539dc499 is damaged: its bytes have a different digest
      holds `results/two.csv` of default/two
      healed from `results/two.csv`
    damaged files in the quarantine: 1 (`restage gc` removes them)
    ");
    let said = space.restage(&["fsck"]).exits(0);
    assert!(
        said.out.contains("\nno problems: 3 objects ("),
        "{}",
        said.out
    );
    // Without an intact copy, the stage reruns.
    overwrite(two, b"1\n2\n");
    space.write("results/two.csv", "edited\n");
    let said = space.restage(&["fsck"]).exits(3);
    for line in [
        "` of default/two\n  moved to the quarantine\n",
        "has lost `results/two.csv`\n",
        "edited since the last `restage reproduce`: `results/two.csv`\n",
        "the next `restage reproduce -p default` will run two\n",
    ] {
        assert!(said.out.contains(line), "no {line:?} in\n{}", said.out);
    }
    assert_eq!(space.ran(&[]), ["two"]);
    space.restage(&["fsck"]).exits(0);
}

fn without_last_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[..lines.len() - 1].join("\n")
}

#[test]
fn an_edited_or_deleted_out_is_named_and_is_not_damage() {
    let space = edited(1);
    space.write("results/two.csv", "mine\n");
    fs::remove_file(space.path("one.txt")).unwrap();
    let said = space.restage(&["fsck"]).exits(0);
    for line in [
        "edited since the last `restage reproduce`: `results/two.csv`\n",
        "missing since the last `restage reproduce`: `one.txt`\n",
        "will restore one, two\n",
    ] {
        assert!(said.out.contains(line), "no {line:?} in\n{}", said.out);
    }
    assert_eq!(space.read("results/two.csv"), "mine\n", "it is left alone");
}
