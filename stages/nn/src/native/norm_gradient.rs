//! Backward through a ReLU and the batch norms before it: two passes over memory, the first for
//! the sums and the second for the gradients. It must not know which layer it serves.
//! Formulas and orders: `reference::norm`.
//!
//! What the ReLU let through is computed again from what was normalised, bit for bit as the
//! forward pass did, instead of reading its output.

use super::batch_norm::{Affine, Channels, NormGradients, Slopes, in_shares};
use super::groups::{for_groups, group, group_mut};
use super::isa::for_each_isa;
use super::memory::Disjoint;
use super::{Context, column_sums};

/// A convolution's output and its batch norm.
#[derive(Clone, Copy)]
pub(crate) struct Normed<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) norm: Channels<'a>,
}

/// `y = relu(normalize(x))`: turns `dy` into the gradient of `x`; returns those of
/// the weight and bias.
pub(crate) fn through_relu(context: &Context, of: Normed<'_>, dy: &mut [f32]) -> NormGradients {
    let (channels, x) = (of.norm.mean.len(), of.x);
    let scale = of.norm.scale();
    let norm = of.norm.affine(&scale);
    let rows = x.len() / channels;
    let sums = column_sums::blocked(context, rows, 2 * channels, |isa, from, to, out| {
        let at = from * channels..to * channels;
        add_relu(isa, &x[at.clone()], &dy[at], norm, out);
    });
    let (slopes, gradients) = Slopes::new(&sums, rows, of.norm);
    let dy = Disjoint::new(dy);
    in_shares(context, x.len(), channels, |from, to| {
        // SAFETY: shares do not overlap.
        let dy = unsafe { dy.range(from, to - from) };
        spread_relu(context.isa, &x[from..to], norm, &slopes, dy);
    });
    gradients
}

/// `y = relu(normalize(x) + added)`: turns `dy` into the gradient of `x` and writes that of what
/// was added to `through`.
pub(crate) fn through_sum(
    context: &Context,
    of: Normed<'_>,
    added: &[f32],
    dy: &mut [f32],
    through: &mut [f32],
) -> NormGradients {
    let (channels, x) = (of.norm.mean.len(), of.x);
    let scale = of.norm.scale();
    let norm = of.norm.affine(&scale);
    let rows = x.len() / channels;
    let sums = column_sums::blocked(context, rows, 2 * channels, |isa, from, to, out| {
        let at = from * channels..to * channels;
        add_sum(isa, &x[at.clone()], &added[at.clone()], &dy[at], norm, out);
    });
    let (slopes, gradients) = Slopes::new(&sums, rows, of.norm);
    let (dy, through) = (Disjoint::new(dy), Disjoint::new(through));
    in_shares(context, x.len(), channels, |from, to| {
        // SAFETY: shares do not overlap.
        let (dy, through) = unsafe { (dy.range(from, to - from), through.range(from, to - from)) };
        let (x, added) = (&x[from..to], &added[from..to]);
        spread_sum(context.isa, [x, added], norm, &slopes, dy, through);
    });
    gradients
}

/// `y = relu(normalize(x) + normalize(shortcut))`: turns `dy` into the gradient of `of.x` and
/// writes that of `shortcut.x` to `through`.
pub(crate) fn through_both(
    context: &Context,
    of: Normed<'_>,
    shortcut: Normed<'_>,
    dy: &mut [f32],
    through: &mut [f32],
) -> [NormGradients; 2] {
    let (channels, x, x2) = (of.norm.mean.len(), of.x, shortcut.x);
    let scales = [of.norm.scale(), shortcut.norm.scale()];
    let norms = [of.norm.affine(&scales[0]), shortcut.norm.affine(&scales[1])];
    let rows = x.len() / channels;
    // The sum of the gradients is the same for both.
    let sums = column_sums::blocked(context, rows, 3 * channels, |isa, from, to, out| {
        let at = from * channels..to * channels;
        add_both(isa, [&x[at.clone()], &x2[at.clone()]], &dy[at], norms, out);
    });
    let (own, other) = sums.split_at(2 * channels);
    let other = [&own[..channels], other].concat();
    let (slopes, gradients) = Slopes::new(own, rows, of.norm);
    let (slopes2, gradients2) = Slopes::new(&other, rows, shortcut.norm);
    let slopes = [slopes, slopes2];
    let (dy, through) = (Disjoint::new(dy), Disjoint::new(through));
    in_shares(context, x.len(), channels, |from, to| {
        // SAFETY: shares do not overlap.
        let (dy, through) = unsafe { (dy.range(from, to - from), through.range(from, to - from)) };
        let x = [&x[from..to], &x2[from..to]];
        spread_both(context.isa, x, norms, &slopes, dy, through);
    });
    [gradients, gradients2]
}

