//! Shows what is wrong with a pipeline: message, place, marked text, notes, hint.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Diagnostics, Note};
use crate::node::printable;
use restage_core::span::Location;

/// Of a line of the file that is wider, the part around the marked text is shown.
const COLUMNS: usize = 110;

/// All mistakes, an empty line between; ends with a line break. Control characters are never passed
/// on to the terminal.
///
/// ```text
/// error: unknown field `dependson` in stage `train`
///   --> pipeline.yaml:31:5
///    |
/// 31 |     dependson: [prepare]
///    |     ^^^^^^^^^ not a stage field
///    |
///    = hint: did you mean `deps`?
/// ```
pub fn render(diagnostics: &Diagnostics, colour: bool) -> String {
    let renderer = match colour {
        true => Renderer::styled(),
        false => Renderer::plain(),
    };
    let renderer = renderer.term_width(COLUMNS);
    let items = diagnostics.items.iter();
    let shown = items.map(|item| renderer.render(&[group(item, diagnostics)]) + "\n");
    shown.collect::<Vec<_>>().join("\n")
}

fn group<'a>(item: &'a Diagnostic, all: &'a Diagnostics) -> Group<'a> {
    let mut group = Level::ERROR
        .primary_title(printable(&item.message))
        .element(snippet(item, all));
    let elsewhere = |note: &&Note| in_another_file(item, note.location);
    for note in item.notes.iter().filter(elsewhere) {
        group = group.element(snippet_of_note(note, all));
    }
    for note in item.notes.iter().filter(|note| note.location.is_none()) {
        group = group.element(Level::NOTE.message(printable(&note.text)));
    }
    if let Some(hint) = &item.hint {
        let level = Level::HELP.with_name("hint");
        group = group.element(level.message(printable(hint)));
    }
    group
}

/// The marked text and the places that notes speak of.
fn snippet<'a>(item: &'a Diagnostic, all: &'a Diagnostics) -> Snippet<'a, Annotation<'a>> {
    let (file_name, text) = all.file(item.location);
    let text = item.argument.as_deref().unwrap_or(text);
    let mut marks = Vec::new();
    if !item.label.is_empty() {
        let mark = marked(text, item.location);
        marks.push((AnnotationKind::Primary, &item.label, mark));
    }
    for note in &item.notes {
        if let Some(at) = note.location.filter(|at| !in_another_file(item, Some(*at))) {
            marks.push((AnnotationKind::Context, &note.text, marked(text, at)));
        }
    }
    // The lines in question are enough: files can be large, and have many mistakes.
    let first = marks.iter().map(|(.., at)| at.start).min().unwrap_or(0);
    let last = marks.iter().map(|(.., at)| at.end).max().unwrap_or(first);
    let start = text[..first].rfind('\n').map_or(0, |at| at + 1);
    let end = text[last..].find('\n').map_or(text.len(), |at| last + at);
    let mut snippet = Snippet::source(&text[start..end]);
    if item.argument.is_some() {
        snippet = snippet.line_numbering(false);
    } else {
        let lines = text[..start].matches('\n').count();
        snippet = snippet.line_start(lines + 1).path(printable(file_name));
    }
    let marks = marks.into_iter().map(|(kind, label, at)| {
        let at = at.start - start..at.end - start;
        kind.span(at).label(printable(label))
    });
    snippet.annotations(marks)
}

/// Whether a note speaks of another file than the mistake is in.
fn in_another_file(item: &Diagnostic, at: Option<Location>) -> bool {
    at.is_some_and(|at| at.file != item.location.file && item.argument.is_none())
}

/// The text in another file that a note speaks of.
fn snippet_of_note<'a>(note: &'a Note, all: &'a Diagnostics) -> Snippet<'a, Annotation<'a>> {
    let at = note.location.unwrap_or_default();
    let (file_name, text) = all.file(at);
    let mark = marked(text, at);
    let start = text[..mark.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[mark.end..]
        .find('\n')
        .map_or(text.len(), |at| mark.end + at);
    let mark = mark.start - start..mark.end - start;
    let label = AnnotationKind::Context
        .span(mark)
        .label(printable(&note.text));
    Snippet::source(&text[start..end])
        .line_start(text[..start].matches('\n').count() + 1)
        .path(printable(file_name))
        .annotation(label)
}

/// A place as bytes of its text; of a value of several lines the first is marked.
fn marked(text: &str, at: Location) -> Range<usize> {
    let start = text.floor_char_boundary(at.offset.min(text.len()));
    let end = text.floor_char_boundary(at.end().clamp(start, text.len()));
    let line = text[start..end].lines().next().unwrap_or_default();
    start..start + line.trim_end().len()
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
          |
          = hint: mend it
        ");
    }

    #[test]
    fn long_lines_are_cut_around_the_marked_text() {
        let text = format!("{}bad{}", "x ".repeat(100), " y".repeat(100));
        let shown = shown(&text, 200, 3);
        let fits = |line: &str| line.chars().count() <= COLUMNS;
        assert!(shown.lines().all(fits), "{shown}");
        let (line, carets) = (shown.lines().nth(3).unwrap(), shown.lines().nth(4).unwrap());
        assert_eq!(line.find("bad"), carets.find('^'), "{shown}");
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert!(!shown("a: \u{1b}[31mred\n", 3, 5).contains('\u{1b}'));
        let red = "\u{1b}[31m";
        let at = Location::in_text("a: b", 0, 1);
        let item = Diagnostic::new(at, red, red).note(red).note_at(red, at);
        let all = Diagnostics::new(red, "a: b", vec![item.hint(red)]);
        assert!(!render(&all, false).contains('\u{1b}'));
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
    fn places_of_notes_are_shown_with_their_lines() {
        let text = "a: 1\nb: 2\nc: 3\nd: 4\na: 5\n";
        let item = Diagnostic::new(Location::in_text(text, 20, 1), "`a` twice", "again here")
            .note_at("the first", Location::in_text(text, 0, 1));
        let all = Diagnostics::new("pipeline.yaml", text, vec![item]);
        insta::assert_snapshot!(render(&all, false), @"
        error: `a` twice
         --> pipeline.yaml:5:1
          |
        1 | a: 1
          | - the first
        ...
        5 | a: 5
          | ^ again here
        ");
    }

    #[test]
    fn a_place_at_the_end_of_the_file_is_shown() {
        assert!(shown("a:\n", 3, 0).contains('^'));
        assert!(shown("", 0, 0).contains('^'));
    }
}
