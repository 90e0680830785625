//! A stage as plain data, how it runs and what it came to: the same where restage was called and where
//! only a store is known.
//!
//! It must not know pipelines, graphs or workspaces: the manifest of this crate keeps it from that. What a
//! pipeline's stage becomes here is a [`Spec`]; with its key and its inputs it is a [`Task`].

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod cards;
mod host;
mod judge;
mod keeper;
pub mod params_text;
mod spec;
mod take_in;
mod task;
mod worker;

pub use cards::Card;
pub use host::{Declared, HostEnv, OF_THIS_MACHINE};
pub use judge::{Ending, Left, Made};
pub use spec::{Given, Limits, OWN_NAME, Out, Runs, Spec, ToolQuestion};
pub use take_in::{Taken, take_in};
pub use task::{CameTo, Input, Refusal, Said, Task, read_result, result_line};
pub use worker::{Tally, WorkError, Worker, chain};
