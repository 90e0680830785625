//! The results of one seed, read from its folder.
//! It must not know the other seeds, but for whether they are of one network.

use std::path::Path;

use results::{ClassRow, EpochRow, GradientRow, LatencyRow, Row, SummaryRow, TimingRow};
use seeds::SeedFolder;

use super::{Confusion, rows};
use crate::error::ReportError;

/// One trained network; each list has at least one row.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    /// By ascending epoch, each once.
    pub(crate) history: Vec<EpochRow>,
    pub(crate) summary: SummaryRow,
    pub(crate) confusion: Confusion,
    pub(crate) classes: Vec<ClassRow>,
    /// From input to output, each layer once.
    pub(crate) gradients: Vec<GradientRow>,
    pub(crate) timings: Vec<TimingRow>,
    pub(crate) latency: Vec<LatencyRow>,
}

impl Run {
    /// Reads every CSV in `seed-<n>`.
    ///
    /// # Errors
    /// The first file that is missing, malformed or empty.
    pub(super) fn read(folder: &SeedFolder) -> Result<Self, ReportError> {
        let SeedFolder { seed, path: folder } = folder;
        let mut summaries: Vec<SummaryRow> = rows(folder)?;
        let summary = summaries.swap_remove(0);
        if !summaries.is_empty() {
            return Err(ReportError::RowCount {
                path: folder.join(SummaryRow::FILE),
                found: summaries.len() + 1,
                expected: "exactly 1",
            });
        }
        let mut gradients: Vec<GradientRow> = rows(folder)?;
        gradients.sort_by_key(|row| row.layer_index);
        once(folder, &gradients, "layer", |row| row.layer_index)?;
        let mut history: Vec<EpochRow> = rows(folder)?;
        history.sort_by_key(|row| row.epoch);
        once(folder, &history, "epoch", |row| row.epoch)?;
        let latency: Vec<LatencyRow> = rows(folder)?;
        for batch_size in [1, LatencyRow::BATCH] {
            if !latency.iter().any(|row| row.batch_size == batch_size) {
                return Err(ReportError::NoRow {
                    path: folder.join(LatencyRow::FILE),
                    row: format!("batch_size {batch_size}"),
                });
            }
        }
        Ok(Self {
            seed: *seed,
            history,
            summary,
            confusion: Confusion::read(&folder.join("confusion.csv"))?,
            classes: rows(folder)?,
            gradients,
            timings: rows(folder)?,
            latency,
        })
    }

    /// Whether this run, read from `folder`, may be averaged with another of its model.
    ///
    /// # Errors
    /// The first file whose rows are not those of the other: another network, other classes.
    pub(super) fn check_against(&self, other: &Self, folder: &Path) -> Result<(), ReportError> {
        let layers = |run: &Self| {
            let rows = run.gradients.iter();
            rows.map(|row| (row.layer_index, row.layer.clone()))
                .collect::<Vec<_>>()
        };
        let classes = |run: &Self| {
            let rows = run.classes.iter();
            rows.map(|row| (row.class.clone(), row.support))
                .collect::<Vec<_>>()
        };
        let checks = [
            (
                SummaryRow::FILE,
                "parameters",
                self.summary.parameters == other.summary.parameters,
            ),
            (GradientRow::FILE, "layers", layers(self) == layers(other)),
            (
                "confusion.csv",
                "classes",
                self.confusion.classes == other.confusion.classes,
            ),
            (
                ClassRow::FILE,
                "classes and their images",
                classes(self) == classes(other),
            ),
        ];
        match checks.iter().find(|(_, _, same)| !same) {
            None => Ok(()),
            Some((file, what, _)) => Err(ReportError::Content {
                path: folder.join(file),
                problem: format!("its {what} are not those of `seed-{}`", other.seed),
            }),
        }
    }
}

/// Whether no row of the sorted ones has the number of another.
fn once<R: Row>(
    folder: &Path,
    rows: &[R],
    what: &str,
    number: impl Fn(&R) -> u64,
) -> Result<(), ReportError> {
    match rows
        .windows(2)
        .find(|pair| number(&pair[0]) == number(&pair[1]))
    {
        None => Ok(()),
        Some(pair) => Err(ReportError::Content {
            path: folder.join(R::FILE),
            problem: format!("{what} {} stands twice", number(&pair[0])),
        }),
    }
}
