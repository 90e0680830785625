//! Matrix products over implicit windows: blocked for the caches, cut into tasks for threads.
//! It must not know layers; what they are made of is in `direct`.
//!
//! [`by_window()`]: `C[p, j] = sum over k of A[p, k] * B[k, j]`, k in order (a chain, carried from
//! one block of k to the next, so blocking changes no bit). [`over_windows()`]:
//! `C[k, j] = sum over p of A[p, k] * B[p, j]` with p cut into blocks of `PIXEL_BLOCK` (a blocked
//! chain).

mod by_window;
mod over_windows;

pub(crate) use by_window::{Scatter, Target, by_window};
pub(crate) use over_windows::over_windows;

use super::Context;
use super::tile::{self, Mode, STRIP, TILE_ROWS, Tile};
use std::ops::Range;

/// Most rows of A packed at once: with `ROW_STEP`, 226 KiB of the second-level cache.
const ROWS: usize = 12 * TILE_ROWS;

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
fn share(total: usize, parts: usize, part: usize) -> Range<usize> {
    total * part / parts..total * (part + 1) / parts
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
