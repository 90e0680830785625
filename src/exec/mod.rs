//! Runs commands on this machine, and builds programs by cargo. A fake executor is for tests.
//! It must not know stages, keys, parameters or the store.

mod capture;
pub mod cargo;
pub mod fake;
mod job;
mod live;
mod local;
mod meter;
mod redact;
mod redacting_pipe;
mod trace;
mod watch;

pub use crate::base::process::ProcessRef;
pub use capture::{CaptureError, capture};
pub use cargo::CargoError;
pub use job::{ExecError, Executor, Finished, Job, JobId, Outcome};
pub use local::LocalExecutor;
pub use redact::Secrets;
pub use redacting_pipe::Redaction;
pub use trace::{
    Access, Call, HELPER_ARGUMENT, Scope, Trace, TraceError, Tracing, check as check_tracing,
};
