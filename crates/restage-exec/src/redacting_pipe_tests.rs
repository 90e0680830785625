//! Jobs with secrets: what their files hold, while they run and when they have ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::{Redaction, Secrets};
use crate::{Executor, Finished, Job, LocalExecutor, Outcome};

const VALUE: &str = "hunter22";

fn job(dir: &Path, script: &str) -> Job {
    Job {
        name: "test".into(),
        argv: ["/bin/sh", "-c", script].map(OsString::from).to_vec(),
        dir: dir.into(),
        isolation: None,
        env: BTreeMap::from([
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("VALUE".into(), VALUE.into()),
            ("EVENTS".into(), dir.join("pipe").into()),
        ]),
        stdout: dir.join("stdout"),
        stderr: dir.join("stderr"),
        timeout: None,
        memory: None,
        grace: Duration::from_secs(1),
        tracing: None,
        redaction: Some(Redaction {
            secrets: Secrets::new([VALUE.as_bytes()]),
            pipe: dir.join("pipe"),
            file: dir.join("events"),
        }),
    }
}

fn run(job: Job) -> Finished {
    let mut executor = LocalExecutor::new();
    executor.submit(job).unwrap();
    let mut ended = executor.poll(Duration::from_secs(60));
    assert_eq!(ended.len(), 1, "one job ends");
    ended.remove(0)
}

fn read(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

#[test]
fn each_output_is_kept_without_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let script = "printf 'out hunt'; sleep 0.1; printf 'er22\\nhunter'; \
                  echo err $VALUE >&2; echo one $VALUE >> $EVENTS; echo two > $EVENTS; exit 3";
    let finished = run(job(dir.path(), script));
    assert_eq!(finished.outcome, Outcome::Exited(3));
    assert_eq!(read(dir.path(), "stdout"), "out ***\nhunter");
    assert_eq!(read(dir.path(), "stderr"), "err ***\n");
    assert_eq!(read(dir.path(), "events"), "one ***\ntwo\n");
    assert!(!dir.path().join("pipe").exists());
}

#[test]
fn both_outputs_can_go_to_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = job(dir.path(), "echo $VALUE; echo $VALUE >&2; echo end");
    job.stderr = job.stdout.clone();
    run(job);
    assert_eq!(read(dir.path(), "stdout"), "***\n***\nend\n");
}

#[test]
fn nothing_of_a_long_output_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i $VALUE; i=$((i+1)); done";
    assert!(run(job(dir.path(), script)).outcome.is_success());
    let all: String = (0..20_000).map(|n| format!("line {n} ***\n")).collect();
    assert!(read(dir.path(), "stdout") == all);
}

#[test]
fn what_is_written_can_be_read_while_the_job_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut executor = LocalExecutor::new();
    let script = "echo first $VALUE; while [ ! -e go ]; do sleep 0.01; done; echo second";
    executor.submit(job(dir.path(), script)).unwrap();
    let seen = |_| {
        std::thread::sleep(Duration::from_millis(10));
        std::fs::read_to_string(dir.path().join("stdout")).is_ok_and(|text| text == "first ***\n")
    };
    assert!((0..1000).any(seen));
    std::fs::write(dir.path().join("go"), "").unwrap();
    assert_eq!(executor.poll(Duration::from_secs(60)).len(), 1);
    assert_eq!(read(dir.path(), "stdout"), "first ***\nsecond\n");
}

#[test]
fn a_process_that_escaped_with_the_pipes_does_not_hold_up_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let script = "setsid sh -c 'echo $$ > escaped; exec sleep 600' & \
                  while [ ! -s escaped ]; do sleep 0.01; done; echo done $VALUE";
    let finished = run(job(dir.path(), script));
    let pid = read(dir.path(), "escaped");
    let killed = std::process::Command::new("kill").arg(pid.trim()).status();
    assert!(killed.unwrap().success(), "it had ended");
    assert!(finished.outcome.is_success());
    assert_eq!(read(dir.path(), "stdout"), "done ***\n");
}

#[test]
fn a_job_that_cannot_start_leaves_no_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = job(dir.path(), "");
    job.argv = vec!["/nowhere/program".into()];
    assert!(matches!(run(job).outcome, Outcome::NotStarted(_)));
    let gone = |_| {
        std::thread::sleep(Duration::from_millis(10));
        !dir.path().join("pipe").exists()
    };
    assert!((0..1000).any(gone));
}
