//! How a job's first process is started: as a child, or by a launcher.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use restage_core::fault;
use restage_isolation::{Launch, Launchers};

/// How a job's first process is started.
pub(crate) enum Start {
    /// As a child.
    Plain(Command),
    /// By a launcher.
    Launched {
        launch: Arc<Launch>,
        launchers: Arc<Launchers>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
}

impl Start {
    pub(crate) fn launch(&self) -> Option<Arc<Launch>> {
        match self {
            Self::Plain(_) => None,
            Self::Launched { launch, .. } => Some(Arc::clone(launch)),
        }
    }

    /// Starts it; returns its process id.
    pub(crate) fn go(&mut self) -> io::Result<u32> {
        match self {
            Self::Plain(command) => {
                fault::point("start", Path::new(command.get_program()))?;
                Ok(command.spawn()?.id())
            }
            Self::Launched {
                launch,
                launchers,
                stdout,
                stderr,
            } => {
                fault::point("start", Path::new("launcher"))?;
                launch.start(launchers, stdout.as_fd(), stderr.as_fd())
            }
        }
    }
}
