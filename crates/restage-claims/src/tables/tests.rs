//! What counts as a difference.

use std::collections::BTreeMap;

use super::*;
use restage_core::rel_path::RelPath;
use restage_pipeline::ColumnRule::{self, Exact, Ignore};
use restage_pipeline::CompareRule;

pub(super) fn rule(
    key: &[&str],
    columns: &[(&str, ColumnRule)],
    others: ColumnRule,
) -> EffectiveRule {
    EffectiveRule {
        key: key.iter().map(|&column| column.into()).collect(),
        columns: columns
            .iter()
            .map(|&(column, rule)| (column.into(), rule))
            .collect(),
        others,
    }
}

fn compare(expected: &str, actual: &str, rule: &EffectiveRule) -> TableDiff {
    compare_tables("t.csv", expected.as_bytes(), actual.as_bytes(), rule)
}

fn problems(expected: &str, actual: &str, key: &[&str]) -> Vec<Problem> {
    let diff = compare(expected, actual, &rule(key, &[], Exact));
    assert_eq!(diff.cells, []);
    diff.problems
}

fn key(value: &str) -> Row {
    Row::Key(vec![("id".into(), value.into())])
}

#[test]
fn a_cell_that_differs_is_named_by_row_column_and_line() {
    let expected = "id,loss,note\na,0.5,x\nb,0.25,y\n";
    let diff = compare(
        expected,
        "id,loss,note\na,0.5,x\nb,0.75,y\n",
        &rule(&["id"], &[], Exact),
    );
    assert_eq!(diff.problems, []);
    assert_eq!(
        diff.cells,
        [CellDiff {
            row: key("b"),
            column: "loss".into(),
            expected: "0.25".into(),
            actual: "0.75".into(),
            expected_line: 3,
            actual_line: 3,
            rule: Exact,
            decimal: Decimal::Point,
            difference: Some(0.5),
        }]
    );
}

#[test]
fn rows_are_matched_in_order_without_a_key_and_in_any_order_with_one() {
    let (one, other) = ("id,n\na,1\nb,2\n", "id,n\nb,2\na,1\n");
    assert!(compare(one, other, &rule(&["id"], &[], Exact)).is_same());
    let diff = compare(one, other, &rule(&[], &[], Exact));
    assert_eq!(diff.cells.len(), 4);
    assert_eq!(diff.cells[2].row, Row::Number(2));
}

#[test]
fn each_column_follows_its_own_rule() {
    let rule = rule(
        &[],
        &[
            ("a", ColumnRule::absolute(0.1)),
            ("r", ColumnRule::relative(0.1)),
            ("i", Ignore),
        ],
        Exact,
    );
    assert!(compare("a,r,i,e\n1,100,x,z\n", "a,r,i,e\n1.1,110,,z\n", &rule).is_same());
    let diff = compare("a,r,i,e\n1,100,x,z\n", "a,r,i,e\n1.2,111,,Z\n", &rule);
    let columns: Vec<&str> = diff.cells.iter().map(|cell| cell.column.as_str()).collect();
    assert_eq!(columns, ["a", "r", "e"]);
}

#[test]
fn headers_must_match_even_where_cells_are_ignored() {
    let ignore = rule(&[], &[], Ignore);
    let diff = compare("a,b\n1,2\n", "a,c\n1,2\n", &ignore);
    assert_eq!(
        diff.problems,
        [
            Problem::MissingColumn("b".into()),
            Problem::ExtraColumn("c".into())
        ]
    );
}

#[test]
fn columns_are_matched_by_name_so_their_order_is_no_difference() {
    for key in [&[][..], &["a"]] {
        let rule = rule(key, &[], Exact);
        assert!(compare("a,b\n1,2\n", "b,a\n2,1\n", &rule).is_same());
        let diff = compare("a,b\n1,2\n", "b,a\n3,1\n", &rule);
        assert_eq!(diff.problems, []);
        assert_eq!((diff.cells.len(), diff.cells[0].column.as_str()), (1, "b"));
    }
}

