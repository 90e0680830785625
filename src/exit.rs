//! Exit codes: the one place that knows their numbers.

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// A stage failed.
    StageFailed = 1,
    /// The pipeline or the command line is wrong.
    Usage = 2,
    /// Stale, different or not met: the answer of a command that checks.
    Different = 3,
    /// The machine failed: files, memory, processes.
    Machine = 4,
    /// A bug in restage.
    Bug = 70,
    /// The user stopped it.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
