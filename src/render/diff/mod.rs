//! How tables differ, in words: what the terminal, Markdown, JSON lines and JUnit XML share.

mod json;
mod markdown;
mod text;
mod width;

use std::collections::BTreeSet;

use crate::expected::Against;
use crate::format::count;
use crate::render::junit::{Case, Outcome};
use restage_claims::tables::{CellDiff, Fault, Problem, Side, TableDiff};
use restage_core::style::Style;
use restage_pipeline::ColumnRule;

pub(crate) use json::json;
pub(crate) use markdown::markdown;
pub(crate) use text::{text, text_of};

/// All files that were compared, and with what.
pub(crate) struct Compared {
    pub(crate) profile: String,
    pub(crate) against: Against,
    /// Sorted by path; those that are the same too.
    pub(crate) files: Vec<TableDiff>,
}

/// Marks a name or a value in a sentence.
type Quote<'a> = &'a dyn Fn(&str) -> String;

impl Compared {
    /// Those that differ.
    pub(crate) fn different(&self) -> impl Iterator<Item = &TableDiff> {
        self.files.iter().filter(|diff| !diff.is_same())
    }

    /// `profile quick: 2 of 12 tables differ from commit 1a2b3c4 (`HEAD`)`.
    fn verdict(&self, quote: Quote<'_>) -> String {
        let all = count(self.files.len(), "table");
        let against = self.against.said(quote);
        let what = match self.different().count() {
            0 => format!(
                "{all} match{} {against}",
                if self.files.len() == 1 { "es" } else { "" }
            ),
            1 => format!("1 of {all} differs from {against}"),
            n => format!("{n} of {all} differ from {against}"),
        };
        format!("profile {}: {what}", quote(&self.profile))
    }

    /// A test for each file: one that differs failed, one that can't be compared is in error.
    pub(crate) fn cases(&self, most: usize) -> Vec<Case> {
        let case = |diff: &TableDiff| {
            let (message, text) = (headline(diff), text_of(diff, most, Style { colour: false }));
            Case {
                name: diff.path.clone(),
                outcome: match diff.is_same() {
                    true => Outcome::Passed,
                    false if diff.is_incomparable() => Outcome::Error { message, text },
                    false => Outcome::Failed { message, text },
                },
                out: None,
            }
        };
        self.files.iter().map(case).collect()
    }
}

/// What differs in a file, on one line, without its name.
fn headline(diff: &TableDiff) -> String {
    if diff.is_incomparable() {
        return "cannot be compared".to_owned();
    }
    let (mut rows, mut columns) = (0, 0);
    for problem in &diff.problems {
        match problem {
            Problem::MissingFile => return "is missing".to_owned(),
            Problem::UnexpectedFile => return "is not expected".to_owned(),
            Problem::MissingRow(_) | Problem::ExtraRow(_) => rows += 1,
            Problem::RowCount { expected, actual } => rows += expected.abs_diff(*actual),
            Problem::MissingColumn(_) | Problem::ExtraColumn(_) => columns += 1,
            Problem::Bytes { .. } => return "differs".to_owned(),
            Problem::Malformed { .. }
            | Problem::NoKeyColumn { .. }
            | Problem::DuplicateKey { .. } => {}
        }
    }
    let mut parts = Vec::new();
    let cells = diff.cells.len();
    if cells > 0 {
        let lines: BTreeSet<u64> = diff.cells.iter().map(|cell| cell.expected_line).collect();
        parts.push(format!(
            "{} differ{}, in {} of {}",
            count(cells, "cell"),
            if cells == 1 { "s" } else { "" },
            lines.len(),
            count(diff.rows_compared, "row")
        ));
    }
    let missing = match (rows, columns) {
        (0, 0) => None,
        (rows, 0) => Some(count(rows, "row")),
        (0, columns) => Some(count(columns, "column")),
        (rows, columns) => Some(format!(
            "{}, {}",
            count(rows, "row"),
            count(columns, "column")
        )),
    };
    parts.extend(missing.map(|what| format!("{what} missing or added")));
    match parts.is_empty() {
        true => "as expected".to_owned(),
        false => parts.join("; "),
    }
}

/// A sentence, and the two long texts that it is about.
struct Words {
    sentence: String,
    sides: Option<[Option<String>; 2]>,
}

/// A problem in words; `None` if the headline says it all.
fn words(problem: &Problem, quote: Quote<'_>) -> Option<Words> {
    let side = |side: &Side| match side {
        Side::Expected => "the expected table",
        Side::Actual => "the actual table",
    };
    let mut sides = None;
    let sentence = match problem {
        Problem::MissingFile | Problem::UnexpectedFile => return None,
        Problem::Malformed {
            side: which,
            fault: Fault::DuplicateColumn { column },
        } => format!("{} has two columns named {}", side(which), quote(column)),
        Problem::Malformed { side: which, fault } => format!("{} {fault}", side(which)),
        Problem::MissingColumn(column) => format!("column {} is missing", quote(column)),
        Problem::ExtraColumn(column) => format!("column {} is not expected", quote(column)),
        Problem::NoKeyColumn {
            side: which,
            column,
        } => format!("{} has no key column {}", side(which), quote(column)),
        Problem::DuplicateKey {
            side: which,
            row,
            lines: (first, second),
        } => format!(
            "{} has two rows with the key {}: lines {first} and {second}",
            side(which),
            quote(&row.to_string()),
        ),
        Problem::MissingRow(row) => format!("row {} is missing", quote(&row.to_string())),
        Problem::ExtraRow(row) => format!("row {} is not expected", quote(&row.to_string())),
        Problem::RowCount { expected, actual } => {
            format!(
                "{} instead of {expected}; without a key they are matched in order",
                count(*actual, "row")
            )
        }
        Problem::Bytes {
            offset,
            line,
            expected,
            actual,
        } => {
            sides = Some([expected.clone(), actual.clone()]);
            format!("line {line} differs (byte {offset})")
        }
    };
    Some(Words { sentence, sides })
}

/// How far a cell is off, in the unit of what is allowed; `>0.1` if rounding hides that it is more.
fn off_by(cell: &CellDiff) -> String {
    let Some(difference) = cell.difference else {
        return String::new();
    };
    let text = match (cell.rule, cell.share()) {
        (ColumnRule::Relative(_), Some(share)) => format!("{}%", short(100.0 * share)),
        _ => short(difference),
    };
    match text == allowed(cell) {
        true => format!(">{text}"),
        false => text,
    }
}

/// What a cell's rule allows.
fn allowed(cell: &CellDiff) -> String {
    match cell.rule {
        ColumnRule::Absolute(bound) => short(bound),
        ColumnRule::Relative(share) => format!("{}%", short(100.0 * share)),
        ColumnRule::Exact => "exact".to_owned(),
        ColumnRule::Ignore => "anything".to_owned(),
    }
}

/// `0.0123`, `1235`, `1.3e-7`: a number of at most nine characters.
fn short(number: f64) -> String {
    let plain = number.to_string();
    if plain.len() <= 6 {
        return plain;
    }
    match number {
        // Three digits that count, without zeros at the end.
        0.001..100.0 => {
            let before = number.log10().floor() as i32;
            let decimals = usize::try_from(2 - before).unwrap_or(0);
            let text = format!("{number:.decimals$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        100.0..1e6 => format!("{number:.0}"),
        _ => format!("{number:.1e}"),
    }
}

#[cfg(test)]
mod tests;
