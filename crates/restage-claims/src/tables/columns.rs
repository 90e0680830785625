//! Which column of one table is which of another: by name, and of columns that share a name, the first
//! is the first.

use std::collections::BTreeMap;

use super::cell::{self, Decimal};
use super::diff::{CellDiff, Problem, Row, Side, TableDiff};
use super::fault::Fault;
use super::rule::EffectiveRule;
use super::table::Kinds;
use restage_pipeline::ColumnRule;

/// The columns that two tables share and that are compared.
pub(super) struct Columns<'a> {
    pairs: Vec<Pair<'a>>,
    decimal: Decimal,
}

struct Pair<'a> {
    name: &'a str,
    expected: usize,
    actual: usize,
    rule: ColumnRule,
}

/// Two rows that are compared.
pub(super) struct Rows<'a> {
    pub(super) expected: &'a csv::StringRecord,
    pub(super) actual: &'a csv::StringRecord,
    /// Where they start.
    pub(super) lines: (u64, u64),
    /// Of documents: what lies above their cells.
    pub(super) kinds: Option<[&'a Kinds; 2]>,
}

impl<'a> Columns<'a> {
    /// Matches columns; what has no counterpart is a problem. `None`: names leave open which are meant.
    pub(super) fn pair(
        expected: &'a [String],
        actual: &[String],
        (rule, paths, decimal): (&EffectiveRule, bool, Decimal),
        diff: &mut TableDiff,
    ) -> Option<Self> {
        let (in_expected, in_actual) = (places(expected), places(actual));
        let at = |all: &BTreeMap<&str, Vec<usize>>, name: &str| {
            all.get(name).cloned().unwrap_or_default()
        };
        let names = expected.iter().chain(actual).map(String::as_str);
        for name in names {
            let counts = (at(&in_expected, name).len(), at(&in_actual, name).len());
            let is_key = rule.is_key(name);
            let side = match counts {
                (e, _) if e > 1 && (e != counts.1 || is_key) => Side::Expected,
                (_, a) if a > 1 && (a != counts.0 || is_key) => Side::Actual,
                _ => continue,
            };
            let fault = Fault::DuplicateColumn {
                column: name.to_owned(),
            };
            diff.add(Problem::Malformed { side, fault });
            return None;
        }
        for name in expected
            .iter()
            .filter(|name| at(&in_actual, name).is_empty())
        {
            diff.add(Problem::MissingColumn(name.clone()));
        }
        for name in actual
            .iter()
            .filter(|name| at(&in_expected, name).is_empty())
        {
            diff.add(Problem::ExtraColumn(name.clone()));
        }
        let mut pairs = Vec::new();
        for (place, name) in expected.iter().enumerate() {
            let nth = at(&in_expected, name).iter().position(|at| *at == place);
            let actual = nth.and_then(|nth| at(&in_actual, name).get(nth).copied());
            let rule_of = rule.of(name, paths);
            if let Some(actual) = actual
                && rule_of != ColumnRule::Ignore
                && !rule.is_key(name)
            {
                pairs.push(Pair {
                    name,
                    expected: place,
                    actual,
                    rule: rule_of,
                });
            }
        }
        Some(Self { pairs, decimal })
    }

    /// Compares two rows, cell by cell.
    pub(super) fn compare(&self, rows: &Rows<'_>, row: &dyn Fn() -> Row, diff: &mut TableDiff) {
        diff.rows_compared += 1;
        let before = diff.cells_differing;
        let cell = |column: &str, expected: &str, actual: &str, rule| CellDiff {
            row: row(),
            column: column.to_owned(),
            expected: expected.to_owned(),
            actual: actual.to_owned(),
            expected_line: rows.lines.0,
            actual_line: rows.lines.1,
            rule,
            decimal: self.decimal,
            difference: cell::difference(self.decimal, expected, actual),
        };
        for pair in &self.pairs {
            let (e, a) = (&rows.expected[pair.expected], &rows.actual[pair.actual]);
            if !cell::matches(pair.rule, self.decimal, e, a) {
                diff.add_cell(|| cell(pair.name, e, a, pair.rule));
            }
        }
        for (path, expected, actual) in rows.kinds.into_iter().flat_map(other_kinds) {
            // Where no path inside is compared, this is another difference already, or ignored.
            if self.pairs.iter().any(|pair| is_inside(pair.name, path)) {
                diff.add_cell(|| cell(path, expected, actual, ColumnRule::Exact));
            }
        }
        if diff.cells_differing > before {
            diff.rows_differing += 1;
        }
    }
}

/// What is an object in one row and a list in the other.
fn other_kinds(
    [expected, actual]: [&Kinds; 2],
) -> impl Iterator<Item = (&str, &'static str, &'static str)> {
    let both = expected
        .iter()
        .filter_map(move |(path, kind)| Some((path.as_str(), *kind, *actual.get(path)?)));
    both.filter(|(_, expected, actual)| expected != actual)
}

fn is_inside(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

fn places(names: &[String]) -> BTreeMap<&str, Vec<usize>> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        places.entry(name).or_default().push(at);
    }
    places
}
