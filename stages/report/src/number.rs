//! Numbers as people read them: percentages, rounded counts, significant digits.
//! It must not know what they measure.

use seeds::Sample;

/// A share as a percentage with one decimal: `84.1%`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// A share over seeds as a percentage with its standard deviation: `84.1 ± 0.3%`; a single
/// one as [`percent`].
pub(crate) fn percent_sample(share: Sample) -> String {
    match share.deviation {
        Some(deviation) => format!("{:.1} ± {:.1}%", 100.0 * share.mean, 100.0 * deviation),
        None => percent(share.mean),
    }
}

/// A difference in percentage points, with its sign: `+1.2`, `-0.4`, `0.0`.
pub(crate) fn points(points: f64) -> String {
    let text = format!("{points:+.1}");
    match text.as_str() {
        "+0.0" | "-0.0" => "0.0".to_owned(),
        _ => text,
    }
}

/// A count as the paper rounds it: `392k`, `2.8M`.
pub(crate) fn rounded_count(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..999_500 => format!("{}k", (count + 500) / 1_000),
        _ => format!("{:.1}M", count as f64 / 1e6),
    }
}

/// A whole number in groups of three: `391,946`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size of 0 or more with about three significant digits: `0.042`, `3.14`, `24.0`, `1,250`.
pub(crate) fn measured(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 1000.0 => return grouped(value.round() as u64),
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// The median, or none of no values; the mean of the middle two of an even count.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((values[middle - 1] + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_round_as_the_paper_does() {
        let cases = [
            (391_946, "392k"),
            (2_798_698, "2.8M"),
            (11_173_962, "11.2M"),
            (11_000_138, "11.0M"),
            (999, "999"),
            (999_499, "999k"),
            (999_500, "1.0M"),
        ];
        for (count, expected) in cases {
            assert_eq!(rounded_count(count), expected);
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(percent(0.8412), "84.1%");
        let sample = |shares: &[f64]| Sample::of(shares.iter().copied()).unwrap();
        assert_eq!(percent_sample(sample(&[0.8412])), "84.1%");
        assert_eq!(percent_sample(sample(&[0.83, 0.84, 0.85])), "84.0 ± 1.0%");
        assert_eq!(
            [1.25, -0.04, 0.0, -3.0].map(points),
            ["+1.2", "0.0", "0.0", "-3.0"]
        );
        assert_eq!(
            [1, 999, 1_000, 11_173_962].map(grouped),
            ["1", "999", "1,000", "11,173,962"]
        );
        assert_eq!(
            [0.0417, 2.68452, 24.0, 209.6, 1250.2].map(measured),
            ["0.042", "2.68", "24.0", "210", "1,250"]
        );
    }

    #[test]
    fn a_median_is_the_middle_or_between_the_middle_two() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }
}
