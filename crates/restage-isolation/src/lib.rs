//! A place of its own for a process: which files it sees, which processes end with it, whether it
//! has a network (docs/adr/0017). It must not know stages, keys or the store.
//!
//! Four processes take part. The *caller* starts its own program again as the *server*, because a
//! fork of the caller would cost as much as the caller is large. The server, which has one thread, forks a
//! *launcher* for each command. The launcher makes the namespaces and in them the *first process*,
//! which places the files, starts the command and reaps. One socket between caller and launcher carries
//! the plan and orders one way and reports the other; when it closes, the caller is dead, and all that
//! it started ends.
//!
//! Where namespaces are refused, launcher and first process are subreapers: orphans come to them,
//! so that everything that descends from the command can be found and ended.

// Tests may touch the disk directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod caller;
#[cfg(target_os = "linux")]
mod first;
#[cfg(target_os = "linux")]
mod launcher;
#[cfg(target_os = "linux")]
mod namespaces;
mod plan;
mod probe;
mod reap;
mod server;
#[cfg(target_os = "linux")]
mod system;

pub use caller::{Ending, Launch, Order};
#[cfg(target_os = "linux")]
pub use launcher::launch;
pub use plan::{Bind, Isolation, LAUNCHER_ARGUMENT, Network, Processes, View};
pub use probe::{Allowed, Refusal, probe};
pub use reap::{Reaped, reap};
pub use server::Launchers;

/// Stops this process as the terminal's Ctrl-Z does, and returns when it goes on.
pub fn stop_this_process() {
    #[cfg(target_os = "linux")]
    system::stop_this_process();
}

/// Always fails: only Linux has namespaces and subreapers.
#[cfg(not(target_os = "linux"))]
pub fn launch() -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
