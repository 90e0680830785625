//! JSON and YAML as tables: a document is one row, a list of objects has a row for each, and columns
//! are the paths of values.

use std::collections::BTreeMap;

use serde_json::Value;

use super::parse::{Fault, Line, Table};

/// Reads JSON, and what Python writes as such: `NaN` and `Infinity` are texts then.
pub(super) fn json(text: &str) -> Result<Value, Fault> {
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text).or_else(|error| {
        yaml(text).map_err(|_| Fault::NotData {
            why: format!("is not JSON: {error}"),
        })
    })
}

/// Reads one YAML document.
pub(super) fn yaml(text: &str) -> Result<Value, Fault> {
    let mut report = Vec::new();
    let root = restage_pipeline::yaml::parse(text, &mut report);
    match (root, report.first()) {
        (Some(root), None) => Ok(root.to_json()),
        (_, wrong) => {
            let what = wrong.map_or("no document", |wrong| wrong.message.as_str());
            let line = wrong.map_or(1, |wrong| wrong.location.line);
            Err(Fault::NotData {
                why: format!("is not YAML that can be read: {what} (line {line})"),
            })
        }
    }
}

/// The rows of a document.
pub(super) fn rows(document: &Value) -> Result<Table, Fault> {
    let objects = match document {
        Value::Array(items) if items.iter().all(Value::is_object) => items.as_slice(),
        Value::Array(_) | Value::Object(_) => std::slice::from_ref(document),
        _ => {
            let why = "holds a single value, not an object or a list".to_owned();
            return Err(Fault::NotData { why });
        }
    };
    let mut columns: Vec<String> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows: Vec<BTreeMap<usize, String>> = Vec::new();
    for object in objects {
        let mut row = BTreeMap::new();
        flatten("", object, &mut |path, text| {
            let place = *places.entry(path.to_owned()).or_insert_with(|| {
                columns.push(path.to_owned());
                columns.len() - 1
            });
            row.insert(place, text);
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
fn flatten(path: &str, value: &Value, found: &mut dyn FnMut(&str, String)) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    };
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                flatten(&below(&key), value, found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                flatten(&below(&at.to_string()), item, found);
            }
        }
        Value::Object(_) | Value::Array(_) if path.is_empty() => {}
        Value::Null => found(path, String::new()),
        Value::String(text) => found(path, text.clone()),
        other => found(path, other.to_string()),
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
        let json = r#"{"acc": 0.5, "loss": {"train": 1e-3, "a/b~": [1, true, null]}, "note": "x", "none": []}"#;
        let (columns, rows) = read(json, Format::Json).unwrap();
        let cells: BTreeMap<&str, &str> = columns
            .iter()
            .map(String::as_str)
            .zip(rows[0].iter().map(String::as_str))
            .collect();
        let expected = [
            ("acc", "0.5"),
            ("loss/a~1b~0/0", "1"),
            ("loss/a~1b~0/1", "true"),
            ("loss/a~1b~0/2", ""),
            ("loss/train", "0.001"),
            ("none", "[]"),
            ("note", "x"),
        ];
        assert_eq!((cells, rows.len()), (expected.into(), 1));
        let yaml = "acc: 0.5\nloss:\n  train: 0.001\n";
        let (columns, rows) = read(yaml, Format::Yaml).unwrap();
        assert_eq!(columns, ["acc", "loss/train"]);
        assert_eq!(rows, [["0.5", "0.001"]]);
    }

    #[test]
    fn a_list_of_objects_has_a_row_for_each() {
        let json = r#"[{"epoch": 1}, {"epoch": 2, "acc": NaN}]"#;
        let (columns, rows) = read(json, Format::Json).unwrap();
        assert_eq!(columns, ["epoch", "acc"]);
        assert_eq!(rows, [["1", ""], ["2", "NaN"]]);
    }

    #[test]
    fn what_holds_no_values_by_name_is_told_apart() {
        let wrong = |text, format| read(text, format).unwrap_err();
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
        assert!(wrong(&"[".repeat(10_000), Format::Json).starts_with("is not JSON"));
    }
}
