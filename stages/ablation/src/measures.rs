//! The rows of `ablation.csv`: each measure with skips, without, and the difference, over seeds.
//! It must not know where the results came from.

use contract::table::{Cell, Table, TableError};
use results::GradientRow;
use seeds::Sample;

use crate::variant::{Run, Variant};

const DECIMALS: usize = 6;

/// Compares two variants; `thresholds` are validation accuracies, 0 to 1.
///
/// A measure is the mean over a variant's seeds, beside it the sample standard deviation (empty
/// for one seed) and how many seeds have a value. A value that does not exist in some seed (a
/// threshold never reached, a ratio to a gradient of exactly 0) leaves the mean empty: without
/// that seed it would flatter.
///
/// The difference is paired: with skips less without, seed by seed, over the seeds that both
/// variants have; then its mean, standard deviation and the count of pairs that have a value.
/// If no seed is in both, it is the difference of the means, of 0 pairs, with no deviation.
///
/// # Errors
/// A difference that overflows to infinity.
pub(crate) fn table(
    with_skip: &Variant,
    without_skip: &Variant,
    thresholds: &[f64],
) -> Result<Table, TableError> {
    let mut rows = Rows {
        table: Table::new(&[
            "measure",
            "with_skip",
            "with_skip_sd",
            "with_skip_seeds",
            "without_skip",
            "without_skip_sd",
            "without_skip_seeds",
            "difference",
            "difference_sd",
            "pairs",
        ]),
        with_skip,
        without_skip,
        pairs: pairs(with_skip, without_skip),
    };
    rows.row("test_accuracy", Kind::Rate, |run| {
        Some(run.summary.test_accuracy.0)
    })?;
    rows.row("test_loss", Kind::Rate, |run| Some(run.summary.test_loss.0))?;
    rows.row("best_val_accuracy", Kind::Rate, |run| {
        Some(run.summary.best_val_accuracy.0)
    })?;
    rows.row("best_epoch", Kind::Count, |run| {
        Some(run.summary.best_epoch as f64)
    })?;
    rows.row("epochs_run", Kind::Count, |run| {
        Some(run.summary.epochs_run as f64)
    })?;
    for &threshold in thresholds {
        let name = format!("epochs_to_val_accuracy_{threshold}");
        rows.row(&name, Kind::Count, |run| epochs_to(run, threshold))?;
    }
    rows.row("first_to_last_gradient_ratio_trained", Kind::Ratio, |run| {
        first_to_last(&run.gradients, |gradient| gradient.trained_l2.0)
    })?;
    rows.row("first_to_last_gradient_ratio_initial", Kind::Ratio, |run| {
        first_to_last(&run.gradients, |gradient| gradient.initial_l2.0)
    })?;
    rows.row(
        "smallest_to_largest_gradient_ratio_trained",
        Kind::Ratio,
        |run| smallest_to_largest(&run.gradients, |gradient| gradient.trained_l2.0),
    )?;
    rows.parameters()?;
    Ok(rows.table)
}

/// How a measure's values are written.
#[derive(Clone, Copy)]
enum Kind {
    /// An accuracy or a loss: a fixed count of decimals.
    Rate,
    /// A whole number; a mean of several is written as a rate.
    Count,
    /// A ratio, which may be many orders of magnitude below 1.
    Ratio,
}

impl Kind {
    fn cell(self, value: f64, of: usize) -> Cell {
        match self {
            // Exact: the counts are epochs, far below 2^53.
            Self::Count if of == 1 => Cell::Int(value as i128),
            Self::Rate | Self::Count => Cell::float(value, DECIMALS),
            Self::Ratio => Cell::Scientific {
                value,
                decimals: DECIMALS,
            },
        }
    }

    /// Mean and deviation, each empty where there is none.
    fn cells(self, sample: Option<Sample>) -> [Cell; 2] {
        let count = sample.map_or(0, |sample| sample.count);
        let values = [
            sample.map(|sample| sample.mean),
            sample.and_then(|sample| sample.deviation),
        ];
        values.map(|value| value.map_or_else(|| "".into(), |value| self.cell(value, count)))
    }
}

