//! Runs jobs as processes of this machine, each by a launcher or in a process group of its own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use crate::job::{ExecError, Executor, Finished, Job, JobId, Outcome};
use crate::live::Live;
use crate::meter;
use crate::redacting_pipe::{PipeError, RedactingPipes};
use crate::start::Start;
use crate::trace::{self, Trace, TraceError, Watcher};
use crate::watch::{self, Watch};
use restage_core::clock::Instant;
use restage_core::fs;
use restage_core::process::ProcessRef;
use restage_isolation::{Launch, Launchers};

/// A watching thread only waits and needs no more; the default is 2 MiB.
const STACK: usize = 256 * 1024;

/// Sees a job through to its end.
type Task = Box<dyn FnOnce() -> Finished + Send>;

/// A job that has ended, and the way to the thread that waited for it, which is free now.
type Ended = (Finished, Option<Sender<Task>>);

/// Runs jobs on this machine. One thread waits for each job, then for another one: to wake a thread costs
/// less than to start one. One keeps time for all jobs, and one measures their memory.
///
/// A job is reported only when all its processes are gone, so that nothing it left running can
/// still write. Without an [`Isolation`](restage_isolation::Isolation) that is its process group
/// alone: a process that leaves it (`setsid`) escapes. On drop, running jobs are killed.
#[derive(Debug)]
pub struct LocalExecutor {
    watch: Arc<Watch>,
    sender: Sender<Ended>,
    ended: Receiver<Ended>,
    /// Ways to the threads that wait for a job.
    free: Vec<Sender<Task>>,
    submitted: u64,
    running: usize,
    threads: bool,
    launchers: Option<Arc<Launchers>>,
}

impl Default for LocalExecutor {
    fn default() -> Self {
        let (sender, ended) = mpsc::channel();
        Self {
            watch: Arc::default(),
            sender,
            ended,
            free: Vec::new(),
            submitted: 0,
            running: 0,
            threads: false,
            launchers: None,
        }
    }
}

impl LocalExecutor {
    /// An executor with nothing running.
    pub fn new() -> Self {
        Self::default()
    }

    /// Kills all running jobs, from any thread; nothing starts after that.
    pub fn killer(&self) -> impl Fn() + Send + 'static {
        let watch = Arc::clone(&self.watch);
        move || watch.close()
    }

    /// Stops all running jobs (`true`) or lets them go on (`false`), from any thread. While they are
    /// stopped their time does not run.
    pub fn pauser(&self) -> impl Fn(bool) + Send + 'static {
        let watch = Arc::clone(&self.watch);
        move |pause| watch.pause(pause)
    }

    fn start_threads(&mut self, name: &str) -> Result<(), ExecError> {
        if !self.threads {
            let (time, memory) = (Arc::clone(&self.watch), Arc::clone(&self.watch));
            spawn_thread(name, move || time.keep_time())?;
            spawn_thread(name, move || meter::keep_measuring(&memory))?;
            self.threads = true;
        }
        Ok(())
    }

    /// Gives the task to a thread that is free, or to a new one.
    fn see_through(&mut self, name: &str, mut task: Task) -> Result<(), ExecError> {
        while let Some(free) = self.free.pop() {
            match free.send(task) {
                Ok(()) => return Ok(()),
                // That thread is gone, after a panic.
                Err(refused) => task = refused.0,
            }
        }
        let sender = self.sender.clone();
        spawn_thread(name, move || wait_for_jobs(task, &sender))
    }
}

impl Executor for LocalExecutor {
    fn submit(&mut self, job: Job) -> Result<JobId, ExecError> {
        if job.argv.first().is_none_or(|program| program.is_empty()) {
            return Err(ExecError::EmptyCommand { name: job.name });
        }
        self.start_threads(&job.name)?;
        let Ready {
            mut start,
            watcher,
            pipes,
        } = self.ready(&job)?;
        let id = JobId(self.submitted);
        let since = Instant::now();
        self.watch.jobs().insert(id, Live::new(&job));

        let started = watch::start(&mut start, &self.watch, id);
        match started {
            Err(source) if source.kind() != io::ErrorKind::ExecutableFileBusy => {
                let reason = why_not_started(&job, &source);
                let ended = watch::not_started(id, since, reason);
                let _ = self.sender.send((ended, None));
            }
            started => {
                let watch = Arc::clone(&self.watch);
                let name = job.name.clone();
                let task = Box::new(move || {
                    let started = match started {
                        Err(_) => watch::start_when_free(&mut start, &watch, id),
                        started => started.map(Some),
                    };
                    let launch = start.launch();
                    // This also closes our copy of a traced job's standard input.
                    drop(start);
                    let mut finished = match started {
                        Ok(Some(pid)) => {
                            let launch = launch.as_deref();
                            let (mut finished, no_program) =
                                watch::see_through(pid, launch, &watch, id, since);
                            if let Some(error) = no_program {
                                let reason = why_not_started(&job, &error);
                                finished.outcome = Outcome::NotStarted(reason);
                            }
                            finished
                        }
                        Ok(None) => watch::ended_before_start(&watch, id, since),
                        Err(source) => {
                            watch::not_started(id, since, why_not_started(&job, &source))
                        }
                    };
                    if let Some(pipes) = pipes {
                        pipes.finish();
                    }
                    if let Some(watcher) = watcher {
                        add_trace(&job, &mut finished, watcher.finish());
                    }
                    finished
                });
                if let Err(error) = self.see_through(&name, task) {
                    self.watch.abandon(id);
                    return Err(error);
                }
            }
        }
        self.submitted += 1;
        self.running += 1;
        Ok(id)
    }

