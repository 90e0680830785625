//! Batch norm, 2x2 max pool of stride 2 and ReLU in one pass, forward and backward; what lies
//! between them is never stored. It must not know which layer it serves.
//! Formulas and orders: `reference::{norm, layers}`, composed as in `reference::network`.

use super::batch_norm::{Affine, Channels, NormGradients, Slopes};
use super::groups::{for_groups, group, group_mut};
use super::isa::for_each_isa;
use super::memory::Disjoint;
use super::norm_gradient::Normed;
use super::{Context, batch_norm, column_sums};

/// Extents of a pooled input, `[n, size, size, channels]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool {
    pub(crate) n: usize,
    pub(crate) size: usize,
    pub(crate) channels: usize,
}

impl Pool {
    /// Windows in a row and in a column.
    fn half(self) -> usize {
        self.size / 2
    }

    /// Numbers in a row of the input.
    fn line(self) -> usize {
        self.size * self.channels
    }

    /// Where the two lines of a row of windows start in the input; all images' rows are counted.
    fn lines(self, row: usize) -> usize {
        (row / self.half() * self.size + row % self.half() * 2) * self.line()
    }

    /// Where a window starts in the input.
    fn window(self, index: usize) -> usize {
        self.lines(index / self.half()) + index % self.half() * 2 * self.channels
    }
}

/// `y = relu(max_pool(normalize(x)))`.
pub(crate) fn forward(context: &Context, pool: Pool, x: &[f32], norm: Channels<'_>, y: &mut [f32]) {
    let scale = norm.scale();
    let affine = norm.affine(&scale);
    let (line, half_line) = (pool.line(), pool.half() * pool.channels);
    let y = Disjoint::new(y);
    // A task's least work is a row of windows: two lines of the input.
    batch_norm::in_shares(context, y.len(), half_line, |from, to| {
        for row in from / half_line..to / half_line {
            // SAFETY: shares of rows do not overlap.
            let y = unsafe { y.range(row * half_line, half_line) };
            let (upper, lower) = x[pool.lines(row)..][..2 * line].split_at(line);
            pool_row(context.isa, upper, lower, affine, y);
        }
    });
}

/// From `dy`, the gradient of the pooled and rectified numbers, writes that of `of.x` to `dx`, and
/// returns those of the weight and bias.
pub(crate) fn backward(
    context: &Context,
    pool: Pool,
    of: Normed<'_>,
    dy: &[f32],
    dx: &mut [f32],
) -> NormGradients {
    let (channels, x) = (pool.channels, of.x);
    let scale = of.norm.scale();
    let affine = of.norm.affine(&scale);
    let windows = dy.len() / channels;
    let sums = column_sums::blocked(context, windows, 2 * channels, |isa, from, to, out| {
        add_windows(
            isa,
            x,
            pool,
            from,
            &dy[from * channels..to * channels],
            affine,
            out,
        );
    });
    let (slopes, gradients) = Slopes::new(&sums, x.len() / channels, of.norm);
    let (line, half_line) = (pool.line(), pool.half() * channels);
    let dx = Disjoint::new(dx);
    batch_norm::in_shares(context, dy.len(), half_line, |from, to| {
        for row in from / half_line..to / half_line {
            let at = pool.lines(row);
            // SAFETY: shares of rows of windows do not overlap, nor do their lines.
            let (dupper, dlower) = unsafe { dx.range(at, 2 * line) }.split_at_mut(line);
            let (upper, lower) = x[at..at + 2 * line].split_at(line);
            let dy = &dy[row * half_line..(row + 1) * half_line];
            spread_row(
                context.isa,
                [upper, lower],
                dy,
                affine,
                &slopes,
                [dupper, dlower],
            );
            if pool.size % 2 == 1 {
                let edge = line - channels;
                for (x, dx) in [(upper, dupper), (lower, dlower)] {
                    spread_nothing(context.isa, &x[edge..], affine, &slopes, &mut dx[edge..]);
                }
            }
        }
    });
    if pool.size % 2 == 1 {
        context.threads.each(pool.n, |image| {
            let at = (image + 1) * pool.size * line - line;
            // SAFETY: an image's last line belongs to no window, and to one task here.
            let dx = unsafe { dx.range(at, line) };
            spread_nothing(context.isa, &x[at..at + line], affine, &slopes, dx);
        });
    }
    gradients
}

