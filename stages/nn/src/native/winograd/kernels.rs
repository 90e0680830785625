//! The transforms of Winograd convolution over ranges of tiles and channels, vectors of channels
//! at a time.
//! It must not know products, tasks or layers.

#![expect(
    clippy::needless_range_loop,
    reason = "indices name the rows and columns of several tiles at once"
)]

use crate::native::simd::{Lanes, for_each_lanes};
use crate::winograd::{
    Inputs, MOST, Outputs, OutputsTransposed, Tile, Weights, WeightsTransposed, nested,
};

/// Some channels of square maps cut into tiles.
#[derive(Clone, Copy)]
pub(super) struct Maps {
    /// Rows and columns of a map.
    pub(super) size: usize,
    /// Pixels from one tile to the next, which is how many of a tile are its own.
    pub(super) step: usize,
    /// Numbers from one pixel to the next.
    pub(super) channels: usize,
    /// The first of the tiles, counted through all maps.
    pub(super) first: usize,
    /// How many tiles.
    pub(super) tiles: usize,
    /// How many channels: whole vectors.
    pub(super) width: usize,
}

impl Maps {
    /// Row and column of the `t`th tile's own first pixel, after its image.
    #[inline(always)]
    fn corner(&self, t: usize) -> (usize, usize, usize) {
        let side = self.size / self.step;
        let index = self.first + t;
        let (image, place) = (index / (side * side), index % (side * side));
        (image, place / side * self.step, place % side * self.step)
    }

    fn pixel(&self, image: usize, row: usize, column: usize) -> usize {
        ((image * self.size + row) * self.size + column) * self.channels
    }
}

/// Transformed tiles: product `p` of tile `t` lies at `p * product_step + t * tile_step`.
#[derive(Clone, Copy)]
pub(super) struct Products<P> {
    pub(super) start: P,
    pub(super) product_step: usize,
    pub(super) tile_step: usize,
}

/// From maps to products.
#[derive(Clone, Copy)]
pub(super) struct Im2col {
    pub(super) maps: Maps,
    /// The first map's first pixel, at the first of the channels.
    pub(super) from: *const f32,
    /// `width` zeros.
    pub(super) zeros: *const f32,
    pub(super) to: Products<*mut f32>,
}

/// From products to maps.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    pub(super) maps: Maps,
    pub(super) from: Products<*const f32>,
    /// The first map's first pixel, at the first of the channels.
    pub(super) to: *mut f32,
    /// Added to every pixel: `width` numbers, if any.
    pub(super) bias: Option<*const f32>,
    /// Whether the result is added to what the maps hold.
    pub(super) carry: bool,
}

/// Between weights `[tap][row][column]` and their products `[product][row][column]`.
#[derive(Clone, Copy)]
pub(super) struct Taps<W, P> {
    pub(super) weights: W,
    pub(super) tap_step: usize,
    pub(super) row_step: usize,
    pub(super) products: P,
    pub(super) product_step: usize,
    pub(super) product_row_step: usize,
    pub(super) rows: usize,
    /// How many columns: whole vectors.
    pub(super) width: usize,
}

/// A tile whose first `n` rows and columns are at `corner + i * row + j * column`; the others are
/// arbitrary. Loops rather than closures: vectors must be inlined whole into their kernel.
///
/// # Safety
/// Those addresses must be readable.
#[inline(always)]
unsafe fn load<L: Lanes>(n: usize, corner: *const f32, row: usize, column: usize) -> Tile<L> {
    // SAFETY: the caller's contract, here and below.
    let mut tile = unsafe { [[L::load(corner); MOST]; MOST] };
    for i in 0..n {
        for j in 0..n {
            // SAFETY: as above.
            tile[i][j] = unsafe { L::load(corner.add(i * row + j * column)) };
        }
    }
    tile
}

/// Writes the first `n` rows and columns of a tile to `corner + i * row + j * column`.
///
/// # Safety
/// Those addresses must be writable.
#[inline(always)]
unsafe fn store<L: Lanes>(tile: &Tile<L>, n: usize, corner: *mut f32, row: usize, column: usize) {
    for i in 0..n {
        for j in 0..n {
            // SAFETY: the caller's contract.
            unsafe { tile[i][j].store(corner.add(i * row + j * column)) };
        }
    }
}

