//! Shows what is wrong with a pipeline: message, place, marked text, notes, hint.
//! It must not know what can be wrong.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{Diagnostic, Diagnostics, Note};
use restage_core::span::Location;
use restage_core::style::Style;

/// A source line wider than this is shown in part.
const COLUMNS: usize = 110;
/// Of such a line, the columns shown before the marked text.
const BEFORE: usize = 30;

/// All of them, an empty line between; ends with a line break. Control characters are never
/// passed on to the terminal.
///
/// ```text
/// error: unknown field `dependson` in stage `train`
///   --> pipeline.yaml:31:5
///    |
/// 31 |     dependson: [prepare]
///    |     ^^^^^^^^^ not a stage field
/// hint: did you mean `deps`?
/// ```
pub fn render(diagnostics: &Diagnostics, colour: bool) -> String {
    let style = Style { colour };
    let shown: Vec<String> = diagnostics
        .items
        .iter()
        .map(|item| one(item, diagnostics, style))
        .collect();
    shown.join("\n")
}

fn one(item: &Diagnostic, all: &Diagnostics, style: Style) -> String {
    let mut text = format!(
        "{} {}\n",
        style.error("error:"),
        style.bold(&clean(&item.message))
    );
    if !item.label.is_empty() {
        text += &snippet(item, all, style);
    }
    text += &notes(&item.notes, &clean(&all.file_name));
    if let Some(hint) = &item.hint {
        text += &format!("{} {}\n", style.hint("hint:"), clean(hint));
    }
    text
}

/// The place, and its first line with the marked part underlined.
fn snippet(item: &Diagnostic, all: &Diagnostics, style: Style) -> String {
    let (source, number) = match &item.source {
        // An argument is one line of its own: its number would say nothing.
        Some(source) => (source.text.as_str(), String::new()),
        None => (all.text.as_str(), item.location.line.to_string()),
    };
    let line = Line::around(source, item.location);
    let place = match &item.source {
        Some(source) => clean(&source.name),
        None => format!("{}:{number}:{}", clean(&all.file_name), line.column),
    };
    let gutter = number.len().max(1);
    let bar = style.dim("|");
    let carets = style.error(&"^".repeat(line.marked.width().max(1)));
    let shown = format!(
        "{number:>gutter$} {bar} {}{}{}",
        line.before, line.marked, line.after
    );
    let indent = " ".repeat(line.before.width());
    format!(
        "{:gutter$}{} {place}\n{:gutter$} {bar}\n{}\n{:gutter$} {bar} {indent}{carets} {}\n",
        "",
        style.dim("-->"),
        "",
        shown.trim_end(),
        "",
        clean(&item.label),
    )
}

/// One line of the source, cut around the marked part, safe to print.
struct Line {
    before: String,
    marked: String,
    after: String,
    /// Of the marked part's first character, from 1, in characters.
    column: usize,
}

impl Line {
    fn around(source: &str, location: Location) -> Self {
        let offset = source.floor_char_boundary(location.offset.min(source.len()));
        let start = source[..offset].rfind('\n').map_or(0, |at| at + 1);
        let end = source[offset..]
            .find('\n')
            .map_or(source.len(), |at| offset + at);
        let stop = source.floor_char_boundary(location.end().clamp(offset, end));
        let mut before = clean(&source[start..offset]);
        let mut marked = clean(source[offset..stop].trim_end());
        let mut after = clean(source[stop..end].trim_end());
        // A multi-line value is marked to the end of its first line.
        if location.end() > end {
            marked = clean(source[offset..end].trim_end());
            after = String::new();
        }
        let column = 1 + source[start..offset].chars().count();
        if before.width() + marked.width() + after.width() > COLUMNS {
            before = cut_front(&before, BEFORE);
            marked = cut_back(&marked, COLUMNS - BEFORE);
            after = cut_back(
                &after,
                COLUMNS.saturating_sub(before.width() + marked.width()),
            );
        }
        Self {
            before,
            marked,
            after,
            column,
        }
    }
}

/// The last columns of a text, `...` in front if something is missing.
fn cut_front(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut width = 3;
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        width += c.width().unwrap_or(0);
        if width > columns {
            break;
        }
        start = at;
    }
    format!("...{}", &text[start..])
}

/// The first columns of a text, `...` behind if something is missing.
fn cut_back(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut width = 3;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        width += c.width().unwrap_or(0);
        if width > columns {
            break;
        }
        end = at + c.len_utf8();
    }
    format!("{}...", &text[..end])
}

/// Notes in two columns: what, and where.
fn notes(notes: &[Note], file_name: &str) -> String {
    let texts: Vec<String> = notes.iter().map(|note| clean(&note.text)).collect();
    let width = texts.iter().map(|text| text.width()).max().unwrap_or(0);
    let mut shown = String::new();
    for (note, text) in notes.iter().zip(&texts) {
        shown += &match note.location {
            Some(location) => {
                let gap = " ".repeat(width - text.width());
                format!("  {text}{gap}   ({file_name}:{})\n", location.line)
            }
            None => format!("  {text}\n"),
        };
    }
    shown
}

/// Tabs become spaces, other control characters the replacement character: what a terminal
/// would obey must not come from a file.
fn clean(text: &str) -> String {
    text.replace('\t', "    ")
        .replace(|c: char| c.is_control() || c == '\u{feff}', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, offset: usize, len: usize) -> String {
        let item =
            Diagnostic::new(Location::in_text(text, offset, len), "wrong", "here").hint("mend it");
        render(&Diagnostics::new("pipeline.yaml", text, vec![item]), false)
    }

    #[test]
    fn the_marked_text_is_underlined_below_wide_characters_and_tabs() {
        insta::assert_snapshot!(shown("a\n\t日本: größe\n", 11, 7), @"
        error: wrong
         --> pipeline.yaml:2:6
          |
        2 |     日本: größe
          |           ^^^^^ here
        hint: mend it
        ");
    }

    #[test]
    fn long_lines_are_cut_around_the_marked_text() {
        let text = format!("{}bad{}", "x ".repeat(100), " y".repeat(100));
        let shown = shown(&text, 200, 3);
        assert!(
            shown.lines().all(|line| line.width() <= COLUMNS + 4),
            "{shown}"
        );
        let (line, carets) = (shown.lines().nth(3).unwrap(), shown.lines().nth(4).unwrap());
        assert_eq!(line.find("bad"), carets.find('^'), "{shown}");
    }

    #[test]
    fn escape_sequences_in_the_file_do_not_reach_the_terminal() {
        assert!(!shown("a: \u{1b}[31mred\n", 3, 5).contains('\u{1b}'));
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let item = Diagnostic::new(Location::in_text("a: b", 0, 1), "wrong", "here").note("more");
        let all = Diagnostics::new("pipeline.yaml", "a: b", vec![item]);
        let mut plain = String::new();
        let coloured = render(&all, true);
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain += before;
            rest = after.split_once('m').unwrap().1;
        }
        assert_eq!(plain + rest, render(&all, false));
        assert_ne!(coloured, render(&all, false));
    }

    #[test]
    fn a_place_at_the_end_of_the_file_is_shown() {
        assert!(shown("a:\n", 3, 0).contains('^'));
        assert!(shown("", 0, 0).contains('^'));
    }
}
