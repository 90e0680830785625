//! Differences as JSON lines, none left out.

use serde_json::{Value, json};

use super::{Compared, headline, text_of, words};
use restage_claims::tables::{CellDiff, Problem, Row, TableDiff};
use restage_core::style::Style;
use restage_pipeline::ColumnRule;

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

fn file(diff: &TableDiff, profile: &str, most: usize) -> Value {
    json!({
        "event": "different", "profile": profile, "file": diff.path, "what": headline(diff),
        "comparable": !diff.is_incomparable(), "rows_compared": diff.rows_compared,
        "problems": diff.problems.iter().filter_map(problem).collect::<Vec<_>>(),
        "cells": diff.cells.iter().map(cell).collect::<Vec<_>>(),
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
        ColumnRule::Absolute(bound) => json!({"abs": bound}),
        ColumnRule::Relative(share) => json!({"rel": share}),
    };
    json!({
        "row": row, "column": cell.column, "expected": cell.expected, "actual": cell.actual,
        "expected_line": cell.expected_line, "actual_line": cell.actual_line,
        "difference": cell.difference, "rule": rule,
    })
}
