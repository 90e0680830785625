//! What counts as reproduced, and what does not.

use proptest::prelude::*;

use super::*;
use crate::tables::{Decimal, RowName};
use crate::{Cell, Missing, Runs};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;

/// One cell, the same wherever it is looked for.
struct One(Result<String, Missing>);

impl Cells for One {
    fn cell(&self, _: &RelPath, _: &RowName, _: &str) -> Result<Cell, Missing> {
        self.0.clone().map(cell)
    }

    fn value(&self, _: &RelPath, _: &str) -> Result<Cell, Missing> {
        self.0.clone().map(cell)
    }

    fn column(&self, _: &RelPath, _: &str) -> Result<(Vec<String>, Decimal), Missing> {
        self.0.clone().map(|cell| (vec![cell], Decimal::Point))
    }

    fn matching(&self, pattern: &Glob) -> Result<Vec<RelPath>, Missing> {
        Err(Missing::NotMeasured(format!("no file matches `{pattern}`")))
    }
}

fn cell(text: String) -> Cell {
    Cell {
        text,
        decimal: Decimal::Point,
    }
}

/// One cell a file.
struct Seeds(Vec<(&'static str, f64)>);

impl Cells for Seeds {
    fn cell(&self, file: &RelPath, _: &RowName, _: &str) -> Result<Cell, Missing> {
        self.value(file, "/x")
    }

    fn value(&self, file: &RelPath, _: &str) -> Result<Cell, Missing> {
        let found = self.0.iter().find(|(name, _)| *name == file.as_str());
        found
            .map(|(_, value)| cell(value.to_string()))
            .ok_or_else(|| Missing::NotMeasured(format!("there is no `{file}`")))
    }

    fn column(&self, file: &RelPath, _: &str) -> Result<(Vec<String>, Decimal), Missing> {
        self.value(file, "/x")
            .map(|cell| (vec![cell.text], Decimal::Point))
    }

    fn matching(&self, pattern: &Glob) -> Result<Vec<RelPath>, Missing> {
        let paths = self.0.iter().map(|(name, _)| RelPath::new(name).unwrap());
        let found: Vec<_> = paths.filter(|path| pattern.matches(path)).collect();
        match found.is_empty() {
            true => Err(Missing::NotMeasured(format!("no file matches `{pattern}`"))),
            false => Ok(found),
        }
    }
}

/// What becomes of a claim about `ours` under a rule, on runs of `a` and `b`.
fn over_seeds(ours: &str, mut claim: Claim, files: &[(&'static str, f64)]) -> Judged {
    claim.ours = Some(expression(ours));
    let cells: Arc<dyn Cells> = Arc::new(Seeds(files.to_vec()));
    judge(&claim, &cells).unwrap_or_else(|(_, message)| panic!("{message}"))
}

const DIFFERENCE: &str =
    r#"scaled(difference(samples("a/*.csv", 1, "x"), samples("b/*.csv", 1, "x")), 100.0)"#;

fn expression(text: &str) -> Expression {
    Expression {
        text: text.to_owned(),
        location: Location::default(),
    }
}

fn claim(paper: f64, rule: ClaimRule, direction: Option<Direction>) -> Claim {
    Claim {
        folder: String::new(),
        id: "c".to_owned(),
        says: "so".to_owned(),
        section: None,
        paper: Some(PaperValue::Number(paper)),
        unit: None,
        ours: Some(expression(r#"cell("t.csv", 1, "x")"#)),
        rule,
        direction,
        needs: None,
        otherwise: None,
        volatile: false,
    }
}

fn judged(claim: &Claim, cell: &str) -> Judged {
    judge(
        claim,
        &(Arc::new(One(Ok(cell.to_owned()))) as Arc<dyn Cells>),
    )
    .unwrap()
}

#[test]
fn a_tolerance_includes_its_bound() {
    let near = claim(0.899, ClaimRule::Absolute(0.01), None);
    for (cell, verdict) in [
        ("0.909", Verdict::Reproduced),
        ("0.889", Verdict::Reproduced),
        ("0.88899", Verdict::NotReproduced),
    ] {
        assert_eq!(judged(&near, cell).verdict, verdict, "{cell}");
    }
    let share = claim(-200.0, ClaimRule::Relative(0.01), None);
    assert_eq!(judged(&share, "-202").verdict, Verdict::Reproduced);
    assert_eq!(judged(&share, "-202.1").verdict, Verdict::NotReproduced);
    // In numbers the two differ by more than a tenth, in decimals by a tenth.
    let large = claim(1000.4, ClaimRule::Absolute(0.1), None);
    assert_eq!(judged(&large, "1000.3").verdict, Verdict::Reproduced);
    assert_eq!(judged(&large, "1000.2999").verdict, Verdict::NotReproduced);
}

#[test]
fn the_right_side_alone_is_direction_only() {
    let above = claim(5.8, ClaimRule::Absolute(1.0), Some(Direction::Above(0.0)));
    assert_eq!(judged(&above, "2").verdict, Verdict::DirectionOnly);
    assert_eq!(judged(&above, "0").verdict, Verdict::NotReproduced);
    assert_eq!(judged(&above, "5").verdict, Verdict::Reproduced);
    let below = claim(0.1, ClaimRule::Relative(0.1), Some(Direction::Below(1.0)));
    assert_eq!(judged(&below, "0.5").verdict, Verdict::DirectionOnly);
    assert_eq!(judged(&below, "2").verdict, Verdict::NotReproduced);
    assert_eq!(judged(&below, "1").verdict, Verdict::NotReproduced);
}

#[test]
fn what_is_missing_or_not_finite_is_not_measured_with_a_reason_and_other_text_is_a_mistake() {
    let near = claim(1.0, ClaimRule::Absolute(10.0), Some(Direction::Above(0.0)));
    let missing: Arc<dyn Cells> = Arc::new(One(Err(Missing::NotMeasured(
        "there is no `t.csv`".to_owned(),
    ))));
    let found = judge(&near, &missing).unwrap();
    assert_eq!((found.verdict, found.ours), (Verdict::NotMeasured, None));
    assert_eq!(found.reason.as_deref(), Some("there is no `t.csv`"));
    for cell in ["NaN", "inf"] {
        assert_eq!(judged(&near, cell).verdict, Verdict::NotMeasured, "{cell}");
    }
    for cell in ["many", "1e400", "85.3%", "0,5"] {
        let cells: Arc<dyn Cells> = Arc::new(One(Ok(cell.to_owned())));
        let (_, message) = judge(&near, &cells).unwrap_err();
        let wanted = format!("`t.csv` has `{cell}` in row 1, column `x`, which is not a number");
        assert!(message.starts_with(&wanted), "{message}");
    }
    for holds in [
        "0.5 >= CELL",
        "CELL < 1",
        "1u > CELL",
        "0.0 < CELL && 2.0 > CELL",
    ] {
        let holds = holds.replace("CELL", r#"cell("t.csv", 1, "x")"#);
        let compared = claim(1.0, ClaimRule::Holds(expression(&holds)), None);
        assert_eq!(
            judged(&compared, "0.5").verdict,
            Verdict::Reproduced,
            "{holds}"
        );
        let found = judged(&compared, "NaN");
        assert_eq!(found.verdict, Verdict::NotMeasured, "{holds}");
        assert!(found.reason.unwrap().contains("NaN"), "{holds}");
    }
}

#[test]
fn what_a_claim_needs_comes_first() {
    let mut needy = claim(1.0, ClaimRule::Absolute(10.0), None);
    needy.needs = Some(expression(r#"text("t.csv", 1, "data") == "real""#));
    needy.otherwise = Some("the images are not real".to_owned());
    let found = judged(&needy, "0.5");
    assert_eq!(found.verdict, Verdict::NotMeasured);
    assert_eq!(found.reason.as_deref(), Some("the images are not real"));
}

#[test]
fn samples_are_paired_where_both_have_the_same_runs_and_else_are_not() {
    let above = || claim(5.0, ClaimRule::Absolute(0.5), Some(Direction::Above(0.0)));
    let files = [
        ("a/1.csv", 0.80),
        ("a/2.csv", 0.90),
        ("b/2.csv", 0.85),
        ("b/1.csv", 0.75),
    ];
    let found = over_seeds(DIFFERENCE, above(), &files);
    let ours = found.ours.unwrap();
    assert_eq!(
        (found.verdict, ours.runs),
        (Verdict::Reproduced, Runs::Pairs(2))
    );
    assert!((ours.value - 5.0).abs() < 1e-9 && ours.half_width.unwrap() < 1e-9);

    let others = [files[0], files[1], ("b/3.csv", 0.85), ("b/1.csv", 0.75)];
    let ours = over_seeds(DIFFERENCE, above(), &others).ours.unwrap();
    assert_eq!(ours.runs, Runs::Independent(2, 2));
    assert!(ours.half_width.unwrap() > 20.0);
}

#[test]
fn a_direction_holds_only_where_the_whole_interval_does_and_a_tolerance_goes_by_the_mean() {
    let far = || claim(50.0, ClaimRule::Absolute(1.0), Some(Direction::Above(0.0)));
    let files = |spread: f64| {
        [
            ("1.csv", 5.0 - spread),
            ("2.csv", 5.0),
            ("3.csv", 5.0 + spread),
        ]
    };
    let ours = r#"samples("*.csv", 1, "x")"#;
    // t is 4.303: the half width is 2.48 times the standard deviation.
    for (spread, verdict) in [(2.0, Verdict::DirectionOnly), (2.1, Verdict::NotReproduced)] {
        assert_eq!(over_seeds(ours, far(), &files(spread)).verdict, verdict);
    }
    let below = claim(50.0, ClaimRule::Absolute(1.0), Some(Direction::Below(10.0)));
    assert_eq!(
        over_seeds(ours, below, &files(2.1)).verdict,
        Verdict::NotReproduced
    );
    let near = claim(5.0, ClaimRule::Absolute(0.1), None);
    assert_eq!(
        over_seeds(ours, near, &files(2.1)).verdict,
        Verdict::Reproduced
    );
}

#[test]
fn one_run_is_a_value_without_an_interval() {
    let above = claim(5.0, ClaimRule::Absolute(0.5), Some(Direction::Above(0.0)));
    let found = over_seeds(DIFFERENCE, above, &[("a/1.csv", 0.8), ("b/1.csv", 0.7)]);
    let ours = found.ours.unwrap();
    assert_eq!(found.verdict, Verdict::DirectionOnly);
    assert_eq!((ours.half_width, ours.runs), (None, Runs::Pairs(1)));
}

#[test]
fn what_is_computed_over_runs_may_be_asked_for_in_many_ways() {
    let files = [("a/1.csv", 1.0), ("a/2.csv", 3.0), ("b/1.csv", 2.0)];
    let cells: Arc<dyn Cells> = Arc::new(Seeds(files.to_vec()));
    for holds in [
        r#"mean(samples("a/*.csv", 1, "x")) == 2.0"#,
        r#"max(samples("a/*.csv", 1, "x")) == 3.0 && min(samples("a/*.csv", 1, "x")) == 1.0"#,
        r#"mean(difference(samples("a/*.csv", 1, "x"), samples("b/*.csv", 1, "x"))) == 0.0"#,
        r#"mean(first("a/*.csv", "x", 0.5, "x")) == 2.0"#,
        r#"mean(first("a/*.csv", "x", 2.0, "x")) > 1e300"#,
        r#"min([2.0, 0.5]) == 0.5 && max([2.0, 3.5]) == 3.5"#,
        r#"scaled(2.0, 3.0) == 6.0 && difference(3, 1.0) == 2.0"#,
        r#"samples("a/*.csv", 1, "x") == samples("a/*.csv", 1, "x")"#,
        r#"samples("a/*.csv", 1, "x") != samples("b/*.csv", 1, "x")"#,
    ] {
        assert_eq!(evaluate(holds, &cells), Ok(Outcome::Bool(true)), "{holds}");
    }
    let reason = |text: &str| evaluate(text, &cells).unwrap_err();
    assert_eq!(
        reason(r#"samples("c/*.csv", 1, "x")"#),
        Failure::NotMeasured("no file matches `c/*.csv`".to_owned())
    );
    assert_eq!(
        reason(r#"first("a/*.csv", "x", 2.0, "x")"#),
        Failure::NotMeasured("gives a mean of inf".to_owned())
    );
    for wrong in [
        r#"samples("a/1.csv", 1, "x")"#,
        r#"samples("a/*.csv", 1, "x") - samples("b/*.csv", 1, "x")"#,
        r#"100.0 * samples("a/*.csv", 1, "x")"#,
        r#"samples("a/*.csv", 1, "x") > 0.0"#,
        r#"difference(samples("a/*.csv", 1, "x"), 1.0)"#,
        r#"max(difference(samples("a/*.csv", 1, "x"), samples("b/*.csv", 1, "x")))"#,
    ] {
        let Failure::Wrong(message) = reason(wrong) else {
            panic!("{wrong}");
        };
        assert!(
            message.contains("samples") || message.contains("pattern"),
            "{wrong}: {message}"
        );
    }
}

#[test]
fn an_expression_that_fails_on_the_tables_alone_is_a_mistake() {
    let wrong = claim(1.0, ClaimRule::Holds(expression("1.0 + 1 > 0.0")), None);
    assert!(
        judge(
            &wrong,
            &(Arc::new(One(Ok("1".to_owned()))) as Arc<dyn Cells>)
        )
        .is_err()
    );
}

proptest! {
    #[test]
    fn a_wider_tolerance_never_makes_a_verdict_worse(
        paper in -1e6..1e6f64, ours in -1e6..1e6f64, narrow in 0.0..1e3f64, more in 0.0..1e3f64, bound in -1e6..1e6f64,
    ) {
        for rule in [ClaimRule::Absolute as fn(f64) -> ClaimRule, ClaimRule::Relative] {
            let direction = Some(Direction::Above(bound));
            let cell = ours.to_string();
            let strict = judged(&claim(paper, rule(narrow), direction), &cell).verdict;
            let loose = judged(&claim(paper, rule(narrow + more), direction), &cell).verdict;
            prop_assert!(loose >= strict);
        }
    }

    #[test]
    fn the_papers_own_value_is_always_reproduced(paper in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
        let exact = claim(paper, ClaimRule::Absolute(0.0), None);
        prop_assert_eq!(judged(&exact, &paper.to_string()).verdict, Verdict::Reproduced);
    }
}
