//! JSON documents, and what Python writes as such, with `NaN` and `Infinity`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::value::{DEPTH, Data, quoted, repeated, too_deep};

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Data, String> {
    let text = text.trim_start_matches('\u{feff}');
    let readable = Readable::of(text);
    let document = serde_json::from_str(&readable.json);
    document
        .map_err(|error| format!("is not JSON: {error}"))
        .and_then(|document| readable.data(document, DEPTH))
}

/// Numbers that JSON has no names for, as Python writes them.
const NAMES: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// A text that JSON's reader can read: such numbers are texts in it, of the same length. So every other
/// byte stays where it is.
struct Readable<'t> {
    text: &'t str,
    json: Cow<'t, str>,
    /// Where these numbers start, in ascending order.
    named: Vec<usize>,
}

impl<'t> Readable<'t> {
    fn of(text: &'t str) -> Self {
        let (mut json, mut named) = (String::new(), Vec::new());
        let (mut copied, mut at) = (0, 0);
        let (mut in_text, mut escaped) = (false, false);
        while let Some(byte) = text.as_bytes().get(at) {
            match byte {
                b'"' if !escaped => in_text = !in_text,
                b'N' | b'I' | b'-' if !in_text => {
                    if let Some(name) = name_at(text, at) {
                        json.push_str(&text[copied..at]);
                        json.extend(["\"", &"n".repeat(name.len() - 2), "\""]);
                        named.push(at);
                        at += name.len();
                        copied = at;
                        continue;
                    }
                }
                _ => {}
            }
            escaped = in_text && *byte == b'\\' && !escaped;
            at += 1;
        }
        let json = match named.is_empty() {
            true => Cow::Borrowed(text),
            false => Cow::Owned(json + &text[copied..]),
        };
        Self { text, json, named }
    }

    /// Where a part of it starts.
    fn place(&self, part: &str) -> usize {
        part.as_ptr().addr() - self.json.as_ptr().addr()
    }

    /// A value of it.
    fn data(&self, value: &RawValue, depth: usize) -> Result<Data, String> {
        let text = value.get();
        if depth == 0 {
            return Err(too_deep());
        }
        let wrong = |error: serde_json::Error| format!("is not JSON that can be read: {error}");
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let Entries(entries) = serde_json::from_str(text).map_err(wrong)?;
                if let Some(key) = repeated(entries.iter().map(|(key, _)| key)) {
                    return Err(format!("gives `{key}` twice"));
                }
                let read = |(key, value)| Ok((key, self.data(value, depth - 1)?));
                let entries = entries.into_iter().map(read);
                Data::Map(entries.collect::<Result<_, String>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(wrong)?;
                let items = items.into_iter().map(|item| self.data(item, depth - 1));
                Data::List(items.collect::<Result<_, _>>()?)
            }
            Some(b'"') => match self.named.binary_search(&self.place(text)) {
                Ok(_) => Data::Value(self.text[self.place(text)..][..text.len()].to_owned()),
                // Half a surrogate pair is no text, and stays as it is written.
                Err(_) => match serde_json::from_str::<String>(text) {
                    Ok(read) => quoted(&read),
                    Err(_) => Data::Value(text.to_owned()),
                },
            },
            _ => Data::Value(text.to_owned()),
        })
    }
}

/// The name of a number that is written here, and is no key.
fn name_at(text: &str, at: usize) -> Option<&'static str> {
    let rest = text.get(at..)?;
    let name = NAMES.into_iter().find(|name| rest.starts_with(name))?;
    let after = rest[name.len()..].trim_start();
    (!after.starts_with(':')).then_some(name)
}

/// Reads a document a line; with the line of each.
pub(super) fn read_lines(text: &str) -> Result<Vec<(u64, Data)>, String> {
    let lines = (1..).zip(text.trim_start_matches('\u{feff}').lines());
    let filled = lines.filter(|(_, line)| !line.trim().is_empty());
    filled
        .map(|(number, line)| match read(line) {
            Ok(found) => Ok((number, found)),
            Err(why) => {
                // Each document has a single line, which the message calls its first.
                let why = why.replace(" at line 1 column ", " at column ");
                Err(format!("{why} (line {number})"))
            }
        })
        .collect()
}

/// The entries of a JSON object; one of the same key is not replaced.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        from.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Data {
        Data::Value(text.to_owned())
    }

    #[test]
    fn numbers_that_json_has_no_names_for_are_read_and_texts_of_these_names_stay_texts() {
        let text =
            r#"{"a": NaN, "NaN": [-Infinity,"\"Infinity", "\\",Infinity], "n": "n", "é": -1}"#;
        let list = ["-Infinity", r#""\"Infinity""#, r#""\\""#, "Infinity"].map(value);
        let expected = [
            ("a", value("NaN")),
            ("NaN", Data::List(list.into())),
            ("n", value("\"n\"")),
            ("é", value("-1")),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value));
        assert_eq!(read(text), Ok(Data::Map(expected.into())));
        // As Python writes a text with NaN next to it: YAML would not read it.
        let text = "[NaN, \"\\ud83d\\ude00\"]";
        let expected = Data::List(vec![value("NaN"), value("\"\u{1f600}\"")]);
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn what_no_reader_of_json_takes_is_not_json() {
        for text in [
            "{'a': '5'}",
            "a: 5",
            "{a: 5}",
            "{\"a\": 5,}",
            "{NaN: 5}",
            "{-Infinity : 5}",
            "[-NaN]",
            "[NaN1]",
            "[1NaN]",
            "[\"a\"NaN]",
            "[nan]",
            "[NaN] NaN",
            "NaN\"",
            "{\"a\": NaN, \"a\": 1}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let message = read("{\"a\": NaN,\n\"b\": Infinity x}").unwrap_err();
        assert!(message.ends_with("at line 2 column 15"), "{message}");
    }
}
