//! One text for each JSON value, so that it can be digested.

use std::collections::BTreeMap;

use serde_json::Value;

/// Compact JSON with sorted keys: equal texts exactly for equal values. `1e-3` becomes
/// `0.001` (the shortest digits that read back as the same float); the integer `1` and the
/// float `1.0` keep their two texts.
pub(super) fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            // serde_json may keep the file's order.
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            text.push('{');
            for (i, (name, value)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&escaped(name));
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::String(string) => text.push_str(&escaped(string)),
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
    }
}

/// A text as a JSON string, quotes included.
pub(crate) fn escaped(text: &str) -> String {
    Value::from(text).to_string()
}

/// Bytes as text that can stand in a key, another text for each. A byte that is not UTF-8 is a NUL
/// and its two hexadecimal digits. So the bytes must have no NUL of their own.
pub fn distinct_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\0{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        canonical_json(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn keys_are_sorted_and_space_is_dropped() {
        assert_eq!(
            canonical(r#"{"b": [1, {"z":0, "y":null}], "a": "q\""}"#),
            r#"{"a":"q\"","b":[1,{"y":null,"z":0}]}"#
        );
    }

    #[test]
    fn a_number_has_one_text_but_integers_are_not_floats() {
        assert_eq!(canonical("1e-3"), "0.001");
        assert_eq!(canonical("0.0010"), "0.001");
        assert_eq!(canonical("1.0"), "1.0");
        assert_eq!(canonical("1"), "1");
        assert_eq!(canonical("-0.0"), "-0.0");
    }

    proptest! {
        #[test]
        fn other_bytes_are_another_text(bytes in prop::collection::vec(1_u8.., 0..12)) {
            let text = distinct_text(&bytes);
            let mut parts = text.split('\0');
            let mut read = parts.next().unwrap().as_bytes().to_vec();
            for part in parts {
                read.push(u8::from_str_radix(&part[..2], 16).unwrap());
                read.extend_from_slice(&part.as_bytes()[2..]);
            }
            prop_assert_eq!(read, bytes.clone());
            if let Ok(valid) = std::str::from_utf8(&bytes) {
                prop_assert_eq!(valid, text);
            }
        }
    }
}
