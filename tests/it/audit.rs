//! `reproduce --audit`: real stages, and the undeclared files that they read and write.
//!
//! If the machine cannot trace, the tests check the refusal instead.

use std::process::Command;

use tempfile::TempDir;

use crate::space::{Said, Space};

/// A workspace with some files, and a separate home.
struct Audited {
    space: Space,
    home: TempDir,
}

impl Audited {
    fn new(stages: &str) -> Self {
        // What is undeclared can be reached there.
        let audited = Self::kept_apart(stages);
        let pipeline = audited.space.read("pipeline.yaml");
        if !pipeline.contains("isolation:") {
            let pipeline = format!("{pipeline}isolation: none\n");
            audited.space.write("pipeline.yaml", &pipeline);
        }
        audited
    }

    /// As far as this machine allows.
    fn kept_apart(stages: &str) -> Self {
        let space = Space::new(stages);
        space.write("data/a.txt", "a\n");
        space.write("data/b.txt", "b\n");
        let home = TempDir::new().expect("a temporary folder");
        Self { space, home }
    }

    /// One stage `s` that reads `data/a.txt`, writes `s.txt`, and also runs this. `WS` is
    /// the workspace.
    fn stage(line: &str) -> Self {
        let line = line.replace('\n', "\n      ");
        Self::new(&format!(
            "  s:\n    cmd: |\n      WS=$(cd ../../.. && pwd -P)\n      {line}\n      cat data/a.txt > s.txt\n    deps: [data/a.txt]\n    outs: [s.txt]\n"
        ))
    }

    fn call(&self, args: &[&str]) -> Said {
        let mut command = self.space.command(args);
        let output = command.env("HOME", self.home.path()).output();
        output.expect("restage starts").into()
    }

    fn found(&self) -> Vec<String> {
        let said = self
            .call(&["--json", "reproduce", "--audit", "-f"])
            .exits(0);
        let root = self.space.root().canonicalize().unwrap();
        let home = self.home.path().canonicalize().unwrap();
        let shown = said.events("undeclared").into_iter().map(|event| {
            let text = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
            let path = text("path")
                .replace(root.to_str().unwrap(), "WS")
                .replace(home.to_str().unwrap(), "~");
            format!("{} {path} {} {}", text("deed"), text("field"), text("add"))
        });
        assert_eq!(said.events("unseen"), [] as [serde_json::Value; 0]);
        shown.collect()
    }
}

/// Whether this machine can trace; if not, checks the refusal.
fn can_trace() -> bool {
    let probe = Audited::stage("true");
    let said = probe.call(&["reproduce", "--audit"]);
    if said.code == Some(0) {
        return true;
    }
    let _ = said
        .exits(4)
        .says("this machine cannot trace")
        .says("nothing ran");
    assert!(!probe.space.exists("s.txt"));
    eprintln!("skipped: this machine cannot trace");
    false
}

#[test]
fn a_stage_that_keeps_to_what_it_declares_is_not_mentioned() {
    if !can_trace() {
        return;
    }
    let audited = Audited::new(
        r"
  one:
    cmd: |
      ls -l . data > /dev/null; ! test -e none; mkdir -p made/deep; echo x > made/deep/x
      echo x >> $RESTAGE_SCRATCH/x; echo y > /tmp/restage-audit-test-$$; rm /tmp/restage-audit-test-$$
      find . -type f | sort > found.txt
    deps: ['data/*.txt']
    outs: [found.txt, made/]
  two: {cmd: 'cat made/deep/x found.txt > two.txt', deps: [made/, found.txt], outs: [two.txt]}
",
    );
    assert_eq!(audited.found(), [""; 0]);
    let said = audited.call(&["reproduce", "--strict", "-f"]).exits(0);
    assert!(!said.err.contains("audit:"), "{}", said.err);
}

#[test]
fn reads_are_found_however_they_are_made() {
    if !can_trace() {
        return;
    }
    let b = "read data/b.txt deps data/b.txt";
    for line in [
        "cat $WS/data/b.txt",
        "cat ../../../data/b.txt",
        "ln -s $WS/data here; cat here/b.txt; rm here",
        "sh -c 'sh -c \"cat $1/data/b.txt\" sh $1' sh $WS",
        "cd $WS; cat data/b.txt; cd - > /dev/null",
        "cat $WS/data/../data/./b.txt < $WS/data/a.txt",
        "ln $WS/data/b.txt mine; rm mine",
    ] {
        assert_eq!(Audited::stage(line).found(), [b], "{line}");
    }
}

#[test]
fn what_a_stage_that_is_kept_apart_misses_is_found_too() {
    if !can_trace() {
        return;
    }
    let audited = Audited::kept_apart("  s: {cmd: 'true', outs: [s.txt]}\n");
    let root = audited.space.root().canonicalize().unwrap();
    for line in [
        "cat $WS/data/b.txt || true",
        "ln -s $WS/data here; cat here/b.txt || true; rm here",
        "cd $WS; cat data/../data/b.txt || true; cd - > /dev/null",
        "cat < $WS/data/b.txt || true",
    ] {
        let line = line.replace("$WS", root.to_str().unwrap());
        audited.space.stages(&format!(
            "  s:\n    cmd: |\n      {line}\n      cat data/a.txt > s.txt; cat /proc/self/cmdline > /dev/null\n    deps: [data/a.txt]\n    outs: [s.txt]\n"
        ));
        assert_eq!(
            audited.found(),
            ["read data/b.txt deps data/b.txt"],
            "{line}"
        );
    }
}

