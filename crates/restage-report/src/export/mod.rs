//! Results in the formats of other tools, as bytes and folders.
//! It must not know the pipeline or the store: callers pass plain data.

mod archive;
mod folder;
pub mod package;
mod replace;
pub mod ro_crate;
pub mod tensorboard;

pub use replace::PackageError;