    fn poll(&mut self, wait: Duration) -> Vec<Finished> {
        let mut all = Vec::new();
        if let Ok(first) = self.ended.recv_timeout(wait) {
            for (finished, thread) in std::iter::once(first).chain(self.ended.try_iter()) {
                all.push(finished);
                self.free.extend(thread);
            }
        }
        let mut jobs = self.watch.jobs();
        for finished in &all {
            jobs.remove(&finished.id);
        }
        self.running -= all.len();
        all
    }

    fn cancel(&mut self, id: JobId) {
        self.watch.cancel(id);
    }

    fn running(&self) -> usize {
        self.running
    }

    fn process(&self, id: JobId) -> Option<ProcessRef> {
        self.watch.jobs().get(&id).and_then(Live::process)
    }
}

impl Drop for LocalExecutor {
    fn drop(&mut self) {
        self.watch.close();
    }
}

fn spawn_thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), ExecError> {
    thread::Builder::new()
        .name("job".into())
        .stack_size(STACK)
        .spawn(body)
        .map(drop)
        .map_err(|source| ExecError::Exhausted {
            name: name.to_owned(),
            source,
        })
}

/// Sees one job after another through, until the executor is dropped.
fn wait_for_jobs(mut task: Task, ended: &Sender<Ended>) {
    loop {
        let finished = task();
        let (thread, next) = mpsc::channel();
        // What is sent to an executor that was dropped is dropped, and the way to this thread with it.
        let _ = ended.send((finished, Some(thread)));
        let Ok(next) = next.recv() else { return };
        task = next;
    }
}

/// A job that can be started, and what goes with it.
struct Ready {
    start: Start,
    watcher: Option<Watcher>,
    pipes: Option<RedactingPipes>,
}

impl LocalExecutor {
    fn ready(&mut self, job: &Job) -> Result<Ready, ExecError> {
        let exhausted = |source| ExecError::Exhausted {
            name: job.name.clone(),
            source,
        };
        let (stdout, stderr, pipes) = outputs(job).map_err(|error| match error {
            PipeError::System(source) => exhausted(source),
            PipeError::File(source) => ExecError::Log {
                name: job.name.clone(),
                source,
            },
        })?;
        let (watcher, stdin) = match &job.tracing {
            None => (None, None),
            Some(tracing) => {
                let (watcher, stdin) = Watcher::start(tracing.scope.clone()).map_err(exhausted)?;
                (Some(watcher), Some(stdin))
            }
        };
        let start = match &job.isolation {
            Some(isolation) => {
                let env = job.env.clone();
                let launch = Launch::new(isolation, &job.argv, env, &job.dir, stdin);
                Start::Launched {
                    launch: Arc::new(launch.map_err(exhausted)?),
                    launchers: self.launchers(&isolation.launcher),
                    stdout,
                    stderr,
                }
            }
            None => {
                let mut command = plain(job, stdin);
                command.process_group(0).stdout(stdout).stderr(stderr);
                Start::Plain(command)
            }
        };
        Ok(Ready {
            start,
            watcher,
            pipes,
        })
    }

    fn launchers(&mut self, program: &Path) -> Arc<Launchers> {
        match &self.launchers {
            Some(launchers) if launchers.are_of(program) => Arc::clone(launchers),
            _ => {
                let launchers = Arc::new(Launchers::new(program.to_owned()));
                Arc::clone(self.launchers.insert(launchers))
            }
        }
    }
}

