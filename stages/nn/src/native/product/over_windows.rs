//! The product over all positions of implicit windows.
//! It must not know layers.

use super::{ROWS, cut, pack_strip, part_of_c, share};
use crate::native::im2col::Im2col;
use crate::native::memory::{Aligned, Disjoint, with_panels};
use crate::native::tile::{self, Mode, Order, STRIP, TILE_ROWS, Tile};
use crate::native::{Context, partial_sums};
use crate::reference::PIXEL_BLOCK;
use std::ops::Range;

/// Most numbers of all blocks' own sums: 2 MiB, which caches hold.
const OWN_SUMS: usize = 1 << 19;

/// `C[k, j] = sum over p of A[p, k] * B[p, j]`, where A is `gather` over `source` and B is
/// `[positions, columns]`; overwrites C (`[depth, columns]`). `panel` is scratch.
///
/// A small C leaves threads little to share: then they share the blocks of p, each block keeps
/// its own sums, and these are added up in order. Otherwise tasks own outputs.
pub(crate) fn over_windows(
    context: &Context,
    gather: &Im2col,
    source: &[f32],
    b: &[f32],
    panel: &mut Aligned,
    c: &mut [f32],
    columns: usize,
) {
    let (positions, depth) = (gather.positions(), gather.depth());
    assert!(
        b.len() >= positions * columns,
        "B is smaller than its shape"
    );
    assert!(c.len() >= depth * columns, "C is smaller than its shape");
    let product = Product {
        gather,
        source,
        b,
        columns,
    };
    let (blocks, strips) = (positions.div_ceil(PIXEL_BLOCK), columns.div_ceil(STRIP));
    let (threads, len) = (context.threads.count(), c.len());
    if threads > 1 && blocks >= 4 * threads && blocks * len <= OWN_SUMS {
        let sums = panel.take(blocks * len);
        let own = Disjoint::new(sums);
        context.threads.each(blocks, |block| {
            // SAFETY: each task has its own block's sums.
            let c = Disjoint::new(unsafe { own.range(block * len, len) });
            product.add(context, block..block + 1, 0..depth, 0..strips, c);
        });
        return partial_sums::add_up(context, sums, c);
    }
    let parts = cut(depth, strips, threads);
    let c = Disjoint::new(c);
    context.threads.each(parts.rows * parts.strips, |task| {
        let rows = share(depth, parts.rows, task / parts.strips);
        let strips = share(strips, parts.strips, task % parts.strips);
        product.add(context, 0..blocks, rows, strips, c);
    });
}

/// The factors.
#[derive(Clone, Copy)]
struct Product<'a> {
    gather: &'a Im2col,
    source: &'a [f32],
    b: &'a [f32],
    columns: usize,
}

impl Product<'_> {
    /// Overwrites `rows` and `strips` of C by the first of the blocks of p and adds the others, in
    /// order. Tasks that run at once must differ in rows, strips or C.
    fn add(
        &self,
        context: &Context,
        blocks: Range<usize>,
        rows: Range<usize>,
        strips: Range<usize>,
        c: Disjoint<'_>,
    ) {
        let Self {
            gather,
            source,
            b,
            columns,
        } = *self;
        let tile_rows = tile::best_rows(context.isa);
        with_panels(
            [PIXEL_BLOCK * ROWS, PIXEL_BLOCK * strips.len() * STRIP],
            |[a, panel]| {
                for block in blocks.clone() {
                    let first = block * PIXEL_BLOCK;
                    let pixels = PIXEL_BLOCK.min(gather.positions() - first);
                    let mode = if block == blocks.start {
                        Mode::Overwrite
                    } else {
                        Mode::Add
                    };
                    for (strip, packed) in strips
                        .clone()
                        .zip(panel.chunks_exact_mut(PIXEL_BLOCK * STRIP))
                    {
                        pack_strip(
                            &b[first * columns..],
                            columns,
                            strip,
                            &mut packed[..pixels * STRIP],
                        );
                    }
                    for top in rows.clone().step_by(ROWS) {
                        let height = ROWS.min(rows.end - top);
                        // Whole cache lines from one pixel to the next.
                        let step = height.next_multiple_of(16).min(ROWS);
                        for (row, position) in a
                            .chunks_exact_mut(step)
                            .zip(gather.walk(first, first + pixels))
                        {
                            gather.copy_row(source, position, top, &mut row[..height]);
                        }
                        for (at, strip) in strips.clone().enumerate() {
                            for low in (0..height).step_by(tile_rows) {
                                let mut rows = [0_usize; TILE_ROWS];
                                let rows = &mut rows[..tile_rows.min(height - low)];
                                for (i, row) in rows.iter_mut().enumerate() {
                                    *row = (top + low + i) * columns;
                                }
                                let tile = Tile {
                                    depth: pixels,
                                    a: a[low..].as_ptr(),
                                    order: Order::RowsInner { step },
                                    b: panel[at * PIXEL_BLOCK * STRIP..].as_ptr(),
                                    c: c.start(),
                                    rows,
                                    mode,
                                };
                                // SAFETY: A and B have `pixels` rows; the rows of C were checked to lie
                                // within it, and tasks keep apart as the contract says.
                                unsafe { part_of_c(context, tile, strip, columns) };
                            }
                        }
                    }
                }
            },
        );
    }
}
