//! The weight gradient by transformed tiles.
//! It must not know which layer it serves. Order of summation: `reference::winograd`.
//!
//! A task owns a block of weights and a segment of tiles: it transforms a few tiles of inputs and
//! gradients at a time and adds their products to sums in the second-level cache.

use super::convolve::Map;
use super::even;
use super::kernels::{
    Im2col, Maps, Products, Taps, fold_weights, gather_gradients, gather_inputs, product_step,
};
use crate::native::memory::{Aligned, Disjoint, with_panels};
use crate::native::tile::{self, Mode, Order, STRIP, TILE_ROWS};
use crate::native::{Context, partial_sums};
use crate::reference::{CHUNK, SEGMENT};
use crate::winograd::{Transposed, shared};

/// Rows (input channels) of a task's block.
const ROWS: usize = 64;
/// Most strips (of output channels) of a task's block: with `ROWS` and 36 products, sums of 590 KiB.
const STRIPS: usize = 2;

/// Overwrites `dw` (`[tap][i][o]`); `panel` is scratch.
pub(crate) fn weight_gradient<S: Transposed>(
    context: &Context,
    map: Map,
    x: &[f32],
    dy: &[f32],
    panel: &mut Aligned,
    dw: &mut [f32],
) {
    let Map {
        n,
        size,
        inputs,
        outputs,
    } = map;
    let side = size / S::STEP;
    let tiles = n * side * side;
    assert!(x.len() >= n * size * size * inputs, "inputs are missing");
    assert!(
        dy.len() >= tiles * S::OUTPUTS.pow(2) * outputs,
        "gradients are missing"
    );
    assert_eq!(dw.len(), 9 * inputs * outputs, "weights of another shape");
    let segments = tiles.div_ceil(SEGMENT);
    let len = dw.len();
    let zeros = vec![0.0; ROWS];
    let sums = panel.take(if segments > 1 { segments * len } else { 0 });
    {
        let to = Disjoint::new(if segments > 1 { &mut *sums } else { &mut *dw });
        let strips = outputs.div_ceil(STRIP);
        let row_blocks = inputs.div_ceil(ROWS);
        // Narrower blocks where tasks would be too few for the threads.
        let wide = if segments * row_blocks * strips.div_ceil(STRIPS) >= 2 * context.threads.count()
        {
            STRIPS
        } else {
            1
        };
        let strip_blocks = strips.div_ceil(wide);
        context
            .threads
            .each(segments * row_blocks * strip_blocks, |task| {
                let (segment, block) = (
                    task / (row_blocks * strip_blocks),
                    task % (row_blocks * strip_blocks),
                );
                let (row, strip) = (block / strip_blocks * ROWS, block % strip_blocks * wide);
                let rows = ROWS.min(inputs - row);
                let columns = (wide * STRIP).min(outputs - strip * STRIP);
                let part = Part {
                    map,
                    tiles: segment * SEGMENT..tiles.min((segment + 1) * SEGMENT),
                    row,
                    rows,
                    column: strip * STRIP,
                    columns,
                    x,
                    dy,
                    zeros: &zeros,
                    at: Layout::new::<S>(rows, columns),
                };
                part.run::<S>(context, to, segment * len);
            });
    }
    if segments > 1 {
        partial_sums::add_up(context, sums, dw);
    }
}

/// One task: a block of weights, a segment of tiles.
struct Part<'a> {
    map: Map,
    tiles: std::ops::Range<usize>,
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
    x: &'a [f32],
    dy: &'a [f32],
    zeros: &'a [f32],
    at: Layout,
}

/// Where a task's products lie: inputs `[product][tile][ROWS]`, gradients
/// `[product][strip][tile][STRIP]`, sums `[product][row][strip][STRIP]`.
#[derive(Clone, Copy)]
struct Layout {
    products: usize,
    weights: usize,
    v_step: usize,
    dm_step: usize,
    du_step: usize,
    du_row: usize,
}

impl Layout {
    fn new<S: Transposed>(rows: usize, columns: usize) -> Self {
        let strips = columns.div_ceil(STRIP);
        Self {
            products: S::PRODUCTS.pow(2),
            weights: S::WEIGHTS.pow(2),
            v_step: product_step(CHUNK, ROWS),
            dm_step: product_step(strips * CHUNK, STRIP),
            du_step: product_step(rows, strips * STRIP),
            du_row: strips * STRIP,
        }
    }
}

