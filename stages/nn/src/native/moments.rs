//! Batch norm's statistics in one pass over memory: each block of rows gives its own mean and
//! squares while the cache holds it. It must not know what is normalised.
//! Rule of summation: 4 of `crate::reference`.

use super::groups::{for_groups, group, group_mut};
use super::isa::for_each_isa;
use super::{Context, column_sums};
use crate::reference::ROW_BLOCK;
use crate::reference::norm::{Moments, Statistics, inverse_deviation};

/// A batch's statistics.
pub(crate) fn statistics(
    context: &Context,
    x: &[f32],
    channels: usize,
    epsilon: f32,
) -> Statistics<f32> {
    let rows = x.len() / channels;
    let blocks = column_sums::each_block(context, rows, 2 * channels, |isa, from, to, out| {
        block(isa, &x[from * channels..to * channels], out);
    });
    merged(context, &blocks, rows, channels, epsilon)
}

/// The statistics of `rows` rows from what [`block()`] made of each block, in order.
pub(crate) fn merged(
    context: &Context,
    blocks: &[f32],
    rows: usize,
    channels: usize,
    epsilon: f32,
) -> Statistics<f32> {
    let (mut mean, mut squares) = (vec![0.0_f64; channels], vec![0.0_f64; channels]);
    for (index, block) in blocks.chunks_exact(2 * channels).enumerate() {
        let before = index * ROW_BLOCK;
        let new = ROW_BLOCK.min(rows - before);
        merge(
            context.isa,
            before as f64,
            new as f64,
            block,
            &mut mean,
            &mut squares,
        );
    }
    let variance: Vec<f32> = squares.iter().map(|s| (s / rows as f64) as f32).collect();
    Statistics {
        mean: mean.into_iter().map(|m| m as f32).collect(),
        inv_std: inverse_deviation(&variance, epsilon),
        variance,
    }
}

for_each_isa! {
    /// Writes the means, then the squares of the channels of `x`, at most one block of rows.
    /// Sums of 64 channels stay in registers: enough chains to hide an addition's latency.
    fn block(x: &[f32], out: &mut [f32]) {
        let channels = out.len() / 2;
        let (mean, squares) = out.split_at_mut(channels);
        for_groups!(channels, 64, block_group(x, channels, mean, squares));
    }

    /// Merges one block into the moments of the `before` rows ahead of it.
    fn merge(before: f64, rows: f64, block: &[f32], mean: &mut [f64], squares: &mut [f64]) {
        let n = mean.len();
        let squares = &mut squares[..n];
        let (block_mean, block_squares) = (&block[..n], &block[n..2 * n]);
        for c in 0..n {
            let mut total = Moments { rows: before, mean: mean[c], squares: squares[c] };
            total.merge(Moments { rows, mean: f64::from(block_mean[c]), squares: f64::from(block_squares[c]) });
            (mean[c], squares[c]) = (total.mean, total.squares);
        }
    }
}

/// [`block()`] of the `WIDTH` channels from `from` on.
#[inline(always)]
fn block_group<const WIDTH: usize>(
    from: usize,
    x: &[f32],
    channels: usize,
    mean: &mut [f32],
    squares: &mut [f32],
) {
    let rows = || {
        x.chunks_exact(channels)
            .map(|row| group::<WIDTH>(row, from))
    };
    let mut middle = [0.0_f32; WIDTH];
    for row in rows() {
        for i in 0..WIDTH {
            middle[i] += row[i];
        }
    }
    let count = (x.len() / channels) as f32;
    middle.iter_mut().for_each(|sum| *sum /= count);
    let mut sums = [0.0_f32; WIDTH];
    for row in rows() {
        for i in 0..WIDTH {
            let d = row[i] - middle[i];
            sums[i] = d.mul_add(d, sums[i]);
        }
    }
    *group_mut(mean, from) = middle;
    *group_mut(squares, from) = sums;
}
