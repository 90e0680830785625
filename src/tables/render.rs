//! Shows differences as plain text, at most 80 columns wide.
//! It must not know how tables are compared.

use std::collections::BTreeSet;

use super::cell;
use super::diff::{CellDiff, Problem, Side, TableDiff};
use crate::spec::ColumnRule;

const WIDTH: usize = 80;
/// A column of the list of cells is not cut below this.
const LEAST: usize = 8;
const HEADINGS: [&str; 5] = ["row", "column", "expected", "actual", "off by"];

/// The differences of one file: what differs on its first line, then at most `most` of them, one a
/// line, then how many more there are. Each line ends with a line break. For a file without
/// differences it says so.
pub fn render(diff: &TableDiff, most: usize) -> String {
    let mut lines = vec![headline(diff)];
    let problems = diff.problems.iter().take(most);
    lines.extend(problems.flat_map(problem));
    let shown = diff.problems.len().min(most);
    let cells = &diff.cells[..diff.cells.len().min(most - shown)];
    lines.extend(table(cells));
    let more = diff.problems.len() + diff.cells.len() - shown - cells.len();
    if more > 0 {
        lines.push(format!("  ... and {more} more"));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn headline(diff: &TableDiff) -> String {
    let rows: BTreeSet<u64> = diff.cells.iter().map(|cell| cell.expected_line).collect();
    let rows = rows.len();
    let what = match (diff.problems.first(), diff.cells.len()) {
        (None, 0) => "as expected".to_owned(),
        (Some(Problem::MissingFile), _) => "is missing".to_owned(),
        (Some(Problem::UnexpectedFile), _) => "is not expected".to_owned(),
        (Some(_), 0) => "differs".to_owned(),
        (_, 1) => format!(
            "1 cell differs, in 1 of {}",
            plural(diff.rows_compared, "row")
        ),
        (_, cells) => format!(
            "{cells} cells differ, in {rows} of {}",
            plural(diff.rows_compared, "row")
        ),
    };
    let path = visible(&diff.path);
    let room = WIDTH.saturating_sub(what.chars().count() + 2);
    format!("{}: {what}", cut_start(&path, room))
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

fn problem(problem: &Problem) -> Vec<String> {
    let side = |side: &Side| match side {
        Side::Expected => "the expected table",
        Side::Actual => "the actual table",
    };
    let text = match problem {
        // The headline says it.
        Problem::MissingFile | Problem::UnexpectedFile => return Vec::new(),
        Problem::Malformed { side: which, fault } => format!("{} {fault}", side(which)),
        Problem::MissingColumn(column) => format!("column `{column}` is missing"),
        Problem::ExtraColumn(column) => format!("column `{column}` is not expected"),
        Problem::ColumnOrder { expected, actual } => {
            let columns = |names: &[String]| names.join(",");
            let (expected, actual) = (columns(expected), columns(actual));
            return pair("the columns stand in another order", &expected, &actual);
        }
        Problem::NoKeyColumn {
            side: which,
            column,
        } => {
            format!("{} has no key column `{column}`", side(which))
        }
        Problem::DuplicateKey {
            side: which,
            row,
            lines: (first, second),
        } => {
            format!(
                "{} has two rows {row}: lines {first} and {second}",
                side(which)
            )
        }
        Problem::MissingRow(row) => format!("row {row} is missing"),
        Problem::ExtraRow(row) => format!("row {row} is not expected"),
        Problem::RowCount { expected, actual } => {
            format!("{} instead of {expected}", plural(*actual, "row"))
        }
        Problem::Bytes {
            offset,
            line,
            expected,
            actual,
        } => {
            let heading = format!("line {line} differs (byte {offset})");
            let text = |line: &Option<String>| line.clone().unwrap_or_else(|| "(none)".into());
            return pair(&heading, &text(expected), &text(actual));
        }
    };
    vec![cut(&format!("  {}", visible(&text)), WIDTH)]
}

/// Two long texts below each other, from where they differ.
fn pair(heading: &str, expected: &str, actual: &str) -> Vec<String> {
    let room = WIDTH - "    expected: ".len();
    let (expected, actual) = windows(&visible(expected), &visible(actual), room, room);
    vec![
        format!("  {heading}"),
        format!("    expected: {expected}"),
        format!("    actual:   {actual}"),
    ]
}

/// The cells as a table with a heading.
fn table(cells: &[CellDiff]) -> Vec<String> {
    if cells.is_empty() {
        return Vec::new();
    }
    let rows: Vec<[String; 5]> = cells.iter().map(texts).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    // Two spaces before each column. The last one is short by its making.
    let room = WIDTH - 2 * widths.len();
    while widths.iter().sum::<usize>() > room {
        let widest = (0..4)
            .max_by_key(|at| (widths[*at], 4 - at))
            .unwrap_or_default();
        if widths[widest] <= LEAST {
            break;
        }
        widths[widest] -= 1;
    }
    let heading = line(HEADINGS.map(str::to_owned), widths);
    let rows = rows
        .into_iter()
        .map(|[row, column, expected, actual, off_by]| {
            let (expected, actual) = windows(&expected, &actual, widths[2], widths[3]);
            line([row, column, expected, actual, off_by], widths)
        });
    std::iter::once(heading).chain(rows).collect()
}

fn line(texts: [String; 5], widths: [usize; 5]) -> String {
    let columns = texts.iter().zip(widths).map(|(text, width)| {
        let text = cut(text, width);
        format!("  {text}{}", " ".repeat(width - text.chars().count()))
    });
    columns.collect::<String>().trim_end().to_owned()
}

fn texts(diff: &CellDiff) -> [String; 5] {
    let shown = |cell: &str| {
        if cell.is_empty() {
            "\"\"".to_owned()
        } else {
            visible(cell)
        }
    };
    let row = visible(&diff.row.to_string());
    [
        row,
        visible(&diff.column),
        shown(&diff.expected),
        shown(&diff.actual),
        off_by(diff),
    ]
}

/// How far it is off, and what would be allowed.
fn off_by(diff: &CellDiff) -> String {
    let Some(difference) = diff.difference else {
        return String::new();
    };
    match diff.rule {
        ColumnRule::Absolute(allowed) => format!("{} > {}", short(difference), short(allowed)),
        ColumnRule::Relative(allowed) => {
            let expected = cell::number(&diff.expected).unwrap_or_default().abs();
            let share = short(100.0 * difference / expected);
            format!("{share}% > {}%", short(100.0 * allowed))
        }
        ColumnRule::Exact | ColumnRule::Ignore => short(difference),
    }
}

/// `0.01`, `1.3e-7`: a number as short as is readable.
fn short(number: f64) -> String {
    let plain = number.to_string();
    if plain.len() <= 6 {
        plain
    } else {
        format!("{number:.1e}")
    }
}

/// Without control characters, so that a cell can't draw on the terminal.
fn visible(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.into()
        }
    };
    text.chars().map(shown).collect()
}

/// The first `width` characters, with a mark where more were.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

/// The last `width` characters.
fn cut_start(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(count + 1 - width).collect();
    format!("…{kept}")
}

/// Both texts, cut to their widths so that the first difference is seen.
fn windows(one: &str, other: &str, width: usize, other_width: usize) -> (String, String) {
    let common = one
        .chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count();
    let least = width.min(other_width);
    let long = one.chars().count() > width || other.chars().count() > other_width;
    let skip = if long && common + 3 >= least {
        common.saturating_sub(least / 3)
    } else {
        0
    };
    let window = |text: &str, width| {
        if skip == 0 {
            return cut(text, width);
        }
        let rest: String = text.chars().skip(skip + 1).collect();
        cut(&format!("…{rest}"), width)
    };
    (window(one, width), window(other, other_width))
}
