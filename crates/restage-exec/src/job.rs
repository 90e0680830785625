//! Jobs, how they end, and the trait of what runs them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::redacting_pipe::Redaction;
use crate::trace::{Trace, Tracing};
use restage_core::fs::FsError;
use restage_core::process::ProcessRef;
use restage_isolation::Isolation;

/// Runs jobs, several at once, without ever blocking its caller for longer than asked.
///
/// How a job ended is a value ([`Outcome`]); an [`ExecError`] means that the executor itself failed.
pub trait Executor {
    /// Starts a job. The caller decides how many run at once.
    ///
    /// A program that cannot be started is not an error here: it ends as [`Outcome::NotStarted`].
    fn submit(&mut self, job: Job) -> Result<JobId, ExecError>;

    /// Waits until a job has finished, at most `wait`, and returns all that have, in the order in
    /// which they did. Each submitted job is reported exactly once.
    fn poll(&mut self, wait: Duration) -> Vec<Finished>;

    /// Asks a job to stop: TERM now, KILL after its grace period. Its end is reported by
    /// [`Executor::poll`]. Does nothing to a job that has ended or is unknown.
    fn cancel(&mut self, id: JobId);

    /// Jobs submitted and not yet reported by [`Executor::poll`].
    fn running(&self) -> usize;

    /// The process of a job that has not been reported yet, if there is one.
    fn process(&self, id: JobId) -> Option<ProcessRef>;
}

/// Names a job within its executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// For people and messages; need not be unique.
    pub name: String,
    /// The program and its arguments. A program without `/` is looked up in `env`'s `PATH`;
    /// a relative one with `/` is relative to `dir`.
    pub argv: Vec<OsString>,
    /// Where it starts; must exist. With a [`View`](restage_isolation::View) that is where the view
    /// stands instead.
    pub dir: PathBuf,
    /// How it is kept apart. `None`: it is a plain process, and only what stays in its process group
    /// ends with it.
    pub isolation: Option<Isolation>,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<OsString, OsString>,
    /// File that takes its standard output; created or emptied.
    pub stdout: PathBuf,
    /// File that takes its standard error; may be the same as `stdout`.
    pub stderr: PathBuf,
    /// Wall time after which it is stopped.
    pub timeout: Option<Duration>,
    /// Bytes of memory that its processes may hold in total; it is stopped if they hold more.
    /// Measured a few times a second, like [`Finished::peak_memory`].
    pub memory: Option<u64>,
    /// Time between TERM and KILL.
    pub grace: Duration,
    /// Whether and how its file accesses are traced.
    pub tracing: Option<Tracing>,
    /// What to hide in its output; if set, it writes to pipes instead of its files.
    pub redaction: Option<Redaction>,
}

/// How a job ended, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The job.
    pub id: JobId,
    /// How it ended.
    pub outcome: Outcome,
    /// Wall time from start to end, in seconds.
    pub seconds: f64,
    /// Peak memory in bytes, if the system reports it: the larger of two figures. One is the most
    /// that its processes were seen to hold in total, sampled a few times a second, with shared
    /// pages counted once and mapped files not at all. The other is the kernel's: the largest
    /// resident set of the first process or of a child that it waited for, which misses nothing in
    /// between. It includes what the caller held when it started the job, so small numbers are an
    /// upper bound.
    pub peak_memory: Option<u64>,
    /// Processes were still running after the first one had ended; they were ended.
    pub leftovers: bool,
    /// The files that it asked for, if that was traced.
    pub trace: Option<Trace>,
}

/// How a job ended. These are values, not errors: the caller decides what they mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal, which was not sent by us.
    Signaled(i32),
    /// Stopped because its time was over.
    TimedOut,
    /// Stopped because its processes held this many bytes, more than [`Job::memory`].
    OverMemory(u64),
    /// Stopped because [`Executor::cancel`] was called.
    Cancelled,
    /// Never ran (the program is missing, not executable, or similar), or the system did not
    /// report how it ended; the reason.
    NotStarted(String),
}

impl Outcome {
    /// Whether it exited with 0.
    pub fn is_success(&self) -> bool {
        *self == Outcome::Exited(0)
    }
}

/// Why an executor failed.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// There is no program to run.
    #[error("job `{name}` has an empty command")]
    EmptyCommand {
        /// The job's name.
        name: String,
    },
    /// A log file could not be created.
    #[error("cannot create a log of job `{name}`")]
    Log {
        /// The job's name.
        name: String,
        /// Why.
        source: FsError,
    },
    /// The system gave us no thread to watch the job with, or no file handle.
    #[error("cannot watch job `{name}`: the system is out of threads or file handles")]
    Exhausted {
        /// The job's name.
        name: String,
        /// Why.
        source: io::Error,
    },
}

impl ExecError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::EmptyCommand { .. } => Some("give the stage a program or a command"),
            Self::Log { source, .. } => source.hint(),
            Self::Exhausted { .. } => {
                Some("run fewer jobs at once (`-j`), or raise `ulimit -u` and `ulimit -n`")
            }
        }
    }
}
