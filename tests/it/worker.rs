//! Stages that run where only the store is known (docs/adr/0037).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::space::{Said, Space, wait_until};

const STAGES: &str = r#"
  prep: {cmd: "cat in.txt data/*.txt > prepared.txt", deps: [in.txt, data/], outs: [prepared.txt]}
  train:
    foreach: [a, b]
    cmd: "mkdir out-${key}; cp prepared.txt out-${key}/w; echo $X > out-${key}/x; cat $RESTAGE_PARAMS_FILE > out-${key}/p"
    params: [a]
    env: {X: "1 2"}
    deps: [prepared.txt]
    outs: ["out-${key}"]
  table: {cmd: "cat out-a/w out-b/x > results/table.txt", deps: [out-a/w, out-b], outs: [results/table.txt]}
"#;

/// A shared store, and a machine without the workspace.
struct Elsewhere {
    store: TempDir,
    machine: Space,
}

impl Elsewhere {
    fn new() -> Self {
        Self {
            store: TempDir::new().expect("a temporary folder"),
            machine: Space::empty(),
        }
    }

    fn store(&self) -> PathBuf {
        self.store.path().join("store")
    }

    fn call(&self, space: &Space, args: &[&str]) -> Said {
        let mut command = space.command(args);
        command.env("RESTAGE_STORE", self.store());
        command.output().expect("restage starts").into()
    }

    fn ran(&self, space: &Space) -> Vec<String> {
        let said = self.call(space, &["--json", "reproduce"]);
        said.exits(0).with_outcome("ran")
    }

    /// Hands stages over; the batch's folder and the stages in it.
    fn hand_over(&self, space: &Space, args: &[&str]) -> (PathBuf, Vec<String>) {
        let mut all = vec!["--json", "hand-over"];
        all.extend(args);
        let said = self.call(space, &all).exits(0);
        let line: Value = serde_json::from_str(&said.out).expect("a line of JSON");
        let jobs = line["jobs"].as_array().expect("a list").iter();
        let jobs = jobs.filter_map(Value::as_str).map(str::to_owned).collect();
        let batch = line["batch"].as_str().unwrap_or_default();
        (PathBuf::from(batch), jobs)
    }

    /// A worker that knows neither the workspace nor which store is shared.
    fn worker(&self, batch: &Path, job: usize) -> Command {
        let batch = batch.to_str().expect("a path of text");
        let mut command = self.machine.command(&["worker", batch, &job.to_string()]);
        command.env("TMPDIR", self.machine.root());
        command
    }

