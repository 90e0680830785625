//! The register-blocked inner product: one tile of C from packed strips of A and B.
//! It must not know what the matrices are, how they were packed, or threads.
//!
//! Every number of C is one chain of fused multiply-adds over k in order; lanes are different
//! numbers of C. So all versions give the same bits.

use super::isa::Checked;
use crate::math::fma;

/// Columns of a strip of B.
pub(crate) const STRIP: usize = 32;
/// Most rows of a tile: 14 x 2 sums, 2 strips and a spare fill AVX-512's 32 registers.
pub(crate) const TILE_ROWS: usize = 14;
/// Rows of a tile that fill the registers of `isa` without remainder.
pub(crate) fn best_rows(isa: Checked) -> usize {
    match isa.get() {
        super::Isa::Avx512 | super::Isa::Plain => TILE_ROWS,
        // Two groups of 6 rows x 16 columns in 16 registers.
        super::Isa::Avx2 => 12,
    }
}

/// Distance between rows of A when k lies contiguous: an odd number of cache lines, so that
/// rows spread over all sets of the cache.
pub(crate) const ROW_STEP: usize = 336;

/// What a tile of C starts from and what becomes of the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `C = sums`, sums from 0.
    Overwrite,
    /// `C = sums`, sums from C: goes on with a chain.
    Carry,
    /// `C = C + sums`, sums from 0: adds a block.
    Add,
}

/// How A lies: number (row, k) is at `row + k * step`, or `row * ROW_STEP + k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Rows contiguous, `step` numbers from one k to the next.
    RowsInner {
        /// At least the number of rows.
        step: usize,
    },
    /// k contiguous, [`ROW_STEP`] numbers from one row to the next.
    DepthInner,
}

/// One tile: `rows` (1..=[`TILE_ROWS`]) rows by [`STRIP`] columns.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a> {
    pub(crate) depth: usize,
    pub(crate) a: *const f32,
    pub(crate) order: Order,
    /// `[depth][STRIP]`.
    pub(crate) b: *const f32,
    pub(crate) c: *mut f32,
    /// Where each row of C starts, from `c`.
    pub(crate) rows: &'a [usize],
    pub(crate) mode: Mode,
}

/// Computes the tile.
///
/// # Safety
/// `a`, `b` must be readable as `order`, `depth` and `rows.len()` say; each row of C must be
/// `STRIP` numbers that nobody else uses meanwhile.
pub(crate) unsafe fn multiply(isa: Checked, tile: &Tile<'_>) {
    // SAFETY: handed on; `Checked` vouches for the instructions.
    unsafe {
        match isa.get() {
            #[cfg(target_arch = "x86_64")]
            super::Isa::Avx512 => x86::avx512(tile),
            #[cfg(target_arch = "x86_64")]
            super::Isa::Avx2 => x86::avx2(tile),
            _ => plain(tile),
        }
    }
}

/// # Safety
/// As [`multiply`].
unsafe fn plain(t: &Tile<'_>) {
    let (row_step, k_step) = match t.order {
        Order::RowsInner { step } => (1, step),
        Order::DepthInner => (ROW_STEP, 1),
    };
    for (i, &row) in t.rows.iter().enumerate() {
        let mut sums = [0.0_f32; STRIP];
        // SAFETY: row `i` of C is `STRIP` numbers of ours; A and B hold what is read.
        unsafe {
            let c = std::slice::from_raw_parts_mut(t.c.add(row), STRIP);
            if t.mode == Mode::Carry {
                sums.copy_from_slice(c);
            }
            for k in 0..t.depth {
                let a = *t.a.add(i * row_step + k * k_step);
                let b = std::slice::from_raw_parts(t.b.add(k * STRIP), STRIP);
                for (sum, &b) in sums.iter_mut().zip(b) {
                    *sum = fma(a, b, *sum);
                }
            }
            for (c, &sum) in c.iter_mut().zip(&sums) {
                *c = if t.mode == Mode::Add { *c + sum } else { sum };
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Mode, Order, ROW_STEP, STRIP, Tile};
    use std::arch::x86_64::*;

    /// Writes a vector kernel: `$vectors` registers of `$lanes` lanes by up to `$most` rows.
    macro_rules! kernel {
        ($name:ident, $sums:ident, $features:literal, $vectors:literal, $lanes:literal, [$($rows:literal)*],
         $zero:ident, $load:ident, $store:ident, $splat:ident, $fma:ident, $add:ident) => {
            /// # Safety
            /// As [`super::multiply`]; the CPU must have the instructions.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(t: &Tile<'_>) {
                const MOST: usize = { let mut most = 0; $(if $rows > most { most = $rows; })* most };
                for (group, rows) in t.rows.chunks(MOST).enumerate() {
                    for column in (0..STRIP).step_by($vectors * $lanes) {
                        // SAFETY: a part of the tile: fewer rows of A and C, some columns of B and C.
                        unsafe {
                            let (b, c) = (t.b.add(column), t.c.add(column));
                            match (t.order, rows.len()) {
                                $(
                                (Order::DepthInner, $rows) =>
                                    $sums::<$rows, ROW_STEP>(t, t.a.add(group * MOST * ROW_STEP), 1, b, c, rows),
                                (Order::RowsInner { step }, $rows) =>
                                    $sums::<$rows, 1>(t, t.a.add(group * MOST), step, b, c, rows),
                                )*
                                _ => unreachable!("chunks hold 1 to MOST rows"),
                            }
                        }
                    }
                }
            }

            /// # Safety
            /// As [`super::multiply`], for `ROWS` rows and `$vectors * $lanes` columns.
            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn $sums<const ROWS: usize, const STEP: usize>(
                t: &Tile<'_>, a: *const f32, k_step: usize, b: *const f32, c: *mut f32, rows: &[usize],
            ) {
                let mut sums = [[$zero(); $vectors]; ROWS];
                // SAFETY: all addresses lie in the tile's strips, as the caller vouches.
                unsafe {
                    if t.mode == Mode::Carry {
                        for (sums, &row) in sums.iter_mut().zip(rows) {
                            for (v, sum) in sums.iter_mut().enumerate() {
                                *sum = $load(c.add(row + v * $lanes));
                            }
                        }
                    }
                    let (mut a, mut b) = (a, b);
                    for _ in 0..t.depth {
                        let mut strip = [$zero(); $vectors];
                        for (v, s) in strip.iter_mut().enumerate() {
                            *s = $load(b.add(v * $lanes));
                        }
                        for (i, sums) in sums.iter_mut().enumerate() {
                            let x = $splat(*a.add(i * STEP));
                            for (sum, &s) in sums.iter_mut().zip(&strip) {
                                *sum = $fma(x, s, *sum);
                            }
                        }
                        a = a.wrapping_add(k_step);
                        b = b.wrapping_add(STRIP);
                    }
                    for (sums, &row) in sums.iter().zip(rows) {
                        for (v, &sum) in sums.iter().enumerate() {
                            let to = c.add(row + v * $lanes);
                            let value = if t.mode == Mode::Add { $add($load(to), sum) } else { sum };
                            $store(to, value);
                        }
                    }
                }
            }
        };
    }

    kernel!(
        avx512, avx512_sums, "avx512f,avx512bw,avx512dq,avx512vl,fma", 2, 16, [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
        _mm512_setzero_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps
    );
    kernel!(
        avx2, avx2_sums, "avx2,fma", 2, 8, [1 2 3 4 5 6],
        _mm256_setzero_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps
    );
}