for_each_lanes! {
    /// Inputs' transforms; pixels outside the map are 0.
    ///
    /// # Safety
    /// All that the arguments describe must be readable, and writable by nobody else.
    unsafe fn gather_inputs<L, S: Scheme>(g: Im2col) {
        let Im2col { maps, from, zeros, to } = g;
        for t in 0..maps.tiles {
            let (image, top, left) = maps.corner(t);
            let mut at = [[zeros; MOST]; MOST];
            for i in 0..S::INPUTS {
                let row = (top + i).wrapping_sub(S::BEFORE);
                for j in 0..S::INPUTS {
                    let column = (left + j).wrapping_sub(S::BEFORE);
                    if row < maps.size && column < maps.size {
                        at[i][j] = from.wrapping_add(maps.pixel(image, row, column));
                    }
                }
            }
            for channel in (0..maps.width).step_by(L::N) {
                // SAFETY: pixels inside the map, or zeros, as the caller vouches.
                let mut x = unsafe { [[L::load(at[0][0].add(channel)); MOST]; MOST] };
                for i in 0..S::INPUTS {
                    for j in 0..S::INPUTS {
                        // SAFETY: as above.
                        x[i][j] = unsafe { L::load(at[i][j].add(channel)) };
                    }
                }
                let v = nested::<Inputs<S>, L>(x);
                let out = to.start.wrapping_add(t * to.tile_step + channel);
                // SAFETY: the caller's contract.
                unsafe { store(&v, S::PRODUCTS, out, S::PRODUCTS * to.product_step, to.product_step) };
            }
        }
    }

    /// Output gradients' transforms.
    ///
    /// # Safety
    /// As [`gather_inputs`].
    unsafe fn gather_gradients<L, S: Transposed>(g: Im2col) {
        let Im2col { maps, from, to, .. } = g;
        for t in 0..maps.tiles {
            let (image, top, left) = maps.corner(t);
            let corner = from.wrapping_add(maps.pixel(image, top, left));
            let (row, column) = (maps.size * maps.channels, maps.channels);
            for channel in (0..maps.width).step_by(L::N) {
                // SAFETY: pixels inside the map, as the caller vouches.
                let dy = unsafe { load::<L>(S::OUTPUTS, corner.wrapping_add(channel), row, column) };
                let dm = nested::<OutputsTransposed<S>, L>(dy);
                let out = to.start.wrapping_add(t * to.tile_step + channel);
                // SAFETY: the caller's contract.
                unsafe { store(&dm, S::PRODUCTS, out, S::PRODUCTS * to.product_step, to.product_step) };
            }
        }
    }

    /// Outputs from products.
    ///
    /// # Safety
    /// As [`gather_inputs`].
    unsafe fn spread_outputs<L, S: Scheme>(s: Spread) {
        let Spread { maps, from, to, bias, carry } = s;
        for t in 0..maps.tiles {
            let (image, top, left) = maps.corner(t);
            let corner = to.wrapping_add(maps.pixel(image, top, left));
            let (row, column) = (maps.size * maps.channels, maps.channels);
            for channel in (0..maps.width).step_by(L::N) {
                let products = from.start.wrapping_add(t * from.tile_step + channel);
                // SAFETY: the caller's contract, here and below.
                let m = unsafe {
                    load::<L>(S::PRODUCTS, products, S::PRODUCTS * from.product_step, from.product_step)
                };
                let y = nested::<Outputs<S>, L>(m);
                // SAFETY: as above.
                let bias = bias.map(|bias| unsafe { L::load(bias.add(channel)) });
                for i in 0..S::OUTPUTS {
                    for j in 0..S::OUTPUTS {
                        let to = corner.wrapping_add(i * row + j * column + channel);
                        let mut value = y[i][j];
                        if let Some(bias) = bias {
                            value = value.plus(bias);
                        }
                        // SAFETY: as above.
                        unsafe {
                            if carry {
                                value = value.plus(L::load(to));
                            }
                            value.store(to);
                        }
                    }
                }
            }
        }
    }

    /// Weights' transforms.
    ///
    /// # Safety
    /// As [`gather_inputs`].
    unsafe fn transform_weights<L, S: Scheme>(w: Taps<*const f32, *mut f32>) {
        for row in 0..w.rows {
            for column in (0..w.width).step_by(L::N) {
                let taps = w.weights.wrapping_add(row * w.row_step + column);
                // SAFETY: the caller's contract.
                let g = unsafe { load::<L>(3, taps, 3 * w.tap_step, w.tap_step) };
                let u = nested::<Weights<S>, L>(g);
                let out = w.products.wrapping_add(row * w.product_row_step + column);
                // SAFETY: the caller's contract.
                unsafe { store(&u, S::WEIGHTS, out, S::WEIGHTS * w.product_step, w.product_step) };
            }
        }
    }

    /// Weights' gradients from those of their products.
    ///
    /// # Safety
    /// As [`gather_inputs`].
    unsafe fn fold_weights<L, S: Transposed>(w: Taps<*mut f32, *const f32>) {
        for row in 0..w.rows {
            for column in (0..w.width).step_by(L::N) {
                let products = w.products.wrapping_add(row * w.product_row_step + column);
                // SAFETY: the caller's contract.
                let du = unsafe {
                    load::<L>(S::WEIGHTS, products, S::WEIGHTS * w.product_step, w.product_step)
                };
                let dw = nested::<WeightsTransposed<S>, L>(du);
                let out = w.weights.wrapping_add(row * w.row_step + column);
                // SAFETY: the caller's contract.
                unsafe { store(&dw, 3, out, 3 * w.tap_step, w.tap_step) };
            }
        }
    }
}

/// Numbers from one product's rows of a strip to the next product's: an odd number of cache lines
/// more than the rows, so that products of one row spread over all sets of the cache.
pub(super) fn product_step(rows: usize, row: usize) -> usize {
    rows * row + 16
}
