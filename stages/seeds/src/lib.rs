//! Several seeds of one experiment: where each one's results lie, and what they say together.
//! It must not know what was measured, nor how it is shown.

mod folders;
mod sample;

pub use folders::{SeedFolder, SeedsError, folders};
pub use sample::Sample;
