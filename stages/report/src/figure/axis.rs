//! Axes: their range, ticks and labels, by exact arithmetic on decimal steps.
//! It must not know what is plotted.
//!
//! plotters chooses ticks by the platform's `log10` and `powf`, whose last bit differs from
//! machine to machine. Here a step is a digit and a power of ten.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// A linear axis with given ticks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    /// Positions of labelled ticks with their labels, ascending.
    ticks: Vec<(f64, String)>,
    /// Positions of grid lines without a label.
    minor: Vec<f64>,
}

impl Axis {
    /// Whole numbers from `first` to `last`, such as epochs or layers, with about `most` ticks.
    pub(super) fn counts(first: u64, last: u64, most: u64) -> Self {
        let span = last.saturating_sub(first);
        let step = (0..9)
            .flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)))
            .find(|step| span / step < most)
            .unwrap_or(u64::MAX);
        // Small steps count from the first; the others look right at multiples of themselves,
        // less the one that would crowd the first.
        let aligned = match step {
            0..=2 => first,
            _ => first.checked_next_multiple_of(step).unwrap_or(last),
        };
        let others = (aligned..=last)
            .step_by(step as usize)
            .filter(|count| *count > first && count - first >= step / 2);
        let ticks = std::iter::once(first)
            .chain(others)
            .map(|count| (count as f64, count.to_string()))
            .collect();
        let margin = if span == 0 { 0.5 } else { span as f64 * 0.025 };
        Self {
            low: first as f64 - margin,
            high: last as f64 + margin,
            ticks,
            minor: Vec::new(),
        }
    }

    /// A range around these finite values, which are 0 or more and at most `cap`.
    pub(super) fn around(values: impl IntoIterator<Item = f64>, cap: f64) -> Self {
        const MOST_TICKS: usize = 9;
        let (mut low, mut high) = bounds(values).unwrap_or((0.0, 1.0));
        let span = high - low;
        // Equal values, or as good as equal, still need a range to stand in.
        let margin = if span > high * 1e-6 {
            span * 0.06
        } else {
            (high * 0.1).max(0.05)
        };
        low = (low - margin).max(0.0);
        high = (high + margin).min(cap);
        Self {
            low,
            high,
            ticks: decimal_ticks(low, high, MOST_TICKS),
            minor: Vec::new(),
        }
    }

    /// A range around these values, given as their log10, with ticks at powers of ten.
    ///
    /// With a `floor`, a power of ten below all others, the axis ends exactly there, and its
    /// last tick is labelled `0`: what is drawn on it has no logarithm.
    pub(super) fn decades(logarithms: impl IntoIterator<Item = f64>, floor: Option<i32>) -> Self {
        const MARGIN: f64 = 0.15;
        const MOST_TICKS: i32 = 9;
        let (low, high) = bounds(logarithms).unwrap_or((0.0, 0.0));
        let (mut low, mut high) = (low - MARGIN, high + MARGIN);
        if let Some(floor) = floor {
            low = f64::from(floor);
        }
        // One power of ten alone tells no scale.
        if high.floor() - low.ceil() < 1.0 {
            (low, high) = (low.floor(), high.ceil());
        }
        let first = floor.map_or(low.ceil() as i32, |floor| floor + 1);
        let last = high.floor() as i32;
        let step = (last - first).div_euclid(MOST_TICKS) + 1;
        let (labelled, others): (Vec<i32>, Vec<i32>) =
            (first..=last).partition(|power| power.rem_euclid(step) == 0);
        let mut ticks: Vec<(f64, String)> = floor
            .map(|floor| (f64::from(floor), "0".to_owned()))
            .into_iter()
            .collect();
        ticks.extend(
            labelled
                .into_iter()
                .map(|power| (f64::from(power), power_of_ten(power))),
        );
        let mut minor: Vec<f64> = others.into_iter().map(f64::from).collect();
        if last - first <= 4 {
            let above = floor.map_or(low, |_| f64::from(first));
            for power in first - 1..=last {
                let between = (2..=9).map(|digit| f64::from(power) + libm::log10(f64::from(digit)));
                minor.extend(between.filter(|value| (above..=high).contains(value)));
            }
        }
        Self {
            low,
            high,
            ticks,
            minor,
        }
    }

    /// The lowest value on the axis.
    pub(super) fn low(&self) -> f64 {
        self.low
    }
}

