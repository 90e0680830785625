//! Differences as GitHub-flavoured Markdown that fits a comment.

use super::{Compared, allowed, headline, off_by, unsaid, words};
use crate::render::width::{cut, visible, windows};
use restage_claims::tables::{CellDiff, Problem, TableDiff};

/// A comment on GitHub has room for 65,536 characters, which are never more than the bytes. The rest
/// is for the text that a workflow adds.
const MOST_BYTES: usize = 60_000;
/// Room for the last line, which says what was cut.
const LAST_LINE: usize = 200;
/// The widest text of a cell, in columns.
const ROOM: usize = 60;

/// The verdict, then each file that differs, folded: at most `most` differences of each, and fewer
/// where they would not fit.
pub(crate) fn markdown(compared: &Compared, most: usize) -> String {
    let verdict = compared.verdict(&|text| code(text));
    let mut first = verdict.chars();
    // Here the verdict begins a paragraph.
    let start = first.next().map(|c| c.to_ascii_uppercase());
    let mut text: String = start
        .into_iter()
        .chain(first)
        .chain(".\n".chars())
        .collect();
    let mut left_out = 0;
    for diff in compared.different() {
        let room = (MOST_BYTES - LAST_LINE).saturating_sub(text.len());
        match section_within(diff, most, room) {
            Some(section) => text += &section,
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        let files = match left_out {
            1 => "1 more file differs".to_owned(),
            n => format!("{n} more files differ"),
        };
        text += &format!("\n**Cut to fit a comment:** {files}; `restage compare` shows all.\n");
    }
    text
}

/// A file's section with as many of its differences as there is room for; `None` if not even its
/// headline fits.
fn section_within(diff: &TableDiff, most: usize, room: usize) -> Option<String> {
    let mut most = most.min(diff.found());
    loop {
        let section = section(diff, most);
        if section.len() <= room {
            return Some(section);
        }
        if most == 0 {
            return None;
        }
        most /= 2;
    }
}

fn section(diff: &TableDiff, most: usize) -> String {
    let mut text = format!(
        "\n<details><summary><code>{}</code>: {}</summary>\n",
        html(&diff.path),
        headline(diff)
    );
    let problems: Vec<String> = diff.problems.iter().filter_map(bullet).collect();
    let shown = problems.len().min(most);
    if shown > 0 {
        text += "\n";
        text.extend(problems[..shown].iter().cloned());
    }
    let cells = &diff.cells[..diff.cells.len().min(most - shown)];
    if !cells.is_empty() {
        text += "\n| row | column | expected | actual | off by | allowed |\n";
        text += "|---|---|---|---|--:|--:|\n";
        text.extend(cells.iter().map(row));
    }
    let more = unsaid(diff, problems.len()) - shown - cells.len();
    match more {
        0 => {}
        1 => text += "\n... and 1 more difference\n",
        more => text += &format!("\n... and {more} more differences\n"),
    }
    text + "\n</details>\n"
}

fn bullet(problem: &Problem) -> Option<String> {
    let words = words(problem, &|name| code(&cut(&visible(name), ROOM)))?;
    let sides = words.sides.map_or_else(String::new, |sides| {
        let [one, other] = sides
            .each_ref()
            .map(|side| visible(side.as_deref().unwrap_or_default()));
        let cut = windows(&one, &other, [ROOM; 2]);
        let shown = |at: usize| match sides[at] {
            Some(_) => code(&cut[at]),
            None => "_none_".to_owned(),
        };
        format!(": {} -> {}", shown(0), shown(1))
    });
    Some(format!("- {}{sides}\n", words.sentence))
}

fn row(cell: &CellDiff) -> String {
    let [expected, actual] = windows(&visible(&cell.expected), &visible(&cell.actual), [ROOM; 2]);
    let first = |text: &str| code(&cut(&visible(text), ROOM));
    let cells = [
        first(&cell.row.to_string()),
        first(&cell.column),
        code(&expected),
        code(&actual),
        off_by(cell),
        allowed(cell),
    ];
    // In a table, a bar must be escaped even inside code; GitHub removes the backslash.
    let cells = cells.map(|text| text.replace('|', "\\|"));
    format!("| {} |\n", cells.join(" | "))
}

/// Text as code, so that nothing in it becomes a link, a mention or HTML.
fn code(text: &str) -> String {
    if text.is_empty() {
        return "_empty_".to_owned();
    }
    let text = visible(text);
    let runs = text.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or(0) + 1);
    let at_ends = |c: char| text.starts_with(c) || text.ends_with(c);
    let pad = if at_ends('`') || at_ends(' ') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn html(text: &str) -> String {
    visible(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
