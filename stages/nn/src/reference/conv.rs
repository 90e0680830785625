//! Convolution forward and backward; the dense layer is the case of one pixel.
//! It must not know which layer it serves.

use super::{PIXEL_BLOCK, Real, column_sums, winograd};
use crate::network::Conv;
use crate::winograd::{Down2, Down4, Map2, Method, Tile4, Up2, Up4, method};

/// The input pixel that output pixel (`y`, `x`) sees through `tap`; `None` in the padding.
fn source(conv: &Conv, y: usize, x: usize, tap: usize) -> Option<usize> {
    let place = |o: usize, k: usize| {
        (o * conv.stride + k)
            .checked_sub(conv.pad())
            .filter(|&i| i < conv.size)
    };
    Some(place(y, tap / conv.kernel)? * conv.size + place(x, tap % conv.kernel)?)
}

/// `y[p, o] = bias[o] + sum over (tap, i) of x[p + tap, i] * w[tap, i, o]`: a chain from the bias
/// (0 without one), over taps in row-major order and input channels within a tap; or by
/// Winograd's schemes where the shape suits them.
///
/// `x` is `[n, size, size, inputs]`; the result `[n, out_size, out_size, outputs]`.
pub fn forward<T: Real>(conv: &Conv, n: usize, x: &[T], w: &[T], bias: Option<&[T]>) -> Vec<T> {
    let shape = (n, conv.size, conv.inputs, conv.outputs);
    let weight = |tap, i, o| w[(tap * conv.inputs + i) * conv.outputs + o];
    match method(conv) {
        Method::Direct => direct_forward(conv, n, x, w, bias),
        Method::Tiles => winograd::convolve::<Tile4, T>(shape, x, weight, bias, None),
        Method::Map => winograd::convolve::<Map2, T>(shape, x, weight, bias, None),
        Method::Halving4 => winograd::convolve::<Down4, T>(shape, x, weight, bias, None),
        Method::Halving2 => winograd::convolve::<Down2, T>(shape, x, weight, bias, None),
    }
}

/// [`forward`] tap by tap, for any shape.
pub(crate) fn direct_forward<T: Real>(
    conv: &Conv,
    n: usize,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
) -> Vec<T> {
    let out = conv.out_size();
    let mut result = Vec::with_capacity(n * out * out * conv.outputs);
    for pixel in 0..n * out * out {
        let (image, y, column) = (pixel / (out * out), pixel / out % out, pixel % out);
        for o in 0..conv.outputs {
            let mut acc = bias.map_or(T::default(), |b| b[o]);
            for tap in 0..conv.kernel * conv.kernel {
                let from = source(conv, y, column, tap);
                for i in 0..conv.inputs {
                    let value = from.map_or(T::default(), |p| {
                        x[(image * conv.size * conv.size + p) * conv.inputs + i]
                    });
                    acc = value.fma(w[(tap * conv.inputs + i) * conv.outputs + o], acc);
                }
            }
            result.push(acc);
        }
    }
    result
}

/// `dx[p, i] = start[p, i] + sum over (tap, o) of dy[p - tap, o] * w[tap, i, o]`: a chain from
/// `start` (0 without one), over the output pixels that see `p` in row-major order (so taps run
/// backwards) and output channels within each; or by Winograd's schemes, `start` added last.
///
/// Output rows and columns that the stride skips take no part; those outside the image do, as zeros.
pub fn input_gradient<T: Real>(
    conv: &Conv,
    n: usize,
    dy: &[T],
    w: &[T],
    start: Option<&[T]>,
) -> Vec<T> {
    let shape = (n, conv.out_size(), conv.outputs, conv.inputs);
    let turned = |tap, o, i| w[((8 - tap) * conv.inputs + i) * conv.outputs + o];
    match method(conv) {
        Method::Direct => direct_input_gradient(conv, n, dy, w, start),
        Method::Tiles => winograd::convolve::<Tile4, T>(shape, dy, turned, None, start),
        Method::Map => winograd::convolve::<Map2, T>(shape, dy, turned, None, start),
        Method::Halving4 => winograd::convolve::<Up4, T>(shape, dy, turned, None, start),
        Method::Halving2 => winograd::convolve::<Up2, T>(shape, dy, turned, None, start),
    }
}

