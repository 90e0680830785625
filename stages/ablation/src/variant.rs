//! What the ablation needs of one variant, read from the CSVs of each of its seeds.
//! It must not know what is compared.

use std::path::{Path, PathBuf};

use contract::{StageError, WithHint};
use results::{EpochRow, GradientRow, Row, SummaryRow};
use seeds::SeedFolder;

/// The results of one seed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) history: Vec<EpochRow>,
    pub(crate) summary: SummaryRow,
    /// From input to output, at least one.
    pub(crate) gradients: Vec<GradientRow>,
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
                    .join(SummaryRow::FILE),
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
        let history = rows(path)?;
        let summaries: Vec<SummaryRow> = rows(path)?;
        let mut gradients: Vec<GradientRow> = rows(path)?;
        gradients.sort_by_key(|gradient| gradient.layer_index);
        let count = summaries.len();
        let Ok([summary]) = <[SummaryRow; 1]>::try_from(summaries) else {
            return Err(RowCount {
                path: path.join(SummaryRow::FILE),
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

fn rows<R: Row>(folder: &Path) -> Result<Vec<R>, StageError> {
    let rows = R::read(folder)?;
    if rows.is_empty() {
        return Err(RowCount {
            path: folder.join(R::FILE),
            found: "no".to_owned(),
            expected: "at least 1",
        }
        .into());
    }
    Ok(rows)
}
