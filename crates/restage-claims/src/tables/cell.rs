//! Compares one cell with another.

use std::borrow::Cow;

use super::decimal;
use restage_pipeline::ColumnRule;

/// What separates the whole part of a number from its fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decimal {
    /// `0.5`
    #[default]
    Point,
    /// `0,5`; then `0.5` is no number.
    Comma,
}

impl Decimal {
    /// A cell as a number; spaces around it don't matter.
    ///
    /// A number too large for a double (`1e999`) is not a number here: as an infinity it would match
    /// every other one.
    pub fn number(self, cell: &str) -> Option<f64> {
        match self {
            Self::Point => number(cell),
            Self::Comma if cell.contains('.') => None,
            Self::Comma => number(&self.plain(cell)),
        }
    }

    /// A number with a point, and without spaces.
    fn plain(self, cell: &str) -> Cow<'_, str> {
        match self {
            Self::Point => Cow::Borrowed(cell.trim()),
            Self::Comma => Cow::Owned(cell.trim().replacen(',', ".", 1)),
        }
    }
}

/// Whether `actual` matches `expected`.
///
/// Under a tolerance equal texts match; otherwise both must be numbers: NaN matches only NaN, an
/// infinity only itself, -0 also 0, and an empty cell only an empty one. A relative bound is a share
/// of the expected value, so for 0 it allows nothing; it is added to an absolute one.
pub(super) fn matches(rule: ColumnRule, decimal: Decimal, expected: &str, actual: &str) -> bool {
    match rule {
        ColumnRule::Ignore => true,
        ColumnRule::Exact => expected == actual,
        ColumnRule::Within { absolute, relative } => {
            expected == actual || within(decimal, expected, actual, absolute, relative)
        }
    }
}

fn within(mark: Decimal, expected: &str, actual: &str, absolute: f64, relative: f64) -> bool {
    let (Some(e), Some(a)) = (mark.number(expected), mark.number(actual)) else {
        return false;
    };
    if e.is_nan() || a.is_nan() {
        return e.is_nan() && a.is_nan();
    }
    if e.is_infinite() || a.is_infinite() {
        return e == a;
    }
    let (allowed, difference) = (absolute + relative * e.abs(), (a - e).abs());
    let largest = e.abs().max(a.abs());
    // How far reading, subtracting and adding up may have rounded.
    let rounding = match allowed > 0.0 {
        true => f64::EPSILON * (largest + 4.0 * allowed),
        false => 0.0,
    };
    let is_clear = (difference - allowed).abs() > rounding || allowed == 0.0;
    if is_clear && largest < EXACT {
        return difference <= allowed;
    }
    // 0.4 and 0.3 differ by "at most 0.1"; large whole numbers share their doubles.
    let (e, a) = (mark.plain(expected), mark.plain(actual));
    decimal::within(&e, &a, absolute, relative).unwrap_or(difference <= allowed + rounding)
}

/// Every whole number up to this is a double.
const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

/// The absolute difference of two numbers; `None` unless both are finite.
pub(super) fn difference(decimal: Decimal, expected: &str, actual: &str) -> Option<f64> {
    let difference = (decimal.number(actual)? - decimal.number(expected)?).abs();
    difference.is_finite().then_some(difference)
}

