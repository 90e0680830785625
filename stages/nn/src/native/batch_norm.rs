//! Batch normalisation with ReLU and the residual sum fused in, forward.
//! It must not know which layer it serves. Formulas and orders: `reference::norm`.

use super::Context;
use super::groups::group;
use super::isa::for_each_isa;
use super::memory::Disjoint;

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

impl<'a> Affine<'a> {
    /// Of the first `n` channels.
    #[inline(always)]
    pub(crate) fn first(self, n: usize) -> Self {
        Self {
            mean: &self.mean[..n],
            scale: &self.scale[..n],
            bias: &self.bias[..n],
        }
    }

    /// Mean, scale and bias of the channels from `from` on.
    #[inline(always)]
    pub(crate) fn group<const WIDTH: usize>(self, from: usize) -> [&'a [f32; WIDTH]; 3] {
        [
            group(self.mean, from),
            group(self.scale, from),
            group(self.bias, from),
        ]
    }
}

/// What the backward pass takes from each gradient, one a channel:
/// `dx = fma(-d, slope, dy - level) * scale`.
pub(crate) struct Slopes {
    pub(crate) slope: Vec<f32>,
    pub(crate) level: Vec<f32>,
}

/// Gradients of a batch norm's weight and bias.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NormGradients {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Slopes {
    /// From the sums `s1`, then `s2`, over `rows` rows.
    pub(crate) fn new(sums: &[f64], rows: usize, norm: Channels<'_>) -> (Self, NormGradients) {
        let (s1, s2) = sums.split_at(norm.mean.len());
        let over_rows = |sum: &f64| (sum / rows as f64) as f32;
        let pairs = || s2.iter().zip(norm.inv_std);
        let slopes = Self {
            slope: pairs()
                .map(|(s2, &inv)| over_rows(s2) * inv * inv)
                .collect(),
            level: s1.iter().map(over_rows).collect(),
        };
        let gradients = NormGradients {
            weight: pairs().map(|(&s2, &inv)| s2 as f32 * inv).collect(),
            bias: s1.iter().map(|&s1| s1 as f32).collect(),
        };
        (slopes, gradients)
    }

    /// Slope and level of the channels from `from` on.
    #[inline(always)]
    pub(crate) fn group<const WIDTH: usize>(&self, from: usize) -> [&[f32; WIDTH]; 2] {
        [group(&self.slope, from), group(&self.level, from)]
    }
}

/// What happens after normalising.
#[derive(Clone, Copy)]
pub(crate) enum After<'a> {
    /// ReLU.
    Relu,
    /// Adds a shortcut, then ReLU.
    AddRelu(&'a [f32]),
    /// Adds a shortcut that is normalised in turn, then ReLU.
    AddNormRelu(&'a [f32], Channels<'a>),
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
    let isa = context.isa;
    let scale = norm.scale();
    let norm = norm.affine(&scale);
    let shortcut_scale = match after {
        After::AddNormRelu(_, norm) => norm.scale(),
        _ => Vec::new(),
    };
    let y = Disjoint::new(y);
    in_shares(context, x.len(), norm.mean.len(), |from, to| {
        // SAFETY: shares do not overlap.
        let y = unsafe { y.range(from, to - from) };
        let x = &x[from..to];
        match after {
            After::Relu => relu(isa, x, norm, y),
            After::AddRelu(added) => add_relu(isa, [x, &added[from..to]], norm, y),
            After::AddNormRelu(added, of) => {
                let norms = [norm, of.affine(&shortcut_scale)];
                add_norm_relu(isa, [x, &added[from..to]], norms, y);
            }
        }
    });
}

// Slices of one length, known to be so, let the compiler vectorise over channels.
for_each_isa! {
    fn relu(x: &[f32], norm: Affine<'_>, y: &mut [f32]) {
        let n = norm.mean.len();
        let Affine { mean, scale, bias } = norm.first(n);
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            for c in 0..n {
                let v = (x[c] - mean[c]).mul_add(scale[c], bias[c]);
                y[c] = if v < 0.0 { 0.0 } else { v };
            }
        }
    }

    fn add_relu(x: [&[f32]; 2], norm: Affine<'_>, y: &mut [f32]) {
        let n = norm.mean.len();
        let Affine { mean, scale, bias } = norm.first(n);
        let rows = x[0].chunks_exact(n).zip(x[1].chunks_exact(n));
        for ((x, added), y) in rows.zip(y.chunks_exact_mut(n)) {
            for c in 0..n {
                let v = (x[c] - mean[c]).mul_add(scale[c], bias[c]) + added[c];
                y[c] = if v < 0.0 { 0.0 } else { v };
            }
        }
    }

    fn add_norm_relu(x: [&[f32]; 2], norms: [Affine<'_>; 2], y: &mut [f32]) {
        let n = norms[0].mean.len();
        let Affine { mean, scale, bias } = norms[0].first(n);
        let Affine { mean: mean2, scale: scale2, bias: bias2 } = norms[1].first(n);
        let rows = x[0].chunks_exact(n).zip(x[1].chunks_exact(n));
        for ((x, x2), y) in rows.zip(y.chunks_exact_mut(n)) {
            for c in 0..n {
                let added = (x2[c] - mean2[c]).mul_add(scale2[c], bias2[c]);
                let v = (x[c] - mean[c]).mul_add(scale[c], bias[c]) + added;
                y[c] = if v < 0.0 { 0.0 } else { v };
            }
        }
    }
}
