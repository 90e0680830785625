//! Batch normalisation with ReLU and the residual sum fused in, forward and backward.
//! It must not know which layer it serves. Formulas and orders: `reference::norm`.

use super::isa::{Checked, for_each_isa};
use super::memory::Disjoint;
use super::{Context, columns};

/// A batch norm's numbers for one pass, one a channel.
#[derive(Clone, Copy)]
pub(crate) struct Channels<'a> {
    pub(crate) mean: &'a [f32],
    pub(crate) inv_std: &'a [f32],
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
}

impl<'a> Channels<'a> {
    /// `weight * inv_std`.
    pub(crate) fn scale(self) -> Vec<f32> {
        let both = self.weight.iter().zip(self.inv_std);
        both.map(|(&w, &s)| w * s).collect()
    }

    /// With its [`Self::scale`].
    pub(crate) fn affine(self, scale: &'a [f32]) -> Affine<'a> {
        Affine {
            mean: self.mean,
            scale,
            bias: self.bias,
        }
    }
}

/// What normalising does to a number: `fma(x - mean, scale, bias)`, one of each a channel.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a> {
    pub(crate) mean: &'a [f32],
    pub(crate) scale: &'a [f32],
    pub(crate) bias: &'a [f32],
}

/// What the backward pass takes from each gradient, one a channel:
/// `dx = fma(-d, slope, dy - level) * scale`.
pub(crate) struct Slopes {
    pub(crate) slope: Vec<f32>,
    pub(crate) level: Vec<f32>,
}

impl Slopes {
    /// From the sums `s1`, then `s2`, over `rows` rows; writes the weight's and bias' gradients.
    pub(crate) fn new(
        sums: &[f64],
        rows: usize,
        norm: Channels<'_>,
        dweight: &mut [f32],
        dbias: &mut [f32],
    ) -> Self {
        let (s1, s2) = sums.split_at(norm.mean.len());
        let over_rows = |sum: &f64| (sum / rows as f64) as f32;
        for (c, &inv_std) in norm.inv_std.iter().enumerate() {
            dweight[c] = s2[c] as f32 * inv_std;
            dbias[c] = s1[c] as f32;
        }
        let slopes = s2.iter().zip(norm.inv_std);
        Self {
            slope: slopes.map(|(s2, &inv)| over_rows(s2) * inv * inv).collect(),
            level: s1.iter().map(over_rows).collect(),
        }
    }
}

/// What happens after normalising.
#[derive(Clone, Copy)]
pub(crate) enum After<'a> {
    /// Nothing.
    Nothing,
    /// ReLU.
    Relu,
    /// Adds a shortcut, then ReLU.
    AddRelu(&'a [f32]),
}

/// Cuts `[rows, channels]` into one task's share of rows each and runs `f(first, end)` on
/// ranges of numbers.
pub(crate) fn in_shares(
    context: &Context,
    len: usize,
    channels: usize,
    f: impl Fn(usize, usize) + Sync,
) {
    let rows = len / channels;
    // Under a few thousand numbers a task costs more than it saves.
    let tasks = (len / 8192).clamp(1, 4 * context.threads.count()).min(rows);
    context.threads.each(tasks, |task| {
        f(
            rows * task / tasks * channels,
            rows * (task + 1) / tasks * channels,
        )
    });
}

/// `y = after(normalize(x))`.
pub(crate) fn normalize(
    context: &Context,
    x: &[f32],
    norm: Channels<'_>,
    after: After<'_>,
    y: &mut [f32],
) {
    let channels = norm.mean.len();
    let scale = norm.scale();
    let y = Disjoint::new(y);
    in_shares(context, x.len(), channels, |from, to| {
        // SAFETY: shares do not overlap.
        let out = unsafe { y.range(from, to - from) };
        let x = &x[from..to];
        match after {
            After::Nothing => apply(context.isa, x, norm.mean, &scale, norm.bias, out),
            After::Relu => apply_relu(context.isa, x, norm.mean, &scale, norm.bias, out),
            After::AddRelu(s) => apply_add_relu(
                context.isa,
                x,
                norm.mean,
                &scale,
                norm.bias,
                &s[from..to],
                out,
            ),
        }
    });
}

