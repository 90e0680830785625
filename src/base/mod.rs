//! What every module may use: paths, spans, files, processes, the clock. Nothing here knows what a
//! stage is.

pub mod clock;
pub mod fault;
pub mod files;
pub mod fs;
pub mod glob;
pub(crate) mod memory;
pub mod process;
pub mod rel_path;
pub mod span;
pub mod stack;
