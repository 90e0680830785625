//! Intervals against tables, other software, and the properties that they have.

use proptest::prelude::*;

use super::*;

fn values(values: &[f64]) -> BTreeMap<String, f64> {
    let named = values.iter().enumerate();
    named.map(|(n, value)| (n.to_string(), *value)).collect()
}

fn single(of: &[f64]) -> Estimate {
    Estimate::of(&Samples::Single(values(of)))
}

fn paired(of: &[f64]) -> Estimate {
    Estimate::of(&Samples::Paired(values(of)))
}

fn independent(one: &[f64], two: &[f64]) -> Estimate {
    Estimate::of(&Samples::Independent(values(one), values(two)))
}

fn near(found: f64, expected: f64, share: f64) -> bool {
    (found - expected).abs() <= share * expected.abs()
}

#[test]
fn quantiles_are_those_of_the_tables() {
    // Of two-sided tests at 5 %, to the digits that tables print.
    let table = [
        (1.0, 12.706),
        (2.0, 4.303),
        (3.0, 3.182),
        (4.0, 2.776),
        (5.0, 2.571),
        (9.0, 2.262),
        (10.0, 2.228),
        (20.0, 2.086),
        (30.0, 2.042),
        (60.0, 2.000),
        (120.0, 1.980),
    ];
    for (freedom, expected) in table {
        let found: f64 = quantile(freedom).unwrap();
        assert!((found - expected).abs() <= 0.0005, "{freedom}: {found}");
    }
    // In closed form: t = tan(pi (p - 1/2)) of 1 degree, (2p - 1) sqrt(2 / (1 - (2p - 1)^2)) of 2.
    let first = (std::f64::consts::PI * 0.475).tan();
    let second = 0.95 * (2.0_f64 / (1.0 - 0.95 * 0.95)).sqrt();
    assert!(near(quantile(1.0).unwrap(), first, 1e-9));
    assert!(near(quantile(2.0).unwrap(), second, 1e-9));
    // Of many, the normal distribution's z and its expansion.
    let z = 1.959_963_984_540_054_f64;
    for freedom in [1e3, 2.5e3, MOST_FREEDOM] {
        let expected = z
            + (z.powi(3) + z) / (4.0 * freedom)
            + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * freedom * freedom);
        assert!(
            near(quantile(freedom).unwrap(), expected, 1e-8),
            "{freedom}"
        );
    }
    assert!(near(quantile(1e7).unwrap(), z, 2e-4));
}

#[test]
fn intervals_are_those_of_other_software() {
    // R's data set `sleep`, and what its `t.test` says of it.
    let one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
    let two = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
    let welch = independent(&one, &two);
    assert_eq!(welch.runs, Runs::Independent(10, 10));
    assert!(near(welch.least(), -3.365_483_2, 1e-7) && near(welch.greatest(), 0.205_483_2, 1e-6));
    let difference = Samples::Single(values(&one)).difference(&Samples::Single(values(&two)));
    let pairs = Estimate::of(&difference.unwrap());
    assert_eq!(pairs.runs, Runs::Pairs(10));
    assert!(near(pairs.value, -1.58, 1e-12));
    assert!(near(pairs.least(), -2.459_885_8, 1e-7) && near(pairs.greatest(), -0.700_114_2, 1e-7));
}

#[test]
fn fewer_than_two_runs_have_no_interval() {
    assert_eq!(single(&[0.8]).half_width, None);
    assert_eq!(paired(&[0.8]).half_width, None);
    for (one, two) in [
        (&[0.8][..], &[0.7, 0.6][..]),
        (&[0.8, 0.9], &[0.7]),
        (&[1.0], &[1.0]),
    ] {
        assert_eq!(independent(one, two).half_width, None);
    }
    let one = single(&[0.8]);
    assert_eq!((one.least(), one.greatest(), one.value), (0.8, 0.8, 0.8));
}

#[test]
fn equal_runs_have_an_interval_without_width() {
    let found = single(&[0.1; 7]);
    assert_eq!((found.value, found.half_width), (0.1, Some(0.0)));
    let found = independent(&[0.1, 0.1], &[0.3, 0.3, 0.3]);
    assert_eq!((found.value, found.half_width), (0.1 - 0.3, Some(0.0)));
}

#[test]
fn a_spread_beyond_numbers_is_no_certainty() {
    let found = single(&[1e300, -1e300]);
    assert_eq!(found.half_width, Some(f64::INFINITY));
    assert_eq!(found.least(), f64::NEG_INFINITY);
}

