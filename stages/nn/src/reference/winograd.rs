//! 3x3 convolution of stride 1 by Winograd's schemes, tile by tile.
//! It must not know vectors, blocking or threads; the transforms are `crate::winograd`'s.
//!
//! For every tile and every product of its scheme: `v` from the inputs, `u` from the weights,
//! `m = sum over channels of v * u`, outputs from `m`. Tiles are counted row by row, image by image.

#![expect(
    clippy::needless_range_loop,
    reason = "indices name the rows and columns of several tiles at once"
)]

use super::{Real, SEGMENT};
use crate::network::Conv;
use crate::winograd::{MOST, Number, Scheme, Step, Tile, nested};

impl<T: Real> Number for T {
    fn plus(self, other: Self) -> Self {
        self + other
    }
    fn minus(self, other: Self) -> Self {
        self - other
    }
    fn times(self, factor: f64) -> Self {
        self * T::from_f64(factor)
    }
    fn times_plus(self, factor: f64, other: Self) -> Self {
        self.fma(T::from_f64(factor), other)
    }
}

/// Square maps cut into tiles.
struct Maps<'a, T> {
    numbers: &'a [T],
    size: usize,
    channels: usize,
}

impl<T: Real> Maps<'_, T> {
    /// The pixels from `before` above and left of the first output on; 0 outside the map.
    fn tile<S: Scheme>(
        &self,
        index: usize,
        channel: usize,
        before: usize,
        extent: usize,
    ) -> Tile<T> {
        let (image, top, left) = corner::<S>(self.size, index);
        let mut tile = [[T::default(); MOST]; MOST];
        for i in 0..extent {
            for j in 0..extent {
                let (row, column) = (
                    (top + i).wrapping_sub(before),
                    (left + j).wrapping_sub(before),
                );
                if row < self.size && column < self.size {
                    let pixel = (image * self.size + row) * self.size + column;
                    tile[i][j] = self.numbers[pixel * self.channels + channel];
                }
            }
        }
        tile
    }
}

/// Image, row and column of a tile's first output.
fn corner<S: Scheme>(size: usize, index: usize) -> (usize, usize, usize) {
    let side = size / S::OUTPUTS;
    let (image, place) = (index / (side * side), index % (side * side));
    (image, place / side * S::OUTPUTS, place % side * S::OUTPUTS)
}

/// The nine taps between input channel `i` and output channel `o`, read by `at(tap)`.
fn taps<T: Real>(at: impl Fn(usize) -> T) -> Tile<T> {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            if i < 3 && j < 3 {
                at(i * 3 + j)
            } else {
                T::default()
            }
        })
    })
}

/// `y = (sum over input channels, as products) + bias`: each product is a chain from 0 over the
/// input channels; the bias (or `start`, of which there is one a pixel) is added last.
pub(super) fn convolve<S: Scheme, T: Real>(
    (n, size, inputs, outputs): (usize, usize, usize, usize),
    x: &[T],
    weight: impl Fn(usize, usize, usize) -> T,
    bias: Option<&[T]>,
    start: Option<&[T]>,
) -> Vec<T> {
    let maps = Maps {
        numbers: x,
        size,
        channels: inputs,
    };
    let mut y = vec![T::default(); n * size * size * outputs];
    let u: Vec<Tile<T>> = (0..inputs * outputs)
        .map(|io| {
            nested::<S, T>(
                Step::Weights,
                taps(|tap| weight(tap, io / outputs, io % outputs)),
            )
        })
        .collect();
    for index in 0..n * (size / S::OUTPUTS).pow(2) {
        let v: Vec<Tile<T>> = (0..inputs)
            .map(|i| nested::<S, T>(Step::Inputs, maps.tile::<S>(index, i, S::BEFORE, S::INPUTS)))
            .collect();
        let (image, top, left) = corner::<S>(size, index);
        for o in 0..outputs {
            let mut m = [[T::default(); MOST]; MOST];
            for (i, v) in v.iter().enumerate() {
                for (a, row) in m.iter_mut().enumerate().take(S::PRODUCTS) {
                    for (b, m) in row.iter_mut().enumerate().take(S::PRODUCTS) {
                        *m = v[a][b].fma(u[i * outputs + o][a][b], *m);
                    }
                }
            }
            let tile = nested::<S, T>(Step::Outputs, m);
            for (i, row) in tile.iter().enumerate().take(S::OUTPUTS) {
                for (j, &value) in row.iter().enumerate().take(S::OUTPUTS) {
                    let at = ((image * size + top + i) * size + left + j) * outputs + o;
                    let value = bias.map_or(value, |b| value + b[o]);
                    y[at] = start.map_or(value, |s| value + s[at]);
                }
            }
        }
    }
    y
}

/// `dw` from products' gradients: tiles are cut into segments of [`SEGMENT`]; within one, each
/// product's gradient is a chain from 0 over its tiles; each segment is transformed to a gradient
/// of the weights, and these are added in order.
pub(super) fn weight_gradient<S: Scheme, T: Real>(
    conv: &Conv,
    n: usize,
    x: &[T],
    dy: &[T],
) -> Vec<T> {
    let (inputs, outputs, size) = (conv.inputs, conv.outputs, conv.size);
    let tiles = n * (size / S::OUTPUTS).pow(2);
    let x = Maps {
        numbers: x,
        size,
        channels: inputs,
    };
    let dy = Maps {
        numbers: dy,
        size,
        channels: outputs,
    };
    let mut dw = vec![T::default(); 9 * inputs * outputs];
    for start in (0..tiles).step_by(SEGMENT) {
        let segment = start..tiles.min(start + SEGMENT);
        let v: Vec<Vec<Tile<T>>> = (0..inputs)
            .map(|i| {
                let tile =
                    |t| nested::<S, T>(Step::Inputs, x.tile::<S>(t, i, S::BEFORE, S::INPUTS));
                segment.clone().map(tile).collect()
            })
            .collect();
        for o in 0..outputs {
            let tile =
                |t| nested::<S, T>(Step::OutputsTransposed, dy.tile::<S>(t, o, 0, S::OUTPUTS));
            let dm: Vec<Tile<T>> = segment.clone().map(tile).collect();
            for (i, v) in v.iter().enumerate() {
                let mut du = [[T::default(); MOST]; MOST];
                for (v, dm) in v.iter().zip(&dm) {
                    for (a, row) in du.iter_mut().enumerate().take(S::PRODUCTS) {
                        for (b, du) in row.iter_mut().enumerate().take(S::PRODUCTS) {
                            *du = v[a][b].fma(dm[a][b], *du);
                        }
                    }
                }
                let block = nested::<S, T>(Step::WeightsTransposed, du);
                for tap in 0..9 {
                    let to = &mut dw[(tap * inputs + i) * outputs + o];
                    let value = block[tap / 3][tap % 3];
                    *to = if start == 0 { value } else { *to + value };
                }
            }
        }
    }
    dw
}
