//! What holds for all tables.
//! They must not know where tables come from.

use proptest::prelude::*;

use super::*;
use crate::spec::ColumnRule::{self, Absolute, Exact, Ignore, Relative};

type Cells = Vec<Vec<String>>;

/// A table with distinct columns `c0`, `c1`.. and distinct row names in `c0`.
fn tables() -> impl Strategy<Value = Cells> {
    let cell = prop_oneof![
        "[ab,\"\n\u{1b}é]{0,12}",
        "-?[0-9]{1,3}(\\.[0-9]{1,3})?",
        Just("NaN".to_owned())
    ];
    (1usize..4, 1usize..5).prop_flat_map(move |(columns, rows)| {
        prop::collection::vec(prop::collection::vec(cell.clone(), columns), rows)
    })
}

fn csv_of(rows: &Cells, with_key: bool) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let name = |at: usize| format!("c{at}");
    let key = |text: String| with_key.then_some(text).into_iter();
    writer
        .write_record(key("id".into()).chain((0..rows[0].len()).map(name)))
        .unwrap();
    for (at, row) in rows.iter().enumerate() {
        writer
            .write_record(key(at.to_string()).chain(row.iter().cloned()))
            .unwrap();
    }
    writer.into_inner().unwrap()
}

fn rules() -> impl Strategy<Value = ColumnRule> {
    let tolerance = prop_oneof![Just(0.0), Just(0.5), Just(10.0)];
    (0..4, tolerance).prop_map(|(kind, tolerance)| match kind {
        0 => Exact,
        1 => Ignore,
        2 => Absolute(tolerance),
        _ => Relative(tolerance),
    })
}

/// Every line is short enough, and not more differences are shown than asked for.
fn assert_readable(diff: &TableDiff, most: usize) {
    let text = render(diff, most);
    for line in text.lines() {
        assert!(
            line.chars().count() <= 80 && !line.chars().any(char::is_control),
            "{line:?}"
        );
    }
    assert!(text.lines().count() <= 3 + 3 * most, "{text}");
}

proptest! {
    #[test]
    fn a_table_is_the_same_as_itself(rows in tables(), rule in rules(), with_key: bool) {
        let bytes = csv_of(&rows, with_key);
        let key: &[&str] = if with_key { &["id"] } else { &[] };
        let rule = super::tests::rule(key, &[], rule);
        prop_assert!(compare_tables("t.csv", &bytes, &bytes, &rule).is_same());
        // Not by equal bytes alone.
        let copy = [&bytes[..], b"\r\n"].concat();
        prop_assert!(compare_tables("t.csv", &bytes, &copy, &rule).is_same());
    }

    #[test]
    fn one_changed_cell_is_found_exactly_when_its_rule_forbids_it(
        rows in tables(),
        at: (prop::sample::Index, prop::sample::Index),
        new in prop_oneof!["[ab\"]{0,40}", "-?[0-9]{1,3}(\\.[0-9]{1,3})?", Just("inf".to_owned())],
        (own, others) in (rules(), rules()),
        with_key: bool,
        most in 0usize..3,
    ) {
        let (row, column) = (at.0.index(rows.len()), at.1.index(rows[0].len()));
        let mut changed = rows.clone();
        let old = std::mem::replace(&mut changed[row][column], new.clone());
        let name = format!("c{column}");
        let key: &[&str] = if with_key { &["id"] } else { &[] };
        let rule = super::tests::rule(key, &[(&name, own)], others);
        let (expected, actual) = (csv_of(&rows, with_key), csv_of(&changed, with_key));
        let diff = compare_tables("t.csv", &expected, &actual, &rule);
        prop_assert_eq!(&diff.problems, &[]);
        if cell::matches(own, &old, &new) {
            prop_assert_eq!(&diff.cells, &[]);
        } else {
            prop_assert_eq!(diff.cells.len(), 1);
            let found = &diff.cells[0];
            prop_assert_eq!((&found.column, &found.expected, &found.actual), (&name, &old, &new));
        }
        assert_readable(&diff, most);
    }

    #[test]
    fn ignored_cells_may_hold_anything(one in tables(), seed: u64) {
        let other: Cells = one.iter().map(|row| row.iter().map(|_| seed.to_string()).collect()).collect();
        let rule = super::tests::rule(&[], &[], Ignore);
        prop_assert!(compare_tables("t.csv", &csv_of(&one, false), &csv_of(&other, false), &rule).is_same());
    }

    #[test]
    fn no_input_is_too_strange(
        expected in prop::collection::vec(prop_oneof![Just(b','), Just(b'\n'), Just(b'"'), any::<u8>()], 0..60),
        actual in prop::collection::vec(prop_oneof![Just(b','), Just(b'\n'), Just(b'"'), any::<u8>()], 0..60),
        path in "[a-z\n]{0,90}(\\.csv)?",
        by_key: bool,
        most in 0usize..4,
    ) {
        let key: &[&str] = if by_key { &["a"] } else { &[] };
        let diff = compare_tables(&path, &expected, &actual, &super::tests::rule(key, &[], Absolute(1.0)));
        if expected == actual {
            prop_assert!(diff.is_same());
        }
        assert_readable(&diff, most);
    }
}
