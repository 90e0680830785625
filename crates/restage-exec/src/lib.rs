//! Runs commands on this machine, as jobs or to capture their output.
//! It must not know stages, keys, parameters or the store.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod capture;
mod job;
mod live;
mod local;
mod meter;
mod redact;
mod redacting_pipe;
mod start;
mod trace;
mod watch;

pub use capture::{CaptureError, capture};
pub use job::{ExecError, Executor, Finished, Job, JobId, Outcome};
pub use local::LocalExecutor;
pub use redact::Secrets;
pub use redacting_pipe::Redaction;
pub use restage_core::process::ProcessRef;
pub use restage_isolation::{
    Allowed, Bind, Isolation, LAUNCHER_ARGUMENT, Network, Processes, Refusal, View, launch, probe,
    stop_this_process,
};
pub use trace::{
    Access, Call, HELPER_ARGUMENT, Scope, Trace, TraceError, Tracing, check as check_tracing,
};
