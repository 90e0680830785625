//! Durations (`12h`, `1h30m`) and sizes (`2GiB`).

use std::time::Duration;

/// Seconds by unit, longest first.
const TIMES: [(&str, u64); 5] = [
    ("d", 86_400),
    ("h", 3_600),
    ("m", 60),
    ("s", 1),
    ("w", 604_800),
];
const SIZES: [(&str, u64); 9] = [
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

/// `1h30m`, `90s`, `7d`; the number of seconds if it has no unit. Zero is not a duration.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return seconds(text.parse().ok()?);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (_, unit) = TIMES.iter().find(|(name, _)| *name == rest[..end].trim())?;
        // From long to short, each once: `30m1h` is a slip.
        if *unit >= last {
            return None;
        }
        last = *unit;
        total = total.checked_add(number.checked_mul(*unit)?)?;
        rest = &rest[end..];
    }
    seconds(total)
}

/// A positive number of seconds, at most a thousand years.
pub(crate) fn seconds(seconds: u64) -> Option<Duration> {
    (1..=31_536_000_000)
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

/// `2GiB`, `512 MiB`, `1.5GB`, `1048576`.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let unit = text[digits..].trim().to_ascii_lowercase();
    let scale = match unit.as_str() {
        "" => 1,
        unit => SIZES.iter().find(|(name, _)| *name == unit)?.1,
    };
    let bytes = match text[..digits].parse::<u64>() {
        Ok(number) => number.checked_mul(scale)?,
        Err(_) => {
            let bytes = text[..digits].parse::<f64>().ok()? * scale as f64;
            // Above 2^53 a double is no longer exact, and nobody has such a machine.
            (bytes.is_finite() && bytes < 9.0e15).then_some(bytes.round() as u64)?
        }
    };
    (bytes > 0).then_some(bytes)
}

/// A size as one writes it, rounded up to three digits: `2GiB`, `1.26MiB`.
pub fn size_text(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    let scale = match value {
        v if v < 10.0 => 100.0,
        v if v < 100.0 => 10.0,
        _ => 1.0,
    };
    // `{}` writes the shortest text: 1.5, 2.
    format!("{}{unit}", (value * scale).ceil() / scale)
}

/// A duration as one writes it, in whole seconds: `1h30m`, `2d`, `45s`.
pub fn duration_text(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut text = String::new();
    for (unit, seconds) in TIMES.iter().filter(|(unit, _)| *unit != "w") {
        if rest >= *seconds {
            text += &format!("{}{unit}", rest / seconds);
            rest %= seconds;
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_units_from_long_to_short() {
        let of = |text| duration(text).map(|duration| duration.as_secs());
        assert_eq!(of("12h"), Some(43_200));
        assert_eq!(of("1h30m"), Some(5_400));
        assert_eq!(of("1h 30m"), Some(5_400));
        assert_eq!(of("7d"), Some(604_800));
        assert_eq!(of("90"), Some(90));
        for wrong in [
            "",
            "h",
            "1",
            "1x",
            "30m1h",
            "1h1h",
            "-1h",
            "0s",
            "1.5h",
            "99999999999999999999h",
            "0",
        ] {
            let expected = (wrong == "1").then_some(1);
            assert_eq!(of(wrong), expected, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_duration_is_shown_as_it_may_be_written(seconds in 1u64..10_000_000) {
            let shown = Duration::from_secs(seconds);
            prop_assert_eq!(duration(&duration_text(shown)), Some(shown));
        }

        #[test]
        fn a_size_is_shown_as_it_may_be_written_and_never_too_small(bytes in 1u64..1 << 44) {
            let read = size(&size_text(bytes)).expect("a size");
            prop_assert!(read >= bytes && read as f64 <= bytes as f64 * 1.011 + 1.0);
        }
    }

    #[test]
    fn sizes_tell_powers_of_two_from_powers_of_ten() {
        assert_eq!(size("2GiB"), Some(2 << 30));
        assert_eq!(size("2 GB"), Some(2_000_000_000));
        assert_eq!(size("1.5kib"), Some(1_536));
        assert_eq!(size("4096"), Some(4_096));
        for wrong in [
            "",
            "GiB",
            "2G",
            "-1GiB",
            "0",
            "1e3",
            "99999999999GiB",
            "1.2.3MB",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
