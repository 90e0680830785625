//! A second training engine, on dfdx's tensors and its tape: the crate's map.
//! It must not know files, stages, epochs' schedules or the native engine's kernels.
//!
//! It checks `nn::native`: every formula is written again in dfdx's own operations, and gradients
//! come from its tape. From `nn` it takes only configuration, layers' names and places, random
//! streams, first weights and the form of an exported state. dfdx's own convolution and pooling
//! do not compile on stable Rust; [`Gather`] is what both are made of.

mod adam;
mod engine;
mod gather;
mod network;
mod operations;
mod rows;
mod vectors;

pub use engine::{BuildError, DfdxEngine};
pub use gather::Gather;
