//! SIGINT, SIGTERM, SIGHUP and a closed output pipe: stages end, results stay.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::space::{Space, wait_until};

/// `before` has a result when `s` runs; `s` notes outside the workspace that it has started.
fn space(s: &str) -> Space {
    Space::new(&format!(
        "  before: {{cmd: 'echo x >> $HOME/ran; echo x > before.txt', outs: [before.txt]}}\n  s:\n    cmd: '{s}'\n    deps: [before.txt]\n    outs: [s.txt]\n"
    ))
}

fn send(signal: &str, restage: &Child) {
    let pid = restage.id().to_string();
    let status = Command::new("kill").args([signal, &pid]).status();
    assert!(status.expect("kill starts").success(), "{signal}");
}

/// Processes that were started for this space's stages.
fn left(space: &Space) -> usize {
    let scratch = format!(
        "RESTAGE_SCRATCH={}",
        space.path(".restage/scratch").display()
    );
    let entries = std::fs::read_dir("/proc").expect("processes").flatten();
    entries
        .filter_map(|entry| std::fs::read(entry.path().join("environ")).ok())
        .filter(|environ| String::from_utf8_lossy(environ).contains(&scratch))
        .count()
}

/// Whether we were started with SIGHUP ignored (`nohup`); whatever we start then ignores it too.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("our status");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.expect("ignored signals").trim();
    u64::from_str_radix(mask, 16).expect("a mask") & 1 != 0
}

#[test]
fn a_signal_ends_stages_by_term_with_130_and_the_next_run_goes_on() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        if signal == "-HUP" && hangup_is_ignored() {
            println!("skipped: SIGHUP, which is ignored here, as under nohup");
            continue;
        }
        let space = space(
            "if test -e $RESTAGE_SCRATCH/half; then cp $RESTAGE_SCRATCH/half s.txt; exit; fi; trap \"echo half > $RESTAGE_SCRATCH/half; echo term > $HOME/note; exit 1\" TERM; touch $HOME/begun; while :; do sleep 0.02; done",
        );
        let mut restage = space.spawn(&[]);
        wait_until("the stage has begun", || space.exists("begun"));
        send(signal, &restage);
        assert_eq!(restage.wait().unwrap().code(), Some(130), "{signal}");
        assert_eq!(left(&space), 0, "{signal}");
        assert_eq!(space.read("note"), "term\n", "{signal}");
        assert_eq!(
            space.ran(&[]),
            ["s"],
            "{signal}: what had a result keeps it"
        );
        assert_eq!(
            space.read("s.txt"),
            "half\n",
            "{signal}: the checkpoint stays"
        );
        assert_eq!(space.read("ran"), "x\n", "{signal}");
    }
}

/// Ignores TERM, as do its children; it notes that it is alive.
const DEAF: &str = "trap \"\" TERM INT HUP; sleep 60 & touch $HOME/begun; while :; do echo x >> $HOME/note; sleep 0.1; done";

/// How often it has noted that it lives: nothing yet, maybe, when it has just begun.
fn notes(space: &Space) -> usize {
    let noted = std::fs::read_to_string(space.path("note")).unwrap_or_default();
    noted.lines().count()
}

#[test]
fn a_stage_that_is_deaf_to_term_is_killed_after_its_grace_period() {
    let space = space(DEAF);
    let mut restage = space.spawn(&[]);
    wait_until("the stage has begun", || space.exists("begun"));
    send("-TERM", &restage);
    let lines = || notes(&space);
    let before = lines();
    wait_until("the stage has outlived TERM", || lines() > before + 20);
    assert_eq!(restage.wait().unwrap().code(), Some(130));
    assert_eq!(left(&space), 0);
}

