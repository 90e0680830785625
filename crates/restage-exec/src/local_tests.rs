//! Real processes: how they end, how they are stopped, and what they leave behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::job::Outcome;

const LONG: Duration = Duration::from_secs(20);

struct Bench {
    dir: TempDir,
    exec: LocalExecutor,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            exec: LocalExecutor::new(),
        }
    }

    fn job(&self, argv: &[&str]) -> Job {
        Job {
            name: "test".into(),
            argv: argv.iter().map(OsString::from).collect(),
            dir: self.dir.path().into(),
            isolation: None,
            env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
            stdout: self.dir.path().join("stdout"),
            stderr: self.dir.path().join("stderr"),
            timeout: None,
            memory: None,
            grace: Duration::from_secs(10),
            tracing: None,
            redaction: None,
        }
    }

    fn shell(&self, script: &str) -> Job {
        self.job(&["sh", "-c", script])
    }

    fn finish(&mut self) -> Finished {
        let mut all = self.exec.poll(LONG);
        assert_eq!(all.len(), 1, "one job ends");
        all.remove(0)
    }

    fn run(&mut self, job: Job) -> Finished {
        let id = self.exec.submit(job).unwrap();
        let finished = self.finish();
        assert_eq!((finished.id, self.exec.running()), (id, 0));
        assert_eq!(self.exec.process(id), None, "it has been reported");
        finished
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(&self.dir.path().join(name)).unwrap()
    }

    /// Waits until the job has come as far as to write this file.
    fn await_file(&self, name: &str) {
        let since = Instant::now();
        while !fs::exists(&self.dir.path().join(name)).unwrap() {
            assert!(since.elapsed() < LONG, "`{name}` is never written");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_program_is_the_first_in_path_that_may_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let mut bench = Bench::new();
    let at = |name: &str| bench.dir.path().join(name);
    for folder in ["text", "folder/tool", "first", "second"] {
        fs::create_dir_all(&at(folder)).unwrap();
    }
    for (file, mode) in [
        ("text/tool", 0o644),
        ("first/tool", 0o755),
        ("second/tool", 0o755),
    ] {
        std::fs::write(at(file), format!("#!/bin/sh\necho {file}\n")).unwrap();
        std::fs::set_permissions(at(file), PermissionsExt::from_mode(mode)).unwrap();
    }
    let all = ["text", "folder", "first", "second"].map(at);
    // One relative to the job's folder counts where it stands.
    let relative = ["second".into(), at("first")];
    let paths = [
        (std::env::join_paths(all).unwrap(), "first/tool\n"),
        (std::env::join_paths(relative).unwrap(), "second/tool\n"),
    ];
    for (path, said) in paths {
        let mut job = bench.job(&["tool"]);
        job.env.insert("PATH".into(), path);
        assert_eq!(bench.run(job).outcome, Outcome::Exited(0));
        assert_eq!(bench.read("stdout"), said);
    }
    let job = bench.job(&["sh", "-c", "echo $0"]);
    assert_eq!(bench.run(job).outcome, Outcome::Exited(0));
    assert_eq!(bench.read("stdout"), "sh\n", "it is called as it was named");
}

#[test]
fn a_job_gets_its_folder_and_environment_and_nothing_else() {
    let mut bench = Bench::new();
    let mut job = bench.job(&["/usr/bin/env"]);
    job.env = BTreeMap::from([("A".into(), "1 2".into())]);
    assert_eq!(bench.run(job).outcome, Outcome::Exited(0));
    assert_eq!(bench.read("stdout"), "A=1 2\n");
    let job = bench.shell("pwd -P; cat; echo oops >&2; exit 7");
    let finished = bench.run(job);
    assert_eq!(finished.outcome, Outcome::Exited(7));
    let dir = fs::canonicalize(bench.dir.path()).unwrap();
    assert_eq!(bench.read("stdout"), format!("{}\n", dir.display()));
    assert_eq!(bench.read("stderr"), "oops\n");
    assert!(finished.peak_memory.unwrap() > 10_000 && !finished.leftovers);
}

#[test]
fn one_file_can_take_both_streams() {
    let mut bench = Bench::new();
    let mut job = bench.shell("echo one; echo two >&2; echo three");
    job.stderr = job.stdout.clone();
    bench.run(job);
    assert_eq!(bench.read("stdout"), "one\ntwo\nthree\n");
}

#[test]
fn a_foreign_signal_is_reported() {
    let mut bench = Bench::new();
    let job = bench.shell("kill -9 $$");
    assert_eq!(bench.run(job).outcome, Outcome::Signaled(9));
}

#[test]
fn what_cannot_start_says_why() {
    let mut bench = Bench::new();
    fs::write_atomic(
        &bench.dir.path().join("script"),
        b"#!/no/such/interpreter\n",
    )
    .unwrap();
    fs::write_atomic(&bench.dir.path().join("data"), b"text").unwrap();
    fs::set_mode(&bench.dir.path().join("script"), 0o755).unwrap();
    let reason = |bench: &mut Bench, job: Job| match bench.run(job).outcome {
        Outcome::NotStarted(reason) => reason,
        other => panic!("{other:?}"),
    };
    let job = bench.job(&["no-such-program"]);
    assert_eq!(
        reason(&mut bench, job),
        "there is no program `no-such-program` in PATH=/usr/bin:/bin"
    );
    let job = bench.job(&["./no-such-program"]);
    assert_eq!(
        reason(&mut bench, job),
        "there is no program `./no-such-program`"
    );
    let job = bench.job(&["./script"]);
    assert!(reason(&mut bench, job).starts_with("the interpreter that `./script` names"));
    let job = bench.job(&["./data"]);
    assert!(reason(&mut bench, job).starts_with("`./data` may not be run"));
    let mut job = bench.job(&["true"]);
    job.dir = bench.dir.path().join("gone");
    assert!(reason(&mut bench, job).ends_with("gone` does not exist"));
    let mut job = bench.job(&["true"]);
    job.argv.clear();
    assert!(matches!(
        bench.exec.submit(job),
        Err(ExecError::EmptyCommand { .. })
    ));
    let mut job = bench.job(&["true"]);
    job.stdout = bench.dir.path().join("no/folder");
    assert!(matches!(bench.exec.submit(job), Err(ExecError::Log { .. })));
    assert_eq!(bench.exec.running(), 0);
}

#[test]
fn a_job_over_its_time_is_stopped() {
    let mut bench = Bench::new();
    let mut job = bench.shell("exec sleep 60");
    job.timeout = Some(Duration::from_millis(100));
    let finished = bench.run(job);
    assert_eq!(finished.outcome, Outcome::TimedOut);
    assert!(
        (0.1..10.0).contains(&finished.seconds),
        "{}",
        finished.seconds
    );
}

#[test]
fn limits_hold_for_every_job_also_after_a_moment_without_any() {
    let mut bench = Bench::new();
    bench.run(bench.shell(":"));
    thread::sleep(Duration::from_millis(300));
    let mut job = bench.shell("exec sleep 60");
    job.timeout = Some(Duration::from_millis(100));
    assert_eq!(bench.run(job).outcome, Outcome::TimedOut);
    thread::sleep(Duration::from_millis(300));
    let mut job = bench.shell(&format!("{}; sleep 60; :", fill(64)));
    job.memory = Some(32 << 20);
    let ended = bench.run(job).outcome;
    assert!(matches!(ended, Outcome::OverMemory(_)), "{ended:?}");
}

#[test]
fn a_thread_waits_for_one_job_after_another() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.run(bench.shell(":"));
    }
    assert_eq!(bench.exec.free.len(), 1);
    let two = [bench.shell("sleep 0.2"), bench.shell("sleep 0.2")];
    let started = two.map(|job| bench.exec.submit(job).unwrap());
    assert!(bench.exec.free.is_empty());
    let mut ended = Vec::new();
    while ended.len() < started.len() {
        ended.extend(bench.exec.poll(LONG));
    }
    assert_eq!(
        bench.exec.free.len(),
        2,
        "as many as there were jobs at once"
    );
    let gone = mpsc::channel().0;
    bench.exec.free.push(gone);
    assert_eq!(bench.run(bench.shell(":")).outcome, Outcome::Exited(0));
}

