//! Compares what a paper says with result tables: CEL expressions over cells give our values,
//! tolerances and intervals give verdicts.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod cells;
mod expression;
mod format;
mod functions;
mod interval;
mod record;
mod samples;
pub mod tables;
mod verdict;
mod work;

pub use cells::{Cell, Cells, Files, Matching, Missing};
pub use expression::check_expression;
pub use format::{interval_text, number_text};
pub use interval::{Estimate, LEVEL, Runs};
pub use record::{RecordError, read, write};
pub use verdict::{Judged, Verdict, judge};