/// Turns `dy`, the gradient of the normalised values, into that of `x`; writes those of the
/// weight and bias. With `output`, first drops the gradient where that ReLU's output is not positive.
pub(crate) fn backward(
    context: &Context,
    x: &[f32],
    output: Option<&[f32]>,
    dy: &mut [f32],
    norm: Channels<'_>,
    dweight: &mut [f32],
    dbias: &mut [f32],
) {
    let channels = norm.mean.len();
    let rows = x.len() / channels;
    let gradient = Disjoint::new(dy);
    let sums = columns::blocked(context, rows, 2 * channels, |isa, from, to, out| {
        let (from, to) = (from * channels, to * channels);
        // SAFETY: blocks of rows do not overlap.
        let dy = unsafe { gradient.range(from, to - from) };
        if let Some(output) = output {
            drop_inactive(isa, &output[from..to], dy);
        }
        let (s1, s2) = out.split_at_mut(channels);
        add_gradients(isa, &x[from..to], dy, norm.mean, s1, s2);
    });
    let slopes = Slopes::new(&sums, rows, norm, dweight, dbias);
    let scale = norm.scale();
    in_shares(context, x.len(), channels, |from, to| {
        // SAFETY: shares do not overlap.
        let dy = unsafe { gradient.range(from, to - from) };
        spread(
            context.isa,
            &x[from..to],
            norm.mean,
            &scale,
            &slopes.slope,
            &slopes.level,
            dy,
        );
    });
}

/// Drops `dy` where `output` is not positive.
pub(crate) fn relu_backward(context: &Context, output: &[f32], dy: &mut [f32]) {
    let gradient = Disjoint::new(dy);
    in_shares(context, output.len(), 1, |from, to| {
        // SAFETY: shares do not overlap.
        drop_inactive(context.isa, &output[from..to], unsafe {
            gradient.range(from, to - from)
        });
    });
}

/// The gradient of rows that have none of their own: `dy` is 0.
pub(crate) fn spread_nothing(
    isa: Checked,
    x: &[f32],
    norm: Affine<'_>,
    slopes: &Slopes,
    dx: &mut [f32],
) {
    dx.fill(0.0);
    spread(
        isa,
        x,
        norm.mean,
        norm.scale,
        &slopes.slope,
        &slopes.level,
        dx,
    );
}

for_each_isa! {
    fn apply(x: &[f32], mean: &[f32], scale: &[f32], bias: &[f32], y: &mut [f32]) {
        let n = mean.len();
        let (scale, bias) = (&scale[..n], &bias[..n]);
        for (row, out) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            for c in 0..n {
                out[c] = (row[c] - mean[c]).mul_add(scale[c], bias[c]);
            }
        }
    }

    fn apply_relu(x: &[f32], mean: &[f32], scale: &[f32], bias: &[f32], y: &mut [f32]) {
        let n = mean.len();
        let (scale, bias) = (&scale[..n], &bias[..n]);
        for (row, out) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            for c in 0..n {
                let v = (row[c] - mean[c]).mul_add(scale[c], bias[c]);
                out[c] = if v < 0.0 { 0.0 } else { v };
            }
        }
    }

    fn apply_add_relu(x: &[f32], mean: &[f32], scale: &[f32], bias: &[f32], added: &[f32], y: &mut [f32]) {
        let n = mean.len();
        let (scale, bias) = (&scale[..n], &bias[..n]);
        for ((row, added), out) in x.chunks_exact(n).zip(added.chunks_exact(n)).zip(y.chunks_exact_mut(n)) {
            for c in 0..n {
                let v = (row[c] - mean[c]).mul_add(scale[c], bias[c]) + added[c];
                out[c] = if v < 0.0 { 0.0 } else { v };
            }
        }
    }

    fn drop_inactive(output: &[f32], dy: &mut [f32]) {
        for (g, &v) in dy.iter_mut().zip(output) {
            *g = if v > 0.0 { *g } else { 0.0 };
        }
    }

    fn add_gradients(x: &[f32], dy: &[f32], mean: &[f32], s1: &mut [f32], s2: &mut [f32]) {
        let n = mean.len();
        let (s1, s2) = (&mut s1[..n], &mut s2[..n]);
        for (row, g) in x.chunks_exact(n).zip(dy.chunks_exact(n)) {
            for c in 0..n {
                s1[c] += g[c];
                s2[c] = g[c].mul_add(row[c] - mean[c], s2[c]);
            }
        }
    }

    fn spread(x: &[f32], mean: &[f32], scale: &[f32], slope: &[f32], level: &[f32], dy: &mut [f32]) {
        let n = mean.len();
        let (scale, slope, level) = (&scale[..n], &slope[..n], &level[..n]);
        for (row, g) in x.chunks_exact(n).zip(dy.chunks_exact_mut(n)) {
            for c in 0..n {
                g[c] = (-(row[c] - mean[c])).mul_add(slope[c], g[c] - level[c]) * scale[c];
            }
        }
    }
}
