//! 3x3 convolution of stride 1 by Winograd's schemes, forward and backward.
//! It must not know which layer it serves; which shapes come here is `crate::winograd::method`'s
//! to say. Orders of summation: `reference::winograd`.

mod convolve;
mod gradient;
mod kernels;
mod weights;

pub(crate) use convolve::{Map, Operands, Side, convolve};
pub(crate) use gradient::weight_gradient;

/// The largest step of at most `most` that cuts `total` into as few parts, of equal size.
fn even(total: usize, most: usize) -> usize {
    total.div_ceil(total.div_ceil(most).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::even;

    #[test]
    fn even_parts_are_as_few_as_allowed_and_nearly_equal() {
        assert_eq!(
            [even(64, 14), even(14, 14), even(15, 14), even(1, 14)],
            [13, 14, 8, 1]
        );
    }
}
