//! Values and their intervals as text, for people and for the committed table of verdicts.

/// Whole numbers in full, others to six digits.
pub fn number_text(value: f64) -> String {
    let magnitude = value.abs();
    if value.fract() == 0.0 && magnitude < 1e15 {
        return format!("{}", value as i64);
    }
    if !(1e-4..1e15).contains(&magnitude) {
        return format!("{value:.5e}");
    }
    let decimals = (5 - magnitude.log10().floor() as i64).clamp(0, 12) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A value and half the width of its interval, to two digits of the latter: `0.8123 ± 0.0041`.
pub fn interval_text(value: f64, half_width: f64) -> String {
    if !(1e-9..1e9).contains(&half_width) {
        return format!("{} ± {}", number_text(value), number_text(half_width));
    }
    let decimals = (1 - half_width.log10().floor() as i64).clamp(0, 12) as usize;
    format!("{value:.decimals$} ± {half_width:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_to_two_digits_of_half_their_interval() {
        let cases = [
            ((0.812_345, 0.004_126), "0.8123 ± 0.0041"),
            ((5.8, 1.25), "5.8 ± 1.2"),
            ((1234.5, 123.4), "1234 ± 123"),
            ((0.1, 0.0), "0.1 ± 0"),
            ((1.5, f64::INFINITY), "1.5 ± inf"),
            ((1.0, 0.0996), "1.000 ± 0.100"),
        ];
        for ((value, half_width), text) in cases {
            assert_eq!(interval_text(value, half_width), text);
        }
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
            999_999_999_999_999.0,
            1e15,
        ];
        let texts = cases.map(number_text);
        let expected = [
            "0",
            "391946",
            "3.95",
            "0.7926",
            "-0.13",
            "1.00000e-7",
            "10",
            "1234.57",
            "999999999999999",
            "1.00000e15",
        ];
        assert_eq!(texts, expected);
    }
}
