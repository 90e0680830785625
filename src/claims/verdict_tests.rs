//! What counts as reproduced, and what does not.
//! It must not know real tables.

use proptest::prelude::*;

use super::*;
use crate::base::rel_path::RelPath;
use crate::spec::RowName;

/// One cell, the same wherever it is looked for.
struct One(Result<String, String>);

impl Cells for One {
    fn cell(&self, _: &RelPath, _: &RowName, _: &str) -> Result<String, String> {
        self.0.clone()
    }

    fn column(&self, _: &RelPath, _: &str) -> Result<Vec<String>, String> {
        self.0.clone().map(|cell| vec![cell])
    }
}

fn expression(text: &str) -> Expression {
    Expression::new(text.to_owned(), Location::default()).expect("an expression")
}

fn claim(paper: f64, rule: ClaimRule, direction: Option<Direction>) -> Claim {
    Claim {
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
}

#[test]
fn what_is_missing_or_no_number_is_not_measured_and_says_why() {
    let near = claim(1.0, ClaimRule::Absolute(10.0), Some(Direction::Above(0.0)));
    let missing: Arc<dyn Cells> = Arc::new(One(Err("there is no `t.csv`".to_owned())));
    let found = judge(&near, &missing).unwrap();
    assert_eq!((found.verdict, found.ours), (Verdict::NotMeasured, None));
    assert_eq!(found.reason.as_deref(), Some("there is no `t.csv`"));
    for cell in ["NaN", "inf", "many"] {
        assert_eq!(judged(&near, cell).verdict, Verdict::NotMeasured, "{cell}");
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

#[test]
fn values_are_shown_to_six_digits() {
    let cases = [
        0.0,
        391_946.0,
        3.950_000_000_000_004_6,
        0.7926,
        -0.13,
        1e-7,
        9.999_999_9,
        1_234.567_8,
    ];
    let texts = cases.map(shown);
    let expected = [
        "0",
        "391946",
        "3.95",
        "0.7926",
        "-0.13",
        "1.00000e-7",
        "10",
        "1234.57",
    ];
    assert_eq!(texts, expected);
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
