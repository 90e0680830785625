//! Rows of a matrix by their numbers, with their gradients.
//! It must not know convolutions or pools.

use dfdx::prelude::*;

/// A tensor of two axes; `T` is its tape.
pub(crate) type Matrix<D, T = NoneTape> = Tensor<(usize, usize), f32, D, T>;

/// A device of dfdx that trains networks.
pub trait Gather: Device<f32> {
    /// `[rows, channels] -> [numbers, channels]`: the rows of these numbers, or zeros for a number
    /// that is `rows`.
    ///
    /// # Errors
    /// What dfdx says when memory is out.
    fn gather<T: Tape<f32, Self>>(
        x: Matrix<Self, T>,
        numbers: Vec<usize>,
    ) -> Result<Matrix<Self, T>, Self::Err> {
        of_dfdx(x, numbers)
    }
}

/// By dfdx's own operations, on any device.
fn of_dfdx<D: Device<f32>, T: Tape<f32, D>>(
    x: Matrix<D, T>,
    numbers: Vec<usize>,
) -> Result<Matrix<D, T>, D::Err> {
    let (_, channels) = *x.shape();
    let device = x.device().clone();
    let zeros: Matrix<D> = device.try_zeros_like(&(1, channels))?;
    let padded: Matrix<D, T> = (x, zeros).try_concat_along(Axis::<0>)?;
    let shape = (numbers.len(),);
    padded.try_gather(device.try_tensor_from_vec(numbers, shape)?)
}

/// The same as an operation of the tape's own: dfdx looks every single number up.
impl Gather for Cpu {
    fn gather<T: Tape<f32, Self>>(
        x: Matrix<Self, T>,
        numbers: Vec<usize>,
    ) -> Result<Matrix<Self, T>, CpuError> {
        let (_, channels) = *x.shape();
        let (x, mut tape) = x.split_tape();
        let values = x.as_vec();
        let mut gathered = vec![0.0; numbers.len() * channels];
        for (to, &number) in gathered.chunks_exact_mut(channels).zip(&numbers) {
            if let Some(from) = values[number * channels..].get(..channels) {
                to.copy_from_slice(from);
            }
        }
        let y = x
            .device()
            .try_tensor_from_vec(gathered, (numbers.len(), channels))?;
        let (before, after) = (x.ghost(), y.ghost());
        tape.add_backward_op(move |gradients| {
            // Out and back in, as only one gradient can be borrowed at a time.
            let dy = std::mem::take(&mut **gradients.get_or_alloc_mut(&after)?);
            let dx = gradients.get_or_alloc_mut(&before)?;
            for (from, &number) in dy.chunks_exact(channels).zip(&numbers) {
                if let Some(to) = dx[number * channels..].get_mut(..channels) {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                }
            }
            **gradients.get_or_alloc_mut(&after)? = dy;
            Ok(())
        });
        Ok(y.put_tape(tape))
    }
}

/// The order of its gradients' sums, and so their last bits, change from run to run.
#[cfg(feature = "cuda")]
impl Gather for Cuda {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some rows, and the gradient of a sum over them.
    fn through(
        operation: impl Fn(
            Matrix<Cpu, OwnedTape<f32, Cpu>>,
            Vec<usize>,
        ) -> Result<Matrix<Cpu, OwnedTape<f32, Cpu>>, CpuError>,
    ) -> (Vec<f32>, Vec<f32>) {
        let device = Cpu::seed_from_u64(3);
        let x: Matrix<Cpu> = device.sample_normal_like(&(5, 3));
        let weights: Matrix<Cpu> = device.sample_normal_like(&(7, 3));
        let y = operation(x.leaky_trace(), vec![4, 0, 5, 0, 2, 5, 1]).expect("memory");
        let numbers = y.as_vec();
        let sum: Tensor<Rank0, f32, Cpu, _> = (y * weights).sum();
        (numbers, sum.backward().get(&x).as_vec())
    }

    #[test]
    fn the_cpus_own_operation_gives_the_numbers_and_gradients_of_dfdxs() {
        let ours = through(Cpu::gather);
        assert_eq!(ours, through(of_dfdx));
        assert_eq!(ours.0[6..9], [0.0; 3]);
        assert_eq!(ours.1[9..12], [0.0; 3], "row 3 is not seen");
    }
}
