//! Results in the forms of other tools, as bytes and folders.
//! It must not know the pipeline, nor how results came about: it is told.

mod archive;
mod folder;
pub mod package;
mod replace;
pub mod ro_crate;
pub mod tensorboard;

pub use replace::PackageError;
