//! Adam's update in parallel. Formula: `reference::adam`.
//! It must not know layers or schedules: the rate comes with the coefficients.

use super::Context;
use super::isa::for_each_isa;
use super::memory::Disjoint;
use crate::reference::adam::Coefficients;

/// Numbers of one task: large enough to amortise it, small enough to share evenly.
const CHUNK: usize = 1 << 16;

/// Updates `w`, `m` and `v` from the gradient.
pub(crate) fn update(
    context: &Context,
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    g: &[f32],
    c: &Coefficients<f32>,
) {
    let (w, m, v) = (Disjoint::new(w), Disjoint::new(m), Disjoint::new(v));
    context.threads.each(g.len().div_ceil(CHUNK), |task| {
        let from = task * CHUNK;
        let len = CHUNK.min(g.len() - from);
        // SAFETY: chunks do not overlap.
        let (w, m, v) = unsafe { (w.range(from, len), m.range(from, len), v.range(from, len)) };
        update_chunk(context.isa, w, m, v, &g[from..from + len], *c);
    });
}

for_each_isa! {
    fn update_chunk(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], c: Coefficients<f32>) {
        let n = g.len();
        let (w, m, v) = (&mut w[..n], &mut m[..n], &mut v[..n]);
        for i in 0..n {
            m[i] = (g[i] - m[i]).mul_add(c.one_minus_beta1, m[i]);
            v[i] = (g[i] * g[i] - v[i]).mul_add(c.one_minus_beta2, v[i]);
            w[i] -= (c.rate * m[i]) / (v[i].sqrt() + c.epsilon);
        }
    }
}
