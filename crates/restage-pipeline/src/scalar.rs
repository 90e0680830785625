//! What an unquoted scalar is, by YAML 1.2's core schema: `yes` and `on` are text; and how text is written.

use serde_json::Number;

use super::node::Value;

/// Words that are text here, but something else in YAML 1.1.
const ELSEWHERE: [&str; 8] = ["y", "n", "yes", "no", "on", "off", "=", "<<"];

/// Why a scalar has no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarError {
    /// An integer beyond 64 bits, or a float beyond a double.
    TooLarge,
    /// `.inf` and `.nan`, which JSON cannot hold.
    NotFinite,
}

/// Resolves the text of an unquoted scalar.
pub fn resolve(text: &str) -> Result<Value, ScalarError> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return Err(ScalarError::NotFinite),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Err(ScalarError::NotFinite);
    }
    if let Some(number) = radix(text) {
        return number.map(Value::Number);
    }
    if is_decimal(unsigned) {
        let text = text.strip_prefix('+').unwrap_or(text);
        return match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(number), _) => Ok(Value::Number(number.into())),
            (_, Ok(number)) => Ok(Value::Number(number.into())),
            _ => Err(ScalarError::TooLarge),
        };
    }
    if is_float(unsigned) {
        let number = text.parse::<f64>().ok().and_then(Number::from_f64);
        return number.map(Value::Number).ok_or(ScalarError::TooLarge);
    }
    Ok(Value::Text(text.to_owned()))
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `0x1f` and `0o17`; `None` if it is neither.
fn radix(text: &str) -> Option<Result<Number, ScalarError>> {
    let (digits, base) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text.strip_prefix("0o")?, 8),
    };
    let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
    valid.then(|| {
        u64::from_str_radix(digits, base)
            .map(Number::from)
            .map_err(|_| ScalarError::TooLarge)
    })
}

/// `1.`, `.5`, `1.5`, `1e3`, `1.5e-3`: no sign.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits =
        digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_fits =
        exponent.is_none_or(|text| is_decimal(text.strip_prefix(['+', '-']).unwrap_or(text)));
    mantissa_fits && exponent_fits
}

/// Text on one line, quoted if necessary. `flow`: it may be in brackets, or a key.
pub fn written(text: &str, flow: bool) -> String {
    if is_plain(text, flow) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            c if needs_escape(c) => quoted += &format!("\\u{:04x}", c as u32),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Characters that YAML takes as a line break, or that nobody sees.
pub fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn is_plain(text: &str, flow: bool) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    let opens = first.is_alphanumeric() || matches!(first, '_' | '/' | '.' | '(' | '$');
    let special = if flow { "{}[]," } else { "" };
    let inside = |c: char| !needs_escape(c) && !special.contains(c);
    opens
        && text.chars().all(inside)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([' ', ':'])
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !ELSEWHERE.contains(&text.to_lowercase().as_str())
        && matches!(resolve(text), Ok(Value::Text(_)))
        && !looks_like_a_number(text)
}

/// `1_000`, `1:30` and dates are numbers and times to readers of YAML 1.1.
fn looks_like_a_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text
            .chars()
            .all(|c| c.is_ascii_hexdigit() || "_:.+-xoTZ ".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        match resolve(text).unwrap() {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => format!("{text:?}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unquoted_scalars_follow_the_core_schema() {
        let cases = [
            ("", "null"),
            ("~", "null"),
            ("true", "true"),
            ("yes", "\"yes\""),
            ("on", "\"on\""),
            ("12", "12"),
            ("-3", "-3"),
            ("+3", "3"),
            ("0755", "755"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("18446744073709551615", "18446744073709551615"),
            ("1e-3", "0.001"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("-1.5E+2", "-150.0"),
            ("1e-7", "1e-7"),
            (".", "\".\""),
            ("-", "\"-\""),
            ("1.2.3", "\"1.2.3\""),
            ("e5", "\"e5\""),
            ("0x", "\"0x\""),
            ("2GiB", "\"2GiB\""),
            ("1_000", "\"1_000\""),
            ("nan", "\"nan\""),
            ("inf", "\"inf\""),
        ];
        for (text, expected) in cases {
            assert_eq!(json(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_that_json_cannot_hold_are_refused() {
        assert_eq!(resolve("18446744073709551616"), Err(ScalarError::TooLarge));
        assert_eq!(resolve("1e999"), Err(ScalarError::TooLarge));
        assert_eq!(resolve("-.inf"), Err(ScalarError::NotFinite));
        assert_eq!(resolve(".nan"), Err(ScalarError::NotFinite));
    }
}
