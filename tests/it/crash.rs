//! Killed at any moment, restage continues as if nothing had happened.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::space::{Space, wait_until};

/// Notes that it has started, writes half of its out, waits, writes the rest.
const SLOW: &str = r"
  slow:
    cmd: echo half > slow.txt; touch $RESTAGE_SCRATCH/begun; sleep 0.5; echo whole >> slow.txt
    outs: [slow.txt]
  after: {cmd: 'wc -l < slow.txt > after.txt', deps: [slow.txt], outs: [after.txt]}
";

fn begun(space: &Space) -> bool {
    let Ok(keys) = std::fs::read_dir(space.path(".restage/scratch")) else {
        return false;
    };
    keys.flatten().any(|key| key.path().join("begun").exists())
}

fn kill(target: &str) {
    let status = Command::new("kill").args(["-9", "--", target]).status();
    assert!(status.expect("kill starts").success(), "kill {target}");
}

/// Process ids whose parent is `parent`.
fn children(parent: u32) -> Vec<String> {
    let output = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &parent.to_string()])
        .output();
    let text = output.expect("ps starts").stdout;
    String::from_utf8_lossy(&text)
        .split_whitespace()
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn a_kill_of_the_whole_tree_in_mid_write_leaves_no_half_result() {
    let space = Space::new(SLOW);
    let mut restage = space.spawn(&[]);
    wait_until("the stage has begun", || begun(&space));
    let stages = children(restage.id());
    kill(&restage.id().to_string());
    stages.iter().for_each(|pid| kill(&format!("-{pid}")));
    restage.wait().unwrap();
    assert!(
        !space.exists("slow.txt"),
        "a half-written out was published"
    );
    assert_eq!(space.ran(&[]), ["slow", "after"]);
    assert_eq!(space.read("slow.txt"), "half\nwhole\n");
    assert_eq!(space.read("after.txt").trim(), "2");
}

#[test]
fn a_stage_that_outlives_its_killed_runner_never_reaches_a_result() {
    let slow = SLOW.replace(
        "sleep 0.5",
        "sleep 1; echo orphan >> $RESTAGE_SCRATCH/orphan",
    );
    let space = Space::new(&slow);
    let mut restage = space.spawn(&[]);
    wait_until("the stage has begun", || begun(&space));
    kill(&restage.id().to_string());
    restage.wait().unwrap();
    assert_eq!(space.ran(&[]), ["slow", "after"]);
    assert_eq!(space.read("slow.txt"), "half\nwhole\n");
}

/// The first attempt never ends by itself; the second says whether the first is still there.
/// A zombie is not, even where nobody reaps it. Only a stage that is not kept apart can outlive its
/// runner.
const ALONE: &str = r"
  s:
    isolation: none
    cmd: |
      if test -e $HOME/first; then
        if grep -qs '^State:[^ZX]*$' /proc/$(cat $HOME/first)/status; then echo both; else echo alone; fi > s.txt
      else
        echo $$ > $RESTAGE_SCRATCH/pid; mv $RESTAGE_SCRATCH/pid $HOME/first
        while test -e $HOME/first; do sleep 0.05; done
      fi
    outs: [s.txt]
";

#[test]
fn a_stage_that_outlives_its_killed_runner_is_ended_before_its_next_attempt_starts() {
    let space = Space::new(ALONE);
    let mut restage = space.spawn(&[]);
    wait_until("the stage has begun", || space.exists("first"));
    kill(&restage.id().to_string());
    restage.wait().unwrap();
    let first = space.read("first");
    let status = format!("/proc/{}/status", first.trim());
    assert!(
        std::path::Path::new(&status).exists(),
        "the stage died with its runner"
    );
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(
        space.read("s.txt"),
        "alone\n",
        "two attempts share a scratch folder"
    );
}

/// A pipeline whose stages write in several steps.
const STEPS: &str = r"
  one: {cmd: 'for i in 1 2 3; do echo $i >> one.txt; sleep 0.02; done', outs: [one.txt]}
  two: {cmd: 'mkdir d; for i in 1 2 3; do cp one.txt d/$i; sleep 0.02; done', deps: [one.txt], outs: [d]}
  three: {cmd: 'cat d/* > results/three.txt', deps: [d], outs: [results/three.txt]}
";

/// Kills at this many moments; every other time only restage, whose stage keeps writing.
fn kill_at_moments(moments: impl Iterator<Item = u64>) {
    let clean = Space::new(STEPS);
    assert_eq!(clean.ran(&[]).len(), 3);
    let expected = clean.files();
    for (round, delay) in moments.enumerate() {
        let alone = round % 2 == 1;
        let what = format!("killed after {delay} ms, alone: {alone}");
        let space = Space::new(STEPS);
        let mut restage = space.spawn(&[]);
        std::thread::sleep(Duration::from_millis(delay));
        let stages = children(restage.id());
        let _ = restage.kill();
        if !alone {
            for pid in stages {
                // It may already have ended.
                let group = format!("-{pid}");
                let _ = Command::new("kill")
                    .args(["-9", "--", &group])
                    .stderr(Stdio::null())
                    .status();
            }
        }
        restage.wait().unwrap();
        space.reproduce(&[]).exits(0);
        assert_eq!(space.files(), expected, "{what}");
        assert_eq!(space.ran(&[]), [""; 0], "{what}");
    }
}

#[test]
fn kills_at_many_moments_end_in_the_same_files_as_no_kill() {
    kill_at_moments((0..24).map(|i| i * 12));
}

#[test]
#[ignore = "takes minutes: make torture"]
fn five_hundred_kills_at_random_moments_end_in_the_same_files_as_no_kill() {
    // xorshift: the same moments each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    kill_at_moments((0..500).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 300
    }));
}

#[test]
fn a_damaged_lock_record_or_cache_is_recreated() {
    let space = Space::new(SLOW);
    assert_eq!(space.ran(&[]).len(), 2);
    let expected = space.files();
    for name in ["pipeline.lock", ".restage/stat-cache"] {
        for damage in ["", "<<<<<<< HEAD\n", "\u{0}\u{1}nonsense"] {
            space.write(name, damage);
            assert_eq!(space.ran(&[]), [""; 0], "{name}: {damage:?}");
            assert_eq!(space.files(), expected, "{name}: {damage:?}");
        }
    }
    for record in std::fs::read_dir(space.path(".restage/records"))
        .unwrap()
        .flatten()
    {
        let bytes = std::fs::read(record.path()).unwrap();
        std::fs::remove_file(record.path()).unwrap();
        std::fs::write(record.path(), &bytes[..bytes.len() / 2]).unwrap();
    }
    let said = space.reproduce(&[]).exits(0);
    assert_eq!(
        said.with_outcome("ran"),
        ["slow", "after"],
        "a cut record counts for nothing"
    );
    assert!(said.out.contains(r#""event":"warning""#), "{}", said.out);
    assert_eq!(space.files(), expected);
}
