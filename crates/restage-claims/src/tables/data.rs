//! JSON and YAML as tables: a document is one row, a list of objects has a row for each, and columns
//! are the paths of values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use restage_pipeline::node::{Node, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::parse::{Fault, Line, Table};

/// Maps and lists within each other.
const DEPTH: usize = 128;

/// A document whose values are JSON texts: values that differ then differ as texts, `1` from `"1"`
/// and `null` from `""`, and a number keeps all its digits.
pub(super) enum Data {
    Value(String),
    List(Vec<Data>),
    Map(BTreeMap<String, Data>),
}

/// Reads JSON, and what Python writes as such, with `NaN` and `Infinity`.
pub(super) fn json(text: &str) -> Result<Data, Fault> {
    let text = text.trim_start_matches('\u{feff}');
    let read = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"));
    read.and_then(|document| of_json(document, DEPTH))
        .or_else(|why| {
            let written = |node: &Node| written(node, text).starts_with('"');
            match document(text) {
                Ok(root) => Ok(of_yaml(&root, text, &written)),
                Err(_) => Err(Fault::NotData { why }),
            }
        })
}

/// Reads one YAML document.
pub(super) fn yaml(text: &str) -> Result<Data, Fault> {
    document(text).map(|root| of_yaml(&root, text, &|_| true))
}

fn document(text: &str) -> Result<Node, Fault> {
    let mut report = Vec::new();
    let root = restage_pipeline::yaml::parse(text, &mut report);
    match (root, report.first()) {
        (Some(root), None) => Ok(root),
        (_, wrong) => {
            let what = wrong.map_or("no document", |wrong| wrong.message.as_str());
            let line = wrong.map_or(1, |wrong| wrong.location.line);
            Err(Fault::NotData {
                why: format!("is not YAML that can be read: {what} (line {line})"),
            })
        }
    }
}

/// Of a value that is known to be JSON.
fn of_json(value: &RawValue, depth: usize) -> Result<Data, String> {
    let text = value.get();
    if depth == 0 {
        return Err(format!(
            "has more than {DEPTH} maps and lists within each other"
        ));
    }
    let wrong = |error: serde_json::Error| format!("is not JSON that can be read: {error}");
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let Entries(entries) = serde_json::from_str(text).map_err(wrong)?;
            let mut keys = BTreeSet::new();
            if let Some((key, _)) = entries.iter().find(|(key, _)| !keys.insert(key)) {
                return Err(format!("gives `{key}` twice"));
            }
            let read = |(key, value)| Ok((key, of_json(value, depth - 1)?));
            Data::Map(
                entries
                    .into_iter()
                    .map(read)
                    .collect::<Result<_, String>>()?,
            )
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(wrong)?;
            let items = items.into_iter().map(|item| of_json(item, depth - 1));
            Data::List(items.collect::<Result<_, _>>()?)
        }
        // Half a surrogate pair is no text, and stays as it is written.
        Some(b'"') => Data::Value(match serde_json::from_str::<String>(text) {
            Ok(read) => quoted(&read),
            Err(_) => text.to_owned(),
        }),
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

/// `is_text`: which texts are not a number's name.
fn of_yaml(node: &Node, text: &str, is_text: &dyn Fn(&Node) -> bool) -> Data {
    let below = |node| of_yaml(node, text, is_text);
    match &node.value {
        Value::Map(entries) => {
            let entries = entries.iter();
            Data::Map(
                entries
                    .map(|one| (one.key.clone(), below(&one.value)))
                    .collect(),
            )
        }
        Value::List(items) => Data::List(items.iter().map(below).collect()),
        Value::Text(text) if is_text(node) => Data::Value(quoted(text)),
        Value::Text(text) => Data::Value(text.clone()),
        Value::Null => Data::Value("null".to_owned()),
        Value::Bool(value) => Data::Value(value.to_string()),
        // `0x1f` is no number in JSON.
        Value::Number(number) => Data::Value(match written(node, text) {
            digits if digits.parse::<f64>().is_ok() => digits.to_owned(),
            _ => number.to_string(),
        }),
    }
}

fn written<'a>(node: &Node, text: &'a str) -> &'a str {
    let place = node.location.offset..node.location.end();
    text.get(place).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What a cell says, without its kind.
pub(super) fn plain(cell: &str) -> String {
    match cell {
        "null" => String::new(),
        cell => serde_json::from_str(cell).unwrap_or_else(|_| cell.to_owned()),
    }
}

