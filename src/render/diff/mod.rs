//! How tables differ: for the terminal, as JSON lines and as JUnit tests; `markdown` is for comments.

mod markdown;

use serde_json::{Value, json};

use super::junit::{Case, Outcome};
use super::width::{WIDTH, cut, cut_start, visible, width, windows};
use crate::baseline::Against;
use crate::format::{count, short_number};
use crate::style::Style;
use restage_claims::tables::{CellDiff, Fault, Problem, Row, Side, TableDiff};
use restage_pipeline::ColumnRule;

pub(crate) use markdown::markdown;

/// All files that were compared, and with what.
pub(crate) struct Compared {
    pub(crate) profile: String,
    pub(crate) against: Against,
    /// Sorted by path; those that are the same too.
    pub(crate) files: Vec<TableDiff>,
}

/// Quotes a name or a value in a sentence.
type Quote<'a> = &'a dyn Fn(&str) -> String;

impl Compared {
    /// Those that differ.
    pub(crate) fn different(&self) -> impl Iterator<Item = &TableDiff> {
        self.files.iter().filter(|diff| !diff.is_same())
    }

    /// `profile quick: 2 of 12 tables differ from revision HEAD (1a2b3c4d5e6f)`.
    fn verdict(&self, quote: Quote<'_>) -> String {
        let all = count(self.files.len(), "table");
        let against = self.against.describe(quote);
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
    for problem in &diff.problems {
        match problem {
            Problem::MissingFile => return "is missing".to_owned(),
            Problem::UnexpectedFile => return "is not expected".to_owned(),
            Problem::Bytes { .. } => return "differs".to_owned(),
            _ => {}
        }
    }
    let (rows, columns) = (diff.rows_unmatched, diff.columns_unmatched);
    let mut parts = Vec::new();
    let cells = diff.cells_differing;
    if cells > 0 {
        parts.push(format!(
            "{} differ{}, in {} of {}",
            count(cells, "cell"),
            if cells == 1 { "s" } else { "" },
            diff.rows_differing,
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
        (
            ColumnRule::Within {
                absolute: 0.0,
                relative,
            },
            Some(share),
        ) if relative > 0.0 => percent(share),
        _ => short_number(difference),
    };
    match text == allowed(cell) {
        true => format!(">{text}"),
        false => text,
    }
}

/// What a cell's rule allows.
fn allowed(cell: &CellDiff) -> String {
    match cell.rule {
        ColumnRule::Within {
            absolute,
            relative: 0.0,
        } => short_number(absolute),
        ColumnRule::Within {
            absolute: 0.0,
            relative,
        } => percent(relative),
        ColumnRule::Within { absolute, relative } => {
            format!("{} + {}", short_number(absolute), percent(relative))
        }
        ColumnRule::Exact => "exact".to_owned(),
        ColumnRule::Ignore => "anything".to_owned(),
    }
}

fn percent(share: f64) -> String {
    format!("{}%", short_number(100.0 * share))
}

/// The least width to which a column of the list of cells is cut.
const LEAST: usize = 8;
const HEADINGS: [&str; 6] = ["row", "column", "expected", "actual", "off by", "allowed"];
/// The text before each column.
const BEFORE: [&str; 6] = ["  ", "  ", "  ", " -> ", "  ", "  "];
const EXPECTED: usize = 2;
const ACTUAL: usize = 3;

fn quoted(text: &str) -> String {
    format!("`{}`", visible(text))
}

/// Each file that differs, then how many do.
pub(crate) fn text(compared: &Compared, most: usize, style: Style) -> String {
    let files: String = compared
        .different()
        .map(|diff| text_of(diff, most, style) + "\n")
        .collect();
    let plain = |text: &str| visible(text);
    format!("{files}{}\n", compared.verdict(&plain))
}

/// The differences of one file: a headline, at most `most` differences, one per line, and how many
/// more there are. Each line ends with a line break.
pub(crate) fn text_of(diff: &TableDiff, most: usize, style: Style) -> String {
    let what = headline(diff);
    let path = cut_start(&visible(&diff.path), WIDTH - 1);
    let one_line = width(&path) + 2 + width(&what) <= WIDTH;
    let mut lines = match one_line {
        true => vec![format!("{}: {what}", style.bold(&path))],
        false => vec![format!("{}:", style.bold(&path)), format!("  {what}")],
    };
    let problems: Vec<Words> = diff
        .problems
        .iter()
        .filter_map(|problem| words(problem, &quoted))
        .collect();
    for words in problems.iter().take(most) {
        lines.push(cut(&format!("  {}", words.sentence), WIDTH));
        if let Some(sides) = &words.sides {
            lines.extend(below_each_other(sides, style));
        }
    }
    let shown = problems.len().min(most);
    let cells = &diff.cells[..diff.cells.len().min(most - shown)];
    lines.extend(table(cells, style));
    let more = unsaid(diff, problems.len()) - shown - cells.len();
    match more {
        0 => {}
        1 => lines.push("  ... and 1 more difference".to_owned()),
        more => lines.push(format!("  ... and {more} more differences")),
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// How many differences are to be listed, where some are said by the headline alone.
fn unsaid(diff: &TableDiff, listed: usize) -> usize {
    diff.found() - (diff.problems.len() - listed)
}

/// Two long texts, from where they differ.
fn below_each_other(sides: &[Option<String>; 2], style: Style) -> [String; 2] {
    let room = WIDTH - "    expected: ".len();
    let [one, other] = sides
        .each_ref()
        .map(|side| visible(side.as_deref().unwrap_or("(none)")));
    let [expected, actual] = windows(&one, &other, [room; 2]);
    [
        format!("    expected: {}", style.bad(&expected)),
        format!("    actual:   {}", style.good(&actual)),
    ]
}

/// The cells as a table with a heading; only the first cell of a row shows the row's name.
fn table(cells: &[CellDiff], style: Style) -> Vec<String> {
    if cells.is_empty() {
        return Vec::new();
    }
    let mut rows: Vec<[String; 6]> = cells.iter().map(texts).collect();
    for at in (1..rows.len()).rev() {
        if cells[at].row == cells[at - 1].row {
            rows[at][0].clear();
        }
    }
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (most, text) in widths.iter_mut().zip(row) {
            *most = (*most).max(width(text));
        }
    }
    // The last two columns are always short.
    let room = WIDTH - BEFORE.iter().map(|before| before.len()).sum::<usize>();
    while widths.iter().sum::<usize>() > room {
        let widest = (0..4)
            .max_by_key(|at| (widths[*at], 4 - at))
            .unwrap_or_default();
        if widths[widest] <= LEAST {
            break;
        }
        widths[widest] -= 1;
    }
    let heading = style.dim(&line(&HEADINGS.map(str::to_owned), widths, None));
    let lines = rows.into_iter().map(|mut row| {
        let rooms = [widths[EXPECTED], widths[ACTUAL]];
        [row[EXPECTED], row[ACTUAL]] = windows(&row[EXPECTED], &row[ACTUAL], rooms);
        line(&row, widths, Some(style))
    });
    std::iter::once(heading).chain(lines).collect()
}

fn line(texts: &[String; 6], widths: [usize; 6], style: Option<Style>) -> String {
    let last = texts.iter().rposition(|text| !text.is_empty());
    let mut line = String::new();
    for (at, text) in texts.iter().enumerate().take(last.map_or(0, |at| at + 1)) {
        let text = cut(text, widths[at]);
        let space = match Some(at) == last {
            true => 0,
            false => widths[at] - width(&text),
        };
        let painted = match (style, at) {
            (Some(style), EXPECTED) => style.bad(&text),
            (Some(style), ACTUAL) => style.good(&text),
            _ => text,
        };
        line += &format!("{}{painted}{}", BEFORE[at], " ".repeat(space));
    }
    line
}

fn texts(cell: &CellDiff) -> [String; 6] {
    let shown = |text: &str| match text {
        "" => "(empty)".to_owned(),
        text => visible(text),
    };
    [
        visible(&cell.row.to_string()),
        shown(&cell.column),
        shown(&cell.expected),
        shown(&cell.actual),
        off_by(cell),
        allowed(cell),
    ]
}

/// A line for each file that differs, then a count. `text` is what the terminal shows of a file.
pub(crate) fn json(compared: &Compared, most: usize) -> String {
    let mut text: String = compared
        .different()
        .map(|diff| format!("{}\n", file(diff, &compared.profile, most)))
        .collect();
    let different = compared.different().count();
    let against = &compared.against;
    let line = json!({
        "event": "compared", "profile": compared.profile, "same": compared.files.len() - different,
        "different": different,
        "against": {"kind": against.kind(), "word": against.word(), "commit": against.commit()},
    });
    text += &format!("{line}\n");
    text
}

/// With at most `most` differences.
fn file(diff: &TableDiff, profile: &str, most: usize) -> Value {
    let problems: Vec<String> = diff.problems.iter().filter_map(problem).collect();
    let problems = &problems[..problems.len().min(most)];
    let cells = &diff.cells[..diff.cells.len().min(most - problems.len())];
    let told_by_headline = diff
        .problems
        .iter()
        .filter(|one| problem(one).is_none())
        .count();
    json!({
        "event": "different", "profile": profile, "file": diff.path, "what": headline(diff),
        "comparable": !diff.is_incomparable(), "rows_compared": diff.rows_compared,
        "problems": problems, "cells": cells.iter().map(cell).collect::<Vec<_>>(),
        "left_out": diff.found() - told_by_headline - problems.len() - cells.len(),
        "text": text_of(diff, most, Style { colour: false }),
    })
}

fn problem(problem: &Problem) -> Option<String> {
    words(problem, &|name| format!("`{name}`")).map(|words| words.sentence)
}

fn cell(cell: &CellDiff) -> Value {
    let row = match &cell.row {
        Row::Number(number) => json!(number),
        Row::Key(key) => key.iter().cloned().collect(),
    };
    let rule = match cell.rule {
        ColumnRule::Exact => json!("exact"),
        ColumnRule::Ignore => json!("ignore"),
        ColumnRule::Within {
            absolute,
            relative: 0.0,
        } => json!({"abs": absolute}),
        ColumnRule::Within {
            absolute: 0.0,
            relative,
        } => json!({"rel": relative}),
        ColumnRule::Within { absolute, relative } => json!({"abs": absolute, "rel": relative}),
    };
    json!({
        "row": row, "column": cell.column, "expected": cell.expected, "actual": cell.actual,
        "expected_line": cell.expected_line, "actual_line": cell.actual_line,
        "difference": cell.difference, "rule": rule,
    })
}

#[cfg(test)]
mod tests;
