//! The committed verdicts: a table of claims.

use std::collections::BTreeMap;

use super::format::number_text;
use super::interval::Runs;
use super::verdict::{Judged, Verdict};
use restage_pipeline::{Claim, PaperValue};

/// `half_width` is half the width of the interval of `ours`, if that comes from several `runs`.
const COLUMNS: [&str; 7] = [
    "id",
    "paper",
    "ours",
    "half_width",
    "runs",
    "verdict",
    "reason",
];

/// Why a file is not a table of verdicts.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is not a CSV table.
    #[error(transparent)]
    Table(#[from] csv::Error),
    /// It lacks columns.
    #[error("it has no columns `id` and `verdict`")]
    Columns,
    /// A word that is not a verdict.
    #[error("`{verdict}` of `{id}` is not a verdict")]
    Verdict {
        /// The claim.
        id: String,
        /// The word.
        verdict: String,
    },
    /// A claim is listed twice.
    #[error("`{0}` is listed twice")]
    Twice(String),
}

/// The table of verdicts.
///
/// # Errors
/// The CSV writer fails.
pub fn write<'a>(
    judged: impl IntoIterator<Item = (&'a Claim, &'a Judged)>,
) -> Result<Vec<u8>, RecordError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(COLUMNS)?;
    for (claim, judged) in judged {
        let paper = match &claim.paper {
            Some(PaperValue::Number(number)) => number_text(*number),
            Some(PaperValue::Text(text)) => text.clone(),
            None => String::new(),
        };
        let ours = judged.ours.map(|ours| number_text(ours.value));
        let half_width = judged
            .ours
            .and_then(|ours| ours.half_width)
            .map(number_text);
        let runs = judged.ours.map(|ours| match ours.runs {
            Runs::Unknown => String::new(),
            Runs::Single(n) | Runs::Pairs(n) => n.to_string(),
            Runs::Independent(n, m) => format!("{n}+{m}"),
        });
        let reason = judged.reason.as_deref().unwrap_or_default();
        table.write_record([
            &claim.id,
            &paper,
            &ours.unwrap_or_default(),
            &half_width.unwrap_or_default(),
            &runs.unwrap_or_default(),
            judged.verdict.text(),
            reason,
        ])?;
    }
    table
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()).into())
}

/// Verdict by claim. Other columns don't matter: an older restage may have written them.
///
/// # Errors
/// The table was not made by `write`.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Verdict>, RecordError> {
    let mut table = csv::Reader::from_reader(bytes);
    let headers = table.headers()?;
    let at = |name| headers.iter().position(|header| header == name);
    let (Some(id), Some(verdict)) = (at("id"), at("verdict")) else {
        return Err(RecordError::Columns);
    };
    let mut verdicts = BTreeMap::new();
    for row in table.records() {
        let row = row?;
        let (id, word) = (row[id].to_owned(), &row[verdict]);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Estimate;
    use restage_core::span::Location;
    use restage_pipeline::{ClaimRule, Expression};

    fn claim(id: &str, paper: Option<PaperValue>) -> Claim {
        Claim {
            folder: String::new(),
            id: id.to_owned(),
            says: "so".to_owned(),
            section: None,
            paper,
            unit: None,
            ours: None,
            rule: ClaimRule::Holds(Expression {
                text: "true".to_owned(),
                location: Location::default(),
            }),
            direction: None,
            needs: None,
            otherwise: None,
            volatile: false,
        }
    }

    fn judged(verdict: Verdict, runs: Runs, half_width: Option<f64>) -> Judged {
        Judged {
            ours: Some(Estimate {
                value: 0.25,
                half_width,
                runs,
            }),
            verdict,
            reason: None,
        }
    }

    #[test]
    fn a_table_of_verdicts_has_a_row_per_claim_and_is_read_back() {
        let missing = Judged {
            ours: None,
            verdict: Verdict::NotMeasured,
            reason: Some("there is no `t.csv`".to_owned()),
        };
        let all = [
            (
                claim("a", Some(PaperValue::Number(0.5))),
                judged(Verdict::Reproduced, Runs::Unknown, None),
            ),
            (
                claim("b", Some(PaperValue::Text("much".to_owned()))),
                judged(Verdict::DirectionOnly, Runs::Pairs(3), Some(0.125)),
            ),
            (
                claim("c", None),
                judged(Verdict::NotReproduced, Runs::Independent(3, 2), Some(0.5)),
            ),
            (claim("d", None), missing),
        ];
        let bytes = write(all.iter().map(|(claim, judged)| (claim, judged))).unwrap();
        let expected = "id,paper,ours,half_width,runs,verdict,reason\n\
                        a,0.5,0.25,,,reproduced,\n\
                        b,much,0.25,0.125,3,direction only,\n\
                        c,,0.25,0.5,3+2,not reproduced,\n\
                        d,,,,,not measured,there is no `t.csv`\n";
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
        let verdicts = read(&bytes).unwrap();
        assert_eq!(verdicts.len(), 4);
        assert_eq!(verdicts["c"], Verdict::NotReproduced);
    }

    #[test]
    fn another_table_is_refused() {
        let error = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error("id,x\na,1\n"), "it has no columns `id` and `verdict`");
        let word = error("verdict,id\ngood,a\n");
        assert_eq!(word, "`good` of `a` is not a verdict");
        let twice = error("id,verdict\na,reproduced\na,not measured\n");
        assert_eq!(twice, "`a` is listed twice");
    }
}
