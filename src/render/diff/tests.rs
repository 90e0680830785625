//! How differences are shown: width, what is cut, what is made harmless.

use proptest::prelude::*;

use super::*;
use crate::render::width::width;
use restage_claims::tables::{EffectiveRule, compare_tables};
use restage_pipeline::ColumnRule::Exact;

const PLAIN: Style = Style { colour: false };

fn rule(key: &[&str], columns: &[(&str, ColumnRule)]) -> EffectiveRule {
    EffectiveRule {
        key: key.iter().map(|&column| column.into()).collect(),
        columns: columns
            .iter()
            .map(|&(column, rule)| (column.into(), rule))
            .collect(),
        others: Exact,
    }
}

fn diff(path: &str, expected: &str, actual: &str, rule: &EffectiveRule) -> TableDiff {
    compare_tables(path, expected.as_bytes(), actual.as_bytes(), rule)
}

fn compared(files: Vec<TableDiff>) -> Compared {
    let against = Against::folder("old");
    let profile = "quick".to_owned();
    Compared {
        profile,
        against,
        files,
    }
}

fn cells() -> TableDiff {
    let expected = "epoch,val_loss,accuracy,note\n1,0.5123,0.9,same\n2,0.25,,a long note on how it went; as we saw it then\n3,1,1,x\n";
    let actual = expected
        .replace("0.5123", "0.5124")
        .replace(",0.9,", ",0.92,")
        .replace("then", "now")
        .replace("0.25", "NaN");
    let columns = [
        ("val_loss", ColumnRule::relative(1e-6)),
        ("accuracy", ColumnRule::absolute(0.01)),
    ];
    diff(
        "results/quick/t.csv",
        expected,
        &actual,
        &rule(&["epoch"], &columns),
    )
}

