//! What the ablation needs of one trained variant, read from its CSVs.
//! It must not know what is compared.

use std::path::{Path, PathBuf};

use contract::{StageError, WithHint, table};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

/// One epoch; columns that the ablation does not use are not read.
#[derive(Debug, Deserialize)]
pub(crate) struct Epoch {
    pub(crate) epoch: u32,
    #[serde(deserialize_with = "finite")]
    pub(crate) val_accuracy: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Summary {
    pub(crate) parameters: u64,
    pub(crate) epochs_run: u32,
    pub(crate) best_epoch: u32,
    #[serde(deserialize_with = "finite")]
    pub(crate) best_val_accuracy: f64,
    #[serde(deserialize_with = "finite")]
    pub(crate) test_loss: f64,
    #[serde(deserialize_with = "finite")]
    pub(crate) test_accuracy: f64,
}

/// The L2 norm of one layer's gradient, 0 or more.
#[derive(Debug, Deserialize)]
pub(crate) struct Gradient {
    pub(crate) layer_index: u32,
    #[serde(deserialize_with = "finite")]
    pub(crate) trained_l2: f64,
    #[serde(deserialize_with = "finite")]
    pub(crate) initial_l2: f64,
}

/// One variant's results.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) history: Vec<Epoch>,
    pub(crate) summary: Summary,
    /// From input to output, at least one.
    pub(crate) gradients: Vec<Gradient>,
}

#[derive(Debug, thiserror::Error)]
#[error("`{}` has {found} rows, expected {expected}", path.display())]
struct RowCount {
    path: PathBuf,
    found: String,
    expected: &'static str,
}

impl Variant {
    /// Reads `results/<name>/{history,summary,gradients}.csv`.
    ///
    /// # Errors
    /// A file that is missing, malformed or empty: names it.
    pub(crate) fn read(results: &Path, name: &str) -> Result<Self, StageError> {
        let folder = results.join(name);
        let hint = || {
            format!(
                "`{name}` comes from `params.ablation`; it must be one of `params.models`, trained and measured"
            )
        };
        let history = rows(&folder.join("history.csv")).with_hint(hint())?;
        let summaries: Vec<Summary> = rows(&folder.join("summary.csv")).with_hint(hint())?;
        let mut gradients: Vec<Gradient> = rows(&folder.join("gradients.csv")).with_hint(hint())?;
        gradients.sort_by_key(|gradient| gradient.layer_index);
        let count = summaries.len();
        let Ok([summary]) = <[Summary; 1]>::try_from(summaries) else {
            return Err(RowCount {
                path: folder.join("summary.csv"),
                found: count.to_string(),
                expected: "exactly 1",
            }
            .into());
        };
        Ok(Self {
            history,
            summary,
            gradients,
        })
    }
}

fn rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, StageError> {
    let rows = table::read(path)?;
    if rows.is_empty() {
        return Err(RowCount {
            path: path.to_owned(),
            found: "no".to_owned(),
            expected: "at least 1",
        }
        .into());
    }
    Ok(rows)
}

/// A diverged training writes `NaN`; comparing with it would mean nothing.
fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(D::Error::custom(format!(
            "`{value}` is not a finite number"
        )))
    }
}
