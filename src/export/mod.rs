//! Results in the forms of other tools, as bytes and folders.
//! It must not know the pipeline, nor how results came about: it is told.

mod archive;
mod folder;
pub mod package;
pub mod ro_crate;
pub mod tensorboard;
