//! The paper's networks and their training steps: the crate's map.
//! It must not know files, stages, epochs' schedules or where images come from.
//!
//! [`config`] says what a network is, [`network`] lays out its layers, [`parameters`] holds its numbers
//! and moves them in and out, [`native`] trains it on the CPU with bit-stable results, and [`mod@reference`] holds the readable kernels that state
//! each operation's formula and summation order, against which every fast one is tested.

pub mod config;
pub mod engine;
pub mod epoch;
mod huge;
pub mod image;
pub mod math;
pub mod model_spec;
pub mod native;
pub mod network;
pub mod parameters;
pub mod pixels;
pub mod random;
pub mod reference;
mod winograd;
