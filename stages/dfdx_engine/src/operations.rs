//! A network's operations on `[rows, channels]`, forward; dfdx's tape knows their gradients.
//! It must not know layers' names or how they follow each other.

use crate::gather::{Gather, Matrix};
use crate::rows;
use crate::vectors::Vector;
use dfdx::prelude::*;
use nn::network::Conv;

/// `[n * size^2, inputs] -> [n * out_size^2, outputs]`: each output pixel's taps side by side,
/// times the weights (`[taps * inputs * outputs]`), plus the bias.
pub(crate) fn convolve<D: Gather, T: Tape<f32, D>>(
    conv: &Conv,
    n: usize,
    x: Matrix<D, T>,
    weight: &Vector<D>,
    bias: Option<&Vector<D>>,
) -> Result<Matrix<D, T>, D::Err> {
    let taps = conv.kernel * conv.kernel;
    let seen = if taps == 1 && conv.stride == 1 {
        x
    } else {
        D::gather(x, rows::of_convolution(conv, n))?
    };
    let pixels = n * conv.out_size().pow(2);
    let seen = seen.try_reshape_like(&(pixels, taps * conv.inputs))?;
    multiply(seen, weight, bias, conv.outputs)
}

/// `x` times a matrix of `outputs` columns, plus a bias in every row.
pub(crate) fn multiply<D: Device<f32>, T: Tape<f32, D>>(
    x: Matrix<D, T>,
    weight: &Vector<D>,
    bias: Option<&Vector<D>>,
    outputs: usize,
) -> Result<Matrix<D, T>, D::Err> {
    let (rows, inputs) = *x.shape();
    let weight = weight.clone().try_reshape_like(&(inputs, outputs))?;
    let y = x.try_matmul(weight)?;
    match bias {
        Some(bias) => y.try_add(across(bias.clone(), rows)?),
        None => Ok(y),
    }
}

/// The same vector in each of `rows` rows.
fn across<D: Device<f32>, T: Tape<f32, D>>(
    x: Vector<D, T>,
    rows: usize,
) -> Result<Matrix<D, T>, D::Err> {
    let (channels,) = *x.shape();
    x.try_broadcast_like::<_, Axis<0>>(&(rows, channels))
}

/// A batch's statistics, one number a channel.
#[derive(Debug)]
pub(crate) struct Statistics<D: Device<f32>> {
    /// Mean over rows.
    pub(crate) mean: Vector<D>,
    /// Mean squared distance from the mean.
    pub(crate) variance: Vector<D>,
}

/// What batch norm makes of a batch.
pub(crate) struct Normalized<D: Device<f32>, T> {
    /// Its output.
    pub(crate) y: Matrix<D, T>,
    /// The batch's own statistics.
    pub(crate) own: Statistics<D>,
}

/// Mean of each column, as a product with a row of `1 / rows`: dfdx's own sum walks columns one
/// number at a time, which is slower and less exact.
fn column_means<D: Device<f32>, T: Tape<f32, D>>(x: Matrix<D, T>) -> Result<Vector<D, T>, D::Err> {
    let (rows, channels) = *x.shape();
    let share = vec![1.0 / rows as f32; rows];
    let share: Matrix<D> = x.device().try_tensor_from_vec(share, (1, rows))?;
    let means = share.put_tape(T::default()).try_matmul(x)?;
    means.try_reshape_like(&(channels,))
}

/// Batch normalisation with the batch's own statistics (Ioffe & Szegedy): the distance from the
/// mean, times `weight / sqrt(variance + epsilon)`, plus `bias`; the variance is the biased one.
pub(crate) fn normalize_by_batch<D: Device<f32>, T: Tape<f32, D>>(
    x: Matrix<D, T>,
    weight: &Vector<D>,
    bias: &Vector<D>,
    epsilon: f32,
) -> Result<Normalized<D, T>, D::Err> {
    let (rows, _) = *x.shape();
    let x_again = x.retaped::<T>();
    let (mean, tape) = column_means(x)?.split_tape();
    let distance = x_again.try_sub(across(mean.clone().put_tape(tape), rows)?)?;
    let distance_again = distance.retaped::<T>();
    let (variance, tape) = column_means(distance.try_square()?)?.split_tape();
    let inverse = variance.clone().put_tape(tape).try_add(epsilon)?;
    let scale = inverse.try_sqrt()?.try_recip()?.try_mul(weight.clone())?;
    let scaled = distance_again.try_mul(across(scale, rows)?)?;
    let y = scaled.try_add(across(bias.clone(), rows)?)?;
    let own = Statistics { mean, variance };
    Ok(Normalized { y, own })
}

/// As [`normalize_by_batch`], with given statistics.
pub(crate) fn normalize_by_given<D: Device<f32>, T: Tape<f32, D>>(
    x: Matrix<D, T>,
    mean: &Vector<D>,
    variance: &Vector<D>,
    weight: &Vector<D>,
    bias: &Vector<D>,
    epsilon: f32,
) -> Result<Matrix<D, T>, D::Err> {
    let (rows, _) = *x.shape();
    let inverse = variance.clone().try_add(epsilon)?.try_sqrt()?.try_recip()?;
    let scale = inverse.try_mul(weight.clone())?;
    let distance = x.try_sub(across(mean.clone(), rows)?)?;
    let scaled = distance.try_mul(across(scale, rows)?)?;
    scaled.try_add(across(bias.clone(), rows)?)
}

