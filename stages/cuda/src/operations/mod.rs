//! The kernels as functions on arrays: how many threads run each, and what it is given.
//! It must not know networks or their order.

mod conv;
mod norm;
mod pool;
mod step;

use serde::{Deserialize, Serialize};

use crate::array::{Array, View};
use crate::gpu::{Argument, Gpu, GpuError, Launch};

pub(crate) use conv::scratch_len as conv_scratch;
pub use norm::{After, Channels, Normed};
pub use pool::{Dropout, Windows};
pub use step::{EpochOrder, Found};

/// Threads of a block where each thread takes some numbers.
const THREADS: u32 = 256;
/// More blocks than this share out no more work.
const BLOCKS: usize = 4096;
/// Rows and columns of a block of a matrix product.
const TILE: usize = 64;
/// Channels of a block of a column sum, and rows that it takes at once.
const COLUMNS: [u32; 2] = [64, 4];
/// Rows that a chunk of a column sum should have, and the most chunks there are.
const ROWS: usize = 256;
const CHUNKS: usize = 128;

/// How operands of matrix products are rounded; sums and everything else are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Not at all.
    F32,
    /// To 10 bits of mantissa, as the GPU's matrix units take f32.
    Tf32,
    /// To bfloat16: 7 bits of mantissa.
    Bf16,
}

impl Precision {
    /// As in parameters and kernels' names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Kernels on a GPU.
pub struct Operations<'g, G: Gpu> {
    gpu: &'g G,
    precision: Precision,
    scratch: &'g Scratch<G>,
}

/// Where column sums and split matrix products put their parts.
pub struct Scratch<G: Gpu> {
    partial: Array<G, f32>,
    slope: Array<G, f32>,
    level: Array<G, f32>,
}

impl<G: Gpu> Scratch<G> {
    /// Room for `partial` numbers of parts, and for two numbers of each of `channels`.
    pub fn new(gpu: &G, partial: usize, channels: usize) -> Result<Self, GpuError> {
        Ok(Self {
            partial: Array::zeros(gpu, partial)?,
            slope: Array::zeros(gpu, channels)?,
            level: Array::zeros(gpu, channels)?,
        })
    }
}

impl<'g, G: Gpu> Operations<'g, G> {
    /// Of matrix products in `precision`.
    pub fn new(gpu: &'g G, precision: Precision, scratch: &'g Scratch<G>) -> Self {
        Self {
            gpu,
            precision,
            scratch,
        }
    }

    fn run(
        &self,
        kernel: &str,
        grid: [u32; 3],
        block: [u32; 3],
        arguments: &[Argument],
    ) -> Result<(), GpuError> {
        let launch = Launch {
            kernel,
            grid,
            block,
            arguments,
        };
        // SAFETY: views borrow the arrays that they are of, which the GPU frees only behind all
        // that was launched; each operation has checked that they are as long as its kernel needs.
        unsafe { self.gpu.launch(&launch) }
    }

    /// A kernel whose threads share out `len` numbers.
    fn over(&self, kernel: &str, len: usize, arguments: &[Argument]) -> Result<(), GpuError> {
        if len == 0 {
            return Ok(());
        }
        let blocks = extent(len.div_ceil(THREADS as usize).min(BLOCKS));
        self.run(kernel, [blocks, 1, 1], [THREADS, 1, 1], arguments)
    }

    /// A kernel of column sums.
    fn columns(
        &self,
        kernel: &str,
        chunks: usize,
        channels: usize,
        arguments: &[Argument],
    ) -> Result<(), GpuError> {
        let grid = [extent(chunks), extent(channels).div_ceil(COLUMNS[0]), 1];
        self.run(kernel, grid, [COLUMNS[0], COLUMNS[1], 1], arguments)
    }

    /// Room for parts.
    fn partial(&self, len: usize) -> View<'g, f32> {
        self.scratch.partial.first(len)
    }
}

/// How many chunks `rows` are summed in; it depends on nothing else, so that sums do neither.
#[must_use]
pub fn row_chunks(rows: usize) -> usize {
    rows.div_ceil(ROWS).clamp(1, CHUNKS)
}

/// A view is as long as a kernel takes it to be.
fn holds<T>(view: View<'_, T>, len: usize) {
    assert!(view.len() >= len, "{} numbers of {len}", view.len());
}

fn extent(value: usize) -> u32 {
    u32::try_from(value).expect("an extent below 2^32")
}
