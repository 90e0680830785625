//! Several seeds of one experiment: the folder of each, and the mean and deviation over them.

mod folders;
mod sample;

pub use folders::{SeedFolder, SeedsError, folders};
pub use sample::Sample;
