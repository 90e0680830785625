//! Compares one file with another.

use std::collections::BTreeMap;

use super::cell;
use super::diff::{CellDiff, Problem, Row, Side, TableDiff};
use super::parse::{Format, Line, Table, line_of};
use super::rule::EffectiveRule;
use restage_pipeline::ColumnRule;

/// Compares `actual` with `expected`.
///
/// The module's documentation says what counts as a difference.
pub fn compare_tables(
    path: &str,
    expected: &[u8],
    actual: &[u8],
    rule: &EffectiveRule,
) -> TableDiff {
    let mut diff = TableDiff::new(path);
    if expected == actual {
        return diff;
    }
    let Some(format) = Format::of(path) else {
        diff.problems.push(first_difference(expected, actual));
        return diff;
    };
    let mut parse = |side, bytes| {
        let malformed = |fault| diff.problems.push(Problem::Malformed { side, fault });
        let table = Table::parse(bytes, format).and_then(Table::distinct);
        table.map_err(malformed).ok()
    };
    let tables = (parse(Side::Expected, expected), parse(Side::Actual, actual));
    if let (Some(expected), Some(actual)) = tables {
        compare_columns(&expected, &actual, &mut diff);
        let pairing = Pairing::new(&expected, &actual, rule);
        if rule.key.is_empty() {
            pairing.in_order(&mut diff);
        } else {
            pairing.by_key(&mut diff);
        }
    } else if format.is_data() && *rule == EffectiveRule::default() {
        // Nobody said that it holds results: several YAML documents, JSON with comments.
        diff.problems = vec![first_difference(expected, actual)];
    }
    diff
}

/// Whether a file of this name is compared as a table.
pub fn is_table(path: &str) -> bool {
    Format::of(path).is_some()
}

/// Requires that the bytes differ.
fn first_difference(expected: &[u8], actual: &[u8]) -> Problem {
    let pairs = expected.iter().zip(actual);
    let offset = pairs.take_while(|(e, a)| e == a).count();
    let line = |bytes: &[u8]| {
        // The line starts at the same byte in both, since everything before it is equal.
        let start = bytes[..offset]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let text = bytes[start..]
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let there = start < bytes.len();
        std::str::from_utf8(text)
            .ok()
            .filter(|_| there)
            .map(str::to_owned)
    };
    let (expected_line, actual_line) = (line(expected), line(actual));
    let number = line_of(expected, offset);
    Problem::Bytes {
        offset,
        line: number,
        expected: expected_line,
        actual: actual_line,
    }
}

fn compare_columns(expected: &Table, actual: &Table, diff: &mut TableDiff) {
    if expected.columns == actual.columns {
        return;
    }
    let only_in = |one: &Table, other: &Table| -> Vec<String> {
        one.columns
            .iter()
            .filter(|name| other.named(name).is_none())
            .cloned()
            .collect()
    };
    let missing = only_in(expected, actual);
    let extra = only_in(actual, expected);
    // The same names in another order are fine: cells are matched by name.
    diff.problems
        .extend(missing.into_iter().map(Problem::MissingColumn));
    diff.problems
        .extend(extra.into_iter().map(Problem::ExtraColumn));
}

/// Two tables, and the columns that both have.
struct Pairing<'a> {
    expected: &'a Table,
    actual: &'a Table,
    key: &'a [String],
    /// Name, index in each, rule; without ignored columns and those of the key.
    columns: Vec<(&'a str, usize, usize, ColumnRule)>,
}

type Rows<'a> = BTreeMap<Vec<&'a str>, &'a Line>;

impl<'a> Pairing<'a> {
    fn new(expected: &'a Table, actual: &'a Table, rule: &'a EffectiveRule) -> Self {
        let columns = expected
            .columns
            .iter()
            .enumerate()
            .filter_map(|(at, name)| {
                let column_rule = rule.of(name);
                let compared = column_rule != ColumnRule::Ignore && !rule.key.contains(name);
                compared.then_some((name.as_str(), at, actual.named(name)?, column_rule))
            });
        Self {
            expected,
            actual,
            key: &rule.key,
            columns: columns.collect(),
        }
    }

    fn in_order(&self, diff: &mut TableDiff) {
        let (expected, actual) = (self.expected.rows.len(), self.actual.rows.len());
        if expected != actual {
            diff.problems.push(Problem::RowCount { expected, actual });
        }
        let pairs = self.expected.rows.iter().zip(&self.actual.rows);
        for (at, (expected, actual)) in pairs.enumerate() {
            self.cells(&Row::Number(at + 1), expected, actual, diff);
        }
    }

    fn by_key(&self, diff: &mut TableDiff) {
        let expected = self.rows_by_key(Side::Expected, self.expected, diff);
        let actual = self.rows_by_key(Side::Actual, self.actual, diff);
        let (Some(expected), Some(actual)) = (expected, actual) else {
            return;
        };
        let mut in_order: Vec<_> = expected.iter().collect();
        in_order.sort_by_key(|(_, row)| row.line);
        for (key, row) in in_order {
            match actual.get(key) {
                Some(other) => self.cells(&self.row(key), row, other, diff),
                None => diff.problems.push(Problem::MissingRow(self.row(key))),
            }
        }
        let mut in_order: Vec<_> = actual.iter().collect();
        in_order.sort_by_key(|(_, row)| row.line);
        let extra = in_order
            .into_iter()
            .filter(|(key, _)| !expected.contains_key(*key));
        diff.problems
            .extend(extra.map(|(key, _)| Problem::ExtraRow(self.row(key))));
    }

    fn rows_by_key<'t>(
        &self,
        side: Side,
        table: &'t Table,
        diff: &mut TableDiff,
    ) -> Option<Rows<'t>> {
        let before = diff.problems.len();
        let mut indices = Vec::new();
        for column in self.key {
            match table.index_of(column) {
                Some(at) => indices.push(at),
                None => {
                    diff.problems.push(Problem::NoKeyColumn {
                        side,
                        column: column.clone(),
                    });
                }
            }
        }
        if diff.problems.len() > before {
            return None;
        }
        let mut rows = Rows::new();
        for row in &table.rows {
            let key: Vec<&str> = indices.iter().map(|at| &row.cells[*at]).collect();
            if let Some(first) = rows.get(&key) {
                let (lines, row) = ((first.line, row.line), self.row(&key));
                diff.problems
                    .push(Problem::DuplicateKey { side, row, lines });
            } else {
                rows.insert(key, row);
            }
        }
        (diff.problems.len() == before).then_some(rows)
    }

    fn row(&self, key: &[&str]) -> Row {
        let pairs = self.key.iter().zip(key);
        Row::Key(
            pairs
                .map(|(column, value)| (column.clone(), (*value).to_owned()))
                .collect(),
        )
    }

    fn cells(&self, row: &Row, expected: &Line, actual: &Line, diff: &mut TableDiff) {
        diff.rows_compared += 1;
        for &(column, in_expected, in_actual, rule) in &self.columns {
            let (e, a) = (&expected.cells[in_expected], &actual.cells[in_actual]);
            if !cell::matches(rule, e, a) {
                diff.cells.push(CellDiff {
                    row: row.clone(),
                    column: column.to_owned(),
                    expected: e.to_owned(),
                    actual: a.to_owned(),
                    expected_line: expected.line,
                    actual_line: actual.line,
                    rule,
                    difference: cell::difference(e, a),
                });
            }
        }
    }
}