#[test]
fn a_second_signal_kills_at_once_and_leaves_no_process() {
    let space = space(DEAF);
    let mut restage = space.spawn(&[]);
    wait_until("the stage has begun", || space.exists("begun"));
    send("-INT", &restage);
    let lines = || notes(&space);
    let before = lines();
    wait_until("the stage has outlived TERM", || lines() > before + 5);
    send("-INT", &restage);
    assert_eq!(restage.wait().unwrap().code(), Some(130));
    wait_until("all are gone", || left(&space) == 0);
    let lived = lines() - before;
    assert!(lived < 60, "it was killed only after its grace period");
    space.stages(
        "  before: {cmd: 'echo x >> $HOME/ran; echo x > before.txt', outs: [before.txt]}\n",
    );
    assert_eq!(space.ran(&[]), [""; 0], "what had a result keeps it");
}

#[test]
fn a_process_that_ignores_sighup_continues() {
    let space =
        space("touch $HOME/begun; while ! test -e $HOME/go; do sleep 0.02; done; echo x > s.txt");
    let mut restage = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" reproduce"])
        .arg(env!("CARGO_BIN_EXE_restage"))
        .env("HOME", space.root())
        .current_dir(space.root())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell starts");
    wait_until("the stage has begun", || space.exists("begun"));
    send("-HUP", &restage);
    space.write("go", "");
    assert_eq!(restage.wait().unwrap().code(), Some(0));
    assert!(space.exists("s.txt"));
}

#[test]
fn a_reader_that_goes_away_costs_no_result() {
    let space = space(
        "while ! test -e $HOME/go; do sleep 0.02; done; (yes || [ $? = 141 ]) | head -n1 > s.txt",
    );
    let mut restage = space
        .command(&["--json", "reproduce"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("restage starts");
    let mut line = String::new();
    let mut reader = BufReader::new(restage.stdout.take().expect("a pipe"));
    reader.read_line(&mut line).expect("a line");
    assert!(line.contains("planned"), "{line}");
    drop(reader);
    drop(restage.stderr.take());
    space.write("go", "");
    assert_eq!(restage.wait().unwrap().code(), Some(0));
    assert_eq!(space.read("s.txt"), "y\n");
    assert_eq!(space.ran(&[]), [""; 0]);
}

/// The letter of a process's state.
fn state(process: &Child) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.split(' ').next());
    state.unwrap_or_default().to_owned()
}

#[test]
fn ctrl_z_stops_all_processes_of_all_stages_and_their_time_until_they_go_on() {
    use std::os::unix::process::CommandExt;
    for rule in ["auto", "none"] {
        // In the background of a group of its own one of them leaves, where that is no escape.
        let leaves = if rule == "auto" { "setsid " } else { "" };
        // Outside the workspace, which a stage that is kept apart does not see.
        let outside = Space::empty();
        let there = outside.root().display();
        let space = Space::new(&format!(
            "  s:\n    isolation: {rule}\n    timeout: 4s\n    cmd: |\n      {leaves}sh -c 'while :; do echo x >> {there}/note; sleep 0.02; done' &\n      touch {there}/begun; until test -e {there}/end; do sleep 0.02; done; kill $!; echo x > s.txt\n    outs: [s.txt]\n"
        ));
        let mut restage = space.command(&["reproduce"]);
        let restage = restage.process_group(0).stdout(Stdio::null());
        let mut restage = restage
            .stderr(Stdio::null())
            .spawn()
            .expect("restage starts");
        wait_until("the stage has begun", || {
            outside.exists("begun") && notes(&outside) > 0
        });
        send("-TSTP", &restage);
        wait_until("restage is stopped", || state(&restage) == "T");
        // What a process was in the middle of when it was told to stop, it ends.
        let pause = std::time::Duration::from_secs(1);
        wait_until("the stage is stopped", || {
            let before = notes(&outside);
            std::thread::sleep(pause);
            notes(&outside) == before
        });
        let before = notes(&outside);
        // Longer than the stage's time.
        std::thread::sleep(std::time::Duration::from_secs(5));
        assert_eq!(notes(&outside), before, "{rule}: it goes on writing");
        send("-CONT", &restage);
        wait_until("it goes on", || notes(&outside) > before);
        outside.write("end", "");
        assert_eq!(restage.wait().unwrap().code(), Some(0), "{rule}");
        assert_eq!(space.read("s.txt"), "x\n", "{rule}");
    }
}