fn bounds(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().fold(None, |bounds, value| {
        let (low, high) = bounds.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

/// At most `most` ticks at multiples of 1, 2 or 5 times a power of ten.
fn decimal_ticks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    for power in -12..=12 {
        for digit in [1, 2, 5] {
            let step = Step { digit, power };
            let (first, last) = ((low / step.value()).ceil(), (high / step.value()).floor());
            if last - first < most as f64 {
                // Both are below 2^53 here, for the axis' ends are multiples of the step's size.
                return (first as i64..=last as i64)
                    .map(|multiple| step.tick(multiple))
                    .collect();
            }
        }
    }
    // Beyond 10^12 only the ends are worth a label.
    vec![(low, format!("{low:.0e}")), (high, format!("{high:.0e}"))]
}

#[derive(Clone, Copy)]
struct Step {
    digit: i64,
    power: i32,
}

impl Step {
    fn value(self) -> f64 {
        self.tick(1).0
    }

    fn tick(self, multiple: i64) -> (f64, String) {
        let whole = (multiple * self.digit) as f64;
        // Powers of ten up to 10^22 are exact, so this is the decimal's nearest float.
        let power = (0..self.power.unsigned_abs()).fold(1.0, |power, _| power * 10.0);
        if self.power < 0 {
            let decimals = self.power.unsigned_abs() as usize;
            let value = whole / power;
            (value, format!("{value:.decimals$}"))
        } else {
            let value = whole * power;
            (value, format!("{value:.0}"))
        }
    }
}

/// `10⁻³`.
fn power_of_ten(power: i32) -> String {
    let digits = power
        .to_string()
        .chars()
        .map(superscript)
        .collect::<String>();
    format!("10{digits}")
}

fn superscript(character: char) -> char {
    match character {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        _ => '⁰',
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        (f64::from(from) + share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            self.minor.clone()
        } else {
            self.ticks.iter().map(|(value, _)| *value).collect()
        }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.ticks
            .iter()
            .find(|(tick, _)| tick == value)
            .map(|(_, label)| label.clone())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn counts_are_labelled_at_whole_numbers() {
        let ticks = |first, last| {
            let axis = Axis::counts(first, last, 10);
            labels(&axis).join(" ")
        };
        assert_eq!(ticks(1, 1), "1");
        assert_eq!(ticks(1, 4), "1 2 3 4");
        assert_eq!(ticks(1, 12), "1 3 5 7 9 11");
        assert_eq!(ticks(1, 30), "1 5 10 15 20 25 30");
        assert_eq!(ticks(0, 19), "0 2 4 6 8 10 12 14 16 18");
        assert_eq!(ticks(7, 1_000_000_007).split(' ').count(), 6);
        assert_eq!(ticks(1, u64::from(u32::MAX)).split(' ').count(), 9);
        assert_eq!(ticks(1, 1000), "1 100 200 300 400 500 600 700 800 900 1000");
    }

    #[test]
    fn values_get_decimal_ticks_within_their_range() {
        assert_eq!(
            labels(&Axis::around([10.0, 92.5], 100.0)),
            ["10", "20", "30", "40", "50", "60", "70", "80", "90"]
        );
        assert_eq!(
            labels(&Axis::around([0.21, 0.29], f64::INFINITY)),
            [
                "0.21", "0.22", "0.23", "0.24", "0.25", "0.26", "0.27", "0.28", "0.29"
            ]
        );
        let over = Axis::around([10.0, 100.0], 100.0);
        assert_eq!(over.range().end, 100.0);
    }

    #[test]
    fn equal_values_and_none_still_make_an_axis() {
        for values in [vec![0.5; 3], vec![0.0], vec![100.0], vec![]] {
            let axis = Axis::around(values.clone(), 100.0);
            assert!(axis.low < axis.high, "{values:?}");
            assert!(axis.ticks.len() >= 2, "{values:?}: {axis:?}");
        }
    }

    #[test]
    fn huge_and_tiny_values_end_in_few_ticks() {
        for value in [1e-9, 1e9, 1e15, 1e300] {
            let axis = Axis::around([0.0, value], f64::INFINITY);
            assert!((2..=10).contains(&axis.ticks.len()), "{axis:?}");
        }
    }

    #[test]
    fn decades_are_labelled_as_powers_of_ten() {
        let ticks = |logarithms: &[f64], floor| {
            let axis = Axis::decades(logarithms.iter().copied(), floor);
            labels(&axis).join(" ")
        };
        assert_eq!(ticks(&[-2.5, 0.1], None), "10⁻² 10⁻¹ 10⁰");
        assert_eq!(ticks(&[-1.0, -1.0], None), "10⁻² 10⁻¹ 10⁰");
        assert_eq!(ticks(&[-0.6, -0.4], None), "10⁻¹ 10⁰");
        assert_eq!(ticks(&[-1.2, -0.4], Some(-3)), "0 10⁻² 10⁻¹");
        assert_eq!(ticks(&[], Some(-1)), "0 10⁰");
        assert!(Axis::decades([-300.0, 2.0], None).ticks.len() <= 10);
        assert_eq!(Axis::decades([-0.2, 0.2], Some(-3)).low(), -3.0);
    }
}
