//! The rows of `ablation.csv`: each measure with skips, without, and the difference.
//! It must not know where the results came from.

use contract::table::{Cell, Table, TableError};

use crate::variant::{Gradient, Variant};

const RATE_DECIMALS: usize = 6;

/// Compares two variants; `thresholds` are validation accuracies, 0 to 1.
///
/// A value that does not exist (a threshold never reached, a ratio to a gradient of
/// exactly 0) is an empty cell, and so is a difference with one.
///
/// # Errors
/// A difference that overflows to infinity.
pub(crate) fn table(
    with_skip: &Variant,
    without_skip: &Variant,
    thresholds: &[f64],
) -> Result<Table, TableError> {
    let mut rows = Rows {
        table: Table::new(&["measure", "with_skip", "without_skip", "difference"]),
        with_skip,
        without_skip,
    };
    rows.rate("test_accuracy", |variant| variant.summary.test_accuracy)?;
    rows.rate("test_loss", |variant| variant.summary.test_loss)?;
    rows.rate("best_val_accuracy", |variant| {
        variant.summary.best_val_accuracy
    })?;
    rows.count("best_epoch", |variant| {
        Some(variant.summary.best_epoch.into())
    })?;
    rows.count("epochs_run", |variant| {
        Some(variant.summary.epochs_run.into())
    })?;
    for &threshold in thresholds {
        rows.count(&format!("epochs_to_val_accuracy_{threshold}"), |variant| {
            epochs_to(variant, threshold)
        })?;
    }
    rows.ratio("first_to_last_gradient_ratio_trained", |variant| {
        first_to_last(&variant.gradients, |gradient| gradient.trained_l2)
    })?;
    rows.ratio("first_to_last_gradient_ratio_initial", |variant| {
        first_to_last(&variant.gradients, |gradient| gradient.initial_l2)
    })?;
    rows.ratio("smallest_to_largest_gradient_ratio_trained", |variant| {
        smallest_to_largest(&variant.gradients, |gradient| gradient.trained_l2)
    })?;
    rows.count("parameters", |variant| Some(variant.summary.parameters))?;
    Ok(rows.table)
}

struct Rows<'a> {
    table: Table,
    with_skip: &'a Variant,
    without_skip: &'a Variant,
}

impl Rows<'_> {
    /// An accuracy or a loss, with a fixed count of decimals.
    fn rate(&mut self, name: &str, measure: impl Fn(&Variant) -> f64) -> Result<(), TableError> {
        self.row(
            name,
            |variant| Some(measure(variant)),
            |value| Cell::float(value, RATE_DECIMALS),
        )
    }

    /// A ratio, which may be many orders of magnitude below 1.
    fn ratio(
        &mut self,
        name: &str,
        measure: impl Fn(&Variant) -> Option<f64>,
    ) -> Result<(), TableError> {
        self.row(name, measure, |value| Cell::Scientific {
            value,
            decimals: RATE_DECIMALS,
        })
    }

    fn count(
        &mut self,
        name: &str,
        measure: impl Fn(&Variant) -> Option<u64>,
    ) -> Result<(), TableError> {
        self.row(name, |variant| measure(variant).map(i128::from), Cell::Int)
    }

    fn row<T: Copy + std::ops::Sub<Output = T>>(
        &mut self,
        name: &str,
        measure: impl Fn(&Variant) -> Option<T>,
        cell: impl Fn(T) -> Cell,
    ) -> Result<(), TableError> {
        let with_skip = measure(self.with_skip);
        let without_skip = measure(self.without_skip);
        let difference = with_skip
            .zip(without_skip)
            .map(|(with_skip, without_skip)| with_skip - without_skip);
        let cell = |value: Option<T>| value.map_or_else(|| Cell::from(""), &cell);
        self.table.row(&[
            Cell::from(name),
            cell(with_skip),
            cell(without_skip),
            cell(difference),
        ])
    }
}

/// The first epoch, counted from 1, whose validation accuracy is the threshold or more.
fn epochs_to(variant: &Variant, threshold: f64) -> Option<u64> {
    variant
        .history
        .iter()
        .find(|epoch| epoch.val_accuracy >= threshold)
        .map(|epoch| epoch.epoch.into())
}

fn first_to_last(gradients: &[Gradient], norm: impl Fn(&Gradient) -> f64) -> Option<f64> {
    let first = norm(gradients.first()?);
    let last = norm(gradients.last()?);
    quotient(first, last)
}

fn smallest_to_largest(gradients: &[Gradient], norm: impl Fn(&Gradient) -> f64) -> Option<f64> {
    let smallest = gradients.iter().map(&norm).fold(f64::INFINITY, f64::min);
    let largest = gradients.iter().map(&norm).fold(0.0, f64::max);
    quotient(smallest, largest)
}

fn quotient(numerator: f64, denominator: f64) -> Option<f64> {
    let quotient = numerator / denominator;
    quotient.is_finite().then_some(quotient)
}