for_each_isa! {
    /// One row of windows.
    fn pool_row(upper: &[f32], lower: &[f32], norm: Affine<'_>, y: &mut [f32]) {
        let channels = norm.mean.len();
        let windows = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
        for ((upper, lower), y) in windows.zip(y.chunks_exact_mut(channels)) {
            for_groups!(channels, 16, pool_group([upper, lower], norm, y));
        }
    }

    /// Adds a block of windows' gradients, and their products with the winners' distances.
    fn add_windows(x: &[f32], pool: Pool, first: usize, dy: &[f32], norm: Affine<'_>, out: &mut [f32]) {
        let channels = norm.mean.len();
        let (s1, s2) = out.split_at_mut(channels);
        for (index, dy) in dy.chunks_exact(channels).enumerate() {
            let at = pool.window(first + index);
            let upper = &x[at..at + 2 * channels];
            let lower = &x[at + pool.line()..at + pool.line() + 2 * channels];
            for_groups!(channels, 16, add_group([upper, lower], dy, norm, s1, s2));
        }
    }

    /// The gradient of rows outside all windows: `dy` is 0.
    fn spread_nothing(x: &[f32], norm: Affine<'_>, slopes: &Slopes, dx: &mut [f32]) {
        let n = norm.mean.len();
        let Affine { mean, scale, .. } = norm.first(n);
        let (slope, level) = (&slopes.slope[..n], &slopes.level[..n]);
        for (x, dx) in x.chunks_exact(n).zip(dx.chunks_exact_mut(n)) {
            for c in 0..n {
                dx[c] = (-(x[c] - mean[c])).mul_add(slope[c], 0.0 - level[c]) * scale[c];
            }
        }
    }

    /// The gradient of one row of windows.
    fn spread_row(x: [&[f32]; 2], dy: &[f32], norm: Affine<'_>, slopes: &Slopes, dx: [&mut [f32]; 2]) {
        let channels = norm.mean.len();
        let [dupper, dlower] = dx;
        let windows = x[0].chunks_exact(2 * channels).zip(x[1].chunks_exact(2 * channels));
        let to = dupper.chunks_exact_mut(2 * channels).zip(dlower.chunks_exact_mut(2 * channels));
        for (((upper, lower), (dupper, dlower)), dy) in windows.zip(to).zip(dy.chunks_exact(channels)) {
            for_groups!(channels, 16, spread_group([upper, lower], dy, norm, slopes, [&mut *dupper, &mut *dlower]));
        }
    }
}

/// The distances of a window's four numbers from the mean.
#[inline(always)]
fn distances<const WIDTH: usize>(
    from: usize,
    x: [&[f32]; 2],
    norm: Affine<'_>,
) -> [[f32; WIDTH]; 4] {
    let next = norm.mean.len() + from;
    let mean = group::<WIDTH>(norm.mean, from);
    let (a, b) = (group::<WIDTH>(x[0], from), group::<WIDTH>(x[0], next));
    let (c, d) = (group::<WIDTH>(x[1], from), group::<WIDTH>(x[1], next));
    // Closures would stay calls: they are compiled without the vector instructions.
    let mut all = [[0.0; WIDTH]; 4];
    for i in 0..WIDTH {
        all[0][i] = a[i] - mean[i];
        all[1][i] = b[i] - mean[i];
        all[2][i] = c[i] - mean[i];
        all[3][i] = d[i] - mean[i];
    }
    all
}

#[inline(always)]
fn pool_group<const WIDTH: usize>(from: usize, x: [&[f32]; 2], norm: Affine<'_>, y: &mut [f32]) {
    let d = distances::<WIDTH>(from, x, norm);
    let [_, scale, bias] = norm.group::<WIDTH>(from);
    let y = group_mut::<WIDTH>(y, from);
    for i in 0..WIDTH {
        let v = |k: usize| d[k][i].mul_add(scale[i], bias[i]);
        let mut best = v(0);
        for k in 1..4 {
            let other = v(k);
            best = if other > best { other } else { best };
        }
        y[i] = if best < 0.0 { 0.0 } else { best };
    }
}

#[inline(always)]
fn add_group<const WIDTH: usize>(
    from: usize,
    x: [&[f32]; 2],
    dy: &[f32],
    norm: Affine<'_>,
    s1: &mut [f32],
    s2: &mut [f32],
) {
    let d = distances::<WIDTH>(from, x, norm);
    let [_, scale, bias] = norm.group::<WIDTH>(from);
    let dy = group::<WIDTH>(dy, from);
    let (s1, s2) = (group_mut::<WIDTH>(s1, from), group_mut::<WIDTH>(s2, from));
    for i in 0..WIDTH {
        let mut best = d[0][i].mul_add(scale[i], bias[i]);
        let mut winner = d[0][i];
        for d in &d[1..] {
            let other = d[i].mul_add(scale[i], bias[i]);
            winner = if other > best { d[i] } else { winner };
            best = if other > best { other } else { best };
        }
        let g = if best > 0.0 { dy[i] } else { 0.0 };
        s1[i] += g;
        s2[i] = g.mul_add(winner, s2[i]);
    }
}

#[inline(always)]
fn spread_group<const WIDTH: usize>(
    from: usize,
    x: [&[f32]; 2],
    dy: &[f32],
    norm: Affine<'_>,
    slopes: &Slopes,
    [upper, lower]: [&mut [f32]; 2],
) {
    let channels = norm.mean.len();
    let d = distances::<WIDTH>(from, x, norm);
    let [_, scale, bias] = norm.group::<WIDTH>(from);
    let [slope, level] = slopes.group::<WIDTH>(from);
    let dy = group::<WIDTH>(dy, from);
    let mut dx = [[0.0_f32; WIDTH]; 4];
    for i in 0..WIDTH {
        let mut best = d[0][i].mul_add(scale[i], bias[i]);
        let mut winner = 0_u32;
        for (k, d) in (1..).zip(&d[1..]) {
            let other = d[i].mul_add(scale[i], bias[i]);
            winner = if other > best { k } else { winner };
            best = if other > best { other } else { best };
        }
        let g = if best > 0.0 { dy[i] } else { 0.0 };
        for (k, (dx, d)) in (0..).zip(dx.iter_mut().zip(&d)) {
            let g = if winner == k { g } else { 0.0 };
            dx[i] = (-d[i]).mul_add(slope[i], g - level[i]) * scale[i];
        }
    }
    *group_mut(upper, from) = dx[0];
    *group_mut(upper, channels + from) = dx[1];
    *group_mut(lower, from) = dx[2];
    *group_mut(lower, channels + from) = dx[3];
}
