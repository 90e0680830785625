//! Stages are kept apart: which files they see, and that nothing of them lives on. Tried in
//! namespaces, where the machine allows them, and without; as whoever runs the tests and, for root,
//! as an ordinary user too.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use restage_exec::{
    Allowed, Bind, Call, Executor, Finished, Isolation, Job, LocalExecutor, Network, Outcome,
    Processes, Scope, Tracing, View, probe,
};

use crate::space::{Space, Who, wait_until};

/// A way of starting a job.
#[derive(Debug, Clone)]
struct Way {
    user: &'static str,
    /// What starts the launcher, as one user or another.
    launcher: PathBuf,
    allowed: Allowed,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} as {}", self.allowed.processes, self.user)
    }
}

/// A folder for jobs that every user can write.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let bench = Self { dir };
        bench.open(bench.root());
        bench
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().canonicalize().expect("our folder").join(name)
    }

    fn open(&self, path: &Path) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("our own folder");
    }

    fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a folder");
        self.open(&path);
        path
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// This user, and an ordinary one if this is root.
    fn users(&self) -> Vec<(&'static str, PathBuf)> {
        let restage = PathBuf::from(env!("CARGO_BIN_EXE_restage"));
        let mut users = vec![("this user", restage.clone())];
        let root = Command::new("id").arg("-u").output().expect("id starts");
        if root.stdout == b"0\n" {
            let copy = self.path("launcher");
            // It may lie where only root can read.
            fs::copy(&restage, &copy).expect("a copy");
            let line = format!(
                "#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups {} \"$@\"\n",
                copy.display()
            );
            let script = self.write("as-nobody", &line);
            self.open(&script);
            let works = Command::new("setpriv").arg("--version").output();
            if works.is_ok_and(|output| output.status.success()) {
                users.push(("nobody", script));
            } else {
                println!("skipped: an ordinary user: there is no setpriv");
            }
        }
        users
    }

    /// All ways of starting a job here.
    fn ways(&self) -> Vec<Way> {
        let mut ways = Vec::new();
        for (index, (user, launcher)) in self.users().into_iter().enumerate() {
            let folder = self.folder(&format!("probe-{index}"));
            for name in ["work", "source"] {
                self.folder(&format!("probe-{index}/{name}"));
            }
            let allowed = probe(&launcher, &folder, true).expect("a launcher");
            if allowed.is_full() {
                ways.push(Way {
                    user,
                    launcher: launcher.clone(),
                    allowed: allowed.clone(),
                });
            } else {
                println!("skipped: namespaces as {user}: {:?}", allowed.refusal);
            }
            ways.push(Way {
                user,
                launcher,
                allowed: Allowed {
                    files: false,
                    processes: Some(Processes::Subreaper),
                    ..allowed
                },
            });
        }
        ways
    }

    fn job(&self, way: &Way, script: &str) -> Job {
        let dir = self.folder("run");
        let logs = self.folder("logs");
        Job {
            name: "test".into(),
            argv: ["sh", "-c", script].map(Into::into).into(),
            dir,
            isolation: Some(Isolation {
                launcher: way.launcher.clone(),
                processes: way.allowed.processes.expect("a way"),
                network: Network::Host,
                view: None,
            }),
            env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
            stdout: logs.join("out"),
            stderr: logs.join("err"),
            timeout: Some(Duration::from_secs(60)),
            memory: None,
            grace: Duration::from_millis(500),
            tracing: None,
            redaction: None,
        }
    }

    /// A workspace with a declared file, an undeclared one and a declared folder, and the job's
    /// view of it.
    fn viewed(&self, way: &Way, script: &str) -> Job {
        self.write("ws/in.txt", "input\n");
        self.write("ws/secret", "secret\n");
        self.write("ws/data/part", "part\n");
        let work = self.folder("ws/.restage/work/1");
        let bind = |name: &str| Bind {
            source: self.path("ws").join(name),
            place: self.path("ws").join(name),
            writable: false,
        };
        let mut job = self.job(way, script);
        let isolation = job.isolation.as_mut().expect("set");
        isolation.view = Some(View {
            work,
            at: self.path("ws"),
            binds: vec![bind("in.txt"), bind("data")],
        });
        job
    }
}

fn run(job: Job) -> Finished {
    let mut executor = LocalExecutor::new();
    executor.submit(job).expect("a job");
    wait_for(&mut executor)
}

