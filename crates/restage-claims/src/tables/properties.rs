//! What holds for all tables.

use csv::{QuoteStyle, Terminator, WriterBuilder};
use proptest::prelude::*;
use proptest::sample::Index;

use super::tests::rule;
use super::*;
use restage_pipeline::ColumnRule::{self, Exact, Ignore};

/// Columns `id`, `c0`, `c1`.. and rows, each of another `id`.
#[derive(Debug, Clone)]
struct Cells {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// How a table is written down.
#[derive(Debug, Clone, Copy)]
struct Form {
    quoted: bool,
    crlf: bool,
}

impl Cells {
    fn csv(&self, form: Form) -> Vec<u8> {
        let quotes = match form.quoted {
            true => QuoteStyle::Always,
            false => QuoteStyle::Necessary,
        };
        let ends = match form.crlf {
            true => Terminator::CRLF,
            false => Terminator::Any(b'\n'),
        };
        let mut writer = WriterBuilder::new()
            .quote_style(quotes)
            .terminator(ends)
            .from_writer(Vec::new());
        for record in std::iter::once(&self.columns).chain(&self.rows) {
            writer.write_record(record).unwrap();
        }
        writer.into_inner().unwrap()
    }

    fn plain(&self) -> Vec<u8> {
        self.csv(Form {
            quoted: false,
            crlf: false,
        })
    }

    /// With its columns, and its rows, in the order of these numbers.
    fn shuffled(&self, columns: &[u64], rows: Option<&[u64]>) -> Self {
        let order = |count: usize, by: &[u64]| {
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by_key(|at| (by[at % by.len()], *at));
            order
        };
        let columns = order(self.columns.len(), columns);
        let pick = |cells: &[String]| columns.iter().map(|at| cells[*at].clone()).collect();
        let rows = match rows {
            Some(by) => order(self.rows.len(), by),
            None => (0..self.rows.len()).collect(),
        };
        Self {
            columns: pick(&self.columns),
            rows: rows.iter().map(|at| pick(&self.rows[*at])).collect(),
        }
    }
}

fn cells() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ab,\"\n\r\t ;é]{0,8}",
        "-?[0-9]{1,3}(\\.[0-9]{1,3})?",
        Just("NaN".to_owned()),
        Just("-inf".to_owned()),
        Just(String::new()),
    ]
}

fn tables() -> impl Strategy<Value = Cells> {
    (1usize..4, 0usize..6).prop_flat_map(|(columns, rows)| {
        let row = prop::collection::vec(cells(), columns + 1);
        prop::collection::vec(row, rows).prop_map(move |mut rows| {
            for (at, row) in rows.iter_mut().enumerate() {
                // Another last character makes another text.
                row[0] += &at.to_string();
            }
            let names = (0..columns).map(|at| format!("c{at}"));
            let columns = std::iter::once("id".to_owned()).chain(names).collect();
            Cells { columns, rows }
        })
    })
}

fn forms() -> impl Strategy<Value = Form> {
    any::<(bool, bool)>().prop_map(|(quoted, crlf)| Form { quoted, crlf })
}

fn rules() -> impl Strategy<Value = ColumnRule> {
    let bound = prop_oneof![Just(0.0), Just(0.5), Just(10.0)];
    (0..4, bound).prop_map(|(kind, bound)| match kind {
        0 => Exact,
        1 => Ignore,
        2 => ColumnRule::absolute(bound),
        _ => ColumnRule::relative(bound),
    })
}

