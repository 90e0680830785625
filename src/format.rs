//! Durations, counts, sizes and other numbers as people read them.

use std::collections::HashMap;

use unicode_width::UnicodeWidthStr;

/// `0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".to_owned();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let s = seconds.round() as u64;
    match s {
        0..=99 => format!("{s} s"),
        100..=3599 => format!("{} min {:02} s", s / 60, s % 60),
        3600..=86_399 => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// An estimate, without needless precision: `about 24 min`.
pub(crate) fn rough_duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "under a second".to_owned(),
        s if s < 90.0 => format!("about {} s", s.round()),
        s if s < 5400.0 => format!("about {} min", (s / 60.0).round()),
        s if s < 172_800.0 => format!("about {:.1} h", s / 3600.0),
        s => format!("about {:.1} days", s / 86_400.0),
    }
}

/// `512 B`, `1.5 MB`, `172 MB`: powers of ten, as disks and networks count.
pub(crate) fn size(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            let decimals = usize::from(value < 9.95 && unit != "B");
            return format!("{value:.decimals$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// A metric of a stage, with about four significant digits.
pub(crate) fn metric(name: &str, value: f64) -> String {
    let number = match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.001 || v == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    };
    match name.strip_suffix("_per_second") {
        Some("bytes") => format!("{}/s", size(value)),
        Some(unit) => format!("{number} {unit}/s"),
        None => format!("{name} {number}"),
    }
}

/// `0.0123`, `1235`, `1.3e-7`: a number of at most nine characters.
pub(crate) fn short_number(number: f64) -> String {
    let plain = number.to_string();
    if plain.len() <= 6 {
        return plain;
    }
    match number {
        // Three significant digits, without trailing zeros.
        0.001..100.0 => {
            let before = number.log10().floor() as i32;
            let decimals = usize::try_from(2 - before).unwrap_or(0);
            let text = format!("{number:.decimals$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        100.0..1e6 => format!("{number:.0}"),
        _ => format!("{number:.1e}"),
    }
}

/// `1,048,576`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 stage`, `2 stages`.
pub(crate) fn count(n: usize, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {one}s")
    }
}

/// `the only stage is`, `all 3 stages are`.
pub(crate) fn all_are(n: usize, one: &str) -> String {
    match n {
        1 => format!("the only {one} is"),
        n => format!("all {n} {one}s are"),
    }
}

/// Stage names on one line: several instances of a group as `train (4)`.
pub(crate) fn grouped<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut groups: Vec<(&str, &str, usize)> = Vec::new();
    // A pipeline may have a hundred thousand stages: a search for each would take too long.
    let mut places: HashMap<&str, usize> = HashMap::new();
    for name in names {
        let group = name.split(['@', '+']).next().unwrap_or(name);
        let place = *places.entry(group).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((.., count)) => *count += 1,
            None => groups.push((group, name, 1)),
        }
    }
    let shown: Vec<String> = groups
        .iter()
        .map(|(group, name, count)| match count {
            1 => (*name).to_owned(),
            n => format!("{group} ({n})"),
        })
        .collect();
    match shown.len() {
        0..=8 => shown.join(", "),
        n => format!("{} and {} more", shown[..7].join(", "), n - 7),
    }
}

/// Items on lines of at most `width` columns; a longer item gets its own line.
pub(crate) fn broken(items: &[&str], between: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let last = i + 1 == items.len();
        let item = format!("{item}{}", if last { "" } else { between });
        match lines.last_mut() {
            Some(line) if line.width() + item.trim_end().width() <= width => *line += &item,
            _ => lines.push(item),
        }
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// `2026-11-27 20:46 UTC` for `2026-11-27T20:46:24Z`; any other text is returned as it is.
pub(crate) fn moment(rfc3339: &str) -> String {
    let minutes = rfc3339
        .split_at_checked(16)
        .filter(|_| rfc3339.ends_with('Z'));
    match minutes.and_then(|(minutes, _)| minutes.split_once('T')) {
        Some((day, time)) => format!("{day} {time} UTC"),
        None => rfc3339.to_owned(),
    }
}

/// An argument, quoted for a shell if it needs to be.
pub(crate) fn shell_word(arg: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    match !arg.is_empty() && arg.chars().all(plain) {
        true => arg.to_owned(),
        false => format!("'{}'", arg.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well_at_every_scale() {
        let shown: Vec<_> = [0.0, 0.44, 9.97, 61.0, 200.0, 7500.0, 200_000.0, f64::NAN]
            .map(duration)
            .into();
        assert_eq!(
            shown,
            [
                "0.0 s",
                "0.4 s",
                "10 s",
                "61 s",
                "3 min 20 s",
                "2 h 05 min",
                "2 d 7 h",
                "?"
            ]
        );
    }

    #[test]
    fn instances_of_a_group_are_counted() {
        assert_eq!(grouped(["a", "t@x", "t@y", "g@x"]), "a, t (2), g@x");
        let many: Vec<String> = (0..12).map(|i| format!("s{i}")).collect();
        let shown = grouped(many.iter().map(String::as_str));
        assert_eq!(shown, "s0, s1, s2, s3, s4, s5, s6 and 5 more");
    }

    #[test]
    fn moments_are_shown_to_the_minute() {
        assert_eq!(moment("2026-11-27T20:46:24Z"), "2026-11-27 20:46 UTC");
        assert_eq!(moment("some day"), "some day");
    }

    #[test]
    fn sizes_read_well_at_every_scale() {
        let shown = [0.0, 999.0, 1500.0, 171_699_801.0, 4e9, 2e15].map(size);
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.5 kB", "172 MB", "4.0 GB", "2000.0 TB"]
        );
    }

    #[test]
    fn figures_keep_what_matters() {
        assert_eq!(metric("images_per_second", 1234.5), "1234 images/s");
        assert_eq!(metric("bytes_per_second", 160_384_712.0), "160 MB/s");
        assert_eq!(metric("loss", 1.53218), "loss 1.532");
        assert_eq!(metric("learning_rate", 1e-4), "learning_rate 1.0e-4");
    }

    #[test]
    fn long_numbers_are_grouped_by_thousands() {
        let shown = [0, 999, 1000, 1_048_576].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "1,048,576"]);
    }
}