#[test]
fn rows_must_match_even_where_cells_are_ignored() {
    let diff = compare("a\n1\n2\n", "a\n3\n", &rule(&[], &[], Ignore));
    assert_eq!(
        diff.problems,
        [Problem::RowCount {
            expected: 2,
            actual: 1
        }]
    );
    let found = problems("id\na\nb\n", "id\nc\nb\n", &["id"]);
    assert_eq!(
        found,
        [Problem::MissingRow(key("a")), Problem::ExtraRow(key("c"))]
    );
}

#[test]
fn what_is_no_table_is_told_apart() {
    let fault = |actual: &[u8]| {
        let rule = EffectiveRule::default();
        let diff = compare_tables("t.csv", b"id,n\na,1\n", actual, &rule);
        match &diff.problems[..] {
            [
                Problem::Malformed {
                    side: Side::Actual,
                    fault,
                },
            ] => fault.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fault(b""), Fault::Empty);
    assert_eq!(fault(b"id,n\na,\xff\n"), Fault::NotText { line: 2 });
    assert_eq!(
        fault(b"id,n\na,1\nb\n"),
        Fault::Ragged {
            line: 3,
            expected: 2,
            found: 1
        }
    );
    assert_eq!(
        fault(b"id,n,n\na,1,1\n"),
        Fault::DuplicateColumn { column: "n".into() }
    );
}

#[test]
fn columns_that_share_a_name_are_matched_in_order() {
    let any = rule(&[], &[("x", ColumnRule::absolute(0.1))], Exact);
    let before = "id,x,x,\na,1,2,\n";
    assert!(compare(before, "id,x,x,\na,1.05,2,\n", &any).is_same());
    assert!(compare(before, "x,,id,x\n1,,a,2\n", &any).is_same());
    let diff = compare(before, "id,x,x,\na,2,1,\n", &any);
    assert_eq!((diff.problems.len(), diff.cells.len()), (0, 2));
    let diff = compare(before, "id,x,,\na,1,2,\n", &any);
    let twice = |side, column: &str| Problem::Malformed {
        side,
        fault: Fault::DuplicateColumn {
            column: column.to_owned(),
        },
    };
    assert_eq!(diff.problems, [twice(Side::Expected, "x")]);
    assert!(diff.is_incomparable());
    let by_x = rule(&["x"], &[], Exact);
    let diff = compare(before, "id,x,x,\na,1,3,\n", &by_x);
    assert_eq!(diff.problems, [twice(Side::Expected, "x")]);
}

#[test]
fn differences_beyond_those_that_are_kept_are_counted() {
    let table = |value: usize, rows: usize| {
        let rows = (0..rows).map(|row| format!("{row},{value},{value}\n"));
        format!("id,x,y\n{}", rows.collect::<String>())
    };
    for key in [&[][..], &["id"]] {
        let rule = rule(key, &[], Exact);
        let comparison = Comparison {
            path: "t.csv",
            format: Format::of("t.csv", &[]),
            rule: &rule,
            most: 3,
        };
        let texts = [table(1, 50), table(2, 60)];
        let [before, now] = texts.each_ref().map(|text| Content::Bytes(text.as_bytes()));
        let diff = comparison.of(before, now).unwrap();
        assert_eq!((diff.cells.len(), diff.cells_differing), (3, 100));
        assert_eq!((diff.rows_differing, diff.rows_compared), (50, 50));
        assert_eq!(diff.rows_unmatched, 10);
        assert_eq!(diff.problems.len(), diff.problems_found.min(3));
        assert!(!diff.is_same() && !diff.is_incomparable());
    }
}

#[test]
fn keys_must_name_rows() {
    let twice = problems("id,n\na,1\n", "id,n\na,1\nb,1\na,1\n", &["id"]);
    let expected = Problem::DuplicateKey {
        side: Side::Actual,
        row: key("a"),
        lines: (2, 4),
    };
    assert_eq!(twice, [expected]);
    // Equal values of both rows, and the same twice on either side, don't say which row is meant.
    let both = problems("id,n\na,1\na,1\n", "id,n\na,1\na,1\n\n", &["id"]);
    let sides: Vec<bool> = both.iter().map(Problem::prevents_comparison).collect();
    assert_eq!(sides, [true, true]);
    // But the same bytes are the same file.
    assert_eq!(problems("id\na\na\n", "id\na\na\n", &["id"]), []);
    // A key is its text: 1 and 1.0 are two rows.
    assert_eq!(problems("id\n1\n1.0\n", "id\n1.0\n1\n", &["id"]), []);
    // Without a key column rows are not looked at, though their other key columns are equal.
    let none = problems("id,n\na,1\na,1\n", "id,n\na,2\na,2\n", &["id", "name"]);
    assert_eq!(none.len(), 2);
    assert!(
        matches!(&none[0], Problem::NoKeyColumn { side: Side::Expected, column } if column == "name")
    );
}

#[test]
fn line_ends_and_quotes_are_no_content() {
    let rule = EffectiveRule::default();
    assert!(compare("a,b\n1,2\n", "a,\"b\"\r\n\"1\",2\r\n", &rule).is_same());
    assert!(compare("a,b\n1,\"x\"\"y\"\n", "\u{feff}a,b\n\n1,\"x\"\"y\"", &rule).is_same());
    let broken = compare("a\n\"x\ny\"\n", "a\n\"x\r\ny\"\n", &rule);
    assert_eq!(broken.cells.len(), 1, "a line break in a cell is content");
    let tabs = compare_tables("t.tsv", b"a\tb\n1\t2\n", b"a\tb\n1\t3", &rule);
    assert_eq!((tabs.cells.len(), tabs.rows_compared), (1, 1));
}

#[test]
fn empty_cells_match_empty_cells_alone() {
    for others in [Exact, ColumnRule::absolute(1e9), ColumnRule::relative(1e9)] {
        let rule = rule(&[], &[], others);
        assert!(compare("a,b\n,1\n", "a,b\n\"\",1\n", &rule).is_same());
        for other in ["0", "NaN", " ", "-"] {
            let diff = compare("a,b\n,1\n", &format!("a,b\n{other},1\n"), &rule);
            assert_eq!(diff.cells.len(), 1, "{other:?}");
            assert_eq!(
                (diff.cells[0].difference, diff.cells[0].share()),
                (None, None)
            );
        }
    }
}

#[test]
fn other_files_must_have_the_same_bytes() {
    let rule = rule(&[], &[], Ignore);
    assert!(compare_tables("fig.svg", b"\xff", b"\xff", &rule).is_same());
    let diff = compare_tables("fig.svg", b"<svg>\n<a/>\n", b"<svg>\n<b/>\n", &rule);
    let (expected, actual) = (Some("<a/>".into()), Some("<b/>".into()));
    assert_eq!(
        diff.problems,
        [Problem::Bytes {
            offset: 7,
            line: 2,
            expected,
            actual
        }]
    );
    let diff = compare_tables("x", b"a\n", b"a\nb", &rule);
    let (expected, actual) = (None, Some("b".into()));
    assert_eq!(
        diff.problems,
        [Problem::Bytes {
            offset: 2,
            line: 2,
            expected,
            actual
        }]
    );
}

#[test]
fn tables_are_told_by_their_names_ending_and_say_their_columns() {
    let names = |path: &str, text: &[u8]| {
        let format = Format::of(path, &[]).unwrap();
        columns(Content::Bytes(text), format).unwrap()
    };
    assert_eq!(names("t.csv", b"id,\"a,b\"\n1,2\n"), ["id", "a,b"]);
    assert_eq!(names("t.csv", b"id; x\n1;2\n"), ["id", "x"]);
    assert_eq!(names("t.tsv", b"id\tx\n"), ["id", "x"]);
    assert_eq!(names("m.yml", b"a: {b: 1}\n"), ["a/b"]);
    assert_eq!(names("m.toml", b"a = \n"), [""; 0]);
}

#[test]
fn a_key_column_that_is_missing_is_the_one_problem_of_each_side() {
    let none = problems("id,n\na,1\nb,1\n", "id,n\na,2\nb,2\n", &["name"]);
    let missing = |side| Problem::NoKeyColumn {
        side,
        column: "name".into(),
    };
    assert_eq!(none, [missing(Side::Expected), missing(Side::Actual)]);
}

#[test]
fn a_row_is_named_by_its_number_or_all_of_its_key() {
    assert_eq!(Row::Number(3).to_string(), "3");
    let pairs = [("model", "a"), ("seed", "1")].map(|(c, v)| (c.to_owned(), v.to_owned()));
    assert_eq!(Row::Key(pairs.to_vec()).to_string(), "model=a seed=1");
}

#[test]
fn a_rule_applies_however_its_folders_are_spelt() {
    let path = RelPath::new("results/quick/x.csv").unwrap();
    for files in [
        "results/quick/*.csv",
        "./results/quick/x.csv",
        "results//quick/*.csv",
        "results/./quick/*.csv",
    ] {
        let rule = CompareRule {
            files: files.into(),
            key: Vec::new(),
            columns: std::collections::BTreeMap::new(),
        };
        assert!(applies(&rule, &path), "{files}");
    }
}

#[test]
fn a_difference_is_a_share_of_the_expected_number() {
    let share = |expected: &str, actual: &str| {
        let (expected, actual) = (format!("n\n{expected}\n"), format!("n\n{actual}\n"));
        let diff = compare(&expected, &actual, &rule(&[], &[], Exact));
        diff.cells[0].share()
    };
    assert_eq!(share("0.25", "0.75"), Some(2.0));
    assert_eq!(share("-8", "-10"), Some(0.25));
    assert_eq!(share("0", "1"), None);
    assert_eq!(share("x", "1"), None);
}

#[test]
fn a_file_on_one_side_alone_differs_and_has_no_cells_to_compare() {
    for diff in [TableDiff::missing("t.csv"), TableDiff::unexpected("t.csv")] {
        assert!(!diff.is_same());
        assert_eq!((diff.path.as_str(), diff.rows_compared), ("t.csv", 0));
        assert!(!diff.is_incomparable(), "it could be compared");
    }
}

#[test]
fn later_rules_win_and_a_named_column_beats_all_others() {
    let rule = |files: &str, key: &[&str], columns: &[(&str, ColumnRule)]| CompareRule {
        files: files.into(),
        key: key.iter().map(|&column| column.into()).collect(),
        columns: columns
            .iter()
            .map(|&(column, rule)| (column.into(), rule))
            .collect(),
    };
    let rules = [
        rule(
            "results/**/*.csv",
            &["id"],
            &[("a", ColumnRule::absolute(0.1)), ("b", Exact)],
        ),
        rule(
            "results/*/{x,y}.csv",
            &[],
            &[("*", Ignore), ("b", ColumnRule::relative(0.5))],
        ),
        rule("other/*", &["z"], &[]),
    ];
    let effective = |path| effective_rule(&rules, &RelPath::new(path).unwrap());
    let merged = effective("results/quick/x.csv").unwrap();
    assert_eq!(
        (
            merged.of("a", false),
            merged.of("b", false),
            merged.of("c", false)
        ),
        (ColumnRule::absolute(0.1), ColumnRule::relative(0.5), Ignore)
    );
    assert_eq!(merged.key, ["id"]);
    let first = effective("results/x.csv").unwrap();
    assert_eq!((first.of("b", false), first.of("c", false)), (Exact, Exact));
    assert_eq!(effective("results/quick/deep/z.csv").unwrap(), first);
    assert_eq!(effective("results/quick/fig.svg"), None);
    assert_eq!(effective("result"), None);
}

#[test]
fn rows_are_reported_in_the_order_of_their_files() {
    let found = problems("id\nz\na\nm\n", "id\ny\nm\nb\n", &["id"]);
    let (missing, extra) = (["z", "a"].map(key), ["y", "b"].map(key));
    let missing = missing.map(Problem::MissingRow).into_iter();
    let expected: Vec<_> = missing.chain(extra.map(Problem::ExtraRow)).collect();
    assert_eq!(found, expected);
    let diff = compare(
        "id,n\nz,1\na,1\n",
        "id,n\na,2\nz,2\n",
        &rule(&["id"], &[], Exact),
    );
    let rows: Vec<&Row> = diff.cells.iter().map(|cell| &cell.row).collect();
    assert_eq!(rows, [&key("z"), &key("a")]);
}

#[test]
fn a_file_with_a_problem_is_not_the_same() {
    for (expected, actual) in [
        ("a\n1\n", "a\n1\n2\n"),
        ("a,b\n", "a\n"),
        ("a\n", "a,b\n"),
        ("a\n", ""),
    ] {
        assert!(!compare(expected, actual, &EffectiveRule::default()).is_same());
    }
    assert!(!TableDiff::missing("t.csv").is_same() && !TableDiff::unexpected("t.csv").is_same());
}

#[test]
fn a_difference_and_its_share_are_positive_and_finite_or_left_out() {
    for (expected, actual, difference, share) in [
        ("-2", "-1", Some(1.0), Some(0.5)),
        ("4", "1", Some(3.0), Some(0.75)),
        ("0", "1", Some(1.0), None),
        ("1", "inf", None, None),
        ("x", "1", None, None),
    ] {
        let tables = [expected, actual].map(|cell| format!("a\n{cell}\n"));
        let diff = compare(&tables[0], &tables[1], &EffectiveRule::default());
        let [cell] = &diff.cells[..] else {
            panic!("{expected} {actual}: {diff:?}")
        };
        assert_eq!((cell.difference, cell.share()), (difference, share));
    }
}

#[test]
fn a_row_is_written_with_its_key_columns_and_their_values() {
    let pairs = [("model", "a"), ("split", "test")];
    let pairs = pairs.map(|(column, value)| (column.to_owned(), value.to_owned()));
    assert_eq!(Row::Key(pairs.into()).to_string(), "model=a split=test");
    assert_eq!(Row::Number(3).to_string(), "3");
}

#[test]
fn a_rule_is_for_the_files_that_its_pattern_matches_however_that_is_written() {
    let is_for = |pattern: &str, path: &str| {
        let rule = CompareRule {
            files: pattern.to_owned(),
            key: Vec::new(),
            columns: BTreeMap::new(),
        };
        applies(&rule, &RelPath::new(path).unwrap())
    };
    for pattern in [
        "r/*.csv",
        "./r/*.csv",
        "r//*.csv",
        "r/./*.csv",
        "r/t.csv",
        "{r,s}/t.csv",
    ] {
        assert!(is_for(pattern, "r/t.csv"), "{pattern}");
        assert!(!is_for(pattern, "q/t.csv"), "{pattern}");
    }
}

#[test]
fn a_files_ending_says_whether_it_is_a_table_in_any_case() {
    for (path, table) in [
        ("t.csv", true),
        ("T.CSV", true),
        ("t.Tsv", true),
        ("a/m.json", true),
        ("m.yml", true),
        ("m.jsonl", true),
        ("m.ndjson", true),
        ("m.toml", true),
        ("csv", false),
        ("fig.svg", false),
        ("t.csv.gz", false),
    ] {
        assert_eq!(Format::of(path, &[]).is_some(), table, "{path}");
    }
}

#[test]
fn lines_are_counted_as_editors_do_whatever_ends_them() {
    for end in ["\n", "\r\n", "\r"] {
        let lines = |last: &str| ["id,n", "a,1", "", "b,\"x", "y\"", last, ""].join(end);
        let diff = compare(&lines("c,2"), &lines("c,9"), &rule(&["id"], &[], Exact));
        let [cell] = &diff.cells[..] else {
            panic!("{end:?}: {diff:?}")
        };
        assert_eq!((cell.expected_line, cell.actual_line), (6, 6), "{end:?}");
        let twice =
            [lines("b,1"), lines("b,2")].map(|text| text.replace("\"x", "x").replace("y\"", "c,1"));
        let diff = compare(&twice[0], &twice[1], &rule(&["id"], &[], Exact));
        let expected = Problem::DuplicateKey {
            side: Side::Expected,
            row: key("b"),
            lines: (4, 6),
        };
        assert_eq!(diff.problems.first(), Some(&expected), "{end:?}");
    }
}