    /// A worker in a process namespace of its own, which looks after its lease every second.
    fn machine_of_its_own(&self, batch: &Path, who: &str) -> Command {
        let worker = self.worker(batch, 0);
        let mut command = Command::new("unshare");
        command
            .args(["-Urpf", "--mount-proc"])
            .arg(worker.get_program())
            .args(worker.get_args())
            .args(["--look", "1"])
            .current_dir(self.machine.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", self.machine.root())
            .env("WHO", who);
        command
    }

    fn work(&self, batch: &Path, job: usize) -> Said {
        let output = self.worker(batch, job).output();
        output.expect("restage starts").into()
    }

    /// What the workers of a batch said became of their tasks.
    fn results(batch: &Path) -> Vec<Value> {
        let files = fs::read_dir(batch).expect("a folder");
        let files = files.map(|entry| entry.expect("an entry").path());
        let mut files: Vec<PathBuf> = files
            .filter(|path| path.extension().is_some_and(|it| it == "results"))
            .collect();
        files.sort();
        let texts = files
            .iter()
            .map(|path| fs::read_to_string(path).expect("text"));
        let lines: Vec<String> = texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let lines = lines.iter().filter_map(|line| line.split_once('\t'));
        lines
            .map(|(json, _)| serde_json::from_str::<Value>(json).expect("JSON")["result"].clone())
            .collect()
    }
}

fn space() -> Space {
    let space = Space::new(STAGES);
    space.write("in.txt", "in\n");
    space.write("data/one.txt", "one\n");
    space.write("data/deep/two.txt", "two\n");
    space
}

#[test]
fn a_machine_that_has_the_store_alone_makes_what_the_workspace_would_make() {
    let (there, here) = (Elsewhere::new(), space());
    let hidden = here.root().with_extension("hidden");
    for (stages, levels) in [
        (vec!["prep"], 1),
        (vec!["train@a", "train@b"], 2),
        (vec!["table"], 1),
    ] {
        let (batch, jobs) = there.hand_over(&here, &[]);
        assert_eq!(
            (jobs.len(), jobs.iter().map(String::as_str).collect()),
            (levels, stages)
        );
        fs::rename(here.root(), &hidden).expect("a folder to hide");
        for job in 0..jobs.len() {
            there.work(&batch, job).exits(0).says("1 done, 0 failed");
        }
        fs::rename(&hidden, here.root()).expect("a folder to show again");
    }
    assert_eq!(there.ran(&here), Vec::<String>::new());
    let alone = space();
    assert_eq!(alone.ran(&[]).len(), 4);
    let (mut there, mut here) = (alone.files(), here.files());
    // Each knows its own run's times.
    there.remove("pipeline.lock");
    here.remove("pipeline.lock");
    assert_eq!(there, here);
}

#[test]
fn a_task_names_no_place_of_the_workspace() {
    let (there, here) = (Elsewhere::new(), space());
    let (batch, _) = there.hand_over(&here, &[]);
    let tasks = fs::read_to_string(batch.join("tasks.jsonl")).expect("tasks");
    assert!(tasks.contains("in.txt"), "{tasks}");
    let root = here.root().to_str().expect("a path of text");
    let name = here.root().file_name().expect("a name").to_string_lossy();
    assert!(!tasks.contains(root) && !tasks.contains(&*name), "{tasks}");
}

#[test]
fn edits_after_a_stage_was_handed_over_change_nothing_that_it_reads() {
    let (there, here) = (Elsewhere::new(), space());
    let (batch, _) = there.hand_over(&here, &["prep"]);
    here.write("in.txt", "edited\n");
    // Not even if gc runs meanwhile: nothing but the batch needs the old bytes.
    there.call(&here, &["gc"]).exits(0);
    there.work(&batch, 0).exits(0);
    here.write("in.txt", "in\n");
    assert!(!there.ran(&here).contains(&"prep".to_owned()));
    assert_eq!(here.read("prepared.txt"), "in\none\n");
}

#[test]
fn a_failure_is_said_once_and_another_worker_has_nothing_to_add() {
    let there = Elsewhere::new();
    let here = Space::new("  s: {cmd: \"echo oops; echo no >&2; exit 3\", outs: [o]}\n");
    let (batch, _) = there.hand_over(&here, &[]);
    there.work(&batch, 0).exits(1).says("0 done, 1 failed");
    there.work(&batch, 0).exits(0);
    let results = Elsewhere::results(&batch);
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["failed"]["ending"]["bad"]["exited"], 3);
    let said = &results[0]["failed"]["said"];
    let log = batch.join(format!(
        "0-{}.log",
        said["worker"].as_str().expect("a name")
    ));
    let log = fs::read(log).expect("a log");
    let at = |end: &str| usize::try_from(said[end].as_u64().expect("a number")).expect("small");
    assert_eq!(&log[at("from")..at("to")], b"oops\nno\n");
}

#[test]
fn a_damaged_batch_costs_no_run_and_stops_gc() {
    let there = Elsewhere::new();
    let here = Space::new("  s: {cmd: \"echo x > o\", outs: [o]}\n");
    let (batch, _) = there.hand_over(&here, &[]);
    let tasks = batch.join("tasks.jsonl");
    let text = fs::read_to_string(&tasks).expect("tasks");
    fs::write(&tasks, text.replace("echo", "exho")).expect("tasks to damage");
    there
        .work(&batch, 0)
        .exits(4)
        .says("0 of 1 tasks can be read");
    let damaged = there.call(&here, &["reproduce"]).exits(0);
    damaged.says("0 of 1 tasks can be read");
    assert_eq!(here.read("o"), "x\n");
    there
        .call(&here, &["gc"])
        .exits(4)
        .says("remove the folder");
    fs::remove_dir_all(&batch).expect("a folder");
    there.call(&here, &["gc"]).exits(0);
}

