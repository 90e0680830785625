//! The YAML parser's errors in a reader's words.

use granit_parser::{ErrorKind, ScanError};

use super::diagnostic::Diagnostic;
use restage_core::span::Location;

/// Where the text stops being YAML, and how to mend it where that can be guessed.
/// `open_bracket`: the innermost `[` or `{` that was still open.
pub(crate) fn syntax_error(
    text: &str,
    error: &ScanError,
    open_bracket: Option<Location>,
) -> Diagnostic {
    let mark = error.marker();
    let offset = mark.byte_offset().unwrap_or_else(|| {
        text.char_indices()
            .nth(mark.index())
            .map_or(text.len(), |(offset, _)| offset)
    });
    let mut offset = text.floor_char_boundary(offset.min(text.len()));
    // At the end of the file there is nothing to show: mark the last character instead.
    if text[offset..].trim().is_empty() {
        offset = text
            .trim_end()
            .char_indices()
            .next_back()
            .map_or(0, |(last, _)| last);
    }
    if let Some(found) = bare_template(text, offset) {
        return found;
    }
    let len = text[offset..].chars().next().map_or(0, char::len_utf8);
    let Explained {
        message,
        label,
        hint,
    } = explain(error.kind(), open_bracket.is_some());
    let message = message.map_or_else(|| error.kind().to_string(), str::to_owned);
    let diagnostic = Diagnostic::new(
        Location::in_text(text, offset, len),
        format!("not valid YAML: {message}"),
        label,
    )
    .maybe_hint(hint.map(str::to_owned));
    match open_bracket {
        Some(open) if message == OPEN => {
            let bracket = &text[open.offset..open.end()];
            diagnostic.note_at(format!("the `{bracket}` that is still open"), open)
        }
        _ => diagnostic,
    }
}

/// `[${x}]`: YAML reads `$`, then a map. The most common slip of all.
fn bare_template(text: &str, offset: usize) -> Option<Diagnostic> {
    if !(text[..offset].ends_with('$') && text[offset..].starts_with('{')) {
        return None;
    }
    let line_end = text[offset..]
        .find('\n')
        .map_or(text.len(), |at| offset + at);
    let close = text[offset..line_end]
        .find('}')
        .map_or(line_end, |at| offset + at + 1);
    let is_end = |c: char| ",]} \t\n".contains(c);
    let start = text[..offset - 1]
        .rfind(|c| is_end(c) || c == '[' || c == '{')
        .map_or(0, |at| at + 1);
    let end = text[close..]
        .find(is_end)
        .map_or(text.len(), |at| close + at);
    let item = text.get(start..end)?;
    Some(
        Diagnostic::new(
            Location::in_text(text, start, item.len()),
            "not valid YAML: a template in `[..]` or `{..}` must stand in quotes",
            "read as a map, because of its `{`",
        )
        .hint(format!("write \"{item}\"")),
    )
}

const OPEN: &str = "a bracket is not closed";

#[derive(Default)]
struct Explained {
    /// Ours, if the parser's own is not helpful.
    message: Option<&'static str>,
    label: &'static str,
    hint: Option<&'static str>,
}

fn explain(kind: &ErrorKind, in_brackets: bool) -> Explained {
    use ErrorKind as K;
    let (message, label, hint) = match kind {
        K::TabNotAllowed
        | K::TabInBlockIndentation
        | K::TabInIndentation
        | K::TabInPlainScalar
        | K::TabAtBlockScalarStart => (
            Some("a tab where only spaces can stand"),
            "a tab",
            Some("YAML is indented by spaces"),
        ),
        K::UnclosedQuotedScalar => (
            None,
            "the quote that opens here is never closed",
            Some("close it on the same line"),
        ),
        K::UnclosedFlowCollection { .. }
        | K::UnexpectedEofFlowSequence
        | K::UnexpectedEofFlowMapping
        | K::UnexpectedEofImplicitFlowMapping
        | K::ExpectedFlowMappingSeparator
        | K::ExpectedFlowSequenceSeparator
        | K::InvalidFlowScalarIndent => (
            Some(OPEN),
            "expected `,` or the closing bracket",
            Some("close the bracket, or quote the item if it has one of `[]{},:#` in it"),
        ),
        K::InvalidColonPlacement | K::MappingValueNotAllowed if in_brackets => (
            Some(OPEN),
            "a `:` that cannot stand inside it",
            Some("close the bracket before this line, or quote text that has `: ` in it"),
        ),
        K::MappingValueNotAllowed => (
            Some("a `:` where no value can begin"),
            "a second value",
            Some(
                "see that the key above ends with `:`, and that lines are indented alike; quote text that has `: ` in it",
            ),
        ),
        K::UnknownAnchor => (
            Some("an alias that refers to nothing"),
            "no `&anchor` of this name stands above",
            Some("quote the text if it begins with `*` but is not an alias, such as \"*.csv\""),
        ),
        K::UnexpectedCharacter { .. } => (
            None,
            "cannot begin a value",
            Some("put the text into quotes"),
        ),
        K::InvalidIndentation
        | K::ExpectedBlockMappingKey
        | K::ExpectedBlockSequenceEntry
        | K::BlockSequenceEntryNotAllowed
        | K::SimpleKeyExpected
        | K::MappingKeyNotAllowed => (
            Some("a line that does not continue what stands above"),
            "reading stopped here",
            Some(
                "check this line's indentation against the lines above, and that a key ends with `: `",
            ),
        ),
        _ => (None, "reading stopped here", None),
    };
    Explained {
        message,
        label,
        hint,
    }
}
