//! ReLU, pooling, dropout and softmax cross-entropy, forward and backward.
//! It must not know where masks and labels come from.

use super::Real;

/// `max(x, 0)`; NaN stays NaN.
pub fn relu<T: Real>(x: &mut [T]) {
    for v in x {
        if *v < T::default() {
            *v = T::default();
        }
    }
}

/// Keeps the gradient where ReLU's output was positive.
pub fn relu_backward<T: Real>(y: &[T], dy: &mut [T]) {
    for (g, &v) in dy.iter_mut().zip(y) {
        *g = if v > T::default() { *g } else { T::default() };
    }
}

/// Index in `x` (`[n, size, size, channels]`) of the largest number of each 2x2 window of stride
/// 2, windows and channels in the pool's order; the first in row-major order among equals. An odd
/// last row or column is dropped.
pub fn winners<T: Real>(x: &[T], n: usize, size: usize, channels: usize) -> Vec<usize> {
    let half = size / 2;
    let winner = |i: usize| {
        let (c, column, row, image) = (
            i % channels,
            i / channels % half,
            i / channels / half % half,
            i / channels / (half * half),
        );
        let corner = ((image * size + 2 * row) * size + 2 * column) * channels + c;
        let below = corner + size * channels;
        [corner + channels, below, below + channels]
            .into_iter()
            .fold(corner, |best, j| if x[j] > x[best] { j } else { best })
    };
    (0..n * half * half * channels).map(winner).collect()
}

/// 2x2 max pool: the numbers at the windows' [`winners`].
pub fn max_pool<T: Real>(x: &[T], winners: &[usize]) -> Vec<T> {
    winners.iter().map(|&i| x[i]).collect()
}

/// Gives each window's gradient to its winner; `len` is the pool's input's.
pub fn max_pool_backward<T: Real>(dy: &[T], winners: &[usize], len: usize) -> Vec<T> {
    let mut dx = vec![T::default(); len];
    for (&i, &g) in winners.iter().zip(dy) {
        dx[i] = g;
    }
    dx
}

/// Mean over an image's pixels: `[n, pixels, channels] -> [n, channels]`; the sum runs over
/// pixels in order from 0, then one division.
pub fn average_pool<T: Real>(x: &[T], pixels: usize, channels: usize) -> Vec<T> {
    let count = T::from_f64(pixels as f64);
    let images = x.chunks_exact(pixels * channels);
    let mean = |image: &[T], c: usize| {
        (0..pixels).fold(T::default(), |acc, p| acc + image[p * channels + c]) / count
    };
    images
        .flat_map(|image| (0..channels).map(move |c| mean(image, c)))
        .collect()
}

/// Spreads `dy / pixels` over the pixels.
pub fn average_pool_backward<T: Real>(dy: &[T], pixels: usize, channels: usize) -> Vec<T> {
    let count = T::from_f64(pixels as f64);
    let spread =
        |image| (0..pixels * channels).map(move |i| dy[image * channels + i % channels] / count);
    (0..dy.len() / channels).flat_map(spread).collect()
}

/// Inverted dropout, forward and backward alike: `x / (1 - rate)` where kept, 0 elsewhere.
pub fn dropout<T: Real>(x: &mut [T], keep: &[bool], rate: T) {
    let scale = T::from_f64(1.0) / (T::from_f64(1.0) - rate);
    for (v, &k) in x.iter_mut().zip(keep) {
        *v = if k { *v * scale } else { T::default() };
    }
}

/// What softmax cross-entropy says about a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Softmax<T> {
    /// Of each image.
    pub losses: Vec<T>,
    /// `[n, classes]`.
    pub probabilities: Vec<T>,
    /// Of the batch's mean loss with respect to the logits, `[n, classes]`.
    pub gradient: Vec<T>,
}

/// With `m` the largest logit and `s` the sum of `exp(logit - m)` over classes in order:
/// `p = exp(logit - m) / s`, `loss = ln(s) - (logit[label] - m)`, gradient `(p - [label]) / n`.
pub fn softmax_cross_entropy<T: Real>(logits: &[T], labels: &[u8], classes: usize) -> Softmax<T> {
    let n = T::from_f64(labels.len() as f64);
    let one = T::from_f64(1.0);
    let mut result = Softmax {
        losses: Vec::new(),
        probabilities: Vec::new(),
        gradient: Vec::new(),
    };
    for (row, &label) in logits.chunks_exact(classes).zip(labels) {
        let largest = row.iter().fold(row[0], |m, &v| if v > m { v } else { m });
        let powers: Vec<T> = row.iter().map(|&v| (v - largest).exponential()).collect();
        let sum = powers.iter().fold(T::default(), |acc, &e| acc + e);
        result
            .losses
            .push(sum.logarithm() - (row[usize::from(label)] - largest));
        for (class, &e) in powers.iter().enumerate() {
            let p = e / sum;
            result.probabilities.push(p);
            result.gradient.push(
                (if class == usize::from(label) {
                    p - one
                } else {
                    p
                }) / n,
            );
        }
    }
    result
}
