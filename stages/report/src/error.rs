//! What can be wrong with the report's parameters and inputs, each with its hint.
//! It must not know how errors are shown.

use std::path::PathBuf;

use contract::StageError;
use contract::files::FileError;
use contract::table::TableError;
use seeds::SeedsError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// `report.order` is empty.
    #[error("parameter `report.order` names no model")]
    NothingToShow,
    /// A model's name that is no folder's name.
    #[error("parameter `report.order` has `{model}`, which cannot be a folder's name")]
    ModelName {
        /// The name.
        model: String,
    },
    /// A model without label and colour.
    #[error("model `{model}` of `report.order` has no entry in `report.models`")]
    NoStyle {
        /// The model.
        model: String,
    },
    /// A model that stands twice in the order.
    #[error("model `{model}` stands twice in `report.order`")]
    ShownTwice {
        /// The model.
        model: String,
    },
    /// A main model that is not shown.
    #[error("model `{model}` of `report.main_models` is not in `report.order`")]
    MainNotShown {
        /// The model.
        model: String,
    },
    /// An input that cannot be read, or has a row that does not fit.
    #[error(transparent)]
    Table(TableError),
    /// A text file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// An input whose rows are not as many as they should be.
    #[error("`{}` has {found} rows, expected {expected}", path.display())]
    RowCount {
        /// The input.
        path: PathBuf,
        /// How many it has.
        found: usize,
        /// How many it should have.
        expected: &'static str,
    },
    /// An input that lacks a row.
    #[error("`{}` has no row with {row}", path.display())]
    NoRow {
        /// The input.
        path: PathBuf,
        /// What the row would have.
        row: String,
    },
    /// A model whose seeds are not known.
    #[error(transparent)]
    Seeds(#[from] SeedsError),
    /// An input whose rows don't fit together, or don't fit another seed's.
    #[error("`{}`: {problem}", path.display())]
    Content {
        /// The input.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Models trained on different data.
    #[error("`{first}` was trained on `{first_data}` and `{second}` on `{second_data}`")]
    DataDiffers {
        /// A model and seed.
        first: String,
        /// Its data's label.
        first_data: String,
        /// Another model or seed.
        second: String,
        /// Its data's label.
        second_data: String,
    },
    /// A figure that could not be drawn.
    #[error("cannot draw `{figure}`: {problem}")]
    Figure {
        /// Which figure.
        figure: String,
        /// What the drawing library says.
        problem: String,
    },
}

impl ReportError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NothingToShow => "list at least one of `params.models` there".to_owned(),
            Self::ModelName { .. } => "use a name of `params.models`".to_owned(),
            Self::NoStyle { model } => format!(
                "add `{model}: {{ label: ..., color: \"#rrggbb\" }}` to `params.report.models`"
            ),
            Self::ShownTwice { .. } => "name each model once".to_owned(),
            Self::MainNotShown { .. } => {
                "add it to `report.order`, or take it out of `report.main_models`".to_owned()
            }
            Self::Seeds(error) if error.hint().is_some() => error.hint()?.to_owned(),
            Self::Table(TableError::File(_)) | Self::File(_) | Self::Seeds(_) => {
                "each seed of a model of `report.order` needs the CSVs that the stages `train` and `gradients` write; is the model in `params.models`?".to_owned()
            }
            Self::Table(_) | Self::RowCount { .. } | Self::NoRow { .. } | Self::Content { .. } => {
                "the file is another version's or was edited; run the stage that writes it again".to_owned()
            }
            Self::DataDiffers { .. } => {
                "one table must not mix data; run `train` again for all models and seeds".to_owned()
            }
            Self::Figure { .. } => return None,
        })
    }

    /// Whether the parameters are wrong, rather than the inputs or the machine.
    fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NothingToShow
                | Self::ModelName { .. }
                | Self::NoStyle { .. }
                | Self::ShownTwice { .. }
                | Self::MainNotShown { .. }
        )
    }

    /// The stage's error: with the hint, and exit code 2 where the parameters are wrong.
    #[must_use]
    pub fn into_stage_error(self) -> StageError {
        let hint = self.hint();
        let error = if self.is_usage() {
            StageError::usage(self)
        } else {
            self.into()
        };
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl From<TableError> for ReportError {
    fn from(error: TableError) -> Self {
        Self::Table(error)
    }
}
