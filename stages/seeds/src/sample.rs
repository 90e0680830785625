//! Mean and standard deviation of one number over seeds, to the same bits everywhere.

/// One number, measured with several seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// How many seeds.
    pub count: usize,
    /// The arithmetic mean, in the values' unit.
    pub mean: f64,
    /// The sample standard deviation, in the values' unit; none of a single value, which
    /// says nothing of how far others would lie from it.
    pub deviation: Option<f64>,
}

impl Sample {
    /// The sample of these finite values, or none of no values.
    ///
    /// With the values in ascending order, `x1 <= x2 <= .. <= xn`:
    /// ```text
    /// mean      = x1 + ((x1 - x1) + (x2 - x1) + .. + (xn - x1)) / n
    /// deviation = sqrt(((x1 - mean)^2 + .. + (xn - mean)^2) / (n - 1))
    /// ```
    /// in two passes, each summed from left to right. Sorting first makes the order in which
    /// seeds are read meaningless; counting from the smallest value makes the mean of equal
    /// values exactly that value, and their deviation 0. There is nothing but sums, products,
    /// quotients and a square root, which IEEE 754 rounds alike on every machine.
    ///
    /// Deviations between 1e-150 and 1e150: the squares of others are 0 or infinite.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let lowest = *values.first()?;
        let count = values.len() as f64;
        let above = sum(values.iter().map(|value| value - lowest));
        let mean = lowest + above / count;
        let deviation = (values.len() > 1).then(|| {
            let squares = sum(values.iter().map(|value| (value - mean) * (value - mean)));
            (squares / (count - 1.0)).sqrt()
        });
        Some(Self {
            count: values.len(),
            mean,
            deviation,
        })
    }

    /// One standard deviation below the mean and one above; none of a single value.
    #[must_use]
    pub fn band(&self) -> Option<(f64, f64)> {
        self.deviation
            .map(|deviation| (self.mean - deviation, self.mean + deviation))
    }
}

/// From left to right, whatever the library's own sum may do one day.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(sample: Sample) -> (usize, u64, Option<u64>) {
        (
            sample.count,
            sample.mean.to_bits(),
            sample.deviation.map(f64::to_bits),
        )
    }

    /// Decimals as the CSVs hold them.
    fn value() -> impl Strategy<Value = f64> {
        (-2_000_000_i32..2_000_000, 0_u32..8)
            .prop_map(|(digits, decimals)| f64::from(digits) / f64::from(10_u32.pow(decimals)))
    }

    #[test]
    fn a_known_sample_has_its_known_mean_and_deviation() {
        let sample = Sample::of([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((sample.count, sample.mean), (8, 5.0));
        assert_eq!(sample.deviation, Some((32.0_f64 / 7.0).sqrt()));
        let sample = Sample::of([0.7, 0.8]).unwrap();
        assert_eq!(bits(sample).1, 0.75_f64.to_bits());
        assert_eq!(Sample::of([]), None);
    }

    #[test]
    fn a_pinned_sample_has_the_same_bits_everywhere() {
        let sample = Sample::of([0.7531, 0.7926, 0.79, 0.7913]).unwrap();
        assert_eq!(
            (sample.mean.to_bits(), sample.deviation.unwrap().to_bits()),
            (0x3fe9_0418_9374_bc6a, 0x3f93_96ad_1400_21c0)
        );
    }

    proptest! {
        #[test]
        fn one_value_is_its_own_mean_without_a_deviation(value in value()) {
            let sample = Sample::of([value]).unwrap();
            prop_assert_eq!(sample, Sample { count: 1, mean: value, deviation: None });
            prop_assert_eq!(sample.band(), None);
        }

        #[test]
        fn equal_values_are_exactly_their_mean_and_deviate_by_nothing(value in value(), count in 2_usize..50) {
            let sample = Sample::of(vec![value; count]).unwrap();
            prop_assert_eq!(sample, Sample { count, mean: value, deviation: Some(0.0) });
            prop_assert_eq!(sample.band(), Some((value, value)));
        }

        #[test]
        fn the_order_of_the_values_changes_no_bit(
            (values, shuffled) in prop::collection::vec(value(), 1..20)
                .prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle()))
        ) {
            let (sample, again) = (Sample::of(values).unwrap(), Sample::of(shuffled).unwrap());
            prop_assert_eq!(bits(sample), bits(again));
        }

        #[test]
        fn the_mean_lies_among_the_values_and_the_deviation_within_their_range(
            values in prop::collection::vec(value(), 2..20)
        ) {
            let sample = Sample::of(values.iter().copied()).unwrap();
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((low..=high).contains(&sample.mean), "{sample:?}");
            // Farthest apart are two values: then it is the range over the root of 2.
            let most = (high - low) / 2.0_f64.sqrt() * (1.0 + 1e-12);
            let deviation = sample.deviation.unwrap();
            prop_assert!((0.0..=most.max(0.0)).contains(&deviation), "{sample:?}");
        }

        #[test]
        fn shifting_or_scaling_the_values_does_so_to_the_sample(
            values in prop::collection::vec(-1000_i32..1000, 2..20),
            shift in -1000_i32..1000,
            scale in prop::sample::select(vec![0.25, 0.5, 2.0, 8.0]),
        ) {
            let of = |value: &dyn Fn(f64) -> f64| Sample::of(values.iter().map(|v| value(f64::from(*v)))).unwrap();
            let (plain, scaled) = (of(&|value| value), of(&|value| value * scale));
            // Powers of two scale every intermediate result exactly.
            prop_assert_eq!(scaled.mean, plain.mean * scale);
            prop_assert_eq!(scaled.deviation.unwrap(), plain.deviation.unwrap() * scale);
            let shifted = of(&|value| value + f64::from(shift));
            prop_assert!((shifted.mean - plain.mean - f64::from(shift)).abs() < 1e-9);
            prop_assert!((shifted.deviation.unwrap() - plain.deviation.unwrap()).abs() < 1e-9);
        }
    }
}
