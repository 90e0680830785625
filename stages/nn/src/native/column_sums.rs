//! Column sums of `[rows, columns]` matrices, in the reference's blocks of rows.
//! It must not know what is summed for what.

use super::Context;
use super::isa::{Checked, for_each_isa};
use super::memory::Disjoint;
use crate::reference::ROW_BLOCK;

/// Sums each column of `x`.
pub(crate) fn sums(context: &Context, x: &[f32], columns: usize) -> Vec<f64> {
    blocked(context, x.len() / columns, columns, |isa, from, to, out| {
        add_rows(isa, &x[from * columns..to * columns], out);
    })
}

/// Runs `block(isa, first row, end row, sums)` on each block of rows, whose sums start at 0, and
/// adds the blocks in order in f64. `width` is the number of sums of a block.
pub(crate) fn blocked(
    context: &Context,
    rows: usize,
    width: usize,
    block: impl Fn(Checked, usize, usize, &mut [f32]) + Sync,
) -> Vec<f64> {
    let mut totals = vec![0.0_f64; width];
    for block in each_block(context, rows, width, block).chunks_exact(width) {
        for (total, &sum) in totals.iter_mut().zip(block) {
            *total += f64::from(sum);
        }
    }
    totals
}

/// What `block(isa, first row, end row, numbers)` makes of `width` zeros for each block of rows.
pub(crate) fn each_block(
    context: &Context,
    rows: usize,
    width: usize,
    block: impl Fn(Checked, usize, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let blocks = rows.div_ceil(ROW_BLOCK);
    let mut partial = vec![0.0_f32; blocks * width];
    let parts = Disjoint::new(&mut partial);
    let tasks = blocks.min(4 * context.threads.count());
    context.threads.each(tasks, |task| {
        for index in blocks * task / tasks..blocks * (task + 1) / tasks {
            // SAFETY: each block's numbers belong to one task.
            let out = unsafe { parts.range(index * width, width) };
            block(
                context.isa,
                index * ROW_BLOCK,
                rows.min((index + 1) * ROW_BLOCK),
                out,
            );
        }
    });
    partial
}

for_each_isa! {
    /// `out += rows`, row by row.
    fn add_rows(x: &[f32], out: &mut [f32]) {
        for row in x.chunks_exact(out.len()) {
            for (sum, &v) in out.iter_mut().zip(row) {
                *sum += v;
            }
        }
    }
}
