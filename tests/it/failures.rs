//! Failing stages, missing inputs, machines that refuse: nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::space::{Said, Space};

#[test]
fn a_failing_stage_shows_its_last_lines_and_keeps_the_last_good_output() {
    let space = Space::new("  s: {cmd: 'echo good > s.txt', outs: [s.txt]}\n");
    assert_eq!(space.ran(&[]), ["s"]);
    space.stages("  s: {cmd: 'echo half > s.txt; echo the reason >&2; exit 3', outs: [s.txt]}\n");
    let said = space.restage(&["reproduce"]).exits(1);
    let said = said.says("stage `s` exited with 3").says("the reason");
    assert!(said.err.contains("log: "), "{}", said.err);
    assert_eq!(space.read("s.txt"), "good\n");
}

#[test]
fn a_stage_that_exits_0_without_its_output_is_a_failure() {
    let space = Space::new("  s: {cmd: 'echo x > metric.json', outs: [metrics.json]}\n");
    space
        .restage(&["reproduce"])
        .exits(1)
        .says("stage `s` exited with 0 but did not write `metrics.json`")
        .says("it did write `metric.json`");
    assert!(!space.exists("metrics.json"));
}

#[test]
fn files_that_are_written_but_not_declared_are_named_and_not_kept() {
    let space = Space::new("  s: {cmd: 'echo x > s.txt; echo y > extra.txt', outs: [s.txt]}\n");
    space.restage(&["reproduce"]).exits(0).says("extra.txt");
    assert!(!space.exists("extra.txt"));
}

#[test]
fn a_missing_input_is_shown_where_it_is_declared() {
    let space =
        Space::new("  s:\n    cmd: cat in.txt > s.txt\n    deps: [in.txt]\n    outs: [s.txt]\n");
    space
        .restage(&["reproduce"])
        .exits(2)
        .says("reads `in.txt`, which does not exist")
        .says("pipeline.yaml:7");
}

const FORK: &str = r"
  bad: {cmd: 'exit 1', outs: [bad.txt]}
  after: {cmd: 'cat bad.txt > after.txt', deps: [bad.txt], outs: [after.txt]}
  good: {cmd: 'sleep 0.2; echo x > good.txt', outs: [good.txt]}
  more: {cmd: 'cat good.txt > more.txt', deps: [good.txt], outs: [more.txt]}
";

#[test]
fn keep_going_runs_what_does_not_depend_on_the_failure() {
    let space = Space::new(FORK);
    let said = space.reproduce(&["-k", "-j2"]).exits(1);
    assert_eq!(said.with_outcome("failed"), ["bad"]);
    assert_eq!(said.with_outcome("blocked"), ["after"]);
    assert_eq!(said.with_outcome("ran"), ["good", "more"]);
}

#[test]
fn without_keep_going_nothing_new_starts_but_running_stages_end() {
    let space = Space::new(FORK);
    let said = space.reproduce(&["-j2"]).exits(1);
    assert_eq!(said.with_outcome("ran"), ["good"]);
    assert_eq!(said.with_outcome("cancelled"), ["more"]);
    assert_eq!(space.ran(&["good"]), [""; 0], "what ran is kept");
}

#[test]
fn each_failed_attempt_is_shown_with_its_number_its_last_lines_and_its_files() {
    let space = Space::new(
        "  s:\n    cmd: echo x >> $RESTAGE_SCRATCH/n; n=$(wc -l < $RESTAGE_SCRATCH/n); echo kept $n > half.txt; echo reason $n >&2; exit $n\n    retries: 1\n    outs: [s.txt]\n",
    );
    let said = space.restage(&["reproduce"]).exits(1);
    let said = said
        .says("warning: stage `s` exited with 1 (attempt 1 of 2), trying again\n  | reason 1\n")
        .says("s: started (attempt 2 of 2)\n")
        .says("error: stage `s` exited with 2 (attempt 2 of 2)\n  | reason 2\n");
    let places = said
        .err
        .lines()
        .filter_map(|line| line.strip_prefix("  files kept in: "));
    let kept = places.map(|dir| fs::read_to_string(format!("{dir}/half.txt")).unwrap());
    assert_eq!(kept.collect::<Vec<_>>(), ["kept 1\n", "kept 2\n"]);
}

