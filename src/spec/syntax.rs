//! The YAML parser's errors in a reader's words.
//! It must not know anything that comes after parsing.

use granit_parser::{ErrorKind, ScanError};

use super::diagnostic::Diagnostic;
use crate::base::span::Location;

/// Where the text stops being YAML, and how to mend it where that can be guessed.
pub(crate) fn syntax_error(text: &str, error: &ScanError) -> Diagnostic {
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
    let len = text[offset..].chars().next().map_or(0, char::len_utf8);
    let (label, hint) = explain(error.kind());
    Diagnostic::new(
        Location::in_text(text, offset, len),
        format!("not valid YAML: {}", error.kind()),
        label,
    )
    .maybe_hint(hint.map(str::to_owned))
}

fn explain(kind: &ErrorKind) -> (&'static str, Option<&'static str>) {
    use ErrorKind as K;
    match kind {
        K::TabNotAllowed
        | K::TabInBlockIndentation
        | K::TabInIndentation
        | K::TabInPlainScalar
        | K::TabAtBlockScalarStart => ("a tab", Some("YAML is indented by spaces")),
        K::UnclosedQuotedScalar => (
            "the quote that opens here is never closed",
            Some("close it on the same line"),
        ),
        K::UnclosedFlowCollection { .. }
        | K::UnexpectedEofFlowSequence
        | K::UnexpectedEofFlowMapping
        | K::UnexpectedEofImplicitFlowMapping
        | K::ExpectedFlowMappingSeparator
        | K::ExpectedFlowSequenceSeparator => (
            "reading a `[..]` or `{..}` stopped here",
            Some(
                "close the bracket, and quote items that have one of `[]{},#`, such as \"${key}\"",
            ),
        ),
        K::MappingValueNotAllowed => (
            "a `:` that cannot stand here",
            Some("quote text that has `: ` in it, and check the indentation"),
        ),
        K::UnknownAnchor => ("no `&anchor` of this name stands above", None),
        K::UnexpectedCharacter { .. } => ("cannot begin a value", Some("put the text into quotes")),
        K::InvalidIndentation
        | K::ExpectedBlockMappingKey
        | K::ExpectedBlockSequenceEntry
        | K::BlockSequenceEntryNotAllowed
        | K::SimpleKeyExpected
        | K::MappingKeyNotAllowed => (
            "reading stopped here",
            Some("check this line's indentation against the lines above"),
        ),
        _ => ("reading stopped here", None),
    }
}
