//! Draws a tensor's first weights on all threads.
//! It must not know their distribution.

use super::memory::Disjoint;
use super::threads::Threads;
use crate::parameters::WeightInit;

/// [`WeightInit::fill`]: every number is drawn by its position, so threads may share the work.
pub(crate) fn fill(threads: &Threads, init: &WeightInit, flat: &mut [f32]) {
    /// Numbers of one task.
    const CHUNK: usize = 1 << 14;
    let len = flat.len();
    let flat = Disjoint::new(flat);
    threads.each(len.div_ceil(CHUNK), |task| {
        let from = task * CHUNK;
        // SAFETY: chunks do not overlap.
        let part = unsafe { flat.range(from, CHUNK.min(len - from)) };
        for (i, to) in part.iter_mut().enumerate() {
            *to = init.at(from + i);
        }
    });
}
