//! Jobs whose file accesses are traced: how they are started and watched.
//!
//! A traced job starts as this very program, which becomes the job's program once the kernel
//! reports its calls; see the crate `tracer`.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

pub use restage_tracer::{Access, Call, Trace, TraceError};

use restage_core::fs;

/// The first argument of a process that will become a traced job.
pub const HELPER_ARGUMENT: &str = "__traced";

/// How a job is traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracing {
    /// A program that calls [`restage_tracer::enter`] with what follows [`HELPER_ARGUMENT`].
    pub helper: PathBuf,
    /// Which paths are recorded.
    pub scope: Scope,
}

/// Folders to record or to skip: the innermost folder of a path decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(Vec<(PathBuf, bool)>);

impl Scope {
    /// Records paths in the folder, or skips them. A later call for the same folder replaces an
    /// earlier one. Links in the folder's path are resolved.
    pub fn set(&mut self, folder: &Path, noted: bool) {
        let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        self.0.retain(|(known, _)| *known != real);
        self.0.push((real, noted));
    }

    /// Whether the path is recorded; paths in none of the folders are not.
    pub fn covers(&self, path: &Path) -> bool {
        let holding = self.0.iter().filter(|(folder, _)| path.starts_with(folder));
        holding
            .max_by_key(|(folder, _)| folder.components().count())
            .is_some_and(|(_, noted)| *noted)
    }
}

/// A thread that watches one job.
pub(crate) struct Watcher {
    thread: JoinHandle<Result<Trace, TraceError>>,
    stop: Arc<AtomicBool>,
}

impl Watcher {
    /// Starts to watch. The descriptor is the helper's standard input; once all copies of it are
    /// closed, there is no process to watch.
    pub(crate) fn start(scope: Scope) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("trace".into())
            .spawn(move || restage_tracer::watch(ours, &|path| scope.covers(path), &asked))?;
        Ok((Self { thread, stop }, theirs.into()))
    }

    /// What was seen. The job must have ended.
    pub(crate) fn finish(self) -> Result<Trace, TraceError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or(Err(TraceError::Lost))
    }
}

/// The command that becomes the traced program.
pub(crate) fn helper(helper: &Path) -> Command {
    let mut command = Command::new(helper);
    command.arg(HELPER_ARGUMENT);
    command
}

/// Traces a run of `helper` itself, to see whether this system allows it.
pub fn check(helper_path: &Path) -> Result<(), TraceError> {
    let mut scope = Scope::default();
    scope.set(Path::new("/"), true);
    let (watcher, stdin) = Watcher::start(scope).map_err(TraceError::Refused)?;
    let mut command = helper(helper_path);
    command
        .arg(helper_path)
        .arg("--version")
        .env_clear()
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status();
    drop(command);
    let trace = watcher.finish()?;
    let ran = trace.accesses.iter().any(|access| access.call == Call::Run);
    match status {
        Ok(status) if status.success() && ran => Ok(()),
        Ok(_) => Err(TraceError::Lost),
        Err(error) => Err(TraceError::NotStarted(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_folder_decides() {
        let mut scope = Scope::default();
        for (folder, noted) in [("/", true), ("/nowhere", false), ("/nowhere/a/b", true)] {
            scope.set(Path::new(folder), noted);
        }
        let covers = |path: &str| scope.covers(Path::new(path));
        assert!(covers("/x") && covers("/nowhere/a/b/c") && covers("/nowhere/a/b"));
        assert!(!covers("/nowhere/a") && !covers("/nowhere/a/bc"));
        scope.set(Path::new("/nowhere"), true);
        assert!(scope.covers(Path::new("/nowhere/a")));
        assert!(!Scope::default().covers(Path::new("/x")));
    }
}