#[test]
fn a_stage_that_fails_once_and_then_succeeds_is_a_success_that_blocks_nothing() {
    let space = Space::new(
        r"
  s: {cmd: 'echo x >> $RESTAGE_SCRATCH/n; test $(wc -l < $RESTAGE_SCRATCH/n) = 2 && cp $RESTAGE_SCRATCH/n s.txt', retries: 5, outs: [s.txt]}
  after: {cmd: 'cp s.txt after.txt', deps: [s.txt], outs: [after.txt]}
",
    );
    let said = space.reproduce(&["-k"]).exits(0);
    assert_eq!(said.with_outcome("ran"), ["s", "after"]);
    let events: Vec<_> = said.events("retrying");
    assert_eq!(events.len(), 1, "{}", said.out);
    assert_eq!(
        (&events[0]["attempt"], &events[0]["attempts"]),
        (&1.into(), &6.into())
    );
}

#[test]
fn keep_going_retries_before_it_gives_a_stage_up() {
    let space = Space::new(
        r"
  bad: {cmd: 'echo x >> $HOME/tries; exit 1', retries: 2, outs: [bad.txt]}
  after: {cmd: 'cp bad.txt after.txt', deps: [bad.txt], outs: [after.txt]}
  good: {cmd: 'echo x > good.txt', outs: [good.txt]}
",
    );
    let said = space.reproduce(&["-k", "-j1"]).exits(1);
    assert_eq!(said.with_outcome("failed"), ["bad"]);
    assert_eq!(said.with_outcome("blocked"), ["after"]);
    assert_eq!(said.with_outcome("ran"), ["good"]);
    assert_eq!(space.read("tries"), "x\nx\nx\n");
}

#[test]
fn retries_continue_from_what_the_stage_left_in_its_scratch_folder() {
    let space = Space::new(
        "  s:\n    cmd: echo x >> $RESTAGE_SCRATCH/n; test $(wc -l < $RESTAGE_SCRATCH/n) = 3 && cp $RESTAGE_SCRATCH/n s.txt\n    retries: 2\n    outs: [s.txt]\n",
    );
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "x\nx\nx\n");
}

#[test]
fn a_stage_that_runs_too_long_is_stopped_with_all_its_children() {
    let space = Space::new(
        "  s: {cmd: 'sleep 61.5 & sleep 61.5; echo x > s.txt', timeout: 1, outs: [s.txt]}\n",
    );
    space
        .restage(&["reproduce"])
        .exits(1)
        .says("stage `s` ran longer than its timeout of 1s\n")
        .says("under `s:` (line 5 of the pipeline) write `timeout: 2s`");
    let left = Command::new("pgrep").args(["-f", "sleep 61.5"]).output();
    if let Ok(left) = left {
        assert!(
            left.stdout.is_empty(),
            "a child of the stage is still there"
        );
    }
}

#[test]
fn an_object_that_was_tampered_with_is_never_served() {
    let space = Space::new(
        r"
  one: {cmd: 'echo one > one.txt', outs: [one.txt]}
  two: {cmd: 'cat one.txt > two.txt', deps: [one.txt], params: [a], outs: [two.txt]}
",
    );
    assert_eq!(space.ran(&[]).len(), 2);
    let mut folders = vec![space.path(".restage/objects")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).unwrap() == b"one\n" {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                fs::write(&path, "bad\n").unwrap();
            }
        }
    }
    let _ = fs::remove_file(space.path("one.txt"));
    let first = space.reproduce(&["-S", "a=7"]);
    if first.code != Some(0) {
        space.reproduce(&["-S", "a=7"]).exits(0);
    }
    assert_eq!(space.read("one.txt"), "one\n");
    assert_eq!(space.read("two.txt"), "one\n");
}

