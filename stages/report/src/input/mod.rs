//! Reads every CSV that the report shows, checked, in the order they are shown.
//! It must not know how any of it is shown.

mod confusion;
mod rows;

use std::path::Path;

use contract::files::FileError;
use contract::table;
use serde::de::DeserializeOwned;

pub(crate) use confusion::Confusion;
pub(crate) use rows::{
    AblationRow, ChannelRow, ClassRow, DatasetRow, EpochRow, GradientRow, LatencyRow, SummaryRow,
    TimingRow,
};

use crate::error::ReportError;
use crate::params::{Color, Params};

/// All inputs of one report.
#[derive(Debug)]
pub(crate) struct Results {
    /// What the data is called: `CIFAR-10`, `synthetic`, ...
    pub(crate) data: String,
    /// In the order of `report.order`.
    pub(crate) models: Vec<Model>,
    pub(crate) dataset: Vec<DatasetRow>,
    pub(crate) channels: Vec<ChannelRow>,
    pub(crate) ablation: Vec<AblationRow>,
}

/// One trained model; each list has at least one row.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) color: Color,
    /// Its place in `report.order`, from 0: fixes its line style and marker.
    pub(crate) place: usize,
    /// Whether Fig. 1 and 2 show it.
    pub(crate) main: bool,
    pub(crate) history: Vec<EpochRow>,
    pub(crate) summary: SummaryRow,
    pub(crate) confusion: Confusion,
    pub(crate) classes: Vec<ClassRow>,
    /// From input to output.
    pub(crate) gradients: Vec<GradientRow>,
    pub(crate) timings: Vec<TimingRow>,
    pub(crate) latency: Vec<LatencyRow>,
}

impl Results {
    /// Reads `dataset.csv`, `channels.csv`, `ablation.csv` and each model's folder.
    ///
    /// # Errors
    /// The first input that is missing, malformed or empty, or models that were trained on
    /// different data.
    pub(crate) fn read(results: &Path, params: &Params) -> Result<Self, ReportError> {
        let models = params
            .report
            .order
            .iter()
            .enumerate()
            .map(|(place, name)| Model::read(results, params, place, name))
            .collect::<Result<Vec<_>, _>>()?;
        let data = same_data(&models)?;
        Ok(Self {
            data,
            models,
            dataset: rows(&results.join("dataset.csv"))?,
            channels: rows(&results.join("channels.csv"))?,
            ablation: rows(&results.join("ablation.csv"))?,
        })
    }
}

impl Model {
    fn read(
        results: &Path,
        params: &Params,
        place: usize,
        name: &str,
    ) -> Result<Self, ReportError> {
        let style = params
            .report
            .models
            .get(name)
            .ok_or_else(|| ReportError::NoStyle {
                model: name.to_owned(),
            })?;
        let folder = results.join(name);
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
        let mut gradients: Vec<GradientRow> = rows(&folder.join("gradients.csv"))?;
        gradients.sort_by_key(|row| row.layer_index);
        let mut history: Vec<EpochRow> = rows(&folder.join("history.csv"))?;
        history.sort_by_key(|row| row.epoch);
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
            name: name.to_owned(),
            label: style.label.clone(),
            color: style.color,
            place,
            main: params.report.main_models.iter().any(|main| main == name),
            history,
            summary,
            confusion: Confusion::read(&folder.join("confusion.csv"))?,
            classes: rows(&folder.join("class_report.csv"))?,
            gradients,
            timings: rows(&folder.join("timings.csv"))?,
            latency,
        })
    }
}

fn rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, ReportError> {
    let rows = table::read(path)?;
    if rows.is_empty() {
        return Err(ReportError::RowCount {
            path: path.to_owned(),
            found: 0,
            expected: "at least 1",
        });
    }
    Ok(rows)
}

/// One table must not mix models trained on different data.
fn same_data(models: &[Model]) -> Result<String, ReportError> {
    let Some(first) = models.first() else {
        return Err(ReportError::NothingToShow);
    };
    match models
        .iter()
        .find(|model| model.summary.data != first.summary.data)
    {
        None => Ok(first.summary.data.clone()),
        Some(second) => Err(ReportError::DataDiffers {
            first: first.name.clone(),
            first_data: first.summary.data.clone(),
            second: second.name.clone(),
            second_data: second.summary.data.clone(),
        }),
    }
}

/// Folders that hold a model's summary, but are not in `report.order`; sorted.
pub(crate) fn left_out(results: &Path, params: &Params) -> Result<Vec<String>, ReportError> {
    let list = |source| ReportError::from(FileError::new("list", results)(source));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(results).map_err(list)? {
        let entry = entry.map_err(list)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().join("summary.csv").is_file() && !params.report.order.contains(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