#[test]
fn a_thread_that_is_free_ends_with_the_executor() {
    let (sender, ended) = mpsc::channel();
    let task = Box::new(|| watch::not_started(JobId(1), Instant::now(), "text".into()));
    let thread = thread::spawn(move || wait_for_jobs(task, &sender));
    let (finished, way) = ended.recv().unwrap();
    assert!(finished.id == JobId(1) && way.is_some() && !thread.is_finished());
    drop((ended, way));
    thread.join().unwrap();
}

#[test]
fn a_job_without_a_limit_is_measured_once_it_has_run_for_a_while() {
    let bench = Bench::new();
    let watch = Watch::default();
    let begin = |id, memory| {
        let job = Job {
            memory,
            ..bench.job(&["true"])
        };
        let mut live = Live::new(&job);
        live.process = Some(ProcessRef::of(std::process::id()));
        watch.jobs().insert(JobId(id), live);
    };
    begin(1, None);
    let pause = Duration::from_secs(2);
    thread::scope(|scope| {
        let measuring = scope.spawn(|| watch.due_for_measuring(pause).unwrap());
        thread::sleep(pause / 10);
        begin(2, None);
        begin(3, Some(1 << 20));
        let due = measuring.join().unwrap().into_iter();
        assert_eq!(due.map(|(id, ..)| id.0).collect::<Vec<_>>(), [1, 3]);
        let next = watch.due_for_measuring(Duration::ZERO).unwrap();
        assert_eq!(next.len(), 3);
    });
}

