//! Convolutions and dense layers.
//! It must not know what precedes or follows them.

use nn::network::Conv;

use super::{Operations, TILE, extent, holds, row_chunks};
use crate::array::View;
use crate::gpu::{Argument, ConvShape, Gpu, GpuError};

/// Output pixels that a chunk of a weight gradient has at least, and blocks that there should be.
const PIXELS: usize = 256;
const WANTED_BLOCKS: usize = 264;
/// A chunk's pixels are a multiple of this, see `kernels/conv.cu`.
const GRAIN: usize = 32;

fn shape(conv: &Conv, n: usize) -> Argument {
    let int = |extent: usize| i32::try_from(extent).expect("an extent below 2^31");
    Argument::Shape(ConvShape {
        n: int(n),
        size: int(conv.size),
        inputs: int(conv.inputs),
        out_size: int(conv.out_size()),
        outputs: int(conv.outputs),
        kernel: int(conv.kernel),
        stride: int(conv.stride),
    })
}

fn tiles(rows: usize, columns: usize, chunks: usize) -> [u32; 3] {
    [
        extent(rows.div_ceil(TILE)),
        extent(columns.div_ceil(TILE)),
        extent(chunks),
    ]
}

/// In how many chunks of output pixels a weight gradient is summed.
#[must_use]
pub(crate) fn weight_chunks(conv: &Conv, n: usize) -> usize {
    let pixels = n * conv.out_size().pow(2);
    let [rows, columns, _] = tiles(conv.kernel.pow(2) * conv.inputs, conv.outputs, 1);
    let wanted = WANTED_BLOCKS.div_ceil((rows * columns) as usize);
    let chunks = wanted.min(pixels.div_ceil(PIXELS)).max(1);
    // Rounded up to the grain, the last chunks would have nothing to do.
    let per = pixels.div_ceil(chunks).next_multiple_of(GRAIN);
    pixels.div_ceil(per)
}

/// Numbers of scratch that the operations of a convolution need.
#[must_use]
pub(crate) fn scratch_len(conv: &Conv, n: usize) -> usize {
    let parts = weight_chunks(conv, n) * conv.weight.len;
    // Batch norm's parts are three numbers of each channel.
    parts.max(3 * row_chunks(n * conv.out_size().pow(2)) * conv.outputs)
}

impl<G: Gpu> Operations<'_, G> {
    fn product(&self, name: &str, grid: [u32; 3], arguments: &[Argument]) -> Result<(), GpuError> {
        let kernel = format!("{name}_{}", self.precision.name());
        self.run(&kernel, grid, [256, 1, 1], arguments)
    }

    /// `y`: `[n, out_size, out_size, outputs]`.
    pub fn conv_forward(
        &self,
        conv: &Conv,
        n: usize,
        x: View<'_, f32>,
        w: View<'_, f32>,
        bias: Option<View<'_, f32>>,
        y: View<'_, f32>,
    ) -> Result<(), GpuError> {
        let rows = n * conv.out_size().pow(2);
        holds(x, n * conv.size.pow(2) * conv.inputs);
        holds(w, conv.weight.len);
        holds(y, rows * conv.outputs);
        if let Some(bias) = bias {
            holds(bias, conv.outputs);
        }
        let grid = tiles(rows, conv.outputs, 1);
        let arguments = [shape(conv, n), x.into(), w.into(), bias.into(), y.into()];
        self.product("conv_forward", grid, &arguments)
    }

    /// `dx`: `[n, size, size, inputs]`; added to what it holds if `carry`.
    pub fn conv_input_gradient(
        &self,
        conv: &Conv,
        n: usize,
        dy: View<'_, f32>,
        w: View<'_, f32>,
        dx: View<'_, f32>,
        carry: bool,
    ) -> Result<(), GpuError> {
        let rows = n * conv.size.pow(2);
        holds(dy, n * conv.out_size().pow(2) * conv.outputs);
        holds(w, conv.weight.len);
        holds(dx, rows * conv.inputs);
        let grid = tiles(rows, conv.inputs, 1);
        let carry = Argument::Int(carry.into());
        let arguments = [shape(conv, n), dy.into(), w.into(), dx.into(), carry];
        self.product("conv_input_gradient", grid, &arguments)
    }

    /// `dw`: as the weights lie.
    pub fn conv_weight_gradient(
        &self,
        conv: &Conv,
        n: usize,
        x: View<'_, f32>,
        dy: View<'_, f32>,
        dw: View<'_, f32>,
    ) -> Result<(), GpuError> {
        let (rows, len) = (conv.kernel.pow(2) * conv.inputs, conv.weight.len);
        holds(x, n * conv.size.pow(2) * conv.inputs);
        holds(dy, n * conv.out_size().pow(2) * conv.outputs);
        holds(dw, len);
        let chunks = weight_chunks(conv, n);
        let to = if chunks == 1 {
            dw
        } else {
            self.partial(chunks * len)
        };
        let grid = tiles(rows, conv.outputs, chunks);
        let arguments = [
            shape(conv, n),
            x.into(),
            dy.into(),
            chunks.into(),
            to.into(),
        ];
        self.product("conv_weight_gradient", grid, &arguments)?;
        if chunks == 1 {
            return Ok(());
        }
        let arguments = [to.into(), chunks.into(), len.into(), dw.into()];
        self.over("sum_chunks", len, &arguments)
    }

    /// `db`: the sum of `dy`, `[rows, channels]`, over its rows.
    pub fn bias_gradient(
        &self,
        rows: usize,
        channels: usize,
        dy: View<'_, f32>,
        db: View<'_, f32>,
    ) -> Result<(), GpuError> {
        holds(dy, rows * channels);
        holds(db, channels);
        let chunks = row_chunks(rows);
        let partial = self.partial(chunks * channels);
        let arguments = [
            dy.into(),
            rows.into(),
            channels.into(),
            chunks.into(),
            partial.into(),
        ];
        self.columns("column_sums", chunks, channels, &arguments)?;
        let arguments = [partial.into(), chunks.into(), channels.into(), db.into()];
        self.over("sum_chunks", channels, &arguments)
    }
}
