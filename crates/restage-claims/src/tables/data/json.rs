//! JSON documents, and what Python writes as such, with `NaN` and `Infinity`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::value::{DEPTH, Data, quoted, repeated, too_deep};
use super::yaml;

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Data, String> {
    let text = text.trim_start_matches('\u{feff}');
    let read = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"));
    read.and_then(|document| of(document, DEPTH))
        .or_else(|why| yaml::read_json(text).ok_or(why))
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

/// Of a value that is known to be JSON.
fn of(value: &RawValue, depth: usize) -> Result<Data, String> {
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
            let read = |(key, value)| Ok((key, of(value, depth - 1)?));
            let entries = entries.into_iter().map(read);
            Data::Map(entries.collect::<Result<_, String>>()?)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(wrong)?;
            let items = items.into_iter().map(|item| of(item, depth - 1));
            Data::List(items.collect::<Result<_, _>>()?)
        }
        // Half a surrogate pair is no text, and stays as it is written.
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(read) => quoted(&read),
            Err(_) => Data::Value(text.to_owned()),
        },
        _ => Data::Value(text.to_owned()),
    })
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
