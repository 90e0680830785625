//! The results of one seed, read from its folder.
//! It must not know the other seeds, but for whether they are of one network.

use std::path::Path;

use seeds::SeedFolder;

use super::{ClassRow, Confusion, EpochRow, GradientRow, LatencyRow, SummaryRow, TimingRow, rows};
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
        let summary_path = folder.join("summary.csv");
        let mut summaries: Vec<SummaryRow> = rows(&summary_path)?;
        let summary = summaries.swap_remove(0);
        if !summaries.is_empty() {
            return Err(ReportError::RowCount {
                path: summary_path,
                found: summaries.len() + 1,
                expected: "exactly 1",
            });
        }
        let gradients_path = folder.join("gradients.csv");
        let mut gradients: Vec<GradientRow> = rows(&gradients_path)?;
        gradients.sort_by_key(|row| row.layer_index);
        once(&gradients_path, &gradients, "layer", |row| row.layer_index)?;
        let history_path = folder.join("history.csv");
        let mut history: Vec<EpochRow> = rows(&history_path)?;
        history.sort_by_key(|row| row.epoch);
        once(&history_path, &history, "epoch", |row| row.epoch)?;
        let latency_path = folder.join("latency.csv");
        let latency: Vec<LatencyRow> = rows(&latency_path)?;
        for batch_size in [1, LatencyRow::BATCH] {
            if !latency.iter().any(|row| row.batch_size == batch_size) {
                return Err(ReportError::NoRow {
                    path: latency_path,
                    row: format!("batch_size {batch_size}"),
                });
            }
        }
        Ok(Self {
            seed: *seed,
            history,
            summary,
            confusion: Confusion::read(&folder.join("confusion.csv"))?,
            classes: rows(&folder.join("class_report.csv"))?,
            gradients,
            timings: rows(&folder.join("timings.csv"))?,
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
                "summary.csv",
                "parameters",
                self.summary.parameters == other.summary.parameters,
            ),
            ("gradients.csv", "layers", layers(self) == layers(other)),
            (
                "confusion.csv",
                "classes",
                self.confusion.classes == other.confusion.classes,
            ),
            (
                "class_report.csv",
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
fn once<T>(
    path: &Path,
    rows: &[T],
    what: &str,
    number: impl Fn(&T) -> u32,
) -> Result<(), ReportError> {
    match rows
        .windows(2)
        .find(|pair| number(&pair[0]) == number(&pair[1]))
    {
        None => Ok(()),
        Some(pair) => Err(ReportError::Content {
            path: path.to_owned(),
            problem: format!("{what} {} stands twice", number(&pair[0])),
        }),
    }
}
