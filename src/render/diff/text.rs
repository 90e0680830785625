//! Differences for the terminal, at most 80 columns wide.

use super::width::{cut, cut_start, visible, width, windows};
use super::{Compared, Words, allowed, headline, off_by, words};
use restage_claims::tables::{CellDiff, TableDiff};
use restage_core::style::Style;

const WIDTH: usize = 80;
/// A column of the list of cells is not cut below this.
const LEAST: usize = 8;
const HEADINGS: [&str; 6] = ["row", "column", "expected", "actual", "off by", "allowed"];
/// What stands before each column.
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

/// The differences of one file: first what differs, then at most `most` of them, one a
/// line, then how many more there are. Each line ends with a line break. For a file without
/// differences it says so.
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
    let more = problems.len() + diff.cells.len() - shown - cells.len();
    match more {
        0 => {}
        1 => lines.push("  ... and 1 more difference".to_owned()),
        more => lines.push(format!("  ... and {more} more differences")),
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
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

/// The cells as a table with a heading; a row's name stands at its first cell alone.
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
    // The last two are short by their making.
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
