//! Convolution forward and backward, each shape by its method.
//! It must not know which layer it serves, nor how a method works. Orders: `reference::conv`.

use super::memory::Aligned;
use super::winograd::{self, Map, Operands, Side};
use super::{Context, column_sums, direct};
use crate::network::Conv;
use crate::winograd::{Down2, Down4, Map2, Method, Tile4, Up2, Up4, method};

/// A convolution over `n` images.
#[derive(Clone, Copy)]
pub(crate) struct Layer<'a> {
    pub(crate) conv: &'a Conv,
    pub(crate) n: usize,
}

/// `y = conv(x) + bias`; `panel` is scratch.
pub(crate) fn forward(
    context: &Context,
    layer: Layer<'_>,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    panel: &mut Aligned,
    y: &mut [f32],
) {
    let Layer { conv, n } = layer;
    let map = Map {
        n,
        size: conv.size,
        inputs: conv.inputs,
        outputs: conv.outputs,
    };
    let operands = Operands {
        side: Side::Forward,
        x,
        w,
        bias,
        carry: false,
    };
    match method(conv) {
        Method::Direct => direct::forward(context, layer, x, w, bias, panel, y),
        Method::Tiles => winograd::convolve::<Tile4>(context, map, operands, panel, y),
        Method::Map => winograd::convolve::<Map2>(context, map, operands, panel, y),
        Method::Halving4 => winograd::convolve::<Down4>(context, map, operands, panel, y),
        Method::Halving2 => winograd::convolve::<Down2>(context, map, operands, panel, y),
    }
}

/// `dx = start + conv's transpose of dy`, the start being 0 or, with `carry`, what `dx` holds;
/// `panel` is scratch.
pub(crate) fn input_gradient(
    context: &Context,
    layer: Layer<'_>,
    dy: &[f32],
    w: &[f32],
    panel: &mut Aligned,
    dx: &mut [f32],
    carry: bool,
) {
    let Layer { conv, n } = layer;
    let map = Map {
        n,
        size: conv.out_size(),
        inputs: conv.outputs,
        outputs: conv.inputs,
    };
    let operands = Operands {
        side: Side::Backward,
        x: dy,
        w,
        bias: None,
        carry,
    };
    match method(conv) {
        Method::Direct => direct::input_gradient(context, layer, dy, w, panel, dx, carry),
        Method::Tiles => winograd::convolve::<Tile4>(context, map, operands, panel, dx),
        Method::Map => winograd::convolve::<Map2>(context, map, operands, panel, dx),
        Method::Halving4 => winograd::convolve::<Up4>(context, map, operands, panel, dx),
        Method::Halving2 => winograd::convolve::<Up2>(context, map, operands, panel, dx),
    }
}

/// `dw[tap, i, o] = sum of x[p + tap, i] * dy[p, o]`; `panel` is scratch.
pub(crate) fn weight_gradient(
    context: &Context,
    layer: Layer<'_>,
    x: &[f32],
    dy: &[f32],
    panel: &mut Aligned,
    dw: &mut [f32],
) {
    let Layer { conv, n } = layer;
    let map = Map {
        n,
        size: conv.size,
        inputs: conv.inputs,
        outputs: conv.outputs,
    };
    match method(conv) {
        Method::Direct => direct::weight_gradient(context, layer, x, dy, panel, dw),
        Method::Tiles => winograd::weight_gradient::<Tile4>(context, map, x, dy, panel, dw),
        Method::Map => winograd::weight_gradient::<Map2>(context, map, x, dy, panel, dw),
        Method::Halving4 => {
            winograd::weight_gradient::<Down4>(context, map, x, dy, panel, dw);
        }
        Method::Halving2 => {
            winograd::weight_gradient::<Down2>(context, map, x, dy, panel, dw);
        }
    }
}

/// `db[o] = sum over pixels of dy[p, o]`; see `reference::conv::bias_gradient`.
pub(crate) fn bias_gradient(context: &Context, outputs: usize, dy: &[f32], db: &mut [f32]) {
    let sums = column_sums::sums(context, dy, outputs);
    for (to, sum) in db.iter_mut().zip(sums) {
        *to = sum as f32;
    }
}
