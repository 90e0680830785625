//! Transformed weights of a convolution, a block of input channels and a strip of outputs at a time.
//! It must not know tiles, nor when weights are transformed.

use super::convolve::{Map, Side};
use super::kernels::{Taps, product_step, transform_weights};
use crate::native::isa::Checked;
use crate::native::tile::STRIP;
use crate::winograd::Scheme;
use std::ops::Range;

/// Most input channels of a block: 36 products of it and a strip take 590 KiB.
const BLOCK: usize = 128;

/// Input channels in blocks of whole vectors.
#[derive(Clone, Copy)]
pub(super) struct Channels {
    vectors: usize,
    pub(super) blocks: usize,
}

impl Channels {
    pub(super) fn new(channels: usize) -> Self {
        Self {
            vectors: channels / 16,
            blocks: channels.div_ceil(BLOCK).max(1),
        }
    }

    /// The channels of a block.
    pub(super) fn range(self, block: usize) -> Range<usize> {
        let start = |block: usize| self.vectors * block / self.blocks * 16;
        start(block)..start(block + 1)
    }

    /// The most channels of any block.
    pub(super) fn most(self) -> usize {
        self.vectors.div_ceil(self.blocks) * 16
    }
}

/// A convolution's weights `[tap][i][o]` and the way they are applied.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub(super) map: Map,
    pub(super) side: Side,
    pub(super) w: &'a [f32],
    pub(super) channels: Channels,
}

impl Weights<'_> {
    /// Numbers of a transformed block and strip: `[product][input channel][STRIP]`.
    pub(super) fn len<S: Scheme>(&self) -> usize {
        S::WEIGHTS.pow(2) * self.product_step()
    }

    /// From one product to the next.
    pub(super) fn product_step(&self) -> usize {
        product_step(self.channels.most(), STRIP)
    }

    /// Numbers of [`Weights::transform`]'s scratch.
    pub(super) fn scratch(&self) -> usize {
        match self.side {
            Side::Forward => 0,
            Side::Backward => 9 * self.channels.most() * STRIP,
        }
    }

    /// Writes the products of a block and a strip, zeros beyond the last output.
    pub(super) fn transform<S: Scheme>(
        &self,
        isa: Checked,
        block: usize,
        strip: usize,
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        let Map {
            inputs, outputs, ..
        } = self.map;
        let (rows, first) = (self.channels.range(block), strip * STRIP);
        let width = STRIP.min(outputs - first);
        assert!(
            self.w.len() == 9 * inputs * outputs,
            "weights of another shape"
        );
        assert!(out.len() >= self.len::<S>(), "room for products is missing");
        if width < STRIP {
            out.fill(0.0);
        }
        let (weights, tap_step, row_step) = match self.side {
            Side::Forward => {
                let from = rows.start * outputs + first;
                (self.w[from..].as_ptr(), inputs * outputs, outputs)
            }
            Side::Backward => {
                // Here `w` is `[tap][outputs][inputs]`.
                for (tap, turned) in scratch
                    .chunks_exact_mut(rows.len() * STRIP)
                    .take(9)
                    .enumerate()
                {
                    let matrix =
                        &self.w[(8 - tap) * inputs * outputs..(9 - tap) * inputs * outputs];
                    transpose(
                        &matrix[first * inputs + rows.start..],
                        inputs,
                        width,
                        turned,
                    );
                }
                (scratch.as_ptr(), rows.len() * STRIP, STRIP)
            }
        };
        let taps = Taps {
            weights,
            tap_step,
            row_step,
            products: out.as_mut_ptr(),
            product_step: self.product_step(),
            product_row_step: STRIP,
            rows: rows.len(),
            width,
        };
        // SAFETY: rows and columns lie inside `w`, whose length was checked, or inside `scratch`,
        // which has nine taps of `rows` rows; `out` has room for all products, as was checked.
        unsafe { transform_weights::<S>(isa, taps) };
    }
}

/// Copies `count` rows of a matrix of `columns` columns to columns of `out` (`[_][STRIP]`).
fn transpose(matrix: &[f32], columns: usize, count: usize, out: &mut [f32]) {
    // Blocks of 16 columns: their lines of `out` stay in the first-level cache for all rows.
    for (block, out) in out.chunks_mut(16 * STRIP).enumerate() {
        for i in 0..count {
            let row = &matrix[i * columns + block * 16..];
            for (to, &value) in out.chunks_exact_mut(STRIP).zip(row) {
                to[i] = value;
            }
        }
    }
}
