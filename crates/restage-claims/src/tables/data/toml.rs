//! TOML documents.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::value::{DEPTH, Data, quoted, too_deep};

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Data, String> {
    let text = text.trim_start_matches('\u{feff}');
    let document = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = &text.as_bytes()[..start.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        format!("is not TOML: {} (line {line})", error.message())
    })?;
    entries(document.get_ref(), DEPTH)
}

fn entries(table: &DeTable<'_>, depth: usize) -> Result<Data, String> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let read = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        Ok((key.get_ref().to_string(), of(value.get_ref(), depth - 1)?))
    };
    let entries = entries.into_iter().map(read);
    Ok(Data::Map(entries.collect::<Result<_, String>>()?))
}

fn of(value: &DeValue<'_>, depth: usize) -> Result<Data, String> {
    if depth == 0 {
        return Err(too_deep());
    }
    Ok(match value {
        DeValue::Table(table) => entries(table, depth)?,
        DeValue::Array(items) => {
            let items = items.iter().map(|item| of(item.get_ref(), depth - 1));
            Data::List(items.collect::<Result<_, _>>()?)
        }
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) if number.radix() == 10 => Data::Value(number.as_str().to_owned()),
        // `0x1f` is no number in JSON.
        DeValue::Integer(number) => {
            let read = i128::from_str_radix(number.as_str(), number.radix());
            Data::Value(read.map_or_else(|_| number.to_string(), |read| read.to_string()))
        }
        DeValue::Float(number) => Data::Value(number.as_str().to_owned()),
        DeValue::Boolean(value) => Data::Value(value.to_string()),
        // A kind of its own, unlike any text.
        DeValue::Datetime(time) => Data::Value(time.to_string()),
    })
}
