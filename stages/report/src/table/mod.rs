//! Table I: our numbers beside the paper's, a row a model.
//! It must not know where the inputs lie or the outputs go.

mod latex;
mod markdown;
mod plain;

use contract::table::{Cell, Table, TableError};
use seeds::Sample;

use crate::input::{Model, Results};
use crate::number::{measured, percent, percent_sample, points, rounded_count};
use crate::params::{PaperEntry, Params};

/// The paper's data; numbers on other data can't be held against the paper's.
const PAPER_DATA: &str = "CIFAR-10";

/// Table I.
#[derive(Debug)]
pub(crate) struct Table1 {
    /// What our numbers were measured on.
    data: String,
    profile: String,
    /// As [`Results::seeds`].
    seeds: Option<String>,
    rows: Vec<Row>,
}

/// One model.
#[derive(Debug)]
struct Row {
    model: String,
    label: String,
    /// The label as people read it: with the count of seeds, where models differ in it.
    legend: String,
    /// A share, 0 to 1, over seeds.
    test_accuracy: Sample,
    /// The mean over seeds.
    train_minutes: f64,
    parameters: u64,
    paper: Option<PaperEntry>,
}

/// The headings of the columns as people read them; ours and the paper's alternate.
const MEASURES: [&str; 3] = ["Test acc.", "Train time (min)", "Params"];

impl Table1 {
    pub(crate) fn new(results: &Results, params: &Params, profile: &str) -> Self {
        Self {
            data: results.data.clone(),
            profile: profile.to_owned(),
            seeds: results.seeds.clone(),
            rows: results
                .models
                .iter()
                .map(|model| Row::new(model, params.paper.get(&model.name).copied()))
                .collect(),
        }
    }

    /// The same numbers for programs: means over seeds and the sample standard deviation, full
    /// precision, empty cells for what is not there.
    ///
    /// # Errors
    /// A number that is not finite, such as a paper's accuracy given as `.nan`.
    pub(crate) fn csv(&self) -> Result<Table, TableError> {
        let mut table = Table::new(&[
            "model",
            "label",
            "seeds",
            "test_accuracy",
            "test_accuracy_sd",
            "train_minutes",
            "parameters",
            "paper_test_accuracy",
            "paper_train_minutes",
            "paper_parameters",
            "accuracy_difference_points",
        ]);
        for row in &self.rows {
            let paper = |cell: fn(PaperEntry) -> Cell| row.paper.map_or(Cell::from(""), cell);
            table.row(&[
                row.model.as_str().into(),
                row.label.as_str().into(),
                row.test_accuracy.count.into(),
                Cell::float(row.test_accuracy.mean, 4),
                row.test_accuracy
                    .deviation
                    .map_or(Cell::from(""), |deviation| Cell::float(deviation, 6)),
                Cell::float(row.train_minutes, 2),
                row.parameters.into(),
                paper(|paper| Cell::float(paper.test_accuracy, 4)),
                paper(|paper| Cell::float(paper.train_minutes, 2)),
                paper(|paper| paper.parameters.into()),
                row.difference()
                    .map_or(Cell::from(""), |points| Cell::float(points, 2)),
            ])?;
        }
        Ok(table)
    }

    fn caption(&self) -> String {
        let over = self.seeds.as_ref().map_or_else(String::new, |seeds| {
            format!(", mean and standard deviation over {seeds}")
        });
        format!(
            "Model comparison on {} (profile {}){over}, beside the paper's numbers",
            self.data, self.profile
        )
    }

    /// Why ours and the paper's can't be compared, if they can't.
    fn caveat(&self) -> Option<String> {
        (self.data != PAPER_DATA).then(|| {
            format!(
                "The paper's numbers are for {PAPER_DATA}, ours for {}: they show the pipeline, and do not test the paper.",
                self.data
            )
        })
    }
}

impl Row {
    fn new(model: &Model, paper: Option<PaperEntry>) -> Self {
        Self {
            model: model.name.clone(),
            label: model.label.clone(),
            legend: model.legend.clone(),
            test_accuracy: model.sample(|run| run.summary.test_accuracy.0),
            train_minutes: model
                .sample(|run| run.timings.iter().map(|row| row.seconds.0).sum::<f64>() / 60.0)
                .mean,
            parameters: model.parameters(),
            paper,
        }
    }

    /// Our mean accuracy less the paper's, in percentage points.
    fn difference(&self) -> Option<f64> {
        self.paper
            .map(|paper| 100.0 * (self.test_accuracy.mean - paper.test_accuracy))
    }

    /// The cells after the label: each measure, ours and the paper's, then the difference;
    /// empty where the paper has none.
    fn cells(&self) -> [String; 7] {
        let paper = |cell: fn(PaperEntry) -> String| self.paper.map_or_else(String::new, cell);
        [
            percent_sample(self.test_accuracy),
            paper(|paper| percent(paper.test_accuracy)),
            measured(self.train_minutes),
            paper(|paper| paper.train_minutes.to_string()),
            rounded_count(self.parameters),
            paper(|paper| rounded_count(paper.parameters)),
            self.difference().map_or_else(String::new, points),
        ]
    }
}