/// A cell, what became of it, a rule, and whether that rule allows it: by whole thousandths, in
/// which nothing is rounded, not by what is tested.
fn changes() -> impl Strategy<Value = (String, String, ColumnRule, bool)> {
    let text = |thousandths: i64| {
        let sign = if thousandths < 0 { "-" } else { "" };
        let size = thousandths.unsigned_abs();
        format!("{sign}{}.{:03}", size / 1000, size % 1000)
    };
    let numbers = (-2_000_000_i64..2_000_000, -3000_i64..3000, 0_i64..3000);
    let absolute = numbers.clone().prop_map(move |(value, by, bound)| {
        let rule = ColumnRule::absolute(bound as f64 / 1000.0);
        (text(value), text(value + by), rule, by.abs() <= bound)
    });
    let relative = numbers.prop_map(move |(value, by, bound)| {
        let rule = ColumnRule::relative(bound as f64 / 1000.0);
        let allowed = by.abs() * 1000 <= bound * value.abs();
        (text(value), text(value + by), rule, allowed)
    });
    let at_the_bound = (-2000_i64..2000, 0_i64..3000, any::<bool>(), any::<bool>()).prop_map(
        move |(thousands, bound, up, beyond)| {
            let (value, rule) = (
                thousands * 1000,
                ColumnRule::relative(bound as f64 / 1000.0),
            );
            let by = bound * thousands.abs() + i64::from(beyond);
            let other = if up { value + by } else { value - by };
            (text(value), text(other), rule, !beyond)
        },
    );
    let exact = (cells(), cells()).prop_map(|(one, other)| {
        let same = one == other;
        (one, other, Exact, same)
    });
    let ignored = (cells(), cells()).prop_map(|(one, other)| (one, other, Ignore, true));
    let bounded = || {
        prop_oneof![
            Just(ColumnRule::absolute(1e9)),
            Just(ColumnRule::relative(1e9)),
            Just(ColumnRule::absolute(0.0))
        ]
    };
    let special = |pairs: &[(&'static str, &'static str)], allowed: bool| {
        let pairs: Vec<_> = pairs.to_vec();
        (prop::sample::select(pairs), bounded(), any::<bool>()).prop_map(
            move |((one, other), rule, turned)| {
                let (one, other) = if turned { (other, one) } else { (one, other) };
                (one.to_owned(), other.to_owned(), rule, allowed)
            },
        )
    };
    let alike = [
        ("NaN", "nan"),
        ("inf", "+Infinity"),
        ("0", "-0.0"),
        (" 1 ", "1.0"),
        ("1e3", "1000"),
    ];
    let apart = [
        ("NaN", "1"),
        ("NaN", ""),
        ("inf", "-inf"),
        ("inf", "1e300"),
        ("", "0"),
        ("", " "),
        ("1", "one"),
        ("1,5", "1.5"),
        ("1e999", "inf"),
    ];
    prop_oneof![
        3 => exact, 3 => absolute, 3 => relative, 2 => at_the_bound, 1 => ignored,
        2 => special(&alike, true), 2 => special(&apart, false),
    ]
}

fn compare(expected: &Cells, actual: &Cells, rule: &EffectiveRule) -> TableDiff {
    compare_tables("t.csv", &expected.plain(), &actual.plain(), rule)
}

fn key_if(with_key: bool) -> &'static [&'static str] {
    if with_key { &["id"] } else { &[] }
}

