//! Compares what a paper says with result tables: CEL expressions over cells give our values,
//! tolerances and intervals give verdicts.

mod cells;
mod expression;
mod format;
mod functions;
mod interval;
mod record;
mod samples;
mod verdict;

pub use cells::{Cells, Files};
pub use expression::check_expression;
pub use format::{interval_text, number_text};
pub use interval::{Estimate, LEVEL, Runs};
pub use record::{RecordError, read, write};
pub use verdict::{Judged, Verdict, judge};
