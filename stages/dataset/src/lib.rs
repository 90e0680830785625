//! Labelled 32x32 RGB images: in memory, in the stages' own file, in CIFAR-10's batches.
//! It knows nothing of networks, and nothing of where images come from.

pub mod cifar;
mod error;
mod file;
pub mod random;
mod source;
mod split;
mod stats;

pub use error::{DatasetError, Problem};
pub use file::Dataset;
pub use source::{Source, SourceError};
pub use split::{CHANNELS, HEIGHT, IMAGE_BYTES, Split, WIDTH};
pub use stats::ChannelStats;
