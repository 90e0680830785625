//! Sees which files a process and its children ask the kernel for, without root.
//!
//! A traced process starts as a *helper*, which is this program itself: [`enter`] sets up
//! the kernel's seccomp user notification, sends its other end through standard input, and
//! becomes the program. From then on each call that names a file waits until [`watch`] has
//! looked at it and let the kernel continue. Static binaries and children are seen like all
//! others. Only `io_uring` is refused, because its file calls could not be seen: programs then
//! do without it.
//!
//! Not seen: changes of permissions and times, files that were open before or are passed on by
//! a socket, and calls for another architecture (those are counted). A traced program gains no
//! privileges by set-user-id programs such as `sudo`.

use std::io;
use std::path::PathBuf;

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod linux;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub use linux::{enter, exec_when_free, watch};

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod elsewhere;
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
pub use elsewhere::{enter, exec_when_free, watch};

/// What a call does with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// A file's bytes.
    Read,
    /// The names in a folder.
    List,
    /// Whether there is a file, and its length and times.
    Look,
    /// Creating, changing, renaming or removing it.
    Write,
    /// Running it.
    Run,
}

/// A path and what was done with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access {
    /// Absolute, symbolic links resolved as far as the path exists.
    pub path: PathBuf,
    /// What was done.
    pub call: Call,
    /// There was nothing at the path.
    pub absent: bool,
}

/// What a process and its children asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// Each access once, in the order in which it was first asked for.
    pub accesses: Vec<Access>,
    /// Calls whose path could not be read, or that were too many to record.
    pub unseen: u64,
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// This system cannot trace.
    #[error("only Linux on x86-64 and arm64 can trace a process's files")]
    System,
    /// The kernel or a sandbox around us does not allow it.
    #[error("the system refuses seccomp user notification ({0})")]
    Refused(#[source] io::Error),
    /// The program could not be started.
    #[error("the program could not be started")]
    NotStarted(#[source] io::Error),
    /// The helper ended before it sent anything.
    #[error("the helper ended before the program started")]
    Lost,
}
