//! What every module may use: paths, spans, files, processes, the clock. Nothing here knows what a
//! stage is.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

pub mod clock;
pub mod digest;
pub mod fault;
pub mod files;
pub mod fs;
pub mod glob;
pub mod ignored;
pub mod memory;
pub mod process;
pub mod rel_path;
pub mod span;
pub mod stack;
pub mod suggest;
pub mod whereabouts;