for_each_isa! {
    fn add_relu(x: &[f32], dy: &[f32], norm: Affine<'_>, out: &mut [f32]) {
        for_groups!(norm.mean.len(), 32, add_relu_group(x, dy, norm, out));
    }

    fn add_sum(x: &[f32], added: &[f32], dy: &[f32], norm: Affine<'_>, out: &mut [f32]) {
        for_groups!(norm.mean.len(), 32, add_sum_group(x, added, dy, norm, out));
    }

    fn add_both(x: [&[f32]; 2], dy: &[f32], norms: [Affine<'_>; 2], out: &mut [f32]) {
        for_groups!(norms[0].mean.len(), 32, add_both_group(x, dy, norms, out));
    }

    fn spread_relu(x: &[f32], norm: Affine<'_>, slopes: &Slopes, dy: &mut [f32]) {
        let n = norm.mean.len();
        let Affine { mean, scale, bias } = norm.first(n);
        let (slope, level) = (&slopes.slope[..n], &slopes.level[..n]);
        for (x, dy) in x.chunks_exact(n).zip(dy.chunks_exact_mut(n)) {
            for c in 0..n {
                let d = x[c] - mean[c];
                let v = d.mul_add(scale[c], bias[c]);
                let g = if v > 0.0 { dy[c] } else { 0.0 };
                dy[c] = (-d).mul_add(slope[c], g - level[c]) * scale[c];
            }
        }
    }

    fn spread_sum(x: [&[f32]; 2], norm: Affine<'_>, slopes: &Slopes, dy: &mut [f32], through: &mut [f32]) {
        let n = norm.mean.len();
        let Affine { mean, scale, bias } = norm.first(n);
        let (slope, level) = (&slopes.slope[..n], &slopes.level[..n]);
        let x = x[0].chunks_exact(n).zip(x[1].chunks_exact(n));
        for ((x, added), (dy, through)) in x.zip(dy.chunks_exact_mut(n).zip(through.chunks_exact_mut(n))) {
            for c in 0..n {
                let d = x[c] - mean[c];
                let v = d.mul_add(scale[c], bias[c]) + added[c];
                let g = if v > 0.0 { dy[c] } else { 0.0 };
                through[c] = g;
                dy[c] = (-d).mul_add(slope[c], g - level[c]) * scale[c];
            }
        }
    }

    fn spread_both(x: [&[f32]; 2], norms: [Affine<'_>; 2], slopes: &[Slopes; 2], dy: &mut [f32], through: &mut [f32]) {
        let n = norms[0].mean.len();
        let Affine { mean, scale, bias } = norms[0].first(n);
        let Affine { mean: mean2, scale: scale2, bias: bias2 } = norms[1].first(n);
        let (slope, level) = (&slopes[0].slope[..n], &slopes[0].level[..n]);
        let (slope2, level2) = (&slopes[1].slope[..n], &slopes[1].level[..n]);
        let x = x[0].chunks_exact(n).zip(x[1].chunks_exact(n));
        for ((x, x2), (dy, through)) in x.zip(dy.chunks_exact_mut(n).zip(through.chunks_exact_mut(n))) {
            for c in 0..n {
                let (d, d2) = (x[c] - mean[c], x2[c] - mean2[c]);
                let v = d.mul_add(scale[c], bias[c]) + d2.mul_add(scale2[c], bias2[c]);
                let g = if v > 0.0 { dy[c] } else { 0.0 };
                dy[c] = (-d).mul_add(slope[c], g - level[c]) * scale[c];
                through[c] = (-d2).mul_add(slope2[c], g - level2[c]) * scale2[c];
            }
        }
    }
}

#[inline(always)]
fn add_relu_group<const WIDTH: usize>(
    from: usize,
    x: &[f32],
    dy: &[f32],
    norm: Affine<'_>,
    out: &mut [f32],
) {
    let n = norm.mean.len();
    let [mean, scale, bias] = norm.group::<WIDTH>(from);
    let (mut s1, mut s2) = ([0.0_f32; WIDTH], [0.0_f32; WIDTH]);
    for (x, dy) in x.chunks_exact(n).zip(dy.chunks_exact(n)) {
        let (x, dy) = (group::<WIDTH>(x, from), group::<WIDTH>(dy, from));
        for i in 0..WIDTH {
            let d = x[i] - mean[i];
            let v = d.mul_add(scale[i], bias[i]);
            let g = if v > 0.0 { dy[i] } else { 0.0 };
            s1[i] += g;
            s2[i] = g.mul_add(d, s2[i]);
        }
    }
    *group_mut(out, from) = s1;
    *group_mut(out, n + from) = s2;
}

#[inline(always)]
fn add_sum_group<const WIDTH: usize>(
    from: usize,
    x: &[f32],
    added: &[f32],
    dy: &[f32],
    norm: Affine<'_>,
    out: &mut [f32],
) {
    let n = norm.mean.len();
    let [mean, scale, bias] = norm.group::<WIDTH>(from);
    let (mut s1, mut s2) = ([0.0_f32; WIDTH], [0.0_f32; WIDTH]);
    let rows = x.chunks_exact(n).zip(added.chunks_exact(n));
    for ((x, added), dy) in rows.zip(dy.chunks_exact(n)) {
        let (x, dy) = (group::<WIDTH>(x, from), group::<WIDTH>(dy, from));
        let added = group::<WIDTH>(added, from);
        for i in 0..WIDTH {
            let d = x[i] - mean[i];
            let v = d.mul_add(scale[i], bias[i]) + added[i];
            let g = if v > 0.0 { dy[i] } else { 0.0 };
            s1[i] += g;
            s2[i] = g.mul_add(d, s2[i]);
        }
    }
    *group_mut(out, from) = s1;
    *group_mut(out, n + from) = s2;
}

#[inline(always)]
fn add_both_group<const WIDTH: usize>(
    from: usize,
    x: [&[f32]; 2],
    dy: &[f32],
    norms: [Affine<'_>; 2],
    out: &mut [f32],
) {
    let n = norms[0].mean.len();
    let [mean, scale, bias] = norms[0].group::<WIDTH>(from);
    let [mean2, scale2, bias2] = norms[1].group::<WIDTH>(from);
    let [mut s1, mut s2, mut s3] = [[0.0_f32; WIDTH]; 3];
    let rows = x[0].chunks_exact(n).zip(x[1].chunks_exact(n));
    for ((x, x2), dy) in rows.zip(dy.chunks_exact(n)) {
        let (x, dy) = (group::<WIDTH>(x, from), group::<WIDTH>(dy, from));
        let x2 = group::<WIDTH>(x2, from);
        for i in 0..WIDTH {
            let (d, d2) = (x[i] - mean[i], x2[i] - mean2[i]);
            let v = d.mul_add(scale[i], bias[i]) + d2.mul_add(scale2[i], bias2[i]);
            let g = if v > 0.0 { dy[i] } else { 0.0 };
            s1[i] += g;
            s2[i] = g.mul_add(d, s2[i]);
            s3[i] = g.mul_add(d2, s3[i]);
        }
    }
    *group_mut(out, from) = s1;
    *group_mut(out, n + from) = s2;
    *group_mut(out, 2 * n + from) = s3;
}
