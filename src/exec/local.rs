//! Runs jobs as processes of this machine, each in its own process group.
//! It must not know stages, or how many jobs should run at once.

use std::time::Duration;

use crate::exec::job::{ExecError, Executor, Finished, Job, JobId};
use crate::exec::process::ProcessRef;

/// Runs jobs on this machine.
#[derive(Debug, Default)]
pub struct LocalExecutor {}

impl LocalExecutor {
    /// An executor with nothing running.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Executor for LocalExecutor {
    fn submit(&mut self, job: Job) -> Result<JobId, ExecError> {
        Err(ExecError::EmptyCommand { name: job.name })
    }

    fn poll(&mut self, wait: Duration) -> Vec<Finished> {
        let _ = wait;
        Vec::new()
    }

    fn cancel(&mut self, id: JobId) {
        let _ = id;
    }

    fn running(&self) -> usize {
        0
    }

    fn process(&self, id: JobId) -> Option<ProcessRef> {
        let _ = id;
        None
    }
}