/// [`input_gradient`] tap by tap, for any shape.
pub(crate) fn direct_input_gradient<T: Real>(
    conv: &Conv,
    n: usize,
    dy: &[T],
    w: &[T],
    start: Option<&[T]>,
) -> Vec<T> {
    let (size, out) = (conv.size, conv.out_size());
    let mut result = Vec::with_capacity(n * size * size * conv.inputs);
    // The output row that sees input row `p` through kernel row `k`, or the zero row outside.
    let place = |p: usize, k: usize| -> Option<Option<usize>> {
        let shifted = p + conv.pad();
        match shifted.checked_sub(k) {
            Some(s) => s
                .is_multiple_of(conv.stride)
                .then(|| Some(s / conv.stride).filter(|&o| o < out)),
            None => ((k - shifted).is_multiple_of(conv.stride)).then_some(None),
        }
    };
    for pixel in 0..n * size * size {
        let (image, y, x) = (pixel / (size * size), pixel / size % size, pixel % size);
        for i in 0..conv.inputs {
            let mut acc = start.map_or(T::default(), |s| s[pixel * conv.inputs + i]);
            for tap in (0..conv.kernel * conv.kernel).rev() {
                let (Some(row), Some(column)) =
                    (place(y, tap / conv.kernel), place(x, tap % conv.kernel))
                else {
                    continue;
                };
                for o in 0..conv.outputs {
                    let value = row.zip(column).map_or(T::default(), |(r, c)| {
                        dy[((image * out + r) * out + c) * conv.outputs + o]
                    });
                    acc = value.fma(w[(tap * conv.inputs + i) * conv.outputs + o], acc);
                }
            }
            result.push(acc);
        }
    }
    result
}

/// `dw[tap, i, o] = sum over output pixels p of x[p + tap, i] * dy[p, o]`: a blocked chain over
/// all output pixels of all images in order; or by Winograd's schemes, in segments of tiles.
pub fn weight_gradient<T: Real>(conv: &Conv, n: usize, x: &[T], dy: &[T]) -> Vec<T> {
    match method(conv) {
        Method::Direct => direct_weight_gradient(conv, n, x, dy),
        Method::Tiles => winograd::weight_gradient::<Tile4, T>(conv, n, x, dy),
        Method::Map => winograd::weight_gradient::<Map2, T>(conv, n, x, dy),
        Method::Halving4 => winograd::weight_gradient::<Down4, T>(conv, n, x, dy),
        Method::Halving2 => winograd::weight_gradient::<Down2, T>(conv, n, x, dy),
    }
}

/// [`weight_gradient`] tap by tap, for any shape.
pub(crate) fn direct_weight_gradient<T: Real>(conv: &Conv, n: usize, x: &[T], dy: &[T]) -> Vec<T> {
    let out = conv.out_size();
    let pixels = n * out * out;
    let mut result = Vec::with_capacity(conv.weight.len);
    for index in 0..conv.kernel * conv.kernel * conv.inputs * conv.outputs {
        let (tap, i, o) = (
            index / (conv.inputs * conv.outputs),
            index / conv.outputs % conv.inputs,
            index % conv.outputs,
        );
        let block = |start: usize| {
            (start..pixels.min(start + PIXEL_BLOCK)).fold(T::default(), |acc, p| {
                let value = source(conv, p / out % out, p % out, tap).map_or(T::default(), |s| {
                    x[(p / (out * out) * conv.size * conv.size + s) * conv.inputs + i]
                });
                value.fma(dy[p * conv.outputs + o], acc)
            })
        };
        let first = block(0);
        result.push(
            (PIXEL_BLOCK..pixels)
                .step_by(PIXEL_BLOCK)
                .fold(first, |acc, start| acc + block(start)),
        );
    }
    result
}

/// `db[o] = sum of dy[p, o]` over all output pixels: a column sum.
pub fn bias_gradient<T: Real>(outputs: usize, dy: &[T]) -> Vec<T> {
    let sums = column_sums(dy.len() / outputs, outputs, |acc: T, p, o| {
        acc + dy[p * outputs + o]
    });
    sums.into_iter().map(T::from_f64).collect()
}