#[test]
fn settings_that_are_looked_for_upwards_count_where_there_are_any() {
    if !can_trace() {
        return;
    }
    let line = "d=$PWD; while [ $d != / ]; do cat $d/.settings && break; d=$(dirname $d); done";
    let audited = Audited::stage(line);
    assert_eq!(audited.found(), [""; 0]);
    audited.space.write(".settings", "x");
    assert_eq!(audited.found(), ["read .settings deps .settings"]);
}

#[test]
fn listings_absent_files_and_programs_are_found() {
    if !can_trace() {
        return;
    }
    for (line, found) in [
        ("ls $WS/data", "listed data/ deps data/"),
        (
            "cat $WS/data/c.txt || true",
            "looked for data/c.txt deps data/",
        ),
        (
            "test -e $WS/data/c.txt || true",
            "looked for data/c.txt deps data/",
        ),
        (
            "test -e $WS/data/b.txt",
            "looked at data/b.txt deps data/b.txt",
        ),
        ("test -e $WS/c.txt || true", "looked for c.txt - -"),
    ] {
        assert_eq!(Audited::stage(line).found(), [found], "{line}");
    }
    let audited = Audited::stage("$WS/tool.sh");
    audited.space.write("tool.sh", "#!/bin/sh\nexit 0\n");
    let tool = audited.space.path("tool.sh");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(tool, mode).unwrap();
    assert_eq!(
        audited.found(),
        ["ran tool.sh deps tool.sh", "read tool.sh deps tool.sh"]
    );
}

#[test]
fn writes_outside_the_work_directory_are_found() {
    if !can_trace() {
        return;
    }
    for (line, found) in [
        ("echo x > $WS/new.txt", "wrote new.txt outs new.txt"),
        ("echo x > x; mv x $WS/new.txt", "wrote new.txt outs new.txt"),
        ("mkdir $WS/d; rmdir $WS/d", "wrote d outs d"),
        ("echo x > $HOME/x; cat $HOME/x", "wrote ~/x - -"),
        ("echo x > $WS/s.txt", "wrote s.txt - -"),
    ] {
        assert_eq!(Audited::stage(line).found(), [found], "{line}");
    }
}

#[test]
fn what_is_read_from_home_is_found_and_what_is_looked_for_there_is_not() {
    if !can_trace() {
        return;
    }
    let audited = Audited::stage("! test -e $HOME/none; cat $HOME/.settings");
    std::fs::write(audited.home.path().join(".settings"), "x").unwrap();
    assert_eq!(audited.found(), ["read ~/.settings - -"]);
}

#[test]
fn python_is_seen_like_any_other_program() {
    // The program itself, because a version manager's shim looks for settings in the workspace.
    let asked = ["-c", "import sys; print(sys.executable)"];
    let python = Command::new("python3").args(asked).output();
    let Some(python) = python.ok().filter(|python| python.status.success()) else {
        eprintln!("skipped: there is no python3");
        return;
    };
    if !can_trace() {
        return;
    }
    let python = String::from_utf8(python.stdout).unwrap();
    let clean = Audited::new(&format!(
        "  s: {{cmd: {} s.py, deps: [s.py, data/a.txt], outs: [s.txt]}}\n",
        python.trim()
    ));
    let script = "import json, os, subprocess\ntext = open('data/a.txt').read()\nopen('s.txt', 'w').write(text)\n";
    clean.space.write("s.py", script);
    assert_eq!(clean.found(), [""; 0]);
    clean.space.write(
        "s.py",
        &format!(
            "{script}ws = os.path.abspath('../../..')\nos.listdir(ws + '/data')\nos.path.exists(ws + '/data/none')\nsubprocess.run(['cat', ws + '/data/b.txt'])\nopen(ws + '/data/../extra', 'a').close()\n"
        ),
    );
    assert_eq!(
        clean.found(),
        [
            "listed data/ deps data/",
            "looked for data/none deps data/",
            "read data/b.txt deps data/b.txt",
            "wrote extra outs extra",
        ]
    );
}

