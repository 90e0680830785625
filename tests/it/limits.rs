//! A stage's limits, memory and time, and the message when it exceeds them.

use crate::space::Space;

/// A stage that holds about 64 MiB until it is stopped.
fn hungry(fields: &str) -> String {
    format!(
        "  s:\n    cmd: echo begun >&2; x=$(head -c 64m /dev/zero | tr '\\0' x); sleep 61.25; echo x > s.txt\n    outs: [s.txt]\n    {fields}\n"
    )
}

#[test]
fn a_stage_over_its_memory_is_stopped_and_the_line_that_gives_it_more_is_shown() {
    let space = Space::new(&hungry("resources: {cpu: 2, mem: 40MiB}"));
    let said = space.restage(&["reproduce"]).exits(1);
    let said = said
        .says("error: stage `s` held ")
        .says(" of memory, more than its `mem` of 40MiB\n  | begun\n")
        .says("hint: under `s:` (line 5 of the pipeline) write `resources: {cpu: 2, mem: ");
    assert!(!space.exists("s.txt"), "{}", said.err);
}

#[test]
fn whoever_follows_the_proposed_lines_gets_there() {
    let quick = hungry("resources: {mem: 40MiB}").replace("61.25", "1");
    let space = Space::new(&quick);
    let mut tries = 0;
    loop {
        let said = space.restage(&["reproduce"]);
        if said.code == Some(0) {
            break;
        }
        tries += 1;
        assert!(tries < 6, "{}", said.err);
        let mut texts = said.err.split('`');
        let line = texts.find(|text| text.starts_with("resources:"));
        space.stages(&quick.replace("resources: {mem: 40MiB}", line.expect("a line")));
    }
    assert!(tries > 0, "64 MiB are more than 40");
}

#[test]
fn a_stage_that_declares_no_memory_may_hold_any() {
    let space = Space::new(&hungry("resources: {cpu: 1}").replace("61.25", "0.5"));
    assert_eq!(space.ran(&[]), ["s"]);
}

#[test]
fn the_message_for_a_timeout_says_which_attempt_it_was() {
    let space = Space::new(
        "  s: {cmd: 'echo x >> $HOME/tries; exec sleep 60', timeout: 1, retries: 1, outs: [s.txt]}\n",
    );
    space
        .restage(&["reproduce"])
        .exits(1)
        .says("stage `s` ran longer than its timeout of 1s (attempt 1 of 2), trying again\n")
        .says("error: stage `s` ran longer than its timeout of 1s (attempt 2 of 2)\n");
    assert_eq!(space.read("tries"), "x\nx\n");
}

#[test]
fn the_recorded_peak_is_that_of_the_whole_stage() {
    let fill = "x=$(head -c 48m /dev/zero | tr '\\0' x)";
    let space = Space::new(&format!(
        "  s:\n    cmd: for i in 1 2 3; do ({fill}; sleep 3; :) & done; wait; echo x > s.txt\n    outs: [s.txt]\n"
    ));
    assert_eq!(space.ran(&[]), ["s"]);
    let records = std::fs::read_dir(space.path(".restage/records")).unwrap();
    let record = records.flatten().next().expect("a record");
    let text = std::fs::read_to_string(record.path()).unwrap();
    let record: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let peak = record["peak_memory"].as_u64().expect("a number");
    assert!(peak >= 3 * (48 << 20), "{peak}");
}

#[test]
fn stages_of_a_nice_restage_leave_the_processors_to_others() {
    let enabled = std::fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled");
    if enabled.map_or(true, |enabled| enabled.trim() != "1") {
        println!(
            "skipped: sessions are no scheduling groups here, so their processes' nice is all there is"
        );
        return;
    }
    // The kernel refuses a second change within a tenth of a second, whoever made the first.
    let change =
        "for i in $(seq 100); do echo 7 > /proc/self/autogroup && exit; sleep 0.1; done; exit 1";
    let mut allowed = std::process::Command::new("setsid");
    let allowed = allowed.args(["--wait", "sh", "-c", change]).output();
    let allowed = allowed.expect("`setsid` is where `sh` is");
    if !allowed.status.success() {
        println!("skipped: no process may change its scheduling group here: {allowed:?}");
        return;
    }
    let space = Space::new(
        "  s:\n    cmd: >-\n      for i in $(seq 600); do grep -q ' 7$' /proc/self/autogroup && break; sleep 0.1; done;\n      \
         cat /proc/self/autogroup > out; nice >> out\n    outs: [out]\n",
    );
    let restage = space.command(&["reproduce"]);
    let mut nice = std::process::Command::new("nice");
    nice.args(["-n", "7"])
        .arg(restage.get_program())
        .args(restage.get_args());
    let variables = restage
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    nice.current_dir(space.root()).env_clear().envs(variables);
    let output = nice.output().expect("`nice` is everywhere");
    assert!(output.status.success(), "{output:?}");
    let out = space.read("out");
    assert!(out.ends_with(" nice 7\n7\n"), "{out}");
}
