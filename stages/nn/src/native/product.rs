//! Matrix products over implicit windows: blocked for the caches, cut into tasks for threads.
//! It must not know layers; what they are made of is in `direct`.
//!
//! [`by_window`]: `C[p, j] = sum over k of A[p, k] * B[k, j]`, k in order (a chain, carried from
//! one block of k to the next, so blocking changes no bit). [`over_windows`]:
//! `C[k, j] = sum over p of A[p, k] * B[p, j]` with p cut into blocks of `PIXEL_BLOCK` (a blocked
//! chain). Tasks own outputs, never parts of a sum.

use super::Context;
use super::gather::{Gather, Position};
use super::memory::{Disjoint, with_panels};
use super::tile::{self, Mode, Order, ROW_STEP, STRIP, TILE_ROWS, Tile};
use crate::reference::PIXEL_BLOCK;

/// Most k of a block of [`by_window`]: a strip of B of that depth fits the first-level cache.
const DEPTH: usize = 320;
/// Most rows of A packed at once: with `ROW_STEP`, 226 KiB of the second-level cache.
const ROWS: usize = 12 * TILE_ROWS;
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

/// The C of [`by_window`].
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) c: Disjoint<'a>,
    pub(crate) columns: usize,
    pub(crate) scatter: Scatter,
    /// Whether sums start from what C holds rather than from 0.
    pub(crate) carry: bool,
}

/// How work is cut: `rows x strips` parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    rows: usize,
    strips: usize,
}

/// The cut whose slowest thread has least to do, tasks being handed out one by one.
fn cut(rows: usize, strips: usize, threads: usize) -> Parts {
    if rows >= 4 * threads * ROWS {
        return Parts {
            rows: rows.div_ceil(ROWS),
            strips: 1,
        };
    }
    let mut best = (usize::MAX, Parts { rows: 1, strips: 1 });
    for row_parts in 1..=rows.min(4 * threads) {
        for strip_parts in 1..=strips.min(threads) {
            let rounds = (row_parts * strip_parts).div_ceil(threads);
            let cost = rounds * (rows.div_ceil(row_parts) + 8) * strips.div_ceil(strip_parts);
            if cost < best.0 {
                best = (
                    cost,
                    Parts {
                        rows: row_parts,
                        strips: strip_parts,
                    },
                );
            }
        }
    }
    best.1
}

/// The `part`th of `parts` nearly equal ranges of `0..total`.
fn share(total: usize, parts: usize, part: usize) -> std::ops::Range<usize> {
    total * part / parts..total * (part + 1) / parts
}

