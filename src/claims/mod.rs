//! Holds what a paper says against result tables, and verdicts against committed ones.
//! It must not know how verdicts are shown, nor how results came about.

mod interval;
mod record;
mod source;
mod verdict;

pub use interval::{Estimate, LEVEL, Runs};
pub use record::{RecordError, read, write};
pub use source::Files;
pub use verdict::{Judged, Verdict, judge, shown, shown_within};
