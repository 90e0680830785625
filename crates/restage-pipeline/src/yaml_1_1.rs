//! Unquoted values that scripts used to see otherwise: PyYAML and many other readers follow YAML 1.1,
//! where `no` is false and `0755` is 493. Files here follow YAML 1.2, as their texts are given to stages
//! as JSON.
//!
//! `1e-3` is left out: text for PyYAML and a number here, it is a float to whoever converts it.

use std::fmt;

use super::node::{Node, Value};
use restage_core::span::Location;

/// A value or key that the two versions read differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherReading {
    /// Where it stands.
    pub location: Location,
    /// The dotted path of the value, or of the map that has the key.
    pub path: String,
    /// As written.
    pub written: String,
    /// What it is here.
    pub here: String,
    /// What PyYAML makes of it.
    pub there: String,
}

impl fmt::Display for OtherReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path, here, there, ..
        } = self;
        write!(f, "`{path}` is {here} here, and {there} to PyYAML")
    }
}

/// Those below a node of this text.
pub fn other_readings(node: &Node, text: &str) -> Vec<OtherReading> {
    let mut found = Vec::new();
    walk(node, text, "", &mut found);
    found
}

fn walk(node: &Node, text: &str, path: &str, found: &mut Vec<OtherReading>) {
    match &node.value {
        Value::Text(_) | Value::Number(_) => {
            let here = match &node.value {
                Value::Number(number) => format!("the number {number}"),
                _ => format!("the text {:?}", written(node.location, text)),
            };
            note(node.location, text, path, &here, found);
        }
        Value::List(items) => {
            for (i, item) in items.iter().enumerate() {
                walk(item, text, &format!("{path}[{i}]"), found);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let below = match path {
                    "" => entry.key.clone(),
                    path => format!("{path}.{}", entry.key),
                };
                let here = format!("a key, the text {:?},", entry.key);
                let key = written(entry.key_location, text);
                let is_number = key.parse::<i64>().is_ok();
                match is_number {
                    true => found.push(OtherReading {
                        location: entry.key_location,
                        path: below.clone(),
                        written: key.to_owned(),
                        here,
                        there: format!("the number {key}"),
                    }),
                    false => note(entry.key_location, text, &below, &here, found),
                }
                walk(&entry.value, text, &below, found);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn written(location: Location, text: &str) -> &str {
    text.get(location.offset..location.end())
        .unwrap_or_default()
}

fn note(at: Location, text: &str, path: &str, here: &str, found: &mut Vec<OtherReading>) {
    // What is quoted keeps its quotes here, and is text for everyone, as what has a tag is.
    let written = written(at, text);
    let before = text.get(..at.offset).unwrap_or_default();
    let has_tag = before
        .split_whitespace()
        .next_back()
        .is_some_and(|word| word.starts_with('!'));
    if let (false, Some(there)) = (has_tag, by_1_1(written)) {
        found.push(OtherReading {
            location: at,
            path: path.to_owned(),
            written: written.to_owned(),
            here: here.to_owned(),
            there,
        });
    }
}

/// What YAML 1.1 makes of a plain scalar, if YAML 1.2's core schema makes something else of it.
/// Source: <https://yaml.org/type/>, as far as PyYAML's resolver follows it.
fn by_1_1(text: &str) -> Option<String> {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some("the boolean true".into()),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some("the boolean false".into()),
        _ => {}
    }
    if is_date(text) {
        return Some("a date".into());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain = digits.replace('_', "");
    let number = |value: u128| Some(format!("the number {sign}{value}"));
    let radix = |digits: &str, base| u128::from_str_radix(digits, base).ok();
    let unusual = plain.len() != digits.len() || text.starts_with(['-', '+']);
    if let Some(digits) = plain.strip_prefix("0b") {
        return number(radix(digits, 2)?);
    }
    if let Some(digits) = plain.strip_prefix("0x") {
        return unusual
            .then(|| radix(digits, 16))
            .flatten()
            .and_then(number);
    }
    if digits.contains(':') {
        return sexagesimal(&plain).map(|value| format!("the number {sign}{value}"));
    }
    let is_digits = plain.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits && plain.len() > 1 && plain.starts_with('0') {
        return number(radix(&plain, 8)?);
    }
    if plain.len() == digits.len() {
        return None;
    }
    if is_digits {
        return number(plain.parse().ok()?);
    }
    // `1_000.5`, with a point and with a sign in the exponent, if there is one.
    let (mantissa, exponent) = plain.split_once(['e', 'E']).unwrap_or((&plain, "+0"));
    let is_float =
        mantissa.contains('.') && exponent.starts_with(['+', '-']) && plain.parse::<f64>().is_ok();
    is_float.then(|| format!("the number {sign}{plain}"))
}

/// `1:30` is 90, `1:00:00` is 3600; `190:20:30.15` has a fraction.
fn sexagesimal(text: &str) -> Option<String> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut parts = whole.split(':');
    let first = parts.next()?;
    // PyYAML takes a leading 0 for a float alone.
    if first.is_empty() || (fraction.is_none() && first.starts_with('0')) {
        return None;
    }
    let mut value: u64 = first.parse().ok()?;
    for part in parts {
        let digit: u64 = part.parse().ok()?;
        if part.len() > 2 || digit > 59 {
            return None;
        }
        value = value.checked_mul(60)?.checked_add(digit)?;
    }
    match fraction {
        Some(fraction) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(format!("{value}.{fraction}"))
        }
        Some(_) => None,
        None => Some(value.to_string()),
    }
}

/// `2024-01-01`, with or without a time after it.
fn is_date(text: &str) -> bool {
    let (day, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim_start())),
        None => (text, None),
    };
    let parts: Vec<&str> = day.split('-').collect();
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let [year, month, day] = parts[..] else {
        return false;
    };
    let short = if time.is_some() { 1..=2 } else { 2..=2 };
    let is_day = digits(year, 4..=4) && digits(month, short.clone()) && digits(day, short);
    let is_time = time.is_none_or(|time| {
        let parts: Vec<&str> = time.splitn(3, ':').collect();
        parts.len() == 3 && digits(parts[0], 1..=2) && digits(parts[1], 2..=2)
    });
    is_day && is_time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn said(text: &str) -> Vec<String> {
        let root = yaml::parse(text, &mut Vec::new()).unwrap();
        let found = other_readings(&root, text);
        found.iter().map(ToString::to_string).collect()
    }

    /// Both readings were taken from PyYAML 6.0.
    #[test]
    fn what_pyyaml_reads_otherwise_is_said_with_both_readings() {
        for (text, here, there) in [
            ("no", "the text \"no\"", "the boolean false"),
            ("On", "the text \"On\"", "the boolean true"),
            ("0755", "the number 755", "the number 493"),
            ("-010", "the number -10", "the number -8"),
            ("1_000", "the text \"1_000\"", "the number 1000"),
            ("0b101", "the text \"0b101\"", "the number 5"),
            ("-0x10", "the text \"-0x10\"", "the number -16"),
            ("1:30", "the text \"1:30\"", "the number 90"),
            ("1:00:00", "the text \"1:00:00\"", "the number 3600"),
            ("1_000.5", "the text \"1_000.5\"", "the number 1000.5"),
            ("2024-01-01", "the text \"2024-01-01\"", "a date"),
        ] {
            let expected = format!("`a.b` is {here} here, and {there} to PyYAML");
            assert_eq!(said(&format!("a: {{b: {text}}}")), [expected], "{text}");
        }
    }

    #[test]
    fn what_both_read_alike_is_not_mentioned() {
        for text in [
            "yesterday",
            "'no'",
            "\"0755\"",
            "0",
            "10",
            "-3",
            "0x1F",
            "1.5",
            "1e-3",
            "true",
            "null",
            "08",
            "1.2.3",
            "12:99",
            "2024-1",
            "a:b",
            "_1",
            "v1_0",
            "00:30",
            "0o17",
            "!!str no",
        ] {
            let found = said(&format!("a: {{b: {text}}}"));
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }

    #[test]
    fn keys_and_items_count_too() {
        let found = said("names: {0: cat, on: dog}\nlist: [1, off]\n");
        assert_eq!(
            found,
            [
                "`names.0` is a key, the text \"0\", here, and the number 0 to PyYAML",
                "`names.on` is a key, the text \"on\", here, and the boolean true to PyYAML",
                "`list[1]` is the text \"off\" here, and the boolean false to PyYAML",
            ]
        );
    }
}
