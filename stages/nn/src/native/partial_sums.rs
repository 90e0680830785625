//! Sums whose parts were computed apart, added up in order.
//! It must not know what is summed.

use super::Context;
use super::memory::Disjoint;

/// Numbers of one task.
const SHARE: usize = 4096;

/// `out = part 0 + part 1 + ...`, in order; `parts` has one part after another, each as long as
/// `out`.
pub(crate) fn add_up(context: &Context, parts: &[f32], out: &mut [f32]) {
    let len = out.len();
    let out = Disjoint::new(out);
    let share = SHARE.min(len.div_ceil(context.threads.count()).next_multiple_of(16));
    context.threads.each(len.div_ceil(share.max(1)), |task| {
        let from = task * share;
        let to = len.min(from + share);
        // SAFETY: shares do not overlap.
        let out = unsafe { out.range(from, to - from) };
        out.copy_from_slice(&parts[from..to]);
        for part in parts.chunks_exact(len).skip(1) {
            for (sum, &v) in out.iter_mut().zip(&part[from..to]) {
                *sum += v;
            }
        }
    });
}