impl Part<'_> {
    fn run<S: Transposed>(&self, context: &Context, dw: Disjoint<'_>, from: usize) {
        let at = self.at;
        with_panels(
            [
                at.products * at.v_step,
                at.products * at.dm_step,
                at.weights * at.du_step,
            ],
            |[v, dm, du]| {
                if !self.columns.is_multiple_of(STRIP) {
                    // The last strip's other columns: finite, so that they cost no more than numbers.
                    dm.fill(0.0);
                }
                for first in self.tiles.clone().step_by(CHUNK) {
                    let tiles = CHUNK.min(self.tiles.end - first);
                    self.gather::<S>(context, first, tiles, v, dm);
                    self.multiply::<S>(context, tiles, v, dm, du, first == self.tiles.start);
                }
                let fold = Taps {
                    weights: dw
                        .start()
                        .wrapping_add(from + self.row * self.map.outputs + self.column),
                    tap_step: self.map.inputs * self.map.outputs,
                    row_step: self.map.outputs,
                    products: du.as_ptr(),
                    product_step: at.du_step,
                    product_row_step: at.du_row,
                    rows: self.rows,
                    width: self.columns,
                };
                // SAFETY: the block lies inside `dw`, and each task has its own.
                unsafe { fold_weights::<S>(context.isa, fold) };
            },
        );
    }

    fn gather<S: Transposed>(
        &self,
        context: &Context,
        first: usize,
        tiles: usize,
        v: &mut [f32],
        dm: &mut [f32],
    ) {
        let at = self.at;
        let size = self.map.size;
        let maps = |size, step, channels, width| Maps {
            size,
            step,
            channels,
            first,
            tiles,
            width,
        };
        let inputs = Im2col {
            maps: maps(size, S::STEP, self.map.inputs, self.rows),
            from: self.x[self.row..].as_ptr(),
            zeros: self.zeros.as_ptr(),
            to: Products {
                start: v.as_mut_ptr(),
                product_step: at.v_step,
                tile_step: ROWS,
            },
        };
        // SAFETY: `weight_gradient` checked that `x` holds all maps; `v` has `ROWS` numbers for
        // each tile of each product.
        unsafe { gather_inputs::<S>(context.isa, inputs) };
        for (strip, column) in (0..self.columns).step_by(STRIP).enumerate() {
            let gradients = Im2col {
                maps: maps(
                    size / S::STEP * S::OUTPUTS,
                    S::OUTPUTS,
                    self.map.outputs,
                    STRIP.min(self.columns - column),
                ),
                from: self.dy[self.column + column..].as_ptr(),
                zeros: self.zeros.as_ptr(),
                to: Products {
                    start: dm[strip * CHUNK * STRIP..].as_mut_ptr(),
                    product_step: at.dm_step,
                    tile_step: STRIP,
                },
            };
            // SAFETY: as above, for `dy` and `dm`.
            unsafe { gather_gradients::<S>(context.isa, gradients) };
        }
    }

    fn multiply<S: Transposed>(
        &self,
        context: &Context,
        tiles: usize,
        v: &[f32],
        dm: &[f32],
        du: &mut [f32],
        fresh: bool,
    ) {
        let at = self.at;
        let height = even(self.rows, tile::best_rows(context.isa));
        let places: [usize; TILE_ROWS] = std::array::from_fn(|i| i * at.du_row);
        for p in 0..at.products {
            let (row, column) = (p / S::PRODUCTS, p % S::PRODUCTS);
            let weight = shared::<S>(row) * S::WEIGHTS + shared::<S>(column);
            // The first of the products that share a weight starts its sum.
            let first = row < S::WEIGHTS && column < S::WEIGHTS;
            let mode = if fresh && first {
                Mode::Overwrite
            } else {
                Mode::Carry
            };
            for strip in 0..self.columns.div_ceil(STRIP) {
                let b = dm[p * at.dm_step + strip * CHUNK * STRIP..].as_ptr();
                for top in (0..self.rows).step_by(height) {
                    let tile = tile::Tile {
                        depth: tiles,
                        a: v[p * at.v_step + top..].as_ptr(),
                        order: Order::RowsInner { step: ROWS },
                        b,
                        c: du[weight * at.du_step + top * at.du_row + strip * STRIP..].as_mut_ptr(),
                        rows: &places[..height.min(self.rows - top)],
                        mode,
                    };
                    // SAFETY: A has `ROWS` numbers and B `STRIP` for each tile; C has a row for
                    // each input channel.
                    unsafe { tile::multiply(context.isa, &tile) };
                }
            }
        }
    }
}