#[test]
fn the_report_names_each_file_and_the_line_to_add() {
    if !can_trace() {
        return;
    }
    let audited = Audited::stage("cat $WS/data/b.txt; ls $WS/data; echo x > $WS/new.txt");
    let said = audited.call(&["reproduce", "--audit"]).exits(0);
    let report = said
        .err
        .lines()
        .skip_while(|line| !line.starts_with("audit:"));
    let report: Vec<&str> = report.collect();
    insta::assert_snapshot!(report[..report.len() - 2].join("\n"), @r"
    audit: `s` read `data/b.txt`, which it does not declare
    audit: `s` listed `data/`, which it does not declare
    audit: `s` wrote `new.txt`, which it does not declare
    hint: add under `s:` (line 5 of the pipeline)
        deps: [..., data/]
        outs: [..., new.txt]
      and use these paths as they are declared: relative, without `..`
    ");
    assert_eq!(audited.space.read("s.txt"), "a\n");
}

#[test]
fn strict_refuses_to_record_and_keeps_the_work_directory() {
    if !can_trace() {
        return;
    }
    let audited = Audited::stage("echo x >> $HOME/tries; cat $WS/data/b.txt");
    let said = audited.call(&["reproduce", "--strict"]).exits(1);
    let said = said
        .says("error: stage `s` used 2 files that it does not declare")
        .says("nothing was recorded");
    let kept = said
        .err
        .lines()
        .find_map(|line| line.strip_prefix("  files kept in: "));
    let kept = std::path::Path::new(kept.expect("a folder")).join("s.txt");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "a\n");
    assert!(!audited.space.exists("s.txt"));
    let records = std::fs::read_dir(audited.space.path(".restage/records")).unwrap();
    assert_eq!(records.count(), 0);
    let again = audited.call(&["--json", "reproduce"]).exits(0);
    assert_eq!(again.with_outcome("ran"), ["s"], "as if it had never run");
}

#[test]
fn strict_does_not_try_again_what_would_be_refused_again() {
    if !can_trace() {
        return;
    }
    let audited = Audited::new(
        "  s: {cmd: 'echo x >> $HOME/tries; echo x > s.txt', retries: 3, outs: [s.txt]}\n",
    );
    audited
        .call(&["reproduce", "--strict"])
        .exits(1)
        .says("`s` used `");
    let tries = std::fs::read_to_string(audited.home.path().join("tries")).unwrap();
    assert_eq!(tries, "x\n");
}

/// Records without the parts that differ from run to run.
fn records(space: &Space) -> Vec<(String, serde_json::Value)> {
    let folder = std::fs::read_dir(space.path(".restage/records")).unwrap();
    let mut all: Vec<_> = folder
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let line = text.lines().next().unwrap();
            let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
            for name in ["started", "seconds", "peak_memory"] {
                record[name] = serde_json::Value::Null;
            }
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                record,
            )
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn keys_records_and_results_are_the_same_with_and_without_an_audit() {
    if !can_trace() {
        return;
    }
    let line =
        "env | grep -v '^PWD' | sort > env.txt; cat $WS/data/b.txt > /dev/null; wc -c < /dev/stdin";
    let (plain, traced) = (Audited::stage(line), Audited::stage(line));
    plain.call(&["reproduce"]).exits(0);
    traced
        .call(&["reproduce", "--audit"])
        .exits(0)
        .says("audit:");
    assert_eq!(records(&plain.space), records(&traced.space));
    assert_eq!(plain.space.files(), traced.space.files());
    let said = traced.call(&["--json", "reproduce"]).exits(0);
    assert_eq!(said.with_outcome("fresh"), ["s"]);
}

#[test]
fn failures_timeouts_and_missing_programs_are_reported_as_without_an_audit() {
    if !can_trace() {
        return;
    }
    let audited = Audited::new(
        r"
  fails: {cmd: 'echo why >&2; exit 7', outs: [a]}
  dies: {cmd: 'kill -9 $$', outs: [b]}
  hangs: {cmd: 'exec sleep 60', timeout: 1, outs: [c]}
  leaves: {cmd: 'echo x > d; sleep 62.75 & exit 0', outs: [d]}
",
    );
    let said = audited.call(&["reproduce", "--audit", "-k"]).exits(1);
    said.says("`fails` exited with 7\n  | why")
        .says("`dies` was killed (signal 9)")
        .says("`hangs` ran longer than its timeout of 1s")
        .says("leaves: left processes running");
}

#[test]
fn an_audit_in_which_nothing_runs_says_so() {
    if !can_trace() {
        return;
    }
    let audited = Audited::stage("true");
    audited.call(&["reproduce"]).exits(0);
    audited
        .call(&["reproduce", "--audit"])
        .exits(0)
        .says("audit: no stage ran");
}

#[test]
fn where_stages_cannot_be_traced_an_audit_runs_nothing() {
    if !can_trace() {
        return;
    }
    // A process can have only one tracer: a traced stage cannot trace its own stages.
    let audited = Audited::new("  s: {cmd: 'true > s.txt', outs: [s.txt]}\n");
    let outer = Audited::new(&format!(
        "  s: {{cmd: '{} -C {} reproduce --audit || echo $? > s.txt', outs: [s.txt]}}\n",
        env!("CARGO_BIN_EXE_restage"),
        audited.space.root().display()
    ));
    outer.call(&["reproduce", "--audit"]).exits(0);
    assert_eq!(outer.space.read("s.txt"), "4\n");
    assert!(!audited.space.exists("s.txt"), "it ran all the same");
}
