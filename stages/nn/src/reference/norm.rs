//! Batch normalisation over the rows of `[rows, channels]`, forward and backward.
//! It must not know whether rows are pixels or images.
//!
//! Ioffe & Szegedy, "Batch Normalization". As in Keras the variance is the biased one, also in
//! the moving statistics, and `moving = momentum * moving + (1 - momentum) * batch`.

use super::{ROW_BLOCK, Real, column_sums};

/// A batch's statistics, one number a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics<T> {
    /// Mean over rows.
    pub mean: Vec<T>,
    /// Mean squared distance from the mean.
    pub variance: Vec<T>,
    /// `1 / sqrt(variance + epsilon)`.
    pub inv_std: Vec<T>,
}

/// Mean and sum of squared distances from it, over some rows of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// How many rows.
    pub rows: f64,
    /// Their mean.
    pub mean: f64,
    /// Sum of squared distances from the mean.
    pub squares: f64,
}

impl Moments {
    /// Adds the rows behind `other`: Chan, Golub & LeVeque, "Updating Formulae and a Pairwise
    /// Algorithm for Computing Sample Variances". With `share = other.rows / (rows + other.rows)`
    /// and `d = other.mean - mean`: `mean + d * share`, `squares + other.squares + d * d * (rows * share)`.
    #[inline(always)]
    pub fn merge(&mut self, other: Self) {
        let total = self.rows + other.rows;
        let share = other.rows / total;
        let d = other.mean - self.mean;
        self.mean += d * share;
        self.squares = self.squares + other.squares + d * d * (self.rows * share);
        self.rows = total;
    }
}

/// Moments of one channel (rule 4).
fn moments<T: Real>(channels: usize, x: &[T], c: usize) -> Moments {
    let column: Vec<T> = x.chunks_exact(channels).map(|row| row[c]).collect();
    let mut total = Moments::default();
    for block in column.chunks(ROW_BLOCK) {
        let rows = block.len() as f64;
        let mean = block.iter().fold(T::default(), |acc, &v| acc + v) / T::from_f64(rows);
        let squares = block
            .iter()
            .fold(T::default(), |acc, &v| (v - mean).fma(v - mean, acc));
        total.merge(Moments {
            rows,
            mean: mean.to_f64(),
            squares: squares.to_f64(),
        });
    }
    total
}

/// Block moments; the variance is `squares / rows` in f64.
pub fn statistics<T: Real>(channels: usize, x: &[T], epsilon: T) -> Statistics<T> {
    let of: Vec<Moments> = (0..channels).map(|c| moments(channels, x, c)).collect();
    let variance: Vec<T> = of.iter().map(|m| T::from_f64(m.squares / m.rows)).collect();
    Statistics {
        mean: of.iter().map(|m| T::from_f64(m.mean)).collect(),
        inv_std: inverse_deviation(&variance, epsilon),
        variance,
    }
}

/// `1 / sqrt(variance + epsilon)`.
pub fn inverse_deviation<T: Real>(variance: &[T], epsilon: T) -> Vec<T> {
    variance
        .iter()
        .map(|&v| T::from_f64(1.0) / (v + epsilon).root())
        .collect()
}

/// `y = fma(x - mean, weight * inv_std, bias)`.
pub fn normalize<T: Real>(x: &[T], mean: &[T], inv_std: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
    let channels = mean.len();
    let at = |i: usize| i % channels;
    (0..x.len())
        .map(|i| (x[i] - mean[at(i)]).fma(weight[at(i)] * inv_std[at(i)], bias[at(i)]))
        .collect()
}

/// Gradients of a loss through [`normalize`] with batch statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients<T> {
    /// With respect to the input.
    pub x: Vec<T>,
    /// With respect to the scale.
    pub weight: Vec<T>,
    /// With respect to the shift.
    pub bias: Vec<T>,
}

/// With `d = x - mean`, `s1 = sum dy`, `s2 = sum fma(dy, d, acc)` (column sums):
/// `dbias = s1`, `dweight = s2 * inv_std`,
/// `dx = fma(-d, (s2 / rows) * inv_std * inv_std, dy - s1 / rows) * (weight * inv_std)`.
pub fn backward<T: Real>(
    x: &[T],
    dy: &[T],
    mean: &[T],
    inv_std: &[T],
    weight: &[T],
) -> Gradients<T> {
    let everywhere: Vec<usize> = (0..x.len()).collect();
    backward_at(x, dy, &everywhere, mean, inv_std, weight)
}

/// [`backward`] where only some rows of a channel have a gradient: `dy[i]` is that of
/// `x[places[i]]`. The column sums run over the rows of `dy`; elsewhere `dy` is 0 in `dx`.
pub fn backward_at<T: Real>(
    x: &[T],
    dy: &[T],
    places: &[usize],
    mean: &[T],
    inv_std: &[T],
    weight: &[T],
) -> Gradients<T> {
    let channels = mean.len();
    let (all, some) = (x.len() / channels, dy.len() / channels);
    let s1 = column_sums(some, channels, |acc: T, r, c| acc + dy[r * channels + c]);
    let s2 = column_sums(some, channels, |acc: T, r, c| {
        let i = r * channels + c;
        dy[i].fma(x[places[i]] - mean[c], acc)
    });
    let mut dx = vec![T::default(); x.len()];
    for (&i, &g) in places.iter().zip(dy) {
        dx[i] = g;
    }
    for (i, g) in dx.iter_mut().enumerate() {
        let c = i % channels;
        let slope = T::from_f64(s2[c] / all as f64) * inv_std[c] * inv_std[c];
        let level = T::from_f64(s1[c] / all as f64);
        *g = (-(x[i] - mean[c])).fma(slope, *g - level) * (weight[c] * inv_std[c]);
    }
    let dweight = s2
        .iter()
        .zip(inv_std)
        .map(|(&s, &inv)| T::from_f64(s) * inv)
        .collect();
    Gradients {
        x: dx,
        weight: dweight,
        bias: s1.into_iter().map(T::from_f64).collect(),
    }
}

/// `moving = fma(moving, momentum, (1 - momentum) * batch)`.
pub fn update_moving<T: Real>(moving: &mut [T], batch: &[T], momentum: T) {
    for (m, &b) in moving.iter_mut().zip(batch) {
        *m = m.fma(momentum, (T::from_f64(1.0) - momentum) * b);
    }
}
