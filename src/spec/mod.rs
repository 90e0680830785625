//! `pipeline.yaml`, from text to a validated pipeline.

mod pipeline;

pub use pipeline::*;