/// `C = A B`, where A is `gather` over `source` and B lies in strips (`[strip][depth][STRIP]`).
pub(crate) fn by_window(
    context: &Context,
    gather: &Gather,
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

/// `C[k, j] = sum over p of A[p, k] * B[p, j]`, where A is `gather` over `source` and B is
/// `[positions, columns]`; overwrites C (`[depth, columns]`).
pub(crate) fn over_windows(
    context: &Context,
    gather: &Gather,
    source: &[f32],
    b: &[f32],
    c: Disjoint<'_>,
    columns: usize,
) {
    let (positions, depth) = (gather.positions(), gather.depth());
    let strip_count = columns.div_ceil(STRIP);
    assert!(
        b.len() >= positions * columns,
        "B is smaller than its shape"
    );
    assert!(c.len() >= depth * columns, "C is smaller than its shape");
    let parts = cut(depth, strip_count, context.threads.count());
    let tile_rows = tile::best_rows(context.isa);
    context.threads.each(parts.rows * parts.strips, |task| {
        let task_rows = share(depth, parts.rows, task / parts.strips);
        let task_strips = share(strip_count, parts.strips, task % parts.strips);
        with_panels(
            [PIXEL_BLOCK * ROWS, PIXEL_BLOCK * task_strips.len() * STRIP],
            |[a, panel]| {
                for first in (0..positions).step_by(PIXEL_BLOCK) {
                    let pixels = PIXEL_BLOCK.min(positions - first);
                    let mode = if first == 0 {
                        Mode::Overwrite
                    } else {
                        Mode::Add
                    };
                    for (strip, packed) in task_strips
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
                    for top in task_rows.clone().step_by(ROWS) {
                        let height = ROWS.min(task_rows.end - top);
                        // Whole cache lines from one pixel to the next.
                        let step = height.next_multiple_of(16).min(ROWS);
                        for (row, position) in a
                            .chunks_exact_mut(step)
                            .zip(gather.walk(first, first + pixels))
                        {
                            gather.copy_row(source, position, top, &mut row[..height]);
                        }
                        for (at, strip) in task_strips.clone().enumerate() {
                            for low in (0..height).step_by(tile_rows) {
                                let mut rows = [0_usize; TILE_ROWS];
                                let rows = &mut rows[..tile_rows.min(height - low)];
                                for (i, row) in rows.iter_mut().enumerate() {
                                    *row = (top + low + i) * columns;
                                }
                                let b = panel[at * PIXEL_BLOCK * STRIP..].as_ptr();
                                let (a, order) = (a[low..].as_ptr(), Order::RowsInner { step });
                                let tile = Tile {
                                    depth: pixels,
                                    a,
                                    order,
                                    b,
                                    c: c.start(),
                                    rows,
                                    mode,
                                };
                                // SAFETY: A and B have `pixels` rows; the rows of C were checked to lie
                                // within it, and different tasks have different (row, strip) pairs.
                                unsafe { part_of_c(context, tile, strip, columns) };
                            }
                        }
                    }
                }
            },
        );
    });
}

/// Computes a tile whose `c` and `rows` name whole rows of C, in the columns of `strip`.
///
/// # Safety
/// As [`tile::multiply`], for the columns of `strip` below `columns`.
unsafe fn part_of_c(context: &Context, tile: Tile<'_>, strip: usize, columns: usize) {
    let width = STRIP.min(columns - strip * STRIP);
    let c = tile.c.wrapping_add(strip * STRIP);
    if width == STRIP {
        // SAFETY: the strip's columns are all of C.
        return unsafe { tile::multiply(context.isa, &Tile { c, ..tile }) };
    }
    // The last columns: through a tile of our own, as the kernels write whole strips.
    let mut own = [0.0_f32; TILE_ROWS * STRIP];
    let own_rows: [usize; TILE_ROWS] = std::array::from_fn(|i| i * STRIP);
    for (&row, own) in tile.rows.iter().zip(own.chunks_exact_mut(STRIP)) {
        if tile.mode != Mode::Overwrite {
            // SAFETY: `width` columns of a row of C.
            own[..width].copy_from_slice(unsafe { std::slice::from_raw_parts(c.add(row), width) });
        }
    }
    let inner = Tile {
        c: own.as_mut_ptr(),
        rows: &own_rows[..tile.rows.len()],
        ..tile
    };
    // SAFETY: `own` has whole strips for every row.
    unsafe { tile::multiply(context.isa, &inner) };
    for (&row, own) in tile.rows.iter().zip(own.chunks_exact(STRIP)) {
        // SAFETY: `width` columns of a row of C.
        unsafe { std::slice::from_raw_parts_mut(c.add(row), width) }.copy_from_slice(&own[..width]);
    }
}

/// Copies the columns of `strip` of a `[rows, columns]` matrix to `[rows][STRIP]`, zeros beyond.
pub(crate) fn pack_strip(matrix: &[f32], columns: usize, strip: usize, out: &mut [f32]) {
    let from = strip * STRIP;
    if columns - from >= STRIP {
        for (row, out) in matrix.chunks(columns).zip(out.chunks_exact_mut(STRIP)) {
            out.copy_from_slice(&row[from..from + STRIP]);
        }
    } else {
        for (row, out) in matrix.chunks(columns).zip(out.chunks_exact_mut(STRIP)) {
            out[..columns - from].copy_from_slice(&row[from..columns]);
            out[columns - from..].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_everything_once() {
        for (total, parts) in [(1, 1), (7, 3), (3, 7), (168, 5)] {
            let all: Vec<usize> = (0..parts).flat_map(|p| share(total, parts, p)).collect();
            assert_eq!(all, (0..total).collect::<Vec<_>>());
        }
    }

    #[test]
    fn small_products_are_cut_by_columns_when_rows_do_not_suffice() {
        assert_eq!(cut(1, 16, 2), Parts { rows: 1, strips: 2 });
        assert_eq!(cut(256, 16, 1), Parts { rows: 1, strips: 1 });
        let large = cut(65536, 2, 2);
        assert_eq!(large.strips, 1);
        assert!(65536_usize.div_ceil(large.rows) <= ROWS);
    }
}