/// Fills a shell variable with this many MiB.
fn fill(mib: usize) -> String {
    format!("x=$(head -c {}m /dev/zero | tr '\\0' x)", mib)
}

#[test]
fn a_job_whose_processes_together_hold_too_much_is_stopped() {
    let mut bench = Bench::new();
    let fill = fill(48);
    let mut job = bench.shell(&format!(
        "({fill}; sleep 60; :) & ({fill}; sleep 60; :) & wait"
    ));
    job.memory = Some(80 << 20);
    let finished = bench.run(job);
    let Outcome::OverMemory(held) = finished.outcome else {
        panic!("{finished:?}");
    };
    assert!((80 << 20..400 << 20).contains(&held), "{held}");
    assert!(finished.peak_memory.unwrap() >= held && finished.seconds < 30.0);
}

#[test]
fn memory_that_processes_share_counts_once() {
    let mut bench = Bench::new();
    // Three forks of a shell that holds the text: each would count it again.
    let script = format!(
        "{}; for i in 1 2 3; do (sleep 1; :) & done; sleep 1; wait",
        fill(64)
    );
    let mut job = bench.shell(&script);
    job.memory = Some(250 << 20);
    let finished = bench.run(job);
    assert_eq!(finished.outcome, Outcome::Exited(0));
    assert!(finished.peak_memory.unwrap() >= 64 << 20, "{finished:?}");
}

#[test]
fn a_peak_is_that_of_all_processes_together() {
    let mut bench = Bench::new();
    let fill = fill(48);
    let one = bench.run(bench.shell(&format!("{fill}; sleep 0.6; :")));
    let script =
        format!("({fill}; sleep 1; :) & ({fill}; sleep 1; :) & ({fill}; sleep 1; :) & wait");
    let three = bench.run(bench.shell(&script));
    let (one, three) = (one.peak_memory.unwrap(), three.peak_memory.unwrap());
    assert!(three >= 3 * (48 << 20), "{one} and {three}");
    assert!(one < 3 * (48 << 20), "no process alone had as much: {one}");
}

#[test]
fn a_job_over_its_memory_that_ignores_term_is_killed_soon() {
    let mut bench = Bench::new();
    let mut job = bench.shell(&format!(
        "trap '' TERM; {}; while :; do sleep 0.1; done",
        fill(64)
    ));
    job.memory = Some(32 << 20);
    job.grace = LONG;
    let finished = bench.run(job);
    assert!(matches!(finished.outcome, Outcome::OverMemory(_)));
    assert!(finished.seconds < 15.0, "{}", finished.seconds);
}

#[test]
fn a_cancelled_job_may_finish_its_work_within_the_grace_period() {
    let mut bench = Bench::new();
    let id = bench
        .exec
        .submit(bench.shell("trap 'echo saved > checkpoint; exit 0' TERM; touch ready; while :; do sleep 0.05; done"))
        .unwrap();
    bench.await_file("ready");
    assert!(bench.exec.process(id).unwrap().is_alive());
    bench.exec.cancel(id);
    assert_eq!(bench.finish().outcome, Outcome::Cancelled);
    assert_eq!(bench.read("checkpoint"), "saved\n");
}

