//! The product with implicit windows as rows: each task owns outputs.
//! It must not know layers, nor where B was packed.

use super::{ROWS, cut, part_of_c, share};
use crate::native::Context;
use crate::native::im2col::{Im2col, Position};
use crate::native::memory::{Disjoint, with_panels};
use crate::native::tile::{self, Mode, Order, ROW_STEP, STRIP, Tile};

/// Most k of a block: a strip of B of that depth fits the first-level cache.
const DEPTH: usize = 320;
const _: () = assert!(DEPTH <= ROW_STEP);

/// Where the rows of C go: position (y, x) of the grid to pixel
/// `(y * step + top, x * step + left)` of square images.
#[derive(Clone, Copy)]
pub(crate) struct Scatter {
    pub(crate) size: usize,
    pub(crate) step: usize,
    pub(crate) top: usize,
    pub(crate) left: usize,
}

impl Scatter {
    fn pixel(&self, p: Position) -> usize {
        (p.image * self.size + p.y * self.step + self.top) * self.size + p.x * self.step + self.left
    }
}

/// The C of [`by_window()`].
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) c: Disjoint<'a>,
    pub(crate) columns: usize,
    pub(crate) scatter: Scatter,
    /// Whether sums start from what C holds rather than from 0.
    pub(crate) carry: bool,
}

/// `C = A B`, where A is `gather` over `source` and B lies in strips (`[strip][depth][STRIP]`).
pub(crate) fn by_window(
    context: &Context,
    gather: &Im2col,
    source: &[f32],
    strips: &[f32],
    target: Target<'_>,
) {
    let Target {
        c,
        columns,
        scatter,
        carry,
    } = target;
    let (positions, depth) = (gather.positions(), gather.depth());
    if positions == 0 || (depth == 0 && carry) {
        return;
    }
    let strip_count = columns.div_ceil(STRIP);
    assert!(
        strips.len() >= strip_count * depth * STRIP,
        "B is smaller than its shape"
    );
    assert!(
        c.len() >= gather.images * scatter.size * scatter.size * columns,
        "C is smaller than its shape"
    );
    let parts = cut(positions, strip_count, context.threads.count());
    let blocks = depth.div_ceil(DEPTH).max(1);
    let tile_rows = tile::best_rows(context.isa);
    context.threads.each(parts.rows * parts.strips, |task| {
        let task_rows = share(positions, parts.rows, task / parts.strips);
        let task_strips = share(strip_count, parts.strips, task % parts.strips);
        with_panels([ROWS * ROW_STEP], |[a]| {
            let mut targets = [0_usize; ROWS];
            for first in task_rows.clone().step_by(ROWS) {
                let last = task_rows.end.min(first + ROWS);
                for (target, position) in targets.iter_mut().zip(gather.walk(first, last)) {
                    *target = scatter.pixel(position) * columns;
                }
                for block in 0..blocks {
                    let ks = share(depth, blocks, block);
                    for (row, position) in
                        a.chunks_exact_mut(ROW_STEP).zip(gather.walk(first, last))
                    {
                        gather.copy_row(source, position, ks.start, &mut row[..ks.len()]);
                    }
                    let mode = if block == 0 && !carry {
                        Mode::Overwrite
                    } else {
                        Mode::Carry
                    };
                    for strip in task_strips.clone() {
                        for top in (0..last - first).step_by(tile_rows) {
                            let rows = &targets[top..(last - first).min(top + tile_rows)];
                            // In bounds: `strips` holds `depth` rows for each strip.
                            let b = strips[(strip * depth + ks.start) * STRIP..].as_ptr();
                            let a = a[top * ROW_STEP..].as_ptr();
                            let tile = Tile {
                                depth: ks.len(),
                                a,
                                order: Order::DepthInner,
                                b,
                                c: c.start(),
                                rows,
                                mode,
                            };
                            // SAFETY: A has `ROW_STEP` numbers for each row, B `ks.len()` rows from
                            // there on; the rows of C were checked to lie within it, and different
                            // tasks have different (row, strip) pairs.
                            unsafe { part_of_c(context, tile, strip, columns) };
                        }
                    }
                }
            }
        });
    });
}
