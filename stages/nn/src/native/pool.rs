//! Global average pool, forward and backward.
//! It must not know which layer it serves. Formulas and orders: `reference::layers`.

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
