//! Compares one cell with another.

use restage_pipeline::ColumnRule;

/// Whether `actual` matches `expected`.
///
/// Under a tolerance equal texts match; otherwise both must be numbers: NaN matches only NaN, an
/// infinity only itself, -0 also 0, and an empty cell only an empty one. A relative bound is a share
/// of the expected value, so for 0 it allows nothing.
pub(super) fn matches(rule: ColumnRule, expected: &str, actual: &str) -> bool {
    match rule {
        ColumnRule::Ignore => true,
        ColumnRule::Exact => expected == actual,
        ColumnRule::Absolute(allowed) => {
            expected == actual || within(expected, actual, |_| allowed)
        }
        ColumnRule::Relative(share) => {
            expected == actual || within(expected, actual, |value| share * value.abs())
        }
    }
}

fn within(expected: &str, actual: &str, allowed: impl Fn(f64) -> f64) -> bool {
    let (Some(e), Some(a)) = (number(expected), number(actual)) else {
        return false;
    };
    if e.is_nan() || a.is_nan() {
        return e.is_nan() && a.is_nan();
    }
    if e.is_infinite() || a.is_infinite() {
        return e == a;
    }
    let allowed = allowed(e);
    // Decimals are rounded when they are read and subtracted: 0.4 and 0.3 differ by "at most 0.1".
    let slack = if allowed > 0.0 {
        4.0 * f64::EPSILON * e.abs().max(a.abs())
    } else {
        0.0
    };
    (a - e).abs() <= allowed + slack
}

/// The absolute difference of two numbers; `None` unless both are finite.
pub(super) fn difference(expected: &str, actual: &str) -> Option<f64> {
    let difference = (number(actual)? - number(expected)?).abs();
    difference.is_finite().then_some(difference)
}

/// A cell as a number; spaces around it don't matter.
///
/// A number too large for a double (`1e999`) is not a number here: as an infinity it would match
/// every other one.
pub(super) fn number(cell: &str) -> Option<f64> {
    let cell = cell.trim();
    let number: f64 = cell.parse().ok()?;
    let in_digits = cell.bytes().any(|byte| byte.is_ascii_digit());
    (number.is_finite() || !in_digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ColumnRule::{Absolute, Exact, Ignore, Relative};

    #[test]
    fn exact_cells_are_the_same_text() {
        assert!(matches(Exact, "NaN", "NaN") && matches(Exact, "", ""));
        assert!(!matches(Exact, "1.0", "1.00") && !matches(Exact, "0", "-0"));
    }

    #[test]
    fn a_tolerance_includes_its_bound() {
        assert!(matches(Absolute(0.1), "0.3", "0.4") && matches(Absolute(0.1), "0.4", "0.3"));
        assert!(!matches(Absolute(0.1), "0.3", "0.4000001"));
        assert!(matches(Absolute(0.0), "1", " 1.0 "));
        assert!(!matches(Absolute(0.0), "1", "1.0000000000000002"));
        assert!(
            matches(Relative(0.01), "-200", "-202") && !matches(Relative(0.01), "-200", "-202.1")
        );
        assert!(matches(Relative(0.01), "0", "-0.0") && !matches(Relative(0.01), "0", "1e-300"));
    }

    #[test]
    fn what_is_no_finite_number_matches_only_itself() {
        for rule in [Absolute(1e9), Relative(1e9), Absolute(f64::INFINITY)] {
            assert!(matches(rule, "NaN", "nan") && matches(rule, "inf", "Infinity"));
            assert!(matches(rule, "", "") && matches(rule, "a", "a"));
            for (e, a) in [
                ("NaN", "1"),
                ("1", "NaN"),
                ("inf", "-inf"),
                ("inf", "1"),
                ("1", "inf"),
            ] {
                assert!(!matches(rule, e, a), "{e} {a}");
            }
            assert!(!matches(rule, "", "0") && !matches(rule, "0", "") && !matches(rule, "a", "b"));
        }
        assert!(!matches(Absolute(f64::NAN), "1", "2"));
        assert!(
            !matches(Absolute(1.0), "1e999", "2e999") && !matches(Absolute(1.0), "inf", "1e999")
        );
        assert!(matches(Ignore, "", "x"));
    }
}
