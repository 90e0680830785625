//! Numbers of a table for people: the decimals of a column are aligned.

/// Significant digits of the greatest number in a column.
const DIGITS: i32 = 5;

/// A greatest number this many times the least can't share decimals with it.
const SPREAD: f64 = 1e4;

/// How the cells of one column are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Unchanged: not all are numbers.
    Text,
    /// Whole numbers, in groups of thousands.
    Whole,
    /// This many decimals.
    Decimals(usize),
    /// Each to three digits, with a power of ten if it needs one.
    Each,
}

/// How a column is shown; empty cells don't matter.
pub(super) fn format<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> Format {
    let filled = cells.map(str::trim).filter(|cell| !cell.is_empty());
    let numbers: Option<Vec<f64>> = filled.clone().map(number).collect();
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else {
        return Format::Text;
    };
    if filled.clone().all(is_whole) {
        return Format::Whole;
    }
    let sizes = numbers
        .iter()
        .map(|number| number.abs())
        .filter(|size| *size > 0.0);
    let greatest = sizes.clone().fold(0.0, f64::max);
    let least = sizes.fold(f64::INFINITY, f64::min);
    if greatest >= SPREAD * least || !(1e-4..1e9).contains(&greatest) && greatest > 0.0 {
        return Format::Each;
    }
    let written = filled.map(decimals).max().unwrap_or(0);
    let order = if greatest > 0.0 {
        greatest.log10().floor() as i32
    } else {
        0
    };
    let wanted = usize::try_from(DIGITS - 1 - order).unwrap_or(0);
    Format::Decimals(written.min(wanted))
}

/// A finite number.
pub(super) fn number(cell: &str) -> Option<f64> {
    cell.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

/// Written without decimals and powers.
fn is_whole(cell: &str) -> bool {
    !cell.contains(['.', 'e', 'E'])
}

/// A cell's text in its column's format.
pub(super) fn cell_text(cell: &str, format: Format) -> String {
    let cell = cell.trim();
    let Some(value) = number(cell) else {
        return cell.to_owned();
    };
    match format {
        Format::Text => cell.to_owned(),
        Format::Whole => signed(&grouped(cell)),
        Format::Decimals(decimals) => signed(&format!("{value:.decimals$}")),
        Format::Each if is_whole(cell) => signed(&grouped(cell)),
        Format::Each => signed(&three_digits(value)),
    }
}

/// A true minus sign: as wide as a digit.
fn signed(text: &str) -> String {
    text.replacen('-', "\u{2212}", 1)
}

/// The decimals of a number's text; `1.5e-3` has those of `0.0015`.
fn decimals(cell: &str) -> usize {
    let (mantissa, power) = cell.split_once(['e', 'E']).unwrap_or((cell, "0"));
    let written = mantissa
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    let power: i64 = power.parse().unwrap_or(0);
    let written = i64::try_from(written).unwrap_or(0);
    usize::try_from(written.saturating_sub(power)).unwrap_or(0)
}

/// `11 178 186`, with narrow no-break spaces.
fn grouped(text: &str) -> String {
    let digits = text.trim_start_matches(['-', '+']);
    let sign = if text.starts_with('-') { "-" } else { "" };
    if digits.len() <= 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("{sign}{digits}");
    }
    let mut grouped = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

fn three_digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = format!("{value:.2e}");
    let Some((mantissa, power)) = text.split_once('e') else {
        return text;
    };
    match power.parse::<i32>() {
        Ok(power @ -3..=2) => {
            let decimals = usize::try_from(2 - power).unwrap_or(0);
            format!("{value:.decimals$}")
        }
        Ok(3..=8) => grouped(&format!("{value:.0}")),
        _ => format!("{mantissa}\u{d7}10{}", raised(power)),
    }
}

/// A power as small raised digits.
fn raised(power: &str) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raise = |c: char| match c.to_digit(10) {
        Some(digit) => DIGITS[digit as usize],
        None => '⁻',
    };
    power.chars().map(raise).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(cells: &[&str]) -> Vec<String> {
        let format = format(cells.iter().copied());
        cells.iter().map(|cell| cell_text(cell, format)).collect()
    }

    #[test]
    fn columns_have_their_decimals_in_line() {
        assert_eq!(column(&["0.4500", "0.2440", ""]), ["0.4500", "0.2440", ""]);
        assert_eq!(column(&["12.3456789", "3.1"]), ["12.346", "3.100"]);
        assert_eq!(column(&["3.126427e-1", "2.315995e0"]), ["0.3126", "2.3160"]);
        assert_eq!(column(&["-39.10", "1.00"]), ["\u{2212}39.10", "1.00"]);
        assert_eq!(column(&["0.0", "0.00"]), ["0.00", "0.00"]);
    }

    #[test]
    fn whole_numbers_keep_every_digit() {
        assert_eq!(
            column(&["11178186", "392", "-1234"]),
            ["11\u{202f}178\u{202f}186", "392", "\u{2212}1234"]
        );
    }

    #[test]
    fn numbers_of_many_sizes_have_three_digits_each() {
        let shown = column(&[
            "1.176833e0",
            "7.13e-9",
            "123456.0",
            "0.0",
            "1.5e12",
            "4",
            "-5.518e-3",
        ]);
        assert_eq!(
            shown,
            [
                "1.18",
                "7.13×10⁻⁹",
                "123\u{202f}456",
                "0",
                "1.50×10¹²",
                "4",
                "\u{2212}0.00552"
            ]
        );
    }

    #[test]
    fn a_column_with_a_word_in_it_is_text() {
        assert_eq!(column(&["1.50", "n/a"]), ["1.50", "n/a"]);
        assert_eq!(column(&["NaN", "1.0"]), ["NaN", "1.0"]);
        assert_eq!(column(&["", ""]), ["", ""]);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_close_to_what_is_meant(values in proptest::collection::vec(-1e12..1e12f64, 1..8)) {
            let cells: Vec<String> = values.iter().map(|value| format!("{value:e}")).collect();
            let format = format(cells.iter().map(String::as_str));
            let greatest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
            for (cell, value) in cells.iter().zip(&values) {
                let text = cell_text(cell, format).replace('\u{202f}', "").replace('\u{2212}', "-");
                if let Ok(read) = text.parse::<f64>() {
                    let slack = if format == Format::Each { 0.006 * value.abs() } else { 1e-4 * greatest };
                    prop_assert!((read - value).abs() <= slack + 0.5, "{text} for {value}");
                }
            }
        }
    }
}
