//! What samples say about the true value: Student's t-intervals.
//!
//! A mean of n values lies within t * s / sqrt(n) of the true value in 95 of 100 repetitions, where s
//! is their standard deviation (over n - 1) and t the 97.5 % quantile of Student's distribution with
//! n - 1 degrees of freedom. For pairs, the values are their differences. For independent groups it
//! is Welch's interval, which lets their variances differ: t times the root of the sum of s^2 / n,
//! with the degrees of freedom of Welch and Satterthwaite. One value says nothing about the spread,
//! so there is no interval (docs/adr/0011).

use std::collections::BTreeMap;
use std::fmt;

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::samples::Samples;

/// Confidence of the intervals, in percent.
pub const LEVEL: u32 = 95;

/// The probability below an interval's upper end.
const UPPER: f64 = 0.5 + LEVEL as f64 / 200.0;

/// A value and how certain it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value, the mean of several, or the difference of two means.
    pub value: f64,
    /// Half the width of its interval; `None` if there are too few runs for one.
    pub half_width: Option<f64>,
    /// What it was computed from.
    pub runs: Runs,
}

/// How many runs a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runs {
    /// Unknown: the expression gives one number.
    Unknown,
    /// This many.
    Single(usize),
    /// This many, each with both sides of a difference.
    Pairs(usize),
    /// This many on each side.
    Independent(usize, usize),
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("one number"),
            Self::Single(1) => f.write_str("one run"),
            Self::Single(n) => write!(f, "{n} runs"),
            Self::Pairs(1) => f.write_str("one pair of runs"),
            Self::Pairs(n) => write!(f, "{n} pairs of runs"),
            Self::Independent(n, m) => write!(f, "{n} and {m} unpaired runs"),
        }
    }
}

impl Estimate {
    /// Estimate from one number.
    pub(crate) fn of_number(value: f64) -> Self {
        Self {
            value,
            half_width: None,
            runs: Runs::Unknown,
        }
    }

    /// Estimate from samples.
    pub fn of(samples: &Samples) -> Self {
        let value = samples.mean();
        let (half_width, runs) = match samples {
            Samples::Single(values) => (half_width(&[values]), Runs::Single(values.len())),
            Samples::Paired(values) => (half_width(&[values]), Runs::Pairs(values.len())),
            Samples::Independent(one, two) => (
                half_width(&[one, two]),
                Runs::Independent(one.len(), two.len()),
            ),
        };
        Self {
            value,
            half_width,
            runs,
        }
    }

    /// The lower end of its interval; the value itself if it has none.
    pub fn least(&self) -> f64 {
        self.value - self.half_width.unwrap_or(0.0)
    }

    /// The upper end.
    pub fn greatest(&self) -> f64 {
        self.value + self.half_width.unwrap_or(0.0)
    }
}

/// Half the width of the interval of a mean, or of the difference of two.
fn half_width(groups: &[&BTreeMap<String, f64>]) -> Option<f64> {
    // The squared standard error of each group's mean, and its degrees of freedom.
    let mut parts = Vec::new();
    for values in groups {
        let freedom = values.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
        parts.push((squared_error(values), freedom as f64));
    }
    let sum: f64 = parts.iter().map(|(part, _)| part).sum();
    // No spread at all, or an infinite one, whatever the degrees of freedom.
    if sum == 0.0 || !sum.is_finite() {
        return Some(sum.sqrt());
    }
    let shares = parts
        .iter()
        .map(|(part, freedom)| (part / sum).powi(2) / freedom);
    let freedom = 1.0 / shares.sum::<f64>();
    Some(quantile(freedom)? * sum.sqrt())
}

/// s^2 / n, in two passes.
fn squared_error(values: &BTreeMap<String, f64>) -> f64 {
    let n = values.len() as f64;
    let mean = Samples::Single(values.clone()).mean();
    let squares = values.values().map(|value| (value - mean).powi(2));
    squares.sum::<f64>() / (n - 1.0) / n
}

/// More degrees of freedom make an interval narrower by less than 0.02 %, and `statrs` loses digits
/// above 100,000.
const MOST_FREEDOM: f64 = 10_000.0;

/// The quantile of Student's t at `UPPER`.
fn quantile(freedom: f64) -> Option<f64> {
    let distribution = StudentsT::new(0.0, 1.0, freedom.min(MOST_FREEDOM)).ok()?;
    Some(distribution.inverse_cdf(UPPER))
}

#[cfg(test)]
#[path = "interval_tests.rs"]
mod tests;
