//! One quantity measured in several runs, and the difference of two.

use std::collections::BTreeMap;

use cel::objects::Opaque;

/// Values by what distinguishes their runs, such as the seed. The map fixes the order of summing.
type Values = BTreeMap<String, f64>;

/// A quantity in at least one run.
#[derive(Debug, Clone)]
pub enum Samples {
    /// Its values.
    Single(Values),
    /// Differences of two quantities, each within one run.
    Paired(Values),
    /// Two quantities of unrelated runs; what counts is the difference of their means.
    Independent(Values, Values),
}

impl Samples {
    /// The first minus the second, run by run if both have the same runs. `None` if one of them is
    /// a difference of independent runs already.
    pub(super) fn difference(&self, other: &Self) -> Option<Self> {
        let (one, two) = (self.values()?, other.values()?);
        if !one.keys().eq(two.keys()) {
            return Some(Self::Independent(one.clone(), two.clone()));
        }
        let pairs = one.iter().zip(two.values());
        let pairs = pairs.map(|((run, one), two)| (run.clone(), one - two));
        Some(Self::Paired(pairs.collect()))
    }

    /// Every value times a factor.
    pub(super) fn scaled(&self, factor: f64) -> Self {
        let scale = |values: &Values| {
            let values = values.iter();
            values
                .map(|(run, value)| (run.clone(), value * factor))
                .collect()
        };
        match self {
            Self::Single(values) => Self::Single(scale(values)),
            Self::Paired(values) => Self::Paired(scale(values)),
            Self::Independent(one, two) => Self::Independent(scale(one), scale(two)),
        }
    }

    /// Its values, or its differences; `None` if the runs are independent.
    pub(super) fn values(&self) -> Option<&Values> {
        match self {
            Self::Single(values) | Self::Paired(values) => Some(values),
            Self::Independent(..) => None,
        }
    }

    /// The mean, or the difference of two.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Single(values) | Self::Paired(values) => mean(values.values()),
            Self::Independent(one, two) => mean(one.values()) - mean(two.values()),
        }
    }
}

/// The mean of at least one number, added in the order given; the mean of equal numbers is exact.
pub(super) fn mean<'a>(numbers: impl IntoIterator<Item = &'a f64>) -> f64 {
    let mut numbers = numbers.into_iter().peekable();
    // Differences from the first are small, so adding them loses little.
    let from = numbers.peek().copied().copied();
    let from = from.filter(|from| from.is_finite()).unwrap_or(0.0);
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| {
        (sum + (number - from), count + 1.0)
    });
    from + sum / count
}

impl PartialEq for Samples {
    fn eq(&self, other: &Self) -> bool {
        let bits = |values: &Values| -> Vec<(String, u64)> {
            let values = values.iter();
            values
                .map(|(run, value)| (run.clone(), value.to_bits()))
                .collect()
        };
        match (self, other) {
            (Self::Single(a), Self::Single(b)) | (Self::Paired(a), Self::Paired(b)) => {
                bits(a) == bits(b)
            }
            (Self::Independent(a, b), Self::Independent(c, d)) => {
                (bits(a), bits(b)) == (bits(c), bits(d))
            }
            _ => false,
        }
    }
}

// By bits, so that NaN equals itself.
impl Eq for Samples {}

impl Opaque for Samples {
    fn runtime_type_name(&self) -> &str {
        "samples"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn single(values: &[f64]) -> Samples {
        let named = values.iter().enumerate();
        Samples::Single(named.map(|(n, value)| (n.to_string(), *value)).collect())
    }

    proptest! {
        #[test]
        fn the_mean_of_equal_values_is_that_value(value in any::<f64>().prop_filter("finite", |value| value.is_finite()), n in 1usize..9) {
            prop_assert_eq!(mean(&vec![value; n]), value);
            prop_assert_eq!(single(&vec![value; n]).mean(), value);
        }

        #[test]
        fn a_quantity_does_not_differ_from_itself(values in prop::collection::vec(-1e9..1e9f64, 1..9)) {
            let none = single(&values).difference(&single(&values)).unwrap();
            prop_assert_eq!(none.mean(), 0.0);
            prop_assert_eq!(none.values().map(BTreeMap::len), Some(values.len()));
        }

        #[test]
        fn the_mean_difference_is_that_of_the_means_paired_or_not(
            one in prop::collection::vec(-1e3..1e3f64, 1..9), two in prop::collection::vec(-1e3..1e3f64, 1..9),
        ) {
            let difference = single(&one).difference(&single(&two)).unwrap();
            prop_assert_eq!(difference.values().is_some(), one.len() == two.len());
            prop_assert!((difference.mean() - (mean(&one) - mean(&two))).abs() < 1e-9);
        }

        #[test]
        fn numbers_that_are_not_finite_stay_so(values in prop::collection::vec(-1e3..1e3f64, 0..4)) {
            for bad in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
                for at in [0, values.len()] {
                    let mut values = values.clone();
                    values.insert(at, bad);
                    prop_assert_eq!(mean(&values).to_string(), bad.to_string());
                }
            }
        }
    }

    #[test]
    fn samples_are_equal_if_their_values_and_their_pairing_are() {
        let unpaired = |one: &[f64]| single(one).difference(&single(&[1.0, 2.0, 3.0])).unwrap();
        assert_eq!(unpaired(&[1.0]), unpaired(&[1.0]));
        assert_ne!(unpaired(&[1.0]), unpaired(&[2.0]));
        let other = single(&[1.0]).difference(&single(&[1.0, 2.0])).unwrap();
        assert_ne!(unpaired(&[1.0]), other);
        let pairs = single(&[1.0]).difference(&single(&[0.0])).unwrap();
        assert_eq!((pairs.mean(), single(&[1.0]).mean()), (1.0, 1.0));
        assert_ne!(pairs, single(&[1.0]));
    }

    #[test]
    fn a_difference_of_unpaired_runs_has_no_further_difference() {
        let unpaired = single(&[1.0]).difference(&single(&[1.0, 2.0])).unwrap();
        assert_eq!(unpaired.difference(&single(&[1.0])), None);
        assert_eq!(single(&[1.0]).difference(&unpaired), None);
        let pairs = single(&[3.0, 5.0])
            .difference(&single(&[1.0, 1.0]))
            .unwrap();
        assert_eq!(pairs.difference(&single(&[1.0, 1.0])).unwrap().mean(), 2.0);
    }
}