#[test]
fn a_failure_elsewhere_is_told_by_the_next_call_and_the_stage_runs_here() {
    let there = Elsewhere::new();
    let here = Space::new(
        "  s: {cmd: \"test -n \\\"$MINE\\\" && echo x > o\", pass_env: [MINE], outs: [o]}\n",
    );
    let (batch, _) = there.hand_over(&here, &[]);
    there.work(&batch, 0).exits(1);
    let reproduce = || {
        let mut command = here.command(&["reproduce"]);
        command.env("RESTAGE_STORE", there.store()).env("MINE", "1");
        Said::from(command.output().expect("restage starts")).exits(0)
    };
    reproduce().says("default/s was handed over and exited with 1");
    assert!(here.exists("o"));
    // It is told once, and gc takes what is left of it.
    here.write("unrelated", "");
    let again = there.call(&here, &["--json", "reproduce"]).exits(0);
    assert!(!again.err.contains("handed over"), "{}", again.err);
    there.call(&here, &["gc"]).exits(0);
    assert!(!batch.exists());
}

#[test]
fn a_worker_that_is_killed_after_it_said_what_it_made_has_not_worked_in_vain() {
    let (there, here) = (Elsewhere::new(), space());
    let (batch, _) = there.hand_over(&here, &["prep"]);
    there.work(&batch, 0).exits(0);
    // As if it had not come to write the record, which alone counts until then.
    fs::remove_dir_all(there.store().join("records")).expect("a record to lose");
    assert!(!there.ran(&here).contains(&"prep".to_owned()));
    assert_eq!(here.read("prepared.txt"), "in\none\n");
}

#[test]
fn a_result_that_was_not_written_to_its_end_is_none() {
    let there = Elsewhere::new();
    let here = Space::new("  s: {cmd: \"exit 3\", outs: [o]}\n");
    let (batch, _) = there.hand_over(&here, &[]);
    there.work(&batch, 0).exits(1);
    for entry in fs::read_dir(&batch).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|it| it == "results") {
            let bytes = fs::read(&path).expect("a result");
            fs::write(&path, &bytes[..bytes.len() - 1]).expect("a cut");
        }
    }
    there.work(&batch, 0).exits(1).says("0 done, 1 failed");
}

#[test]
fn a_machine_whose_tool_answers_otherwise_is_refused_with_both_answers() {
    let there = Elsewhere::new();
    let here = Space::new(
        "  s: {cmd: \"echo x > o\", tools: [\"test -e ../../../one && echo 2.0 || echo $V\"], pass_env: [V], outs: [o]}\n",
    );
    let mut command = here.command(&["--json", "hand-over"]);
    command.env("RESTAGE_STORE", there.store()).env("V", "1.0");
    let said = Said::from(command.output().expect("restage starts")).exits(0);
    let line: Value = serde_json::from_str(&said.out).expect("a line of JSON");
    let batch = PathBuf::from(line["batch"].as_str().expect("a batch"));
    let mut worker = there.worker(&batch, 0);
    Said::from(worker.env("V", "1.1").output().expect("restage starts")).exits(1);
    let refused = &Elsewhere::results(&batch)[0]["refused"]["tool"];
    assert_eq!(
        (&refused["here"], &refused["key"]),
        (&"1.1".into(), &"1.0".into())
    );
}

#[test]
fn what_was_not_set_where_the_key_was_made_is_not_set_where_the_stage_runs() {
    let there = Elsewhere::new();
    let here = Space::new(
        "  s: {cmd: \"echo ${Y-unset} ${Z-unset} > o\", env: [Y], pass_env: [Z], outs: [o]}\n"
            .replace("${", "$${")
            .as_str(),
    );
    let (batch, _) = there.hand_over(&here, &[]);
    let mut worker = there.worker(&batch, 0);
    worker.env("Y", "theirs").env("Z", "theirs");
    Said::from(worker.output().expect("restage starts")).exits(0);
    assert_eq!(there.ran(&here), Vec::<String>::new());
    assert_eq!(here.read("o"), "unset theirs\n");
}

#[test]
fn a_worker_that_is_told_to_end_leaves_the_checkpoints_for_the_next() {
    let there = Elsewhere::new();
    let here = Space::new(
        r#"  s: {cmd: "echo start >> $RESTAGE_SCRATCH/log; test -e $RESTAGE_SCRATCH/go || sleep 60; cp $RESTAGE_SCRATCH/log o", outs: [o]}
"#,
    );
    let (batch, _) = there.hand_over(&here, &[]);
    let mut first = there.worker(&batch, 0).spawn().expect("restage starts");
    let scratch = || {
        let mut folders = fs::read_dir(there.store().join("scratch")).expect("a folder");
        folders.next().map(|entry| entry.expect("an entry").path())
    };
    wait_until("it has started", || {
        scratch().is_some_and(|folder| folder.join("log").exists())
    });
    let pid = Pid::from_raw(first.id().try_into().expect("a process id")).expect("not 0");
    kill_process(pid, Signal::TERM).expect("a signal");
    assert_eq!(first.wait().expect("an end").code(), Some(130));
    assert_eq!(Elsewhere::results(&batch), ["stopped"]);
    fs::write(scratch().expect("a scratch folder").join("go"), "").expect("a file");
    there.work(&batch, 0).exits(0);
    assert_eq!(there.ran(&here), Vec::<String>::new());
    assert_eq!(here.read("o"), "start\nstart\n");
}

