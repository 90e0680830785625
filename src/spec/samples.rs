//! One quantity measured in several runs, and the difference of two.
//! It must not know where values come from, nor what is inferred from them.

use std::collections::BTreeMap;

use cel::objects::Opaque;

/// Values by what tells their runs apart, such as the seed: in one order, whichever they came in.
type Values = BTreeMap<String, f64>;

/// A quantity in at least one run.
#[derive(Debug, Clone)]
pub enum Samples {
    /// Its values.
    Single(Values),
    /// Differences of two quantities, each within one run.
    Paired(Values),
    /// Two quantities whose runs have nothing to do with each other; the difference of their means
    /// is what counts.
    Independent(Values, Values),
}

impl Samples {
    /// The first less the second: run by run where both have the same runs. `None` if one of them
    /// is a difference of independent runs already.
    pub(crate) fn difference(&self, other: &Self) -> Option<Self> {
        let (one, two) = (self.values()?, other.values()?);
        if !one.keys().eq(two.keys()) {
            return Some(Self::Independent(one.clone(), two.clone()));
        }
        let pairs = one.iter().zip(two.values());
        let pairs = pairs.map(|((run, one), two)| (run.clone(), one - two));
        Some(Self::Paired(pairs.collect()))
    }

    /// Every value times a factor.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
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

    /// Its values, or its differences; `None` where runs are independent.
    pub(crate) fn values(&self) -> Option<&Values> {
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

/// The mean of at least one number, added in the order given; of equal numbers exactly that one.
pub(crate) fn mean<'a>(numbers: impl IntoIterator<Item = &'a f64>) -> f64 {
    let mut numbers = numbers.into_iter().peekable();
    // Differences from the first are small, so that little is lost in adding them up.
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

// By bits, so that every value equals itself.
impl Eq for Samples {}

impl Opaque for Samples {
    fn runtime_type_name(&self) -> &str {
        "samples"
    }
}
