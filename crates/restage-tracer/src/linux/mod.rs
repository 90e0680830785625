//! Tracing by seccomp user notification (Linux 5.5 or later).

mod calls;
mod filter;
mod helper;
mod notify;
mod paths;
mod watch;

pub use helper::{enter, exec_when_free};
pub use watch::watch;
