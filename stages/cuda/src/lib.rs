//! The paper's networks on NVIDIA GPUs: the crate's map.
//! It must not know files, stages, epochs' schedules or where images come from.
//!
//! [`gpu`] says what a GPU does, [`driver`] is one behind NVIDIA's driver; [`mod@array`] and
//! [`operations`] are memory and the kernels on it; [`engine`] puts a network's step together.
//! The kernels themselves are CUDA C++ below `kernels`.

pub mod array;
pub mod driver;
pub mod engine;
pub mod gpu;
pub mod kernels;
pub mod operations;