fn wait_for(executor: &mut LocalExecutor) -> Finished {
    for _ in 0..600 {
        if let Some(finished) = executor.poll(Duration::from_millis(100)).pop() {
            return finished;
        }
    }
    panic!("the job does not end");
}

/// Nothing writes to the file any more.
fn is_quiet(path: &Path) -> bool {
    let length = || fs::metadata(path).map_or(0, |found| found.len());
    let before = length();
    std::thread::sleep(Duration::from_millis(300));
    before == length()
}

/// Starts two writers that leave the group and the session, and lose their parents.
const ESCAPE: &str = "
tick() { while :; do echo x >> ticks; sleep 0.02; done; }
setsid sh -c 'while :; do echo x >> ticks; sleep 0.02; done' &
( ( env -i PATH=\"$PATH\" setsid sh -c 'trap \"\" TERM; while :; do echo x >> ticks; sleep 0.02; done' & ) & )
while ! test -s ticks; do sleep 0.01; done
";

#[test]
fn exit_codes_and_signals_reach_the_caller() {
    let bench = Bench::new();
    for way in bench.ways() {
        let ends = |script: &str| run(bench.job(&way, script)).outcome;
        assert_eq!(ends("exit 0"), Outcome::Exited(0), "{way}");
        assert_eq!(ends("exit 7"), Outcome::Exited(7), "{way}");
        assert_eq!(ends("kill -TERM $$"), Outcome::Signaled(15), "{way}");
        assert_eq!(ends("kill -SEGV $$"), Outcome::Signaled(11), "{way}");
        assert_eq!(ends("echo a; echo b >&2; pwd >&2"), Outcome::Exited(0));
        assert_eq!(bench.read("logs/out"), "a\n");
        let dir = bench.path("run").display().to_string();
        assert_eq!(bench.read("logs/err"), format!("b\n{dir}\n"));
        let mut job = bench.job(&way, "");
        job.argv = vec!["no-such-program".into()];
        let Outcome::NotStarted(reason) = run(job).outcome else {
            panic!("{way}: started");
        };
        assert!(
            reason.contains("there is no program `no-such-program`"),
            "{reason}"
        );
    }
}

#[test]
fn a_terminal_cannot_be_read_and_pipes_break_as_usual() {
    let bench = Bench::new();
    for way in bench.ways() {
        let ends = |script: &str| run(bench.job(&way, script)).outcome;
        assert_eq!(ends("! read x < /dev/tty"), Outcome::Exited(0), "{way}");
        assert_eq!(
            ends("! read x"),
            Outcome::Exited(0),
            "standard input is empty"
        );
        // SIGPIPE is as it is by default, and no signal is blocked.
        assert_eq!(ends("yes | head -1"), Outcome::Exited(0), "{way}");
        let masks = "grep -qE 'SigBlk:\t0+$' /proc/self/status";
        assert_eq!(ends(masks), Outcome::Exited(0), "{way}");
    }
}

#[test]
fn what_left_its_group_ends_with_the_command() {
    let bench = Bench::new();
    for way in bench.ways() {
        let finished = run(bench.job(&way, &format!("{ESCAPE} exit 3")));
        assert_eq!(finished.outcome, Outcome::Exited(3), "{way}");
        assert!(finished.leftovers, "{way}");
        assert!(is_quiet(&bench.path("run/ticks")), "{way}");
        let finished = run(bench.job(&way, "sleep 0.01 & exit 0"));
        assert!(!finished.leftovers, "{way}: it ends a moment later");
        fs::remove_file(bench.path("run/ticks")).expect("ticks");
    }
}

#[test]
fn a_process_that_hands_over_to_another_one_all_the_time_ends_with_the_command() {
    let bench = Bench::new();
    // It has a new number whenever somebody looks.
    bench.write("hop", "echo x >> ticks; setsid sh ../hop & exit");
    for way in bench.ways() {
        for round in 0..4 {
            let finished = run(bench.job(&way, "sh ../hop & while ! test -s ticks; do :; done"));
            assert_eq!(finished.outcome, Outcome::Exited(0), "{way}");
            assert!(is_quiet(&bench.path("run/ticks")), "{way}: {round}");
            fs::remove_file(bench.path("run/ticks")).expect("ticks");
        }
    }
}

#[test]
fn what_left_its_group_ends_at_a_timeout_a_limit_and_a_cancel() {
    let bench = Bench::new();
    for way in bench.ways() {
        let stays = format!("{ESCAPE} sleep 60");
        let mut job = bench.job(&way, &stays);
        job.timeout = Some(Duration::from_millis(700));
        assert_eq!(run(job).outcome, Outcome::TimedOut, "{way}");
        assert!(is_quiet(&bench.path("run/ticks")), "{way}");

        let mut executor = LocalExecutor::new();
        let id = executor.submit(bench.job(&way, &stays)).expect("a job");
        executor.cancel(id);
        let since = Instant::now();
        assert_eq!(wait_for(&mut executor).outcome, Outcome::Cancelled, "{way}");
        assert!(since.elapsed() < Duration::from_secs(30));
        assert!(is_quiet(&bench.path("run/ticks")), "{way}");

        let grows = "setsid sh -c 'x=$(head -c 90000000 /dev/zero | tr \"\\0\" x); sleep 60'; exit";
        let mut job = bench.job(&way, grows);
        job.memory = Some(40 << 20);
        let finished = run(job);
        assert!(
            matches!(finished.outcome, Outcome::OverMemory(held) if held > 40 << 20),
            "{way}: {finished:?}"
        );
        fs::remove_file(bench.path("run/ticks")).expect("ticks");
    }
}

#[test]
fn the_command_hears_term_and_can_tidy_up() {
    let bench = Bench::new();
    for way in bench.ways() {
        let script = "trap 'echo tidied > note; exit 3' TERM; touch begun; sleep 60 & wait";
        let mut job = bench.job(&way, script);
        job.grace = Duration::from_secs(20);
        let mut executor = LocalExecutor::new();
        let id = executor.submit(job).expect("a job");
        wait_until("it has begun", || bench.path("run/begun").exists());
        executor.cancel(id);
        assert_eq!(wait_for(&mut executor).outcome, Outcome::Cancelled, "{way}");
        assert_eq!(bench.read("run/note"), "tidied\n", "{way}");
        for file in ["run/note", "run/begun"] {
            fs::remove_file(bench.path(file)).expect("a file");
        }
    }
}

#[test]
fn a_server_of_launchers_that_is_killed_is_replaced_and_its_jobs_go_on() {
    let bench = Bench::new();
    for mut way in bench.ways() {
        if way.user != "this user" {
            continue;
        }
        // By its own name it can be told from other tests' servers.
        let own = bench.path("own");
        fs::copy(&way.launcher, &own).expect("a copy");
        way.launcher = own.clone();
        let line = format!("{}\0__isolate\0", own.display());
        let parent = format!("PPid:\t{}\n", std::process::id());
        let ours = |pid: &String| {
            let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
            read("cmdline").is_ok_and(|found| found == line)
                && read("status").is_ok_and(|status| status.contains(&parent))
        };
        let started = || -> Vec<String> {
            let all = fs::read_dir("/proc").expect("/proc");
            let names = all.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            names.filter(ours).collect()
        };
        let mut executor = LocalExecutor::new();
        let slow = "touch begun; while ! test -e go; do sleep 0.01; done; exit 4";
        let first = executor.submit(bench.job(&way, slow)).expect("a job");
        wait_until("it has begun", || bench.path("run/begun").exists());
        // The server and the launcher have one command line; the launcher is known.
        let launcher = executor.process(first).expect("a process").pid.to_string();
        let all = started();
        let server = all.iter().find(|pid| **pid != launcher).expect("a server");
        let killed = Command::new("kill").args(["-KILL", server]).status();
        assert!(killed.expect("kill starts").success());
        executor.submit(bench.job(&way, "touch go")).expect("a job");
        let mut ends = vec![
            wait_for(&mut executor).outcome,
            wait_for(&mut executor).outcome,
        ];
        ends.sort_by_key(|end| format!("{end:?}"));
        assert_eq!(ends, [Outcome::Exited(0), Outcome::Exited(4)], "{way}");
        drop(executor);
        assert_eq!(started(), [""; 0], "{way}: it ends with its caller");
        for file in ["run/go", "run/begun"] {
            fs::remove_file(bench.path(file)).expect("a file");
        }
    }
}

#[test]
fn nothing_outlives_a_launcher_that_is_killed() {
    let bench = Bench::new();
    for way in bench.ways() {
        let mut executor = LocalExecutor::new();
        let script = format!("{ESCAPE} touch begun; sleep 60");
        let id = executor.submit(bench.job(&way, &script)).expect("a job");
        wait_until("it has begun", || bench.path("run/begun").exists());
        let launcher = executor.process(id).expect("a process").pid.to_string();
        let killed = Command::new("kill").args(["-KILL", &launcher]).status();
        assert!(killed.expect("kill starts").success());
        assert_eq!(
            wait_for(&mut executor).outcome,
            Outcome::Signaled(9),
            "{way}"
        );
        assert!(is_quiet(&bench.path("run/ticks")), "{way}");
        for file in ["run/ticks", "run/begun"] {
            fs::remove_file(bench.path(file)).expect("a file");
        }
    }
}

#[test]
fn a_view_stands_at_the_workspaces_path_and_shows_what_is_bound() {
    let bench = Bench::new();
    let ways = bench.ways();
    for way in ways.iter().filter(|way| way.allowed.files) {
        let ws = bench.path("ws").display().to_string();
        let shows = |script: &str| {
            let finished = run(bench.viewed(way, script));
            let said = bench.read("logs/out") + &bench.read("logs/err");
            (finished.outcome, said)
        };
        let good = |said: &str| (Outcome::Exited(0), said.to_owned());
        assert_eq!(shows("pwd; /bin/pwd"), good(&format!("{ws}\n{ws}\n")));
        assert_eq!(
            shows(&format!("cat {ws}/in.txt data/part")),
            good("input\npart\n")
        );
        assert_eq!(shows("ls -A"), good("data\nin.txt\n"), "{way}");
        assert_eq!(shows(&format!("cat {ws}/secret")).0, Outcome::Exited(1));
        let (_, said) = shows(&format!("cat {ws}/secret"));
        assert!(said.contains("No such file"), "{said}");
        for change in [
            "echo x > in.txt",
            "chmod 600 in.txt",
            "touch data/new",
            "rm data/part",
        ] {
            let (outcome, said) = shows(change);
            assert!(!matches!(outcome, Outcome::Exited(0)), "{change}");
            assert!(said.contains("Read-only file system"), "{change}: {said}");
        }
        let (_, said) = shows("rm -f in.txt");
        assert!(said.contains("busy"), "{said}");
        let undo = format!("umount -l {ws} || mount -o remount,rw,bind {ws}/in.txt");
        assert_ne!(shows(&undo).0, Outcome::Exited(0), "{way}");
        assert_eq!(
            shows("echo out > out.txt; ls"),
            good("data\nin.txt\nout.txt\n")
        );
        assert_eq!(bench.read("ws/.restage/work/1/out.txt"), "out\n", "{way}");
        assert_eq!(bench.read("ws/in.txt"), "input\n", "{way}");
        fs::remove_file(bench.path("ws/.restage/work/1/out.txt")).expect("an out");
        // Its first process is 1, and it sees no others.
        assert_eq!(
            shows("test -e /proc/1 && test $(ls -d /proc/[0-9]* | wc -l) -lt 9").0,
            Outcome::Exited(0)
        );
    }
}

#[test]
fn a_writable_bind_takes_what_is_written() {
    let bench = Bench::new();
    let ways = bench.ways();
    for way in ways.iter().filter(|way| way.allowed.files) {
        let scratch = bench.folder("elsewhere/scratch");
        let mut job = bench.viewed(way, "echo x > $SCRATCH/kept; ! echo x > $STORE/no");
        job.env.insert("SCRATCH".into(), scratch.clone().into());
        let store = bench.path("elsewhere");
        job.env.insert("STORE".into(), store.clone().into());
        let view = job.isolation.as_mut().and_then(|it| it.view.as_mut());
        let seen = |source: &Path, writable| Bind {
            source: source.to_owned(),
            place: source.to_owned(),
            writable,
        };
        view.expect("a view")
            .binds
            .extend([seen(&store, false), seen(&scratch, true)]);
        assert_eq!(run(job).outcome, Outcome::Exited(0), "{way}");
        assert_eq!(bench.read("elsewhere/scratch/kept"), "x\n");
        assert!(!bench.path("elsewhere/no").exists());
        fs::remove_file(bench.path("elsewhere/scratch/kept")).expect("kept");
    }
}

#[test]
fn a_trace_names_files_as_the_stage_sees_them() {
    let bench = Bench::new();
    let helper = PathBuf::from(env!("CARGO_BIN_EXE_restage"));
    if let Err(error) = restage_exec::check_tracing(&helper) {
        println!("skipped: {error}");
        return;
    }
    let ways = bench.ways();
    for way in ways.iter().filter(|way| way.allowed.files) {
        let script = "ln -s $PWD/secret link; cat link; cat $PWD/in.txt; echo x > out; rm link out";
        let mut job = bench.viewed(way, script);
        let mut scope = Scope::default();
        scope.set(&bench.path("ws"), true);
        job.tracing = Some(Tracing {
            helper: helper.clone(),
            scope,
        });
        let finished = run(job);
        assert_eq!(finished.outcome, Outcome::Exited(0), "{way}");
        let trace = finished.trace.expect("a trace");
        assert_eq!(trace.unseen, 0, "{way}");
        let seen = |name: &str, call: Call| {
            let path = bench.path("ws").join(name);
            let mut all = trace.accesses.iter();
            let found = all.find(|access| access.path == path && access.call == call);
            found
                .unwrap_or_else(|| panic!("{way}: {name}: {trace:?}"))
                .absent
        };
        assert!(seen("secret", Call::Read), "{way}: it is not there");
        assert!(!seen("in.txt", Call::Read), "{way}");
        assert!(seen("out", Call::Write), "{way}: it is new");
    }
}

#[test]
fn without_a_network_a_stage_reaches_only_itself() {
    let bench = Bench::new();
    for way in bench.ways().iter().filter(|way| way.allowed.network) {
        let mut job = bench.job(way, "cat /proc/net/dev");
        job.isolation.as_mut().expect("set").network = Network::None;
        assert_eq!(run(job).outcome, Outcome::Exited(0), "{way}");
        let devices = bench.read("logs/out");
        let names: Vec<&str> = devices
            .lines()
            .filter_map(|line| Some(line.split_once(':')?.0.trim()))
            .collect();
        assert_eq!(names, ["lo"], "{way}");
    }
}

#[test]
fn nothing_outlives_a_restage_that_is_killed() {
    // Outside the workspace, which the stage does not see.
    let outside = Space::empty();
    let there = outside.root().display();
    let space = Space::new(&format!(
        "  s:\n    cmd: |\n      setsid sh -c 'while :; do echo x >> {there}/ticks; sleep 0.02; done' &\n      touch {there}/begun; sleep 60\n    outs: [s.txt]\n",
    ));
    let calls = [
        ("as allowed", Some(space.command(&["reproduce"]))),
        ("refused to root", space.refused(Who::Root, &["reproduce"])),
        (
            "refused to a user",
            space.refused(Who::User, &["reproduce"]),
        ),
    ];
    for (who, call) in calls {
        let Some(mut call) = call else { continue };
        let mut restage = call.stderr(Stdio::null()).spawn().expect("it starts");
        wait_until(who, || outside.exists("begun") && outside.exists("ticks"));
        restage.kill().expect("a running restage");
        restage.wait().expect("its end");
        wait_until(who, || is_quiet(&outside.path("ticks")));
        for name in ["begun", "ticks"] {
            fs::remove_file(outside.path(name)).expect("a file");
        }
    }
}

#[test]
fn a_machine_that_refuses_is_named_once_and_required_is_an_error() {
    let stages = "  a: {cmd: 'echo a > a.txt', outs: [a.txt]}\n  b: {cmd: 'echo b > b.txt', outs: [b.txt]}\n";
    let space = Space::new(stages);
    let refused = |args: &[&str]| {
        let command = space.refused(Who::Root, args);
        command.map(|mut command| command.output().expect("unshare starts"))
    };
    let Some(output) = refused(&["reproduce"]) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("warning: isolation: ").count(), 1, "{said}");
    assert!(said.contains("`clone` was refused (ENOSPC)"), "{said}");
    assert!(said.contains("max_user_namespaces"), "{said}");
    assert_eq!(space.read("b.txt"), "b\n");

    space.write(
        "pipeline.yaml",
        &format!(
            "schema: 1\nname: test\nisolation: required\nstages:\n{}",
            stages.replace("echo a", "echo c")
        ),
    );
    let output = refused(&["reproduce"]).expect("as before");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("stage `a` must be kept apart"), "{said}");
    assert!(said.contains("nothing ran"), "{said}");
    assert_eq!(space.read("a.txt"), "a\n", "nothing ran");
}