#[test]
fn differences_are_shown_by_row_and_column() {
    insta::assert_snapshot!(text_of(&cells(), 10, PLAIN), @r"
    results/quick/t.csv: 4 cells differ, in 2 of 3 rows
      row      column    expected           -> actual               off by   allowed
      epoch=1  val_loss  0.5123             -> 0.5124               0.0195%  1.0e-4%
               accuracy  0.9                -> 0.92                 0.02     0.01
      epoch=2  val_loss  0.25               -> NaN                           1.0e-4%
               note      …aw it then        -> …aw it now                    exact
    ");
    let cut = text_of(&cells(), 1, PLAIN);
    assert!(cut.ends_with("  ... and 3 more differences\n"), "{cut}");
    let painted = text_of(&cells(), 10, Style { colour: true });
    assert!(
        painted.contains("\u{1b}[31m0.5123\u{1b}[0m")
            && painted.contains("\u{1b}[32m0.5124\u{1b}[0m")
    );
}

#[test]
fn problems_are_shown_before_cells() {
    let found = diff(
        "t.csv",
        "a,b\n1,2\n",
        "a,c\n2,2\n3,3\n",
        &EffectiveRule::default(),
    );
    insta::assert_snapshot!(text_of(&found, 10, PLAIN), @r"
    t.csv: 1 cell differs, in 1 of 1 row; 1 row, 2 columns missing or added
      column `b` is missing
      column `c` is not expected
      2 rows instead of 1; without a key they are matched in order
      row  column  expected -> actual  off by  allowed
      1    a       1        -> 2       1       exact
    ");
    let found = diff(
        "a.txt",
        "one\ntwo\n",
        "one\nzwei\n",
        &EffectiveRule::default(),
    );
    insta::assert_snapshot!(text_of(&found, 10, PLAIN), @r"
    a.txt: differs
      line 2 differs (byte 4)
        expected: two
        actual:   zwei
    ");
    let found = diff("t.csv", "id,n\na,1\na,2\n", "n\n1\n", &rule(&["id"], &[]));
    insta::assert_snapshot!(text_of(&found, 10, PLAIN), @r"
    t.csv: cannot be compared
      column `id` is missing
      the expected table has two rows with the key `id=a`: lines 2 and 3
      the actual table has no key column `id`
    ");
    insta::assert_snapshot!(text_of(&TableDiff::missing("a.csv"), 0, PLAIN), @"a.csv: is missing");
}

#[test]
fn a_cell_cannot_draw_on_the_terminal_nor_break_out_of_a_markdown_table() {
    let expected = "id,`|`<b>\na,@user #1 \\| x\n\"b\",``\n";
    let actual = "id,`|`<b>\na,\"<script>\n\u{1b}[2J\u{202e}\"\nb,\" ` \"\n";
    let found = diff("<&>.csv", expected, actual, &rule(&["id"], &[]));
    insta::assert_snapshot!(text_of(&found, 10, PLAIN), @r"
    <&>.csv: 2 cells differ, in 2 of 2 rows
      row   column  expected      -> actual                       off by  allowed
      id=a  `|`<b>  @user #1 \| x -> <script>\n\u{1b}[2J\u{202e}          exact
      id=b  `|`<b>  ``            ->  `                                   exact
    ");
    insta::assert_snapshot!(markdown(&compared(vec![found]), 10), @r"
    Profile `quick`: 1 of 1 table differs from folder `old`.

    <details><summary><code>&lt;&amp;&gt;.csv</code>: 2 cells differ, in 2 of 2 rows</summary>

    | row | column | expected | actual | off by | allowed |
    |---|---|---|---|--:|--:|
    | `id=a` | `` `\|`<b> `` | `@user #1 \\| x` | `<script>\n\u{1b}[2J\u{202e}` |  | exact |
    | `id=b` | `` `\|`<b> `` | ``` `` ``` | ``  `  `` |  | exact |

    </details>
    ");
}

#[test]
fn markdown_folds_each_file_and_says_what_it_left_out() {
    let missing = TableDiff::missing("results/quick/gone.csv");
    let same = diff(
        "results/quick/same.csv",
        "a\n",
        "a\n",
        &EffectiveRule::default(),
    );
    let bytes = diff("a.txt", "one\ntwo\n", "one\n", &EffectiveRule::default());
    let all = compared(vec![cells(), missing, same.clone(), bytes]);
    insta::assert_snapshot!(markdown(&all, 2), @r"
    Profile `quick`: 3 of 4 tables differ from folder `old`.

    <details><summary><code>results/quick/t.csv</code>: 4 cells differ, in 2 of 3 rows</summary>

    | row | column | expected | actual | off by | allowed |
    |---|---|---|---|--:|--:|
    | `epoch=1` | `val_loss` | `0.5123` | `0.5124` | 0.0195% | 1.0e-4% |
    | `epoch=1` | `accuracy` | `0.9` | `0.92` | 0.02 | 0.01 |

    ... and 2 more differences

    </details>

    <details><summary><code>results/quick/gone.csv</code>: is missing</summary>

    </details>

    <details><summary><code>a.txt</code>: differs</summary>

    - line 2 differs (byte 4): `two` -> _none_

    </details>
    ");
    insta::assert_snapshot!(markdown(&compared(vec![same]), 2), @"Profile `quick`: 1 table matches folder `old`.");
}

#[test]
fn markdown_fits_a_comment_however_much_differs() {
    let rows = |cell: &str| format!("a,b\n{}", format!("{cell},é|`\n").repeat(600));
    let large = |path: String| {
        diff(
            &path,
            &rows("\"é|`\""),
            &rows(&"x".repeat(100)),
            &rule(&[], &[]),
        )
    };
    let many = (0..12)
        .map(|at| large(format!("results/{at}.csv")))
        .collect();
    let text = markdown(&compared(many), usize::MAX);
    assert!(
        text.len() <= 60_000 && text.len() > 50_000,
        "{}",
        text.len()
    );
    let cut: Vec<&str> = text.lines().filter(|line| line.contains("more")).collect();
    assert!(cut[0].starts_with("... and "), "{cut:?}");
    assert_eq!(
        text.matches("<details>").count(),
        text.matches("</details>").count()
    );
    let many = (0..2000).map(|at| TableDiff::missing(&format!("results/quick/{at}.csv")));
    let text = markdown(&compared(many.collect()), 20);
    assert!(text.len() <= 60_000, "{}", text.len());
    let shown = text.matches("<details>").count();
    let last = format!(
        "\n**Cut to fit a comment:** {} more files differ; `restage compare` shows all.\n",
        2000 - shown
    );
    assert!(text.ends_with(&last), "{text}");
}

#[test]
fn a_table_that_cannot_be_compared_is_an_error_and_one_that_differs_a_failure() {
    let twice = diff("t.csv", "id\na\n", "id\na\na\n", &rule(&["id"], &[]));
    let same = diff("s.csv", "id\n", "id\n", &rule(&[], &[]));
    let cases = compared(vec![same, twice, cells()]).cases(1);
    assert!(matches!(cases[0].outcome, Outcome::Passed));
    let Outcome::Error { message, text } = &cases[1].outcome else {
        panic!("no error")
    };
    assert_eq!(message, "cannot be compared");
    assert!(
        text.contains("two rows with the key `id=a`: lines 2 and 3"),
        "{text}"
    );
    let Outcome::Failed { message, text } = &cases[2].outcome else {
        panic!("no failure")
    };
    assert_eq!(message, "4 cells differ, in 2 of 3 rows");
    assert!(text.ends_with("... and 3 more differences\n"), "{text}");
}

#[test]
fn numbers_are_short_and_say_that_they_are_beyond_their_bound() {
    let shown = [
        0.1,
        0.019520,
        0.110_000_000_1,
        0.999_999_9,
        1234.567,
        99.999_9,
        1.25e-7,
        1e300,
        0.0,
    ];
    let shown = shown.map(short_number);
    assert_eq!(
        shown,
        [
            "0.1", "0.0195", "0.11", "1", "1235", "100", "1.2e-7", "1.0e300", "0"
        ]
    );
    let found = diff(
        "t.csv",
        "a\n1\n",
        "a\n1.1000001\n",
        &rule(&[], &[("a", ColumnRule::absolute(0.1))]),
    );
    assert_eq!(
        (off_by(&found.cells[0]), allowed(&found.cells[0])),
        (">0.1".into(), "0.1".into())
    );
    let found = diff(
        "t.csv",
        "a\n0\n",
        "a\n0.5\n",
        &rule(&[], &[("a", ColumnRule::relative(0.1))]),
    );
    assert_eq!(
        (off_by(&found.cells[0]), allowed(&found.cells[0])),
        ("0.5".into(), "10%".into())
    );
}

proptest! {
    #[test]
    fn every_line_is_short_and_no_more_is_shown_than_asked_for(
        expected in prop::collection::vec(any::<String>(), 4),
        actual in prop::collection::vec(any::<String>(), 4),
        path in "[a-z\n漢]{0,90}(\\.csv)?",
        by_key: bool,
        most in 0usize..4,
    ) {
        let table = |cells: &[String]| {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["a", "b"]).unwrap();
            for pair in cells.chunks(2) {
                writer.write_record(pair).unwrap();
            }
            writer.into_inner().unwrap()
        };
        let key: &[&str] = if by_key { &["a"] } else { &[] };
        let found = compare_tables(&path, &table(&expected), &table(&actual), &rule(key, &[]));
        let text = text_of(&found, most, PLAIN);
        for line in text.lines() {
            prop_assert!(width(line) <= 80 && !line.chars().any(char::is_control), "{:?}", line);
        }
        prop_assert!(text.lines().count() <= 4 + 3 * most, "{}", text);
        // Every row of the table is one line, and has its seven bars.
        let lines = markdown(&compared(vec![found]), most);
        for line in lines.lines().filter(|line| line.starts_with('|')) {
            prop_assert_eq!(line.replace("\\|", "").matches('|').count(), 7, "{}", line);
        }
    }
}