#[test]
fn a_reproduce_beside_a_worker_waits_for_it_and_two_workers_run_a_task_once() {
    let there = Elsewhere::new();
    let here = Space::new("  s: {cmd: \"sleep 1; echo $RANDOM > o\", outs: [o]}\n");
    let (batch, _) = there.hand_over(&here, &[]);
    let workers: Vec<_> = (0..2)
        .map(|_| there.worker(&batch, 0).spawn().expect("restage starts"))
        .collect();
    let locks = there.store().join("claims");
    wait_until("one has begun", || {
        fs::read_dir(&locks).is_ok_and(|mut names| names.next().is_some())
    });
    assert_eq!(there.ran(&here), Vec::<String>::new());
    for mut worker in workers {
        assert!(worker.wait().expect("an end").success());
    }
    let results = Elsewhere::results(&batch);
    let made = results.iter().filter(|it| it.get("made").is_some());
    assert_eq!((made.count(), results.len()), (1, 2), "{results:?}");
    assert!(results.contains(&"known".into()), "{results:?}");
}

#[test]
fn an_input_that_the_store_has_lost_is_named_and_nothing_is_said_to_have_failed() {
    let (there, here) = (Elsewhere::new(), space());
    let (batch, _) = there.hand_over(&here, &["prep"]);
    for shard in fs::read_dir(there.store().join("objects")).expect("a folder") {
        fs::remove_dir_all(shard.expect("an entry").path()).expect("an object to lose");
    }
    there
        .work(&batch, 0)
        .exits(4)
        .says("0 done, 0 failed, 1 left");
    let lost = &Elsewhere::results(&batch)[0]["not_run"];
    assert!(lost["lost"].is_string(), "{lost}");
    assert!(there.ran(&here).contains(&"prep".to_owned()));
}

#[test]
fn a_secret_that_is_not_set_there_is_refused_and_its_value_is_nowhere() {
    let there = Elsewhere::new();
    let here = Space::new("  s: {cmd: \"echo $TOKEN; echo x > o\", secret: [TOKEN], outs: [o]}\n");
    let mut command = here.command(&["--json", "hand-over"]);
    command
        .env("RESTAGE_STORE", there.store())
        .env("TOKEN", "sesame-4711");
    let said = Said::from(command.output().expect("restage starts")).exits(0);
    let line: Value = serde_json::from_str(&said.out).expect("a line of JSON");
    let batch = PathBuf::from(line["batch"].as_str().expect("a batch"));
    there.work(&batch, 0).exits(1);
    assert_eq!(Elsewhere::results(&batch)[0]["refused"]["secret"], "TOKEN");
    for entry in fs::read_dir(&batch).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|it| it == "results") {
            fs::remove_file(path).expect("a result to forget");
        }
    }
    let mut worker = there.worker(&batch, 0);
    worker.env("TOKEN", "sesame-4711");
    Said::from(worker.output().expect("restage starts")).exits(0);
    let found = Command::new("grep")
        .args(["-r", "sesame-4711"])
        .arg(there.store())
        .output()
        .expect("grep starts");
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn what_can_only_run_here_is_named_with_the_reason() {
    let there = Elsewhere::new();
    let here = Space::new(
        "  s: {cmd: \"echo x > o\", isolation: required, outs: [o]}\n  t: {cmd: \"echo x > p\", outs: [p]}\n",
    );
    let said = there.call(&here, &["hand-over"]).exits(0);
    said.clone()
        .says("s has to run here: it has `isolation: required`");
    there
        .work(Path::new(said.out.trim()), 1)
        .exits(2)
        .says("has no job 1");
    there.work(Path::new(said.out.trim()), 0).exits(0);
    assert_eq!(there.ran(&here), ["s"]);
    // A worker leaves nothing on its machine.
    assert_eq!(there.machine.files().len(), 0);
}

