//! What every module may use: paths, spans, files, the clock.

pub mod rel_path;
pub mod span;
