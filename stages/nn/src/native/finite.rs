//! Whether all numbers are finite. It must not know what they are.

use super::Context;
use super::isa::for_each_isa;
use std::sync::atomic::{AtomicBool, Ordering};

/// Numbers of one task.
const CHUNK: usize = 1 << 18;

/// Whether all numbers are finite.
pub(crate) fn finite(context: &Context, x: &[f32]) -> bool {
    let all = AtomicBool::new(true);
    context.threads.each(x.len().div_ceil(CHUNK), |task| {
        let chunk = &x[task * CHUNK..x.len().min((task + 1) * CHUNK)];
        let mut infinite = 0;
        count(context.isa, chunk, &mut infinite);
        if infinite > 0 {
            // Only ever set to this; the pool's join orders it before the reading.
            all.store(false, Ordering::Relaxed);
        }
    });
    all.into_inner()
}

for_each_isa! {
    /// Counts numbers that are not finite: a count vectorises where a search would not.
    fn count(x: &[f32], infinite: &mut u32) {
        *infinite = x.iter().map(|v| u32::from(!v.is_finite())).sum();
    }
}
