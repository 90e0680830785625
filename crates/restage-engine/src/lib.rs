//! What runs, why, in which order, and how it ends. Reports events, never prints.
//!
//! [`plan()`] says what is stale without changing anything, [`run()`] brings it up to date.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod accept;
mod adopt;
mod attempt;
mod audit;
mod bad_inputs;
mod baseline;
mod container;
mod copied_params;
mod data;
mod data_error;
mod dispatch;
mod elsewhere;
mod environment_builds;
mod environment_kinds;
mod environment_states;
mod environments;
mod error;
mod estimate;
mod event;
mod facts;
mod flusher;
mod former;
mod gate;
pub mod git;
mod hand_over;
mod host;
mod in_folders;
mod inputs;
mod isolation;
mod kept;
mod lacks;
pub mod lineage;
mod local;
mod maintenance;
mod noop;
mod notebook;
mod obstacle;
mod one_place;
#[cfg(test)]
mod order_tests;
mod patterns;
mod pipeline_lock;
mod plan;
#[cfg(test)]
mod plan_tests;
mod preflight;
mod programs;
mod progress;
mod publish;
mod reason;
mod results;
mod said;
mod scheduler;
mod secrets;
mod shared_inputs;
mod spec;
mod standing;
mod stands;
mod store_place;
mod tokens;
mod tools;
mod unkeyed;
mod verify;
mod view;
mod workspace;

pub use adopt::{AdoptError, Adopted, Word, adopt};
pub use audit::Audit;
pub use baseline::{Difference, Verdict};
pub use copied_params::edited_since_copied;
pub use data::DataNow;
pub use data_error::{DataError, Difference as DataDifference};
pub use elsewhere::{Elsewhere, Known, bring, know};
pub use environment_states::{EnvironmentState, environments};
pub use environments::Unnamed;
pub use error::RunError;
pub use estimate::{Estimate, estimate};
pub use event::{Access, Audited, Event, Failure, Observer, StageOutcome, Summary, Undeclared};
pub use facts::{Facts, FactsError, InFolder};
pub use former::{FormerOut, PassedOver, clean, former_outs};
pub use spec::FETCH_ARGUMENT;

pub use hand_over::{CantMove, HandedOver, hand_over};
pub use in_folders::{InFolder as FileInFolder, in_folders};
pub use lacks::{BROKEN_PIPE, HAD_MORE_TO_SAY};
pub use local::unknown_local_data;
pub use maintenance::{LiveKeys, NextRun, live_keys, next_run};
pub use noop::{NoopRequest, UpToDate, nothing_to_do, remember_noop};
pub use patterns::Patterns;
pub use plan::{Decision, Gone, Lack, Obstacle, Plan, Planned, Reason, Unreadable, plan};
pub use progress::{Metric, Progress, StageEvent};
pub use restage_worker::{Card, HostEnv};
pub use scheduler::{FromElsewhere, Results, RunOptions, run};
pub use standing::{Foreigners, check as check_places};
pub use stands::{Gate, Stands};
pub use store_place::check_store;
pub use tokens::Capacity;
pub use verify::{LeftOut, Verification, Verified, VerifiedOut};
pub use workspace::Workspace;