/// 0 where `x` is at most 0; NaN stays NaN, which dfdx's own would turn into 0.
pub(crate) fn relu<D: Device<f32>, T: Tape<f32, D>>(
    x: Matrix<D, T>,
) -> Result<Matrix<D, T>, D::Err> {
    let zero: Tensor<Rank0, f32, D> = x.device().try_zeros()?;
    let zeros = zero.try_broadcast_like::<_, Axes2<0, 1>>(x.shape())?;
    x.try_le(0.0)?.try_choose(zeros.put_tape(T::default()), x)
}

/// 2x2 max pool of stride 2: `[n * size^2, channels] -> [n * (size / 2)^2, channels]`. Of equal
/// numbers the first in row-major order gets the gradient.
pub(crate) fn max_pool<D: Gather, T: Tape<f32, D>>(
    x: Matrix<D, T>,
    n: usize,
    size: usize,
) -> Result<Matrix<D, T>, D::Err> {
    let again = x.retaped::<T>();
    let mut largest = D::gather(x, rows::of_corner(n, size, 0, 0))?;
    for (down, right) in [(0, 1), (1, 0), (1, 1)] {
        let corner = D::gather(again.retaped::<T>(), rows::of_corner(n, size, down, right))?;
        largest = corner.try_gt(&largest)?.try_choose(corner, largest)?;
    }
    Ok(largest)
}

/// Mean over each image's pixels: `[n * pixels, channels] -> [n, channels]`.
pub(crate) fn average_pool<D: Device<f32>, T: Tape<f32, D>>(
    x: Matrix<D, T>,
    n: usize,
) -> Result<Matrix<D, T>, D::Err> {
    let (rows, channels) = *x.shape();
    let images = x.try_reshape_like(&(n, rows / n, channels))?;
    images.try_mean::<_, Axis<1>>()
}

/// Inverted dropout: `x / (1 - rate)` where kept, 0 elsewhere.
pub(crate) fn dropout<D: Device<f32>, T: Tape<f32, D>>(
    x: Matrix<D, T>,
    keep: impl Iterator<Item = bool>,
    rate: f32,
) -> Result<Matrix<D, T>, D::Err> {
    let kept = 1.0 / (1.0 - rate);
    let (n, features) = *x.shape();
    let keep = keep.take(n * features);
    let factors = keep.map(|keep| if keep { kept } else { 0.0 }).collect();
    let factors: Matrix<D> = x.device().try_tensor_from_vec(factors, (n, features))?;
    x.try_mul(factors)
}

/// What a batch's logits say.
pub(crate) struct CrossEntropy<D: Device<f32>, T> {
    /// Of each image with its label, in nats, `[n]`.
    pub(crate) losses: Vector<D, T>,
    /// Of the softmax's probabilities, `[n, classes]`.
    pub(crate) logarithms: Matrix<D>,
}

/// Softmax and the cross-entropy with the labels.
pub(crate) fn cross_entropy<D: Device<f32>, T: Tape<f32, D>>(
    logits: Matrix<D, T>,
    labels: &[u8],
) -> Result<CrossEntropy<D, T>, D::Err> {
    let labels: Vec<usize> = labels.iter().map(|&label| label.into()).collect();
    let shape = (labels.len(),);
    let labels: Tensor<_, usize, D> = logits.device().try_tensor_from_vec(labels, shape)?;
    let (logarithms, tape) = logits.try_log_softmax::<Axis<1>>()?.split_tape();
    let of_labels = logarithms.clone().put_tape(tape).try_select(labels)?;
    Ok(CrossEntropy {
        losses: of_labels.try_negate()?,
        logarithms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix of one column, what an operation makes of it, and how the sum of `weights` times
    /// its numbers grows with the matrix.
    fn through(
        x: &[f32],
        weights: &[f32],
        operation: impl Fn(Matrix<Cpu, OwnedTape<f32, Cpu>>) -> Matrix<Cpu, OwnedTape<f32, Cpu>>,
    ) -> (Vec<f32>, Vec<f32>) {
        let device = Cpu::default();
        let x: Matrix<Cpu> = device.tensor_from_vec(x.to_vec(), (x.len(), 1));
        let y = operation(x.leaky_trace());
        let numbers = y.as_vec();
        let weights: Matrix<Cpu> = device.tensor_from_vec(weights.to_vec(), *y.shape());
        let sum: Tensor<Rank0, f32, Cpu, _> = y.try_mul(weights).expect("memory").sum();
        (numbers, sum.backward().get(&x).as_vec())
    }

    #[test]
    fn the_first_of_equal_numbers_in_a_window_gets_the_gradient() {
        // A 4x4 image: windows of equal numbers, of one winner, of two, and of an equal pair last.
        let x = [
            1.0, 1.0, 0.0, 2.0, //
            1.0, 1.0, 1.0, -1.0, //
            3.0, 0.0, 0.0, 0.0, //
            3.0, 2.0, 4.0, 4.0,
        ];
        let (y, gradient) = through(&x, &[1.0, 2.0, 3.0, 4.0], |x| {
            max_pool(x, 1, 4).expect("memory")
        });
        assert_eq!(y, [1.0, 2.0, 3.0, 4.0]);
        let mut expected = [0.0; 16];
        (expected[0], expected[3], expected[8], expected[14]) = (1.0, 2.0, 3.0, 4.0);
        assert_eq!(gradient, expected);
    }

    #[test]
    fn relu_passes_nothing_at_zero_and_keeps_what_is_no_number() {
        let x = [-1.0, -0.0, 0.0, 2.0, f32::INFINITY, f32::NAN];
        let (y, gradient) = through(&x, &[1.0; 6], |x| relu(x).expect("memory"));
        assert_eq!(y[..5], [0.0, 0.0, 0.0, 2.0, f32::INFINITY]);
        assert!(y[5].is_nan());
        assert_eq!(gradient[..5], [0.0, 0.0, 0.0, 1.0, 1.0]);
    }
}