/// A stage that writes its machine's name to its scratch folder until there are a hundred lines, in some ten seconds.
const LINES: &str = r#"  s:
    cmd: "touch $RESTAGE_SCRATCH/log; until test $(wc -l < $RESTAGE_SCRATCH/log) -ge 100; do echo $WHO >> $RESTAGE_SCRATCH/log; sleep 0.1; done; cp $RESTAGE_SCRATCH/log o"
    pass_env: [WHO]
    outs: [o]
"#;

/// The first of two machines that share a store runs a stage when the kernel's lock on its key is lost, as it is when a
/// server takes a client for dead. `None`, and it is said, where there can be no two process namespaces.
fn first_of_two(there: &Elsewhere, batch: &Path) -> Option<Child> {
    let possible = Command::new("unshare")
        .args(["-Urpf", "--mount-proc", "true"])
        .output();
    if !possible.is_ok_and(|output| output.status.success()) {
        println!("skipped: no process namespace can be made");
        return None;
    }
    let first = there.machine_of_its_own(batch, "first").spawn();
    let first = first.expect("unshare starts");
    let scratch = there.store().join("scratch");
    let lines = || {
        let folder = fs::read_dir(&scratch).ok()?.next()?.ok()?.path();
        Some(fs::read_to_string(folder.join("log")).ok()?.lines().count())
    };
    wait_until("it writes", || lines().is_some_and(|lines| lines >= 3));
    for entry in fs::read_dir(there.store().join("claims")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|it| it == "lock") {
            let other = path.with_extension("other");
            fs::copy(&path, &other).expect("a lock that nobody holds");
            fs::rename(other, path).expect("a file to replace");
        }
    }
    Some(first)
}

/// What two machines wrote: never one after the other.
fn check_lines(here: &Space) {
    let text = here.read("o");
    assert_eq!(text.lines().count(), 100, "{text}");
    let mut writers: Vec<&str> = text.lines().collect();
    writers.dedup();
    // A copy that was not whole is not gone on from.
    let all = ["first", "second"];
    assert!(writers == all || writers == all[1..], "{writers:?}");
}

fn logs(batch: &Path) -> String {
    let files = fs::read_dir(batch).expect("a folder");
    let files = files.map(|entry| entry.expect("an entry").path());
    let logs = files.filter(|path| path.extension().is_some_and(|it| it == "log"));
    logs.map(|path| fs::read_to_string(path).expect("a log"))
        .collect()
}

#[test]
fn a_worker_whose_key_is_taken_elsewhere_ends_its_stage_and_the_other_goes_on_in_its_folder() {
    let there = Elsewhere::new();
    let here = Space::new(LINES);
    let (batch, _) = there.hand_over(&here, &[]);
    let Some(mut first) = first_of_two(&there, &batch) else {
        return;
    };
    let second = there.machine_of_its_own(&batch, "second").output();
    Said::from(second.expect("unshare starts")).exits(0);
    assert_eq!(first.wait().expect("an end").code(), Some(4));
    assert!(
        logs(&batch).contains("was told to end, and has"),
        "{}",
        logs(&batch)
    );
    assert_eq!(there.ran(&here), Vec::<String>::new());
    check_lines(&here);
}

#[test]
fn a_worker_that_falls_silent_keeps_its_folder_and_the_other_has_one_of_its_own() {
    let there = Elsewhere::new();
    let here = Space::new(LINES);
    let (batch, _) = there.hand_over(&here, &[]);
    let Some(mut first) = first_of_two(&there, &batch) else {
        return;
    };
    let id = first.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    let worker = children
        .expect("children")
        .trim()
        .parse()
        .expect("one child");
    let worker = Pid::from_raw(worker).expect("not 0");
    // It looks at nothing any more, and its stage goes on.
    kill_process(worker, Signal::STOP).expect("a signal");
    let second = there.machine_of_its_own(&batch, "second").output();
    let second = Said::from(second.expect("unshare starts"));
    kill_process(worker, Signal::CONT).expect("a signal");
    second.exits(0);
    first.wait().expect("an end");
    assert!(
        logs(&batch).contains("may go on unseen"),
        "{}",
        logs(&batch)
    );
    assert_eq!(there.ran(&here), Vec::<String>::new());
    check_lines(&here);
}