/// The command of a job without a launcher.
fn plain(job: &Job, stdin: Option<OwnedFd>) -> Command {
    let mut command = match &job.tracing {
        None => {
            let mut command = Command::new(found(&job.argv[0], &job.env));
            command.arg0(&job.argv[0]);
            command
        }
        Some(tracing) => {
            let mut command = trace::helper(&tracing.helper);
            command.arg(&job.argv[0]);
            command
        }
    };
    command
        .args(&job.argv[1..])
        .current_dir(&job.dir)
        .env_clear()
        .envs(&job.env)
        .stdin(stdin.map_or_else(Stdio::null, Stdio::from));
    command
}

/// The file of a program that the job's PATH finds. With a name alone, `std` would copy this
/// process and try each folder in the copy: half a millisecond a job.
pub(crate) fn found(program: &OsStr, env: &BTreeMap<OsString, OsString>) -> OsString {
    let is_name = !program.as_bytes().contains(&b'/');
    if let Some(path) = env.get(OsStr::new("PATH")).filter(|_| is_name) {
        for folder in std::env::split_paths(path) {
            // Relative to the job's folder, where only the job itself can look.
            if !folder.is_absolute() {
                break;
            }
            let file = folder.join(program);
            let may_run = rustix::fs::access(&file, rustix::fs::Access::EXEC_OK).is_ok();
            if may_run && fs::metadata(&file).is_ok_and(|found| found.is_file()) {
                return file.into_os_string();
            }
        }
    }
    program.to_owned()
}

/// Where the job's standard output and error go: its files, or pipes for a job with secrets.
fn outputs(job: &Job) -> Result<(OwnedFd, OwnedFd, Option<RedactingPipes>), PipeError> {
    let (out, err) = (job.stdout.as_path(), job.stderr.as_path());
    let stdout = fs::create(out)?;
    // One open file has one position; two would overwrite each other.
    let one = out == err;
    Ok(match &job.redaction {
        None if one => (stdout.try_clone()?.into(), stdout.into(), None),
        None => (stdout.into(), fs::create(err)?.into(), None),
        Some(redaction) if one => {
            let (pipes, [pipe]) = RedactingPipes::start(redaction, [(out, stdout)])?;
            (pipe.try_clone()?, pipe, Some(pipes))
        }
        Some(redaction) => {
            let files = [(out, stdout), (err, fs::create(err)?)];
            let (pipes, [stdout, stderr]) = RedactingPipes::start(redaction, files)?;
            (stdout, stderr, Some(pipes))
        }
    })
}

/// Adds the trace. A job that did not become its program, or was not seen, never ran.
fn add_trace(job: &Job, finished: &mut Finished, seen: Result<Trace, TraceError>) {
    let ended_by_itself = matches!(finished.outcome, Outcome::Exited(_) | Outcome::Signaled(_));
    match seen {
        Ok(trace) => finished.trace = Some(trace),
        Err(TraceError::NotStarted(source)) if ended_by_itself => {
            finished.outcome = Outcome::NotStarted(why_not_started(job, &source));
        }
        Err(error) if ended_by_itself => {
            finished.outcome = Outcome::NotStarted(format!("it could not be traced: {error}"));
        }
        Err(_) => {}
    }
}

/// The system says "no such file" for a missing folder, program and interpreter alike.
fn why_not_started(job: &Job, source: &io::Error) -> String {
    let program = job
        .argv
        .first()
        .map_or(OsStr::new(""), |program| program.as_os_str());
    let shown = program.to_string_lossy();
    let has_slash = shown.contains('/');
    match source.kind() {
        io::ErrorKind::NotFound if !fs::exists(&job.dir).unwrap_or(true) => {
            format!("its folder `{}` does not exist", job.dir.display())
        }
        io::ErrorKind::NotFound if !has_slash => match path_variable(&job.env) {
            Some(path) => format!("there is no program `{shown}` in PATH={path}"),
            None => format!("there is no program `{shown}`, and its environment has no PATH"),
        },
        io::ErrorKind::NotFound if fs::exists(&job.dir.join(program)).unwrap_or(false) => {
            format!("the interpreter that `{shown}` names in its first line does not exist")
        }
        io::ErrorKind::NotFound => format!("there is no program `{shown}`"),
        io::ErrorKind::PermissionDenied => {
            format!("`{shown}` may not be run: {source}")
        }
        _ => format!("`{shown}` could not be started: {source}"),
    }
}

fn path_variable(env: &BTreeMap<OsString, OsString>) -> Option<String> {
    env.get(OsStr::new("PATH"))
        .map(|path| path.to_string_lossy().into_owned())
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
