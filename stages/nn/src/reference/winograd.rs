//! 3x3 convolution of stride 1 or 2 by Winograd's schemes, tile by tile.
//! It must not know vectors, blocking or threads; the transforms are `crate::winograd`'s.
//!
//! For every tile and every product of its scheme: `v` from the inputs, `u` from the weights,
//! `m = sum over channels of v * u`, outputs from `m`. Tiles are counted row by row, image by image.

#![expect(
    clippy::needless_range_loop,
    reason = "indices name the rows and columns of several tiles at once"
)]

use super::{CHUNK, Real, SEGMENT};
use crate::network::Conv;
use crate::winograd::{
    Inputs, MOST, Number, Outputs, OutputsTransposed, Scheme, Tile, Transposed, Weights,
    WeightsTransposed, nested, shared,
};

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

/// Square maps cut into tiles, `step` pixels apart.
struct Maps<'a, T> {
    numbers: &'a [T],
    size: usize,
    step: usize,
    channels: usize,
}

impl<T: Real> Maps<'_, T> {
    /// `extent` rows and columns from `before` above and left of the tile's own place on; 0
    /// outside the map.
    fn tile(&self, index: usize, channel: usize, before: usize, extent: usize) -> Tile<T> {
        let (image, top, left) = corner(self.size / self.step, self.step, index);
        let mut tile = [[T::default(); MOST]; MOST];
        for i in 0..extent {
            for j in 0..extent {
                let row = (top + i).wrapping_sub(before);
                let column = (left + j).wrapping_sub(before);
                if row < self.size && column < self.size {
                    let pixel = (image * self.size + row) * self.size + column;
                    tile[i][j] = self.numbers[pixel * self.channels + channel];
                }
            }
        }
        tile
    }
}

/// Image, row and column of a tile, of which there are `side` in a row of a map.
fn corner(side: usize, step: usize, index: usize) -> (usize, usize, usize) {
    let (image, place) = (index / (side * side), index % (side * side));
    (image, place / side * step, place % side * step)
}

/// Which weight product (`a`, `b`) multiplies with.
fn weight_of<S: Scheme>(a: usize, b: usize) -> (usize, usize) {
    (shared::<S>(a), shared::<S>(b))
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
    let side = size / S::STEP;
    let maps = Maps {
        numbers: x,
        size,
        step: S::STEP,
        channels: inputs,
    };
    let out = side * S::OUTPUTS;
    let mut y = vec![T::default(); n * out * out * outputs];
    let u: Vec<Tile<T>> = (0..inputs * outputs)
        .map(|io| {
            let (i, o) = (io / outputs, io % outputs);
            nested::<Weights<S>, T>(taps(|tap| weight(tap, i, o)))
        })
        .collect();
    for index in 0..n * side * side {
        let v: Vec<Tile<T>> = (0..inputs)
            .map(|i| nested::<Inputs<S>, T>(maps.tile(index, i, S::BEFORE, S::INPUTS)))
            .collect();
        let (image, top, left) = corner(side, S::OUTPUTS, index);
        for o in 0..outputs {
            let mut m = [[T::default(); MOST]; MOST];
            for (i, v) in v.iter().enumerate() {
                for (a, row) in m.iter_mut().enumerate().take(S::PRODUCTS) {
                    for (b, m) in row.iter_mut().enumerate().take(S::PRODUCTS) {
                        let (r, c) = weight_of::<S>(a, b);
                        *m = v[a][b].fma(u[i * outputs + o][r][c], *m);
                    }
                }
            }
            let tile = nested::<Outputs<S>, T>(m);
            for (i, row) in tile.iter().enumerate().take(S::OUTPUTS) {
                for (j, &value) in row.iter().enumerate().take(S::OUTPUTS) {
                    let at = ((image * out + top + i) * out + left + j) * outputs + o;
                    let value = bias.map_or(value, |b| value + b[o]);
                    y[at] = start.map_or(value, |s| value + s[at]);
                }
            }
        }
    }
    y
}

/// `dw` from products' gradients: tiles are cut into segments of [`SEGMENT`] and these into chunks
/// of [`CHUNK`]; within a segment the gradient of each product's weight is a chain from 0 over
/// chunks, over the products that share it, and over the chunk's tiles; each segment is
/// transformed to a gradient of the weights, and these are added in order.
pub(super) fn weight_gradient<S: Transposed, T: Real>(
    conv: &Conv,
    n: usize,
    x: &[T],
    dy: &[T],
) -> Vec<T> {
    let (inputs, outputs) = (conv.inputs, conv.outputs);
    let side = conv.size / S::STEP;
    let tiles = n * side * side;
    let x = Maps {
        numbers: x,
        size: conv.size,
        step: S::STEP,
        channels: inputs,
    };
    let dy = Maps {
        numbers: dy,
        size: conv.out_size(),
        step: S::OUTPUTS,
        channels: outputs,
    };
    let v: Vec<Tile<T>> = (0..tiles * inputs)
        .map(|ti| x.tile(ti / inputs, ti % inputs, S::BEFORE, S::INPUTS))
        .map(nested::<Inputs<S>, T>)
        .collect();
    let dm: Vec<Tile<T>> = (0..tiles * outputs)
        .map(|to| dy.tile(to / outputs, to % outputs, 0, S::OUTPUTS))
        .map(nested::<OutputsTransposed<S>, T>)
        .collect();
    let mut dw = vec![T::default(); 9 * inputs * outputs];
    for start in (0..tiles).step_by(SEGMENT) {
        let end = tiles.min(start + SEGMENT);
        for io in 0..inputs * outputs {
            let (i, o) = (io / outputs, io % outputs);
            let mut du = [[T::default(); MOST]; MOST];
            for chunk in (start..end).step_by(CHUNK) {
                for p in 0..S::PRODUCTS * S::PRODUCTS {
                    let (a, b) = (p / S::PRODUCTS, p % S::PRODUCTS);
                    let (r, c) = weight_of::<S>(a, b);
                    for t in chunk..end.min(chunk + CHUNK) {
                        let (v, dm) = (v[t * inputs + i][a][b], dm[t * outputs + o][a][b]);
                        du[r][c] = v.fma(dm, du[r][c]);
                    }
                }
            }
            let block = nested::<WeightsTransposed<S>, T>(du);
            for tap in 0..9 {
                let to = &mut dw[(tap * inputs + i) * outputs + o];
                let value = block[tap / 3][tap % 3];
                *to = if start == 0 { value } else { *to + value };
            }
        }
    }
    dw
}