/// Runs a script as root of a user namespace with its own mounts; `None` if that is not allowed.
fn in_namespace(space: &Space, script: &str) -> Option<Said> {
    let probe = Command::new("unshare").args(["-Urm", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this machine allows no user namespaces");
        return None;
    }
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-c", script])
        .env("RESTAGE", env!("CARGO_BIN_EXE_restage"))
        .current_dir(space.root())
        .output()
        .expect("unshare starts");
    Some(output.into())
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let stage = "  s: {cmd: 'head -c 400000 /dev/zero > results/s.bin; echo x >> $HOME/ran', outs: [results/s.bin]}\n";
    let space = Space::new(stage);
    // Room for the object, but not for a published copy too.
    let script = "export HOME=$PWD; mkdir small && mount -t tmpfs -o size=700k none small && cp pipeline.yaml small && cd small || exit 99
        $RESTAGE reproduce; echo first: $?
        mount -o remount,size=9m . && cd . && $RESTAGE reproduce; echo second: $?
        wc -c < results/s.bin";
    let Some(said) = in_namespace(&space, script) else {
        return;
    };
    assert_eq!(said.out, "first: 4\nsecond: 0\n400000\n", "{}", said.err);
    let said = said.says("no space left on device").says("restored");
    assert_eq!(space.read("ran"), "x\n", "what ran was kept: {}", said.err);
}

#[test]
fn a_stage_that_fills_the_disk_is_told_apart_from_one_that_is_wrong() {
    let space = Space::new("  s: {cmd: 'cat /dev/zero > s.bin', outs: [s.bin]}\n");
    let script = "mkdir small && mount -t tmpfs -o size=400k none small && cp pipeline.yaml small && cd small && $RESTAGE reproduce";
    let Some(said) = in_namespace(&space, script) else {
        return;
    };
    let _ = said
        .exits(1)
        .says("no space is left on the disk that holds");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let space = Space::new("  s: {cmd: 'echo x > s.txt', outs: [s.txt]}\n");
    let script =
        "mount --bind . . && mount -o remount,ro,bind . && cd \"$PWD\" && exec $RESTAGE reproduce";
    let Some(said) = in_namespace(&space, script) else {
        return;
    };
    let said = said.exits(4).says(".restage");
    assert!(said.err.contains("read-only file system"), "{}", said.err);
}

#[test]
fn a_failure_names_the_file_that_its_stage_forgot_to_declare() {
    let space = Space::new("  s: {cmd: 'cat data/in.csv > s.txt', outs: [s.txt]}\n");
    fs::create_dir(space.path("data")).unwrap();
    fs::write(space.path("data/in.csv"), "1\n").unwrap();
    space
        .restage(&["reproduce", "s"])
        .exits(1)
        .says("hint: `data/in.csv` is in the workspace, but this stage does not declare that it reads it\n  under `s:` (line 5 of the pipeline) write `deps: [data/in.csv]`");
}

#[test]
fn a_failure_shows_standard_output_where_standard_error_is_silent() {
    let space = Space::new("  s: {cmd: 'echo E 1 is not 2; exit 3', outs: [s.txt]}\n");
    let said = space
        .restage(&["reproduce"])
        .exits(1)
        .says("  | E 1 is not 2\n");
    assert!(said.err.contains("0001/stdout"), "{}", said.err);
}

#[test]
fn a_log_is_copied_as_it_is() {
    let space = Space::new("  s: {cmd: 'printf \"a\\\\377b\"; exit 3', outs: [s.txt]}\n");
    space.restage(&["reproduce"]).exits(1);
    let logs = space.command(&["logs", "s"]).output().unwrap();
    assert_eq!(logs.stdout, b"a\xffb");
}

#[test]
fn a_parameter_that_pyyaml_reads_otherwise_is_warned_of() {
    let space = Space::empty();
    space.write(
        "pipeline.yaml",
        "schema: 1\nname: t\nparams: {augment: no}\nstages:\n  s: {cmd: 'echo > s.txt', outs: [s.txt]}\n",
    );
    space
        .restage(&["reproduce"])
        .exits(0)
        .says("warning: `augment` is the text \"no\" here, and the boolean false to PyYAML (pipeline.yaml:3)");
}

#[test]
fn a_missing_input_in_another_unicode_form_is_pointed_out() {
    let space =
        Space::new("  s: {cmd: 'echo > s.txt', deps: [\"caf\u{e9}.csv\"], outs: [s.txt]}\n");
    fs::write(space.path("cafe\u{301}.csv"), "1\n").unwrap();
    space
        .restage(&["reproduce"])
        .exits(2)
        .says("which looks the same, but is written with other characters");
    space.stages(
        "  a: {cmd: echo, outs: [\"d/cafe\\u0301\"]}\n  s: {cmd: echo, deps: [\"d/caf\\u00e9\"], outs: [s.txt]}\n",
    );
    space
        .restage(&["reproduce"])
        .exits(2)
        .says("there is `d/cafe\u{301}`, which looks the same");
}

#[test]
fn a_script_that_cannot_be_run_is_told_by_its_mode_or_by_its_first_line() {
    let space = Space::new("  s: {cmd: './s.sh', deps: [s.sh], outs: [s.txt]}\n");
    space.write("s.sh", "#!/bin/sh\n");
    let said = space.restage(&["run"]).exits(1);
    said.says("`./s.sh` is not executable: write `sh ./s.sh`, or run `chmod +x ./s.sh`");
    let executable = |text: &str| {
        space.write("s.sh", text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(space.path("s.sh"), mode).unwrap();
        space.restage(&["run"]).exits(1)
    };
    executable("#!/no/such/shell -e\n")
        .says("the first line of `./s.sh` names `/no/such/shell`, which is not there");
    for reader in ["/bin/sh", "/usr/bin/env sh"] {
        executable(&format!("#!{reader}\r\necho\r\n")).says("has a Windows line end");
    }
    let said = executable("#!/bin/sh\nexit 127\n");
    assert!(!said.err.contains("hint"), "{}", said.err);
}

#[test]
fn an_error_on_standard_output_is_shown_where_standard_error_has_a_progress_bar_alone() {
    let bar = r"for i in 1 2 3; do printf '\r%d%% done' $i >&2; done; echo the real cause";
    let space = Space::new(&format!(
        "  s: {{cmd: \"{}; exit 1\", outs: [s.txt]}}\n",
        bar.replace('\\', "\\\\")
    ));
    space.restage(&["run"]).exits(1).says("| the real cause");
}

#[test]
fn the_line_to_write_for_a_forgotten_file_is_yaml_whatever_its_name() {
    for name in [
        "a, b.csv",
        "x: y.csv",
        "d [v1].csv",
        "a #1.csv",
        "@a",
        "*",
        "{ab}",
        "c${a}",
    ] {
        let space = Space::empty();
        space.write(name, "1\n");
        let text = format!(
            "schema: 1\nname: t\nstages:\n  s:\n    cmd: [\"cat '{}' > s.txt\"]\n    outs: [s.txt]\n",
            name.replace("${", "$${")
        );
        space.write("pipeline.yaml", &text);
        let said = space.restage(&["run"]).exits(1);
        let line = said.err.split_once("write `deps: [");
        let line = line.unwrap_or_else(|| panic!("{}", said.err));
        let (line, _) = line.1.rsplit_once("]`").unwrap();
        space.write("pipeline.yaml", &format!("{text}    deps: [{line}]\n"));
        space.restage(&["run"]).exits(0);
        assert_eq!(space.read("s.txt"), "1\n", "{name}");
    }
}
