//! Runs commands: on this machine, or pretended for tests; and builds programs by cargo.
//! It must not know stages, keys, parameters or the store.

mod ask;
pub mod cargo;
pub mod fake;
mod job;
mod live;
mod local;
mod meter;
mod redact;
mod relay;
mod trace;
mod watch;

pub use crate::base::process::ProcessRef;
pub use ask::{AskError, ask};
pub use cargo::CargoError;
pub use job::{ExecError, Executor, Finished, Job, JobId, Outcome};
pub use local::LocalExecutor;
pub use redact::Secrets;
pub use relay::Redaction;
pub use trace::{
    Access, Call, HELPER_ARGUMENT, Scope, Trace, TraceError, Tracing, check as check_tracing,
};
