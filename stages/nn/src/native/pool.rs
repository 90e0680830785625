//! 2x2 max pool and global average pool, forward and backward.
//! It must not know which layer it serves. Formulas and orders: `reference::layers`.

use super::Context;
use super::isa::for_each_isa;
use super::memory::Disjoint;

/// Extents of a pooled input, `[n, size, size, channels]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pool {
    pub(crate) n: usize,
    pub(crate) size: usize,
    pub(crate) channels: usize,
}

/// 2x2 max pool of stride 2.
pub(crate) fn max(context: &Context, pool: Pool, x: &[f32], y: &mut [f32]) {
    let Pool { n, size, channels } = pool;
    let (image, half) = (size * size * channels, (size / 2) * (size / 2) * channels);
    let y = Disjoint::new(y);
    context.threads.each(n, |i| {
        // SAFETY: each task has its own image.
        let y = unsafe { y.range(i * half, half) };
        max_image(
            context.isa,
            &x[i * image..(i + 1) * image],
            size,
            channels,
            y,
        );
    });
}

/// Gives each window's gradient to its first largest number, 0 to the others.
pub(crate) fn max_backward(context: &Context, pool: Pool, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let Pool { n, size, channels } = pool;
    let (image, half) = (size * size * channels, (size / 2) * (size / 2) * channels);
    let dx = Disjoint::new(dx);
    context.threads.each(n, |i| {
        // SAFETY: each task has its own image.
        let dx = unsafe { dx.range(i * image, image) };
        let x = &x[i * image..(i + 1) * image];
        max_image_backward(
            context.isa,
            x,
            &dy[i * half..(i + 1) * half],
            size,
            channels,
            dx,
        );
    });
}

for_each_isa! {
    fn max_image(x: &[f32], size: usize, channels: usize, y: &mut [f32]) {
        let half = size / 2;
        let line = size * channels;
        for (row, y) in y.chunks_exact_mut(half * channels).enumerate() {
            let (upper, lower) = x[2 * row * line..(2 * row + 2) * line].split_at(line);
            let windows = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
            for ((upper, lower), y) in windows.zip(y.chunks_exact_mut(channels)) {
                let ((a, b), (c, d)) = (upper.split_at(channels), lower.split_at(channels));
                for i in 0..channels {
                    let best = if b[i] > a[i] { b[i] } else { a[i] };
                    let best = if c[i] > best { c[i] } else { best };
                    y[i] = if d[i] > best { d[i] } else { best };
                }
            }
        }
    }

    fn max_image_backward(x: &[f32], dy: &[f32], size: usize, channels: usize, dx: &mut [f32]) {
        let half = size / 2;
        let line = size * channels;
        if size % 2 == 1 {
            dx.fill(0.0);
        }
        for (row, dy) in dy.chunks_exact(half * channels).enumerate() {
            let rows = 2 * row * line..(2 * row + 2) * line;
            let (upper, lower) = x[rows.clone()].split_at(line);
            let (dupper, dlower) = dx[rows].split_at_mut(line);
            for (column, dy) in dy.chunks_exact(channels).enumerate() {
                let at = 2 * column * channels..2 * (column + 1) * channels;
                let ((a, b), (c, d)) = (upper[at.clone()].split_at(channels), lower[at.clone()].split_at(channels));
                let (da, db) = dupper[at.clone()].split_at_mut(channels);
                let (dc, dd) = dlower[at].split_at_mut(channels);
                for i in 0..channels {
                    let (mut best, mut winner) = (a[i], 0_u32);
                    if b[i] > best { (best, winner) = (b[i], 1); }
                    if c[i] > best { (best, winner) = (c[i], 2); }
                    if d[i] > best { winner = 3; }
                    da[i] = if winner == 0 { dy[i] } else { 0.0 };
                    db[i] = if winner == 1 { dy[i] } else { 0.0 };
                    dc[i] = if winner == 2 { dy[i] } else { 0.0 };
                    dd[i] = if winner == 3 { dy[i] } else { 0.0 };
                }
            }
        }
    }
}

/// Mean over an image's pixels: `[n, pixels, channels] -> [n, channels]`.
pub(crate) fn average(x: &[f32], pixels: usize, channels: usize, y: &mut [f32]) {
    for (image, y) in x
        .chunks_exact(pixels * channels)
        .zip(y.chunks_exact_mut(channels))
    {
        y.fill(0.0);
        for pixel in image.chunks_exact(channels) {
            y.iter_mut().zip(pixel).for_each(|(sum, &v)| *sum += v);
        }
        y.iter_mut().for_each(|sum| *sum /= pixels as f32);
    }
}

/// Spreads `dy / pixels` over the pixels.
pub(crate) fn average_backward(dy: &[f32], pixels: usize, channels: usize, dx: &mut [f32]) {
    for (dy, image) in dy
        .chunks_exact(channels)
        .zip(dx.chunks_exact_mut(pixels * channels))
    {
        let (first, rest) = image.split_at_mut(channels);
        first
            .iter_mut()
            .zip(dy)
            .for_each(|(to, &g)| *to = g / pixels as f32);
        rest.chunks_exact_mut(channels)
            .for_each(|pixel| pixel.copy_from_slice(first));
    }
}
