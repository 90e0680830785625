//! What the runs of one model say together: by epoch, by layer, by class.
//! It must not know where runs were read from, nor how the outcome is shown.
//!
//! [`seeds::Sample`] has the formulas of mean and standard deviation; the order of the runs
//! changes no bit of anything here.

use std::collections::BTreeMap;

use results::{ClassRow, EpochRow, Fixed};
use seeds::Sample;

use crate::input::{Confusion, Run};

/// One epoch of all runs that reached it.
#[derive(Debug)]
pub(crate) struct Epoch<'a> {
    pub(crate) epoch: u64,
    rows: Vec<&'a EpochRow>,
    /// Whether a run has its last epoch here, while another goes on.
    pub(crate) run_ends: bool,
}

impl Epoch<'_> {
    /// What the runs that reached this epoch say of a value.
    pub(crate) fn sample(&self, value: impl Fn(&EpochRow) -> f64) -> Option<Sample> {
        Sample::of(self.rows.iter().map(|row| value(row)))
    }
}

/// Every epoch that any run reached, ascending.
///
/// Early stopping ends runs at different epochs. A mean over all runs would have to end with
/// the first of them; this one goes on over those that are left, and tells where one ended.
pub(crate) fn epochs(runs: &[Run]) -> Vec<Epoch<'_>> {
    let mut by_epoch: BTreeMap<u64, Vec<&EpochRow>> = BTreeMap::new();
    for row in runs.iter().flat_map(|run| &run.history) {
        by_epoch.entry(row.epoch).or_default().push(row);
    }
    let ends = || runs.iter().filter_map(|run| run.history.last());
    let last = ends().map(|row| row.epoch).max();
    by_epoch
        .into_iter()
        .map(|(epoch, rows)| Epoch {
            epoch,
            rows,
            run_ends: Some(epoch) != last && ends().any(|row| row.epoch == epoch),
        })
        .collect()
}

/// One layer of all runs.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) index: u64,
    pub(crate) trained: Norm,
}

/// The norms of one layer's gradient over seeds, which may lie decades apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Norm {
    /// The geometric mean, which is 0 if any norm is.
    pub(crate) mean: f64,
    /// What the seeds say of the norm's log10; none if any norm is 0.
    pub(crate) logarithm: Option<Sample>,
}

impl Norm {
    /// Of norms of 0 or more, none of no norms: with `m` the mean of their log10 and `x1` the
    /// smallest, the geometric mean is `x1 * 10^(m - log10(x1))`, so that equal norms are
    /// exactly their mean. By `libm`, for the platform's mathematics may differ in the last bit.
    fn of(norms: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let smallest = norms.clone().reduce(f64::min)?;
        if smallest == 0.0 {
            return Some(Self {
                mean: 0.0,
                logarithm: None,
            });
        }
        let logarithm = Sample::of(norms.map(libm::log10))?;
        Some(Self {
            mean: smallest * libm::exp10(logarithm.mean - libm::log10(smallest)),
            logarithm: Some(logarithm),
        })
    }
}

/// Each layer, from input to output; the runs are of one network.
pub(crate) fn layers(runs: &[Run]) -> Vec<Layer> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let layers = first.gradients.iter().enumerate();
    layers
        .filter_map(|(place, row)| {
            let rows = runs.iter().map(|run| &run.gradients[place]);
            Some(Layer {
                index: row.layer_index,
                trained: Norm::of(rows.map(|row| row.trained_l2.0))?,
            })
        })
        .collect()
}

/// The counts of all runs' matrices, added up; the runs have the same classes.
pub(crate) fn confusion(runs: &[Run]) -> Confusion {
    let mut matrices = runs.iter().map(|run| &run.confusion);
    let mut sum = matrices.next().cloned().unwrap_or_default();
    for matrix in matrices {
        for (row, counts) in sum.counts.iter_mut().zip(&matrix.counts) {
            for (count, more) in row.iter_mut().zip(counts) {
                *count = count.saturating_add(*more);
            }
        }
    }
    sum
}

/// Each class's mean precision, recall and F1; the runs have the same classes and images.
pub(crate) fn classes(runs: &[Run]) -> Vec<ClassRow> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let classes = first.classes.iter().enumerate();
    classes
        .filter_map(|(place, row)| {
            let mean = |share: fn(&ClassRow) -> f64| {
                let rows = runs.iter().map(|run| share(&run.classes[place]));
                Some(Fixed(Sample::of(rows)?.mean))
            };
            Some(ClassRow {
                class: row.class.clone(),
                precision: mean(|row| row.precision.0)?,
                recall: mean(|row| row.recall.0)?,
                f1: mean(|row| row.f1.0)?,
                support: row.support,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(norms: &[f64]) -> Norm {
        Norm::of(norms.iter().copied()).unwrap()
    }

    #[test]
    fn norms_have_a_geometric_mean_that_equal_ones_are_exactly() {
        assert_eq!(norm(&[0.01, 100.0]).mean, 1.0);
        for value in [1e-9, 0.376_53, 2.777_483, 1e7 / 3.0] {
            for count in [1, 2, 3, 7] {
                let norm = norm(&vec![value; count]);
                let logarithm = norm.logarithm.unwrap();
                assert_eq!((norm.mean, logarithm.mean), (value, libm::log10(value)));
                assert_eq!(logarithm.deviation, (count > 1).then_some(0.0));
            }
        }
    }

    #[test]
    fn a_norm_of_zero_leaves_no_logarithm() {
        let expected = Norm {
            mean: 0.0,
            logarithm: None,
        };
        assert_eq!(norm(&[0.3, 0.0, 0.2]), expected);
        assert_eq!(norm(&[0.0]), expected);
    }
}
