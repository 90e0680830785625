//! Reads every CSV that the report shows, checked.
//! It must not know how any of it is shown.

mod confusion;
mod run;

use std::path::Path;

use contract::files::FileError;
use results::Row;
use seeds::Sample;

pub(crate) use confusion::Confusion;
pub(crate) use run::Run;

use crate::error::ReportError;
use crate::params::{Color, Params};

/// All inputs of one report.
#[derive(Debug)]
pub(crate) struct Results {
    /// What the data is called: `CIFAR-10`, `synthetic`, ...
    pub(crate) data: String,
    /// In the order of `report.order`.
    pub(crate) models: Vec<Model>,
    /// `3 seeds`, or `n seeds` where models differ in how many, which their legends then say;
    /// none where each model has one.
    pub(crate) seeds: Option<String>,
}

/// One model, trained with one seed or several.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) label: String,
    /// The label and, where models differ in it, the count of seeds: `ResNet-18, n = 3`.
    pub(crate) legend: String,
    pub(crate) color: Color,
    /// Its place in `report.order`, from 0: fixes its line style and marker.
    pub(crate) place: usize,
    /// Whether Fig. 1 and 2 show it.
    pub(crate) main: bool,
    /// A run a seed, by ascending seed; at least one. All of the same network and
    /// as many images of each class.
    pub(crate) runs: Vec<Run>,
}

impl Results {
    /// Reads each model's seeds.
    ///
    /// # Errors
    /// The first input that is missing, malformed or empty; seeds that are not of one network,
    /// or runs on different data.
    pub(crate) fn read(results: &Path, params: &Params) -> Result<Self, ReportError> {
        let mut models = params
            .report
            .order
            .iter()
            .enumerate()
            .map(|(place, name)| Model::read(results, params, place, name))
            .collect::<Result<Vec<_>, _>>()?;
        let data = same_data(&models)?;
        let seeds = count_seeds(&mut models);
        Ok(Self {
            data,
            models,
            seeds,
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
        let mut runs: Vec<Run> = Vec::new();
        for folder in seeds::folders(&results.join(name))? {
            let run = Run::read(&folder)?;
            if let Some(first) = runs.first() {
                run.check_against(first, &folder.path)?;
            }
            runs.push(run);
        }
        Ok(Self {
            name: name.to_owned(),
            label: style.label.clone(),
            legend: style.label.clone(),
            color: style.color,
            place,
            main: params.report.main_models.iter().any(|main| main == name),
            runs,
        })
    }

    /// Of the network, whatever the seed.
    pub(crate) fn parameters(&self) -> u64 {
        self.runs[0].summary.parameters
    }

    /// What the seeds say of one number of a run.
    pub(crate) fn sample(&self, value: impl Fn(&Run) -> f64) -> Sample {
        Sample::of(self.runs.iter().map(value)).expect("a model has at least one run")
    }
}

fn rows<R: Row>(folder: &Path) -> Result<Vec<R>, ReportError> {
    let rows = R::read(folder)?;
    if rows.is_empty() {
        return Err(ReportError::RowCount {
            path: folder.join(R::FILE),
            found: 0,
            expected: "at least 1",
        });
    }
    Ok(rows)
}

/// One table must not mix runs on different data.
fn same_data(models: &[Model]) -> Result<String, ReportError> {
    let mut runs = models
        .iter()
        .flat_map(|model| model.runs.iter().map(move |run| (model, run)));
    let Some((first, run)) = runs.next() else {
        return Err(ReportError::NothingToShow);
    };
    let data = &run.summary.data;
    match runs.find(|(_, other)| other.summary.data != *data) {
        None => Ok(data.clone()),
        Some((second, other)) => Err(ReportError::DataDiffers {
            first: format!("{}/seed-{}", first.name, run.seed),
            first_data: data.clone(),
            second: format!("{}/seed-{}", second.name, other.seed),
            second_data: other.summary.data.clone(),
        }),
    }
}

/// How many seeds there are; each legend says it where models differ.
fn count_seeds(models: &mut [Model]) -> Option<String> {
    let most = models.iter().map(|model| model.runs.len()).max()?;
    if most == 1 {
        return None;
    }
    if models.iter().all(|model| model.runs.len() == most) {
        return Some(format!("{most} seeds"));
    }
    for model in models {
        model.legend = format!("{}, n = {}", model.label, model.runs.len());
    }
    Some("n seeds".to_owned())
}

/// Folders that hold a model's seeds, but are not in `report.order`; sorted.
pub(crate) fn left_out(results: &Path, params: &Params) -> Result<Vec<String>, ReportError> {
    let list = |source| ReportError::from(FileError::new("list", results)(source));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(results).map_err(list)? {
        let entry = entry.map_err(list)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !params.report.order.contains(&name) && seeds::folders(&entry.path()).is_ok() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
