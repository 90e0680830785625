//! What the `train` and `gradients` stages share: the crate's map.
//! It must not know epochs, schedules or results.

pub mod device;
pub mod engine;
pub mod fit;
pub mod models;
pub mod weights;
