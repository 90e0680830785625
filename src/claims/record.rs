//! The committed verdicts: a table of claims.
//! It must not know how a verdict came about.

use std::collections::BTreeMap;

use super::verdict::{Judged, Verdict, shown};
use crate::spec::{Claim, PaperValue};

const COLUMNS: [&str; 5] = ["id", "paper", "ours", "verdict", "reason"];

/// Why a table is no record of verdicts.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is no CSV table.
    #[error(transparent)]
    Table(#[from] csv::Error),
    /// Its columns are others.
    #[error("its columns are not {}", COLUMNS.join(","))]
    Columns,
    /// A word that is no verdict.
    #[error("`{verdict}` of `{id}` is no verdict")]
    Verdict {
        /// The claim.
        id: String,
        /// What stands there.
        verdict: String,
    },
    /// A claim stands there twice.
    #[error("`{0}` stands there twice")]
    Twice(String),
}

/// The table of verdicts.
///
/// # Errors
/// Memory that can't be written to.
pub fn write<'a>(
    judged: impl IntoIterator<Item = (&'a Claim, &'a Judged)>,
) -> Result<Vec<u8>, RecordError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(COLUMNS)?;
    for (claim, judged) in judged {
        let paper = match &claim.paper {
            Some(PaperValue::Number(number)) => shown(*number),
            Some(PaperValue::Text(text)) => text.clone(),
            None => String::new(),
        };
        let ours = judged.ours.map(shown).unwrap_or_default();
        let reason = judged.reason.as_deref().unwrap_or_default();
        table.write_record([&claim.id, &paper, &ours, judged.verdict.text(), reason])?;
    }
    table
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()).into())
}

/// Verdict by claim.
///
/// # Errors
/// It is no table that `write` makes.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Verdict>, RecordError> {
    let mut table = csv::Reader::from_reader(bytes);
    if *table.headers()? != COLUMNS[..] {
        return Err(RecordError::Columns);
    }
    let mut verdicts = BTreeMap::new();
    for row in table.records() {
        let row = row?;
        let (id, word) = (row[0].to_owned(), &row[3]);
        let verdict = Verdict::ALL
            .into_iter()
            .find(|verdict| verdict.text() == word);
        let Some(verdict) = verdict else {
            return Err(RecordError::Verdict {
                id,
                verdict: word.to_owned(),
            });
        };
        if verdicts.insert(id.clone(), verdict).is_some() {
            return Err(RecordError::Twice(id));
        }
    }
    Ok(verdicts)
}
