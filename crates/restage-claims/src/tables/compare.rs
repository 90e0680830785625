//! Compares one file with another.

use std::collections::BTreeMap;

use super::columns::{Columns, Rows};
use super::content::Content;
use super::diff::{Problem, Row, Side, TableDiff};
use super::fault::Fault;
use super::format::Format;
use super::lines::line_of;
use super::parse;
use super::rule::EffectiveRule;
use super::stream;
use super::table::{Line, Table};
use restage_core::fs::FsError;

/// How a file is compared with another.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// The file, as its caller names it.
    pub path: &'a str,
    /// How both are read as tables; `None`: they are compared byte by byte.
    pub format: Option<Format>,
    /// What is a difference.
    pub rule: &'a EffectiveRule,
    /// How many differences are kept of each kind; all are counted.
    pub most: usize,
}

/// Compares `actual` with `expected`, both in memory and read as their name says.
pub fn compare_tables(
    path: &str,
    expected: &[u8],
    actual: &[u8],
    rule: &EffectiveRule,
) -> TableDiff {
    let comparison = Comparison {
        path,
        format: Format::of(path, &[]),
        rule,
        most: usize::MAX,
    };
    let contents = (Content::Bytes(expected), Content::Bytes(actual));
    let compared = comparison.of(contents.0, contents.1);
    // Nothing in memory can fail to be read.
    compared.unwrap_or_else(|_| TableDiff::missing(path))
}

impl Comparison<'_> {
    /// Compares `actual` with `expected`. The module's documentation says what counts as a difference.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn of(&self, expected: Content<'_>, actual: Content<'_>) -> Result<TableDiff, FsError> {
        if expected.is_same(actual)? {
            return Ok(self.none());
        }
        if let Some(format) = self.format
            && let Some(diff) = stream::compare(self.none(), [expected, actual], format, self.rule)?
        {
            return Ok(diff);
        }
        let (expected, actual) = (expected.bytes()?, actual.bytes()?);
        Ok(self.in_memory(&expected, &actual))
    }

    fn none(&self) -> TableDiff {
        TableDiff::new(self.path, self.most)
    }

    /// Of contents that differ.
    pub(super) fn in_memory(&self, expected: &[u8], actual: &[u8]) -> TableDiff {
        let mut diff = self.none();
        let Some(format) = self.format else {
            diff.add(first_difference(expected, actual));
            return diff;
        };
        match [expected, actual].map(|bytes| parse::whole(bytes, format)) {
            [Ok((_, Some(expected))), Ok((_, Some(actual)))]
                if expected.kind() != actual.kind() =>
            {
                let kinds = (actual.kind(), expected.kind());
                let fault = Fault::data(format!("is {}, the expected one {}", kinds.0, kinds.1));
                let side = Side::Actual;
                diff.add(Problem::Malformed { side, fault });
            }
            [Ok((expected, _)), Ok((actual, _))] => {
                let how = (self.rule, format.is_document(), format.decimal);
                let columns = Columns::pair(&expected.columns, &actual.columns, how, &mut diff);
                if let Some(columns) = columns {
                    let pairing = Pairing {
                        expected: &expected,
                        actual: &actual,
                        key: &self.rule.key,
                        columns,
                    };
                    match self.rule.key.is_empty() {
                        true => pairing.in_order(&mut diff),
                        false => pairing.by_key(&mut diff),
                    }
                }
            }
            _ if format.is_document() && *self.rule == EffectiveRule::default() => {
                // Nobody said that it holds results: several YAML documents, JSON with comments.
                diff.add(first_difference(expected, actual));
            }
            [expected, actual] => {
                for (side, table) in [(Side::Expected, expected), (Side::Actual, actual)] {
                    if let Err(fault) = table {
                        diff.add(Problem::Malformed { side, fault });
                    }
                }
            }
        }
        diff
    }
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

/// Two tables, and the columns that both have.
struct Pairing<'a> {
    expected: &'a Table,
    actual: &'a Table,
    key: &'a [String],
    columns: Columns<'a>,
}

type ByKey<'a> = BTreeMap<Vec<&'a str>, &'a Line>;