fn number(cell: &str) -> Option<f64> {
    let cell = cell.trim();
    let number: f64 = cell.parse().ok()?;
    let in_digits = cell.bytes().any(|byte| byte.is_ascii_digit());
    (number.is_finite() || !in_digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ColumnRule::{Exact, Ignore};

    fn matches(rule: ColumnRule, expected: &str, actual: &str) -> bool {
        super::matches(rule, Decimal::Point, expected, actual)
    }

    #[test]
    fn whole_numbers_beyond_the_doubles_are_compared_exactly() {
        let (least, next) = ("9007199254740992", "9007199254740993");
        assert_eq!(least.parse::<f64>(), next.parse::<f64>());
        assert!(!matches(ColumnRule::absolute(0.0), least, next));
        assert!(!matches(ColumnRule::absolute(0.5), next, least));
        assert!(matches(ColumnRule::absolute(1.0), least, next));
        assert!(matches(ColumnRule::relative(1e-15), least, next));
        assert!(!matches(ColumnRule::relative(1e-17), least, next));
        let (low, high) = ("-170141183460469231731687303715884105728", "-1e38");
        assert!(matches(ColumnRule::absolute(1e38), low, high));
        assert!(!matches(
            ColumnRule::absolute(0.5),
            "1000000000000001",
            "1000000000000002"
        ));
        assert!(!matches(
            ColumnRule::absolute(0.0),
            "9007199254740993.0",
            "9007199254740992"
        ));
    }

    #[test]
    fn a_decimal_comma_is_read_where_it_is_said() {
        let within = |expected, actual| {
            super::matches(ColumnRule::absolute(0.1), Decimal::Comma, expected, actual)
        };
        assert!(within("0,5", " 0,6 ") && within("1", "1,1") && within("1,5e1", "15,1"));
        assert!(!within("0,5", "0,7") && !within("0.5", "0,5") && !within("1,234,5", "1234,5"));
        assert!(within("NaN", "nan") && within("0.5", "0.5"));
        assert_eq!(Decimal::Point.number("0,5"), None);
        assert_eq!(difference(Decimal::Comma, "0,5", "0,75"), Some(0.25));
    }

    #[test]
    fn exact_cells_are_the_same_text() {
        assert!(matches(Exact, "NaN", "NaN") && matches(Exact, "", ""));
        assert!(!matches(Exact, "1.0", "1.00") && !matches(Exact, "0", "-0"));
    }

    #[test]
    fn a_tolerance_includes_its_bound() {
        assert!(
            matches(ColumnRule::absolute(0.1), "0.3", "0.4")
                && matches(ColumnRule::absolute(0.1), "0.4", "0.3")
        );
        assert!(!matches(ColumnRule::absolute(0.1), "0.3", "0.4000001"));
        assert!(matches(ColumnRule::absolute(0.0), "1", " 1.0 "));
        assert!(!matches(
            ColumnRule::absolute(0.0),
            "1",
            "1.0000000000000002"
        ));
        assert!(
            matches(ColumnRule::relative(0.01), "-200", "-202")
                && !matches(ColumnRule::relative(0.01), "-200", "-202.1")
        );
        assert!(
            matches(ColumnRule::relative(0.01), "0", "-0.0")
                && !matches(ColumnRule::relative(0.01), "0", "1e-300")
        );
    }

    #[test]
    fn an_absolute_and_a_relative_tolerance_add_up_as_in_numpy() {
        let both = ColumnRule::Within {
            absolute: 0.5,
            relative: 0.01,
        };
        // numpy.isclose(actual, expected, rtol=0.01, atol=0.5)
        assert!(matches(both, "100", "101.5") && !matches(both, "100", "101.6"));
        assert!(matches(both, "0", "0.5") && !matches(both, "0", "0.51"));
        assert!(matches(both, "-100", "-98.5") && !matches(both, "-100", "-98.4"));
        assert!(matches(both, "NaN", "nan") && !matches(both, "inf", "1e308"));
    }

    #[test]
    fn what_is_no_finite_number_matches_only_itself() {
        for rule in [
            ColumnRule::absolute(1e9),
            ColumnRule::relative(1e9),
            ColumnRule::absolute(f64::INFINITY),
        ] {
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
        assert!(!matches(ColumnRule::absolute(f64::NAN), "1", "2"));
        assert!(
            !matches(ColumnRule::absolute(1.0), "1e999", "2e999")
                && !matches(ColumnRule::absolute(1.0), "inf", "1e999")
        );
        assert!(matches(Ignore, "", "x"));
    }
}
