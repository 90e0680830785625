//! The CPU engine: fast kernels whose bits depend on neither threads nor instruction set.
//! It must not know files, schedules or augmentation.
//!
//! Each kernel follows the summation order that its counterpart in [`crate::reference`] states,
//! vectorised across outputs and cut into tasks that own outputs.

mod adam;
mod backward;
mod batch_norm;
mod column_sums;
#[cfg(test)]
mod conformance;
mod conv;
mod direct;
mod engine;
mod evaluate;
mod finite;
mod forward;
mod groups;
mod im2col;
mod isa;
mod memory;
mod moments;
mod non_finite;
mod norm_gradient;
mod norm_pool;
mod partial_sums;
mod pool;
mod product;
#[cfg(test)]
mod rounding;
mod simd;
mod threads;
mod tile;
mod times;
mod weight_init;
mod winograd;
mod workspace;

pub use engine::{NativeEngine, NativeOptions};
pub use isa::{Isa, IsaError};
pub use times::LayerTime;

/// What every kernel needs to run.
pub(crate) struct Context {
    pub(crate) threads: threads::Threads,
    pub(crate) isa: isa::Checked,
}
