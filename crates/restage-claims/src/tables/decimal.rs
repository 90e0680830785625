//! Whether two numbers are within a tolerance as they are written: in decimals, in which nothing is
//! rounded.

/// A number times a power of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decimal {
    digits: i128,
    power: i32,
}

/// Whether `actual` is within `absolute` and the share `relative` of `expected`, added up. `None`: one of them
/// has more digits than are counted here.
pub(super) fn within(expected: &str, actual: &str, absolute: f64, relative: f64) -> Option<bool> {
    let (expected, actual) = (Decimal::parse(expected)?, Decimal::parse(actual)?);
    let minus = Decimal {
        digits: expected.digits.checked_neg()?,
        ..expected
    };
    let share = Decimal::of(relative)?.times(expected)?;
    let allowed = Decimal::of(absolute)?.plus(share.size()?)?;
    let (difference, allowed) = actual.plus(minus)?.size()?.aligned(allowed)?;
    Some(difference.digits <= allowed.digits)
}

impl Decimal {
    /// Of digits with a point and an exponent, such as `-1.50e-3`.
    fn parse(text: &str) -> Option<Self> {
        let (mantissa, power) = match text.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}").parse().ok();
        let length = i32::try_from(fraction.len()).ok()?;
        Some(Self {
            digits: digits?,
            power: power.checked_sub(length)?,
        })
    }

    /// The shortest decimal that is read as this number: what the user wrote.
    fn of(number: f64) -> Option<Self> {
        Self::parse(&format!("{number:e}"))
    }

    fn size(self) -> Option<Self> {
        Some(Self {
            digits: self.digits.checked_abs()?,
            ..self
        })
    }

    fn times(self, other: Self) -> Option<Self> {
        Some(Self {
            digits: self.digits.checked_mul(other.digits)?,
            power: self.power.checked_add(other.power)?,
        })
    }

    fn plus(self, other: Self) -> Option<Self> {
        let (one, other) = self.aligned(other)?;
        Some(Self {
            digits: one.digits.checked_add(other.digits)?,
            ..one
        })
    }

    /// Both by the same power of ten.
    fn aligned(self, other: Self) -> Option<(Self, Self)> {
        let power = self.power.min(other.power);
        let scaled = |one: Self| {
            if one.digits == 0 {
                return Some(Self { digits: 0, power });
            }
            let by = u32::try_from(one.power.checked_sub(power)?).ok()?;
            let digits = one.digits.checked_mul(10_i128.checked_pow(by)?)?;
            Some(Self { digits, power })
        };
        Some((scaled(self)?, scaled(other)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_met_in_decimals_where_doubles_miss_or_pass_it() {
        for (expected, actual, absolute, relative, found) in [
            ("0.3", "0.4", 0.1, 0.0, true),
            ("1000000000000001", "1000000000000002", 0.5, 0.0, false),
            ("1000000000000001.0", "1000000000000002", 1.0, 0.0, true),
            ("100000000", "100000000.00000001", 1e-8, 0.0, true),
            ("100000000", "100000000.00000002", 1e-8, 0.0, false),
            ("-2e3", "-2020.0", 0.0, 0.01, true),
            ("-2e3", "-2020.00000000000001", 0.0, 0.01, false),
            ("100", "101.5", 0.5, 0.01, true),
            ("100", "98.5", 0.5, 0.01, true),
            ("0", "-0.50", 0.5, 0.01, true),
            ("1e-30", "3e-30", 2e-30, 0.0, true),
            (".5", "+1.", 0.5, 0.0, true),
        ] {
            let is_within = within(expected, actual, absolute, relative);
            assert_eq!(is_within, Some(found), "{expected} {actual}");
        }
        for (expected, actual) in [
            ("1e300", "1"),
            ("NaN", "1"),
            ("", "1"),
            ("1", "1e99999999999"),
        ] {
            assert_eq!(
                within(expected, actual, 0.5, 0.1),
                None,
                "{expected} {actual}"
            );
        }
    }
}