proptest! {
    #[test]
    fn a_table_is_the_same_as_itself_in_any_form(
        table in tables(), own in rules(), with_key: bool, form in forms(), other_form in forms(),
    ) {
        let rule = rule(key_if(with_key), &[], own);
        let bytes = table.csv(form);
        prop_assert!(compare_tables("t.csv", &bytes, &bytes, &rule).is_same());
        let mut other = table.csv(other_form);
        // Not by equal bytes alone.
        other.extend(b"\r\n");
        let diff = compare_tables("t.csv", &bytes, &other, &rule);
        prop_assert!(diff.is_same(), "{diff:?}");
        prop_assert_eq!(diff.rows_compared, table.rows.len());
    }

    #[test]
    fn one_changed_cell_is_found_and_named_exactly_when_its_rule_forbids_it(
        mut table in tables(),
        at: (Index, Index),
        (old, new, own, allowed) in changes(),
        others in rules(),
        with_key: bool,
    ) {
        prop_assume!(!table.rows.is_empty());
        let (row, column) = (at.0.index(table.rows.len()), 1 + at.1.index(table.columns.len() - 1));
        let name = table.columns[column].clone();
        let rule = rule(key_if(with_key), &[(&name, own)], others);
        table.rows[row][column].clone_from(&old);
        let mut changed = table.clone();
        changed.rows[row][column].clone_from(&new);
        let diff = compare(&table, &changed, &rule);
        prop_assert_eq!(&diff.problems, &[]);
        if allowed {
            prop_assert_eq!(&diff.cells, &[]);
        } else {
            prop_assert_eq!(diff.cells.len(), 1);
            let found = &diff.cells[0];
            let row = match with_key {
                true => Row::Key(vec![("id".to_owned(), table.rows[row][0].clone())]),
                false => Row::Number(row + 1),
            };
            prop_assert_eq!((&found.row, &found.column), (&row, &name));
            prop_assert_eq!((&found.expected, &found.actual), (&old, &new));
        }
    }

    #[test]
    fn neither_the_order_of_columns_nor_that_of_rows_with_a_key_changes_anything(
        table in tables(),
        own in rules(),
        columns in prop::collection::vec(any::<u64>(), 1..5),
        rows in prop::collection::vec(any::<u64>(), 1..7),
        (with_key, again) in any::<(bool, bool)>(),
        (at, new) in (any::<(Index, Index)>(), cells()),
    ) {
        let rule = rule(key_if(with_key), &[], own);
        let mut other = table.clone();
        if again && !table.rows.is_empty() {
            let (row, column) = (at.0.index(table.rows.len()), 1 + at.1.index(table.columns.len() - 1));
            other.rows[row][column] = new;
        }
        let moved = other.shuffled(&columns, with_key.then_some(&rows[..]));
        let (plain, moved) = (compare(&table, &other, &rule), compare(&table, &moved, &rule));
        prop_assert_eq!(&plain.problems, &moved.problems);
        let what = |diff: &TableDiff| -> Vec<(Row, String, String, String)> {
            let cells = diff.cells.iter().cloned();
            cells.map(|cell| (cell.row, cell.column, cell.expected, cell.actual)).collect()
        };
        prop_assert_eq!(what(&plain), what(&moved));
    }

    #[test]
    fn the_verdict_is_symmetric_but_for_relative_bounds(
        (one, other) in (tables(), tables()), mut alike in tables(), own in rules(), with_key: bool,
        at: (Index, Index), new in cells(),
    ) {
        prop_assume!(!matches!(own, ColumnRule::Within { relative, .. } if relative > 0.0));
        let rule = rule(key_if(with_key), &[], own);
        let both = |a: &Cells, b: &Cells| (compare(a, b, &rule).is_same(), compare(b, a, &rule).is_same());
        let (there, back) = both(&one, &other);
        prop_assert_eq!(there, back);
        // Two tables that are drawn alone are hardly ever alike.
        let before = alike.clone();
        if !alike.rows.is_empty() {
            let (row, column) = (at.0.index(alike.rows.len()), 1 + at.1.index(alike.columns.len() - 1));
            alike.rows[row][column] = new;
        }
        let (there, back) = both(&before, &alike);
        prop_assert_eq!(there, back);
    }

    #[test]
    fn a_row_that_is_gone_or_new_is_found_whatever_the_rules(
        table in tables(), at: Index, own in rules(), with_key: bool, turned: bool,
    ) {
        prop_assume!(!table.rows.is_empty());
        let rule = rule(key_if(with_key), &[], own);
        let mut less = table.clone();
        let gone = less.rows.remove(at.index(table.rows.len()));
        let diff = if turned { compare(&less, &table, &rule) } else { compare(&table, &less, &rule) };
        let row = Row::Key(vec![("id".to_owned(), gone[0].clone())]);
        let (more, fewer) = (table.rows.len(), less.rows.len());
        let expected = match (with_key, turned) {
            (true, false) => Problem::MissingRow(row),
            (true, true) => Problem::ExtraRow(row),
            (false, false) => Problem::RowCount { expected: more, actual: fewer },
            (false, true) => Problem::RowCount { expected: fewer, actual: more },
        };
        prop_assert_eq!(diff.problems, [expected]);
    }

    #[test]
    fn a_column_that_is_gone_or_new_is_found_whatever_the_rules(
        table in tables(), at: Index, own in rules(), with_key: bool, turned: bool,
    ) {
        let rule = rule(key_if(with_key), &[], own);
        let gone = 1 + at.index(table.columns.len() - 1);
        let mut less = table.clone();
        let name = less.columns.remove(gone);
        for row in &mut less.rows {
            row.remove(gone);
        }
        let (diff, expected) = match turned {
            false => (compare(&table, &less, &rule), Problem::MissingColumn(name)),
            true => (compare(&less, &table, &rule), Problem::ExtraColumn(name)),
        };
        prop_assert_eq!(diff.problems, [expected]);
        prop_assert_eq!(diff.cells, []);
    }

    #[test]
    fn a_key_that_stands_twice_is_an_error_with_both_lines(
        mut table in tables(), at: Index, own in rules(), turned: bool,
    ) {
        prop_assume!(!table.rows.is_empty());
        let before = table.clone();
        let row = table.rows[at.index(table.rows.len())].clone();
        table.rows.push(row.clone());
        let rule = rule(&["id"], &[], own);
        let diff = if turned { compare(&table, &before, &rule) } else { compare(&before, &table, &rule) };
        prop_assert!(diff.is_incomparable() && diff.cells.is_empty());
        let [Problem::DuplicateKey { side, row: named, lines: (first, second) }] = &diff.problems[..] else {
            return Err(TestCaseError::fail(format!("{:?}", diff.problems)));
        };
        prop_assert_eq!(*side, if turned { Side::Expected } else { Side::Actual });
        prop_assert_eq!(named, &Row::Key(vec![("id".to_owned(), row[0].clone())]));
        prop_assert!(first < second);
    }

    #[test]
    fn reading_row_by_row_finds_what_reading_it_all_does(
        table in tables(), other in tables(), own in rules(), with_key: bool, alike: bool,
        (form, other_form) in (forms(), forms()), at: (Index, Index), new in cells(), most in 0_usize..4,
    ) {
        let mut other = if alike { table.clone() } else { other };
        if !other.rows.is_empty() {
            let (row, column) = (at.0.index(other.rows.len()), at.1.index(other.columns.len()));
            other.rows[row][column] = new;
        }
        let texts = [table.csv(form), other.csv(other_form)];
        prop_assume!(texts[0] != texts[1]);
        let rule = rule(key_if(with_key), &[], own);
        let comparison = Comparison { path: "t.csv", format: Format::of("t.csv", &[]), rule: &rule, most };
        let streamed = comparison.of(Content::Bytes(&texts[0]), Content::Bytes(&texts[1])).unwrap();
        let whole = comparison.in_memory(&texts[0], &texts[1]);
        prop_assert_eq!(streamed, whole);
    }

    #[test]
    fn reading_strange_bytes_row_by_row_finds_what_reading_them_all_does(
        expected in strange(), actual in strange(), by_key: bool,
    ) {
        prop_assume!(expected != actual);
        let key: &[&str] = if by_key { &["a"] } else { &[] };
        for header in ["", "a,b\n", "a;b\n"] {
            let texts = [&expected, &actual].map(|text| [header.as_bytes(), text].concat());
            let rule = rule(key, &[], ColumnRule::absolute(1.0));
            let comparison = Comparison { path: "t.csv", format: Format::of("t.csv", &[]), rule: &rule, most: 9 };
            let streamed = comparison.of(Content::Bytes(&texts[0]), Content::Bytes(&texts[1])).unwrap();
            prop_assert_eq!(streamed, comparison.in_memory(&texts[0], &texts[1]));
        }
    }

    #[test]
    fn no_input_is_too_strange(
        expected in strange(), actual in strange(), path in "[a-z\n]{0,90}(\\.(csv|jsonl?|yaml|toml))?", by_key: bool,
    ) {
        let key: &[&str] = if by_key { &["a"] } else { &[] };
        let diff = compare_tables(&path, &expected, &actual, &rule(key, &[], ColumnRule::absolute(1.0)));
        if expected == actual {
            prop_assert!(diff.is_same());
        }
    }
}

fn strange() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b','), Just(b'\n'), Just(b'"'), any::<u8>()];
    prop::collection::vec(byte, 0..60)
}