impl Pairing<'_> {
    fn in_order(&self, diff: &mut TableDiff) {
        let (expected, actual) = (self.expected.rows.len(), self.actual.rows.len());
        if expected != actual {
            diff.add(Problem::RowCount { expected, actual });
        }
        let pairs = self.expected.rows.iter().zip(&self.actual.rows);
        for (at, (expected, actual)) in pairs.enumerate() {
            self.cells(&|| Row::Number(at + 1), expected, actual, diff);
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
                Some(other) => self.cells(&|| named(self.key, key), row, other, diff),
                None => diff.add(Problem::MissingRow(named(self.key, key))),
            }
        }
        let mut in_order: Vec<_> = actual.iter().collect();
        in_order.sort_by_key(|(_, row)| row.line);
        for (key, _) in in_order {
            if !expected.contains_key(key) {
                diff.add(Problem::ExtraRow(named(self.key, key)));
            }
        }
    }

    fn rows_by_key<'t>(
        &self,
        side: Side,
        table: &'t Table,
        diff: &mut TableDiff,
    ) -> Option<ByKey<'t>> {
        let before = diff.problems_found;
        let mut indices = Vec::new();
        for column in self.key {
            match table.index_of(column) {
                // By another spelling, such as `/epoch`.
                Some(at) if table.is_repeated(&table.columns[at]) => {
                    let fault = Fault::DuplicateColumn {
                        column: column.clone(),
                    };
                    diff.add(Problem::Malformed { side, fault });
                }
                Some(at) => indices.push(at),
                None => {
                    diff.add(Problem::NoKeyColumn {
                        side,
                        column: column.clone(),
                    });
                }
            }
        }
        if diff.problems_found > before {
            return None;
        }
        let mut rows = ByKey::new();
        for row in &table.rows {
            let key: Vec<&str> = indices.iter().map(|at| &row.cells[*at]).collect();
            if let Some(first) = rows.get(&key) {
                let (lines, row) = ((first.line, row.line), named(self.key, &key));
                diff.add(Problem::DuplicateKey { side, row, lines });
            } else {
                rows.insert(key, row);
            }
        }
        (diff.problems_found == before).then_some(rows)
    }

    fn cells(&self, row: &dyn Fn() -> Row, expected: &Line, actual: &Line, diff: &mut TableDiff) {
        let rows = Rows {
            expected: &expected.cells,
            actual: &actual.cells,
            lines: (expected.line, actual.line),
            kinds: Some([&expected.kinds, &actual.kinds]),
        };
        self.columns.compare(&rows, row, diff);
    }
}

fn named(columns: &[String], key: &[&str]) -> Row {
    let pairs = columns.iter().zip(key);
    Row::Key(
        pairs
            .map(|(column, value)| (column.clone(), (*value).to_owned()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::rule;
    use super::*;
    use restage_pipeline::ColumnRule::{Exact, Ignore};

    #[test]
    fn a_list_is_not_an_object_of_the_same_paths() {
        let compare = |expected: &str, actual: &str, rule: &EffectiveRule| {
            compare_tables("m.json", expected.as_bytes(), actual.as_bytes(), rule)
        };
        let exact = rule(&[], &[], Exact);
        let (list, object) = (r#"{"b": {"a": [1]}}"#, r#"{"b": {"a": {"0": 1}}}"#);
        let diff = compare(list, object, &exact);
        let cell = &diff.cells[0];
        assert_eq!((diff.found(), diff.rows_differing), (1, 1));
        let shown = [&cell.column, &cell.expected, &cell.actual].map(String::as_str);
        assert_eq!(shown, ["b/a", "a list", "an object"]);
        assert!(compare(list, object, &rule(&[], &[("/b/a/*", Ignore)], Exact)).is_same());
        let rows = |first: &str| format!(r#"[{{"k": 1, "a": {first}}}, {{"k": 2, "a": [3]}}]"#);
        let by_key = rule(&["k"], &[], Exact);
        let diff = compare(&rows("[3]"), &rows(r#"{"0": 3}"#), &by_key);
        assert_eq!((diff.found(), diff.rows_compared), (1, 2));
        assert!(compare(&rows("[3]"), &rows("[ 3]"), &by_key).is_same());
        for (expected, actual) in [
            (r#"{"a": 1}"#, r#"[{"a": 1}]"#),
            (r#"{"0": 1, "1": 2}"#, "[1, 2]"),
        ] {
            for (expected, actual) in [(expected, actual), (actual, expected)] {
                let diff = compare(expected, actual, &exact);
                assert!(diff.is_incomparable(), "{expected} {actual}");
            }
        }
    }
}
