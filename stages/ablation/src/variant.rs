//! What the ablation needs of one variant, read from the CSVs of each of its seeds.
//! It must not know what is compared.

use std::path::{Path, PathBuf};

use contract::{StageError, WithHint, table};
use seeds::SeedFolder;
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

/// The results of one seed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) history: Vec<Epoch>,
    pub(crate) summary: Summary,
    /// From input to output, at least one.
    pub(crate) gradients: Vec<Gradient>,
}

/// One variant's results.
#[derive(Debug)]
pub(crate) struct Variant {
    /// By ascending seed, at least one.
    pub(crate) runs: Vec<Run>,
    /// Of the network, whatever the seed.
    pub(crate) parameters: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("`{}` has {found} rows, expected {expected}", path.display())]
struct RowCount {
    path: PathBuf,
    found: String,
    expected: &'static str,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "`{}` has {found} parameters, but seed {first} has {expected}: they are not of one network",
    path.display()
)]
struct OtherNetwork {
    path: PathBuf,
    found: u64,
    first: u64,
    expected: u64,
}

impl Variant {
    /// Reads `results/<name>/seed-<n>/{history,summary,gradients}.csv` of every seed there.
    ///
    /// # Errors
    /// No seed; a file that is missing, malformed or empty: names it; seeds of different
    /// networks.
    pub(crate) fn read(results: &Path, name: &str) -> Result<Self, StageError> {
        let hint = format!(
            "`{name}` comes from `params.ablation`; it must be one of `params.models`, trained and measured"
        );
        let folders = seeds::folders(&results.join(name)).map_err(|error| {
            let hint = error.hint().map_or_else(|| hint.clone(), str::to_owned);
            StageError::from(error).with_hint(hint)
        })?;
        let mut runs = Vec::with_capacity(folders.len());
        for folder in folders {
            runs.push(Run::read(&folder).with_hint(hint.as_str())?);
        }
        let first = &runs[0];
        let (seed, parameters) = (first.seed, first.summary.parameters);
        if let Some(other) = runs.iter().find(|run| run.summary.parameters != parameters) {
            return Err(StageError::from(OtherNetwork {
                path: results
                    .join(name)
                    .join(format!("seed-{}", other.seed))
                    .join("summary.csv"),
                found: other.summary.parameters,
                first: seed,
                expected: parameters,
            })
            .with_hint("run `train` again for the seeds of an older network"));
        }
        Ok(Self { runs, parameters })
    }
}

impl Run {
    fn read(folder: &SeedFolder) -> Result<Self, StageError> {
        let SeedFolder { seed, path } = folder;
        let history = rows(&path.join("history.csv"))?;
        let summaries: Vec<Summary> = rows(&path.join("summary.csv"))?;
        let mut gradients: Vec<Gradient> = rows(&path.join("gradients.csv"))?;
        gradients.sort_by_key(|gradient| gradient.layer_index);
        let count = summaries.len();
        let Ok([summary]) = <[Summary; 1]>::try_from(summaries) else {
            return Err(RowCount {
                path: path.join("summary.csv"),
                found: count.to_string(),
                expected: "exactly 1",
            }
            .into());
        };
        Ok(Self {
            seed: *seed,
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
