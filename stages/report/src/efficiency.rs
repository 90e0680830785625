//! What training and inference cost: time, memory, latency by model.
//! It must not know how it was measured.

use contract::table::{Cell, Table, TableError};
use results::LatencyRow;
use seeds::Sample;

use crate::input::{Model, Results, Run};
use crate::number::median;

/// One model's costs, each the mean over the seeds that measured it.
#[derive(Debug)]
pub(crate) struct Efficiency {
    model: String,
    /// Of each seed the median over its epochs: one slow epoch on a busy machine does not
    /// move it.
    seconds_per_epoch: Option<f64>,
    images_per_second: Option<f64>,
    /// Of each seed the highest peak of any epoch, for a median would be no peak; none if not
    /// measured.
    peak_memory_mib: Option<f64>,
    /// Of each seed the median time of one image alone.
    latency_ms: Option<f64>,
    /// Of each seed the median time of a batch of 64.
    batch_latency_ms: Option<f64>,
}

impl Efficiency {
    /// A row a model.
    pub(crate) fn all(results: &Results) -> Vec<Self> {
        results.models.iter().map(Self::of).collect()
    }

    fn of(model: &Model) -> Self {
        let mean = |cost: &dyn Fn(&Run) -> Option<f64>| {
            Some(Sample::of(model.runs.iter().filter_map(cost))?.mean)
        };
        Self {
            model: model.name.clone(),
            seconds_per_epoch: mean(&|run| median(run.timings.iter().map(|row| row.seconds.0))),
            images_per_second: mean(&|run| {
                median(run.timings.iter().map(|row| row.images_per_second.0))
            }),
            peak_memory_mib: mean(&|run| {
                let peaks = run
                    .timings
                    .iter()
                    .filter_map(|row| Some(row.peak_memory_mib.0?.0));
                peaks.reduce(f64::max)
            }),
            latency_ms: mean(&|run| latency(&run.latency, 1)),
            batch_latency_ms: mean(&|run| latency(&run.latency, LatencyRow::BATCH)),
        }
    }
}

fn latency(rows: &[LatencyRow], batch_size: u64) -> Option<f64> {
    rows.iter()
        .find(|row| row.batch_size == batch_size)
        .map(|row| row.median_ms.0)
}

/// The table for programs; what was not measured is empty.
///
/// # Errors
/// None in practice: the inputs are finite.
pub(crate) fn csv(rows: &[Efficiency]) -> Result<Table, TableError> {
    let mut table = Table::new(&[
        "model",
        "seconds_per_epoch",
        "images_per_second",
        "peak_memory_mib",
        "latency_ms",
        "batch_latency_ms",
    ]);
    for row in rows {
        let cell = |value: Option<f64>, decimals| {
            value.map_or(Cell::from(""), |value| Cell::float(value, decimals))
        };
        table.row(&[
            row.model.as_str().into(),
            cell(row.seconds_per_epoch, 3),
            cell(row.images_per_second, 1),
            cell(row.peak_memory_mib, 1),
            cell(row.latency_ms, 3),
            cell(row.batch_latency_ms, 3),
        ])?;
    }
    Ok(table)
}