struct Rows<'a> {
    table: Table,
    with_skip: &'a Variant,
    without_skip: &'a Variant,
    /// The places, among their runs, of the seeds that both have.
    pairs: Vec<(usize, usize)>,
}

impl Rows<'_> {
    fn row(
        &mut self,
        name: &str,
        kind: Kind,
        measure: impl Fn(&Run) -> Option<f64>,
    ) -> Result<(), TableError> {
        let values = |variant: &Variant| variant.runs.iter().map(&measure).collect::<Vec<_>>();
        let (with_skip, without_skip) = (values(self.with_skip), values(self.without_skip));
        let differences: Vec<Option<f64>> = self
            .pairs
            .iter()
            .map(|&(with, without)| difference(with_skip[with], without_skip[without]))
            .collect();
        let (with_sample, without_sample) = (sample(&with_skip), sample(&without_skip));
        let [with_mean, with_deviation] = kind.cells(with_sample);
        let [without_mean, without_deviation] = kind.cells(without_sample);
        let [paired, deviation] = match (self.pairs.is_empty(), with_sample, without_sample) {
            (true, Some(with), Some(without)) => {
                let of = with.count.max(without.count);
                [kind.cell(with.mean - without.mean, of), "".into()]
            }
            _ => kind.cells(sample(&differences)),
        };
        self.table.row(&[
            name.into(),
            with_mean,
            with_deviation,
            present(&with_skip).into(),
            without_mean,
            without_deviation,
            present(&without_skip).into(),
            paired,
            deviation,
            present(&differences).into(),
        ])
    }

    /// Of the networks: no seed changes them.
    fn parameters(&mut self) -> Result<(), TableError> {
        let (with_skip, without_skip) = (self.with_skip.parameters, self.without_skip.parameters);
        self.table.row(&[
            "parameters".into(),
            with_skip.into(),
            "".into(),
            self.with_skip.runs.len().into(),
            without_skip.into(),
            "".into(),
            self.without_skip.runs.len().into(),
            Cell::Int(i128::from(with_skip) - i128::from(without_skip)),
            "".into(),
            self.pairs.len().into(),
        ])
    }
}

fn pairs(with_skip: &Variant, without_skip: &Variant) -> Vec<(usize, usize)> {
    let runs = with_skip.runs.iter().enumerate();
    runs.filter_map(|(place, run)| {
        let same = |other: &Run| other.seed == run.seed;
        Some((place, without_skip.runs.iter().position(same)?))
    })
    .collect()
}

fn difference(with_skip: Option<f64>, without_skip: Option<f64>) -> Option<f64> {
    Some(with_skip? - without_skip?)
}

/// The sample of the values, if none is missing.
fn sample(values: &[Option<f64>]) -> Option<Sample> {
    let values: Option<Vec<f64>> = values.iter().copied().collect();
    Sample::of(values?)
}

fn present(values: &[Option<f64>]) -> usize {
    values.iter().flatten().count()
}

/// The first epoch, counted from 1, whose validation accuracy is the threshold or more.
fn epochs_to(run: &Run, threshold: f64) -> Option<f64> {
    run.history
        .iter()
        .find(|epoch| epoch.val_accuracy.0 >= threshold)
        .map(|epoch| epoch.epoch as f64)
}

fn first_to_last(gradients: &[GradientRow], norm: impl Fn(&GradientRow) -> f64) -> Option<f64> {
    let first = norm(gradients.first()?);
    let last = norm(gradients.last()?);
    quotient(first, last)
}

fn smallest_to_largest(
    gradients: &[GradientRow],
    norm: impl Fn(&GradientRow) -> f64,
) -> Option<f64> {
    let smallest = gradients.iter().map(&norm).fold(f64::INFINITY, f64::min);
    let largest = gradients.iter().map(&norm).fold(0.0, f64::max);
    quotient(smallest, largest)
}

fn quotient(numerator: f64, denominator: f64) -> Option<f64> {
    let quotient = numerator / denominator;
    quotient.is_finite().then_some(quotient)
}