#[test]
fn whoever_ignores_term_is_killed_after_the_grace_period() {
    let mut bench = Bench::new();
    let mut job = bench.shell("trap '' TERM; touch ready; while :; do sleep 0.05; done");
    job.grace = Duration::from_millis(200);
    let id = bench.exec.submit(job).unwrap();
    bench.await_file("ready");
    bench.exec.cancel(id);
    bench.exec.cancel(id);
    let process = bench.exec.process(id).unwrap();
    let finished = bench.finish();
    assert_eq!(finished.outcome, Outcome::Cancelled);
    assert!(finished.seconds >= 0.2);
    assert!(
        !process.is_alive(),
        "nothing is left when the end is reported"
    );
}

#[test]
fn children_that_ignore_term_are_killed_when_their_parent_has_gone() {
    let mut bench = Bench::new();
    let mut job = bench.shell(
        "(trap '' TERM; touch ready; while :; do sleep 0.05; done) & trap 'exit 0' TERM; wait",
    );
    job.grace = Duration::from_millis(200);
    let id = bench.exec.submit(job).unwrap();
    bench.await_file("ready");
    bench.exec.cancel(id);
    let process = bench.exec.process(id).unwrap();
    let finished = bench.finish();
    assert_eq!(finished.outcome, Outcome::Cancelled);
    assert!(finished.seconds >= 0.2 && !process.is_alive());
}

#[test]
fn processes_left_behind_are_stopped_and_reported() {
    let mut bench = Bench::new();
    let job = bench.shell("sleep 60 & sleep 60 & exit 3");
    let finished = bench.run(job);
    assert_eq!(finished.outcome, Outcome::Exited(3));
    assert!(finished.leftovers);
    assert!(finished.seconds < 10.0);
}

#[test]
fn a_child_that_ends_just_after_its_parent_is_no_leftover() {
    let mut bench = Bench::new();
    let job = bench.shell("(:; :) & exit 0");
    assert!(!bench.run(job).leftovers);
}

#[test]
fn a_program_still_open_for_writing_is_started_once_it_is_closed() {
    let mut bench = Bench::new();
    let path = bench.dir.path().join("program");
    fs::copy(Path::new("/bin/true"), &path).unwrap();
    fs::set_mode(&path, 0o755).unwrap();
    let writer = fs::append(&path).unwrap();
    let closer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(60));
        drop(writer);
    });
    let job = bench.job(&["./program"]);
    assert_eq!(bench.run(job).outcome, Outcome::Exited(0));
    closer.join().unwrap();
}

#[test]
fn a_job_cancelled_before_it_could_start_never_runs() {
    let mut bench = Bench::new();
    let path = bench.dir.path().join("program");
    fs::copy(Path::new("/bin/true"), &path).unwrap();
    fs::set_mode(&path, 0o755).unwrap();
    let writer = fs::append(&path).unwrap();
    let id = bench.exec.submit(bench.job(&["./program"])).unwrap();
    assert_eq!(bench.exec.process(id), None);
    bench.exec.cancel(id);
    assert_eq!(bench.finish().outcome, Outcome::Cancelled);
    drop(writer);
}

#[test]
fn cancelling_what_has_ended_or_never_was_does_nothing() {
    let mut bench = Bench::new();
    let job = bench.shell("exit 0");
    let id = bench.run(job).id;
    bench.exec.cancel(id);
    bench.exec.cancel(JobId(99));
    assert!(bench.exec.poll(Duration::from_millis(1)).is_empty());
}

#[test]
fn a_dropped_executor_leaves_nothing_running() {
    let mut bench = Bench::new();
    let id = bench
        .exec
        .submit(bench.shell("trap '' TERM; touch ready; sleep 60"))
        .unwrap();
    bench.await_file("ready");
    let process = bench.exec.process(id).unwrap();
    drop(bench.exec);
    let since = Instant::now();
    while process.is_alive() {
        assert!(since.elapsed() < LONG);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn many_jobs_are_each_reported_once() {
    let mut bench = Bench::new();
    let since = Instant::now();
    let (mut submitted, mut reported) = (Vec::new(), Vec::new());
    while reported.len() < 200 {
        while submitted.len() < 200 && bench.exec.running() < 8 {
            submitted.push(bench.exec.submit(bench.job(&["true"])).unwrap());
        }
        let finished = bench.exec.poll(LONG);
        assert!(
            finished
                .iter()
                .all(|finished| finished.outcome.is_success())
        );
        reported.extend(finished.into_iter().map(|finished| finished.id));
    }
    println!("{:?} for 200 jobs", since.elapsed());
    reported.sort();
    assert_eq!(reported, submitted);
}