/// The rows of a document. A value that one of them lacks is an empty cell.
pub(super) fn rows(document: &Data) -> Result<Table, Fault> {
    let objects = match document {
        Data::List(items) if items.iter().all(|item| matches!(item, Data::Map(_))) => {
            items.as_slice()
        }
        Data::List(_) | Data::Map(_) => std::slice::from_ref(document),
        Data::Value(_) => {
            let why = "holds a single value, not an object or a list".to_owned();
            return Err(Fault::NotData { why });
        }
    };
    let mut columns: Vec<String> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows: Vec<BTreeMap<usize, String>> = Vec::new();
    for object in objects {
        let mut row = BTreeMap::new();
        flatten(None, object, &mut |path, text| {
            let place = *places.entry(path.to_owned()).or_insert_with(|| {
                columns.push(path.to_owned());
                columns.len() - 1
            });
            row.insert(place, text.to_owned());
        });
        rows.push(row);
    }
    if columns.is_empty() {
        return Err(Fault::NotData {
            why: "holds no values".to_owned(),
        });
    }
    let line = |row: BTreeMap<usize, String>| Line {
        line: 1,
        cells: (0..columns.len())
            .map(|at| row.get(&at).map_or("", String::as_str))
            .collect(),
    };
    let rows = rows.into_iter().map(line).collect();
    Ok(Table::new(columns, rows, true))
}

/// Each value that is neither an object nor a list, with its path: a JSON pointer (RFC 6901) without the
/// leading `/`. An empty object or list is a value too.
fn flatten(path: Option<&str>, value: &Data, found: &mut dyn FnMut(&str, &str)) {
    let below = |name: &str| match path {
        None => name.to_owned(),
        Some(path) => format!("{path}/{name}"),
    };
    match value {
        Data::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                flatten(Some(&below(&key)), value, found);
            }
        }
        Data::List(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                flatten(Some(&below(&at.to_string())), item, found);
            }
        }
        Data::Value(text) => found(path.unwrap_or_default(), text),
        Data::Map(_) => path.into_iter().for_each(|path| found(path, "{}")),
        Data::List(_) => path.into_iter().for_each(|path| found(path, "[]")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::Format;
    use super::*;

    /// Columns and rows, as text.
    fn read(text: &str, format: Format) -> Result<(Vec<String>, Vec<Vec<String>>), String> {
        let table = Table::parse(text.as_bytes(), format).map_err(|fault| fault.to_string())?;
        let row = |line: &Line| line.cells.iter().map(str::to_owned).collect();
        Ok((table.columns.clone(), table.rows.iter().map(row).collect()))
    }

    #[test]
    fn a_document_is_a_row_and_its_columns_are_paths() {
        let json = r#"{"acc": 0.50, "loss": {"train": 1e-3, "a/b~": [1, true, null]}, "note": "x", "none": []}"#;
        let (columns, rows) = read(json, Format::Json).unwrap();
        let cells: BTreeMap<&str, &str> = columns
            .iter()
            .map(String::as_str)
            .zip(rows[0].iter().map(String::as_str))
            .collect();
        let expected = [
            ("acc", "0.50"),
            ("loss/a~1b~0/0", "1"),
            ("loss/a~1b~0/1", "true"),
            ("loss/a~1b~0/2", "null"),
            ("loss/train", "1e-3"),
            ("none", "[]"),
            ("note", "\"x\""),
        ];
        assert_eq!((cells, rows.len()), (expected.into(), 1));
        let yaml = "acc: 0.50\nloss:\n  train: 1e-3\n  steps: 0x10\n  kind: x\n";
        let (columns, rows) = read(yaml, Format::Yaml).unwrap();
        assert_eq!(columns, ["acc", "loss/kind", "loss/steps", "loss/train"]);
        assert_eq!(rows, [["0.50", "\"x\"", "16", "1e-3"]]);
    }

    #[test]
    fn a_list_of_objects_has_a_row_for_each() {
        let json = r#"[{"epoch": 1}, {"epoch": 2, "acc": NaN}, {"acc": "NaN"}]"#;
        let (columns, rows) = read(json, Format::Json).unwrap();
        assert_eq!(columns, ["epoch", "acc"]);
        assert_eq!(rows, [["1", ""], ["2", "NaN"], ["", "\"NaN\""]]);
    }

    #[test]
    fn what_holds_no_values_by_name_is_told_apart() {
        let wrong = |text: &str, format| read(text, format).unwrap_err();
        assert_eq!(
            wrong("3", Format::Json),
            "holds a single value, not an object or a list"
        );
        assert_eq!(wrong("{}", Format::Json), "holds no values");
        assert_eq!(wrong("[]", Format::Yaml), "holds no values");
        let message = wrong("{\"a\": ", Format::Json);
        assert!(message.starts_with("is not JSON: EOF"), "{message}");
        let message = wrong("a: [", Format::Yaml);
        assert!(
            message.starts_with("is not YAML that can be read: "),
            "{message}"
        );
        let open = "[".repeat(10_000);
        assert!(wrong(&open, Format::Json).starts_with("is not JSON"));
        let message = wrong(&(open + &"]".repeat(10_000)), Format::Json);
        assert!(message.starts_with("has more than 128 maps"), "{message}");
        let twice = r#"{"a": {"b": {"x": 1}, "b": {"y": 2}}}"#;
        assert_eq!(wrong(twice, Format::Json), "gives `b` twice");
    }
}
