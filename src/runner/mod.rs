//! What runs, why, in which order, and what becomes of it; reports by events, never prints.
//!
//! [`plan()`] says what is stale without touching anything, [`run()`] does it.

mod against;
mod attempt;
mod audit;
mod cards;
mod completion;
mod dispatch;
mod error;
mod estimate;
mod event;
mod facts;
mod flusher;
mod host;
pub mod lineage;
#[cfg(test)]
mod order_tests;
mod params_text;
mod pipeline_lock;
mod plan;
#[cfg(test)]
mod plan_tests;
mod preflight;
mod programs;
mod progress;
mod scheduler;
mod secrets;
mod standstill;
mod tokens;
mod tools;
mod upkeep;
mod verify;
mod workspace;

pub use against::{Difference, Verdict};
pub use audit::Audit;
pub use cards::Card;
pub use error::RunError;
pub use estimate::{Estimate, estimate};
pub use event::{Access, Audited, Event, Failure, Observer, StageOutcome, Summary, Undeclared};
pub use facts::{Facts, FactsError};
pub use host::HostEnv;
pub use plan::{Decision, Plan, Planned, Reason, plan};
pub use progress::{Metric, Progress, StageEvent};
pub use scheduler::{RunOptions, run};
pub use standstill::{Request, keep_standstill, standstill};
pub use tokens::Capacity;
pub use upkeep::{Outlook, Wanted, outlook, wanted};
pub use verify::{Verification, Verified, VerifiedOut};
pub use workspace::Workspace;