#[test]
fn runs_are_counted_in_words() {
    let cases = [
        (Runs::Single(1), "one run"),
        (Runs::Single(3), "3 runs"),
        (Runs::Pairs(1), "one pair of runs"),
        (Runs::Pairs(3), "3 pairs of runs"),
        (Runs::Independent(3, 1), "3 and 1 unpaired runs"),
    ];
    for (runs, text) in cases {
        assert_eq!(runs.to_string(), text);
    }
}

fn some() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1e3..1e3f64, 2..8)
}

/// Rounding: of values up to `size`.
fn close(a: f64, b: f64, size: f64) -> bool {
    (a - b).abs() <= 1e-9 * (size + a.abs().max(b.abs()))
}

proptest! {
    #[test]
    fn a_shift_moves_the_mean_and_leaves_the_width(of in some(), shift in -1e3..1e3f64) {
        let shifted: Vec<f64> = of.iter().map(|value| value + shift).collect();
        let (before, after) = (single(&of), single(&shifted));
        prop_assert!(close(before.value + shift, after.value, 1e3));
        prop_assert!(close(before.half_width.unwrap(), after.half_width.unwrap(), 1e3));
    }

    #[test]
    fn a_scale_scales_mean_and_width(of in some(), other in some(), factor in -50.0..50.0f64) {
        for samples in [Samples::Single(values(&of)), Samples::Independent(values(&of), values(&other))] {
            let (before, after) = (Estimate::of(&samples), Estimate::of(&samples.scaled(factor)));
            prop_assert!(close(before.value * factor, after.value, 1e3));
            prop_assert!(close(before.half_width.unwrap() * factor.abs(), after.half_width.unwrap(), 1e3));
        }
    }

    #[test]
    fn the_order_of_runs_does_not_matter(of in some().prop_flat_map(|of| (Just(of.clone()), Just(of).prop_shuffle()))) {
        let (before, after) = (single(&of.0), single(&of.1));
        prop_assert!(close(before.value, after.value, 1e3));
        prop_assert!(close(before.half_width.unwrap(), after.half_width.unwrap(), 1e3));
    }

    #[test]
    fn the_mean_lies_among_the_values_and_within_its_interval(of in some()) {
        let found = single(&of);
        let least = of.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = of.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert!((least - 1e-9..=greatest + 1e-9).contains(&found.value));
        prop_assert!(found.least() <= found.value && found.value <= found.greatest());
    }

    #[test]
    fn a_difference_turned_round_changes_its_sign_alone(of in some(), other in some()) {
        let (there, back) = (independent(&of, &other), independent(&other, &of));
        prop_assert!(close(there.value, -back.value, 1e3));
        prop_assert!(close(there.half_width.unwrap(), back.half_width.unwrap(), 1e3));
    }

    /// Pairs share what a seed does to both: where they rise and fall together, the difference is
    /// surer than that of unpaired runs.
    #[test]
    fn pairs_that_go_together_are_no_less_sure_than_unpaired_runs(
        common in prop::collection::vec(-1e3..1e3f64, 3..8), effect in -10.0..10.0f64,
    ) {
        let (one, two) = (values(&common), values(&common.iter().map(|value| value + effect).collect::<Vec<_>>()));
        let pairs = Samples::Single(one.clone()).difference(&Samples::Single(two.clone())).unwrap();
        let (pairs, groups) = (Estimate::of(&pairs), Estimate::of(&Samples::Independent(one, two)));
        prop_assert_eq!(pairs.runs, Runs::Pairs(common.len()));
        prop_assert!(close(pairs.value, groups.value, 1e3));
        prop_assert!(pairs.half_width.unwrap() <= groups.half_width.unwrap() + 1e-9);
    }

    /// Welch's degrees of freedom lie between those of the smaller group and those of both.
    #[test]
    fn welchs_width_lies_between_those_of_the_fewest_and_the_most_degrees_of_freedom(of in some(), other in some()) {
        let error = (squared_error(&values(&of)) + squared_error(&values(&other))).sqrt();
        let fewest = (of.len().min(other.len()) - 1) as f64;
        let most = (of.len() + other.len() - 2) as f64;
        let width = independent(&of, &other).half_width.unwrap();
        prop_assert!(width <= quantile(fewest).unwrap() * error * (1.0 + 1e-9));
        prop_assert!(width >= quantile(most).unwrap() * error * (1.0 - 1e-9));
    }
}
