//! JSON, YAML and TOML as tables: a document is one row, a list of objects has a row for each, as has a
//! file of JSON lines, and columns are the paths of values.

mod json;
mod pointer;
mod toml;
mod value;
mod yaml;

use std::collections::BTreeMap;

use pointer::containers;
pub(super) use pointer::{NoValue, flatten, value, values};
pub(super) use value::{Data, plain};

use super::fault::Fault;
use super::format::Kind;
use super::table::{Kinds, Line, Table};

/// A document, and where in the file its rows are, if that is known.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) data: Data,
    lines: Vec<u64>,
}

/// Reads a document of one of these kinds.
pub(super) fn read(text: &str, kind: Kind) -> Result<Document, Fault> {
    let data = match kind {
        Kind::JsonLines => {
            let (lines, items) = json::read_lines(text)
                .map_err(Fault::data)?
                .into_iter()
                .unzip();
            return Ok(Document {
                data: Data::List(items),
                lines,
            });
        }
        Kind::Yaml => yaml::read(text),
        Kind::Toml => toml::read(text),
        Kind::Json | Kind::Csv | Kind::Delimited(_) => json::read(text),
    };
    Ok(Document {
        data: data.map_err(Fault::data)?,
        lines: Vec::new(),
    })
}

/// The rows of a document. A value that one of them lacks is an empty cell.
pub(super) fn rows(document: &Document) -> Result<Table, Fault> {
    let is_map = |item: &Data| matches!(item, Data::Map(_));
    let objects = match &document.data {
        Data::List(items) if items.iter().all(is_map) => items.as_slice(),
        Data::List(items) if !document.lines.is_empty() => {
            let mut lines = items.iter().zip(&document.lines);
            let other = lines.find(|(item, _)| !is_map(item));
            let line = other.map_or(1, |(_, line)| *line);
            return Err(Fault::data(format!("has no object in line {line}")));
        }
        Data::List(_) | Data::Map(_) => std::slice::from_ref(&document.data),
        Data::Value(_) => {
            return Err(Fault::data("holds a single value, not an object or a list"));
        }
    };
    let mut columns: Vec<String> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows: Vec<(BTreeMap<usize, String>, Kinds)> = Vec::new();
    for object in objects {
        let mut row = BTreeMap::new();
        flatten(object, &mut |path, text| {
            let place = match places.get(path) {
                Some(place) => *place,
                None => {
                    columns.push(path.to_owned());
                    places.insert(path.to_owned(), columns.len() - 1);
                    columns.len() - 1
                }
            };
            row.insert(place, text.to_owned());
        });
        let mut kinds = Kinds::new();
        containers(object, &mut |path, kind| {
            kinds.insert(path.to_owned(), kind);
        });
        rows.push((row, kinds));
    }
    if columns.is_empty() {
        return Err(Fault::data("holds no values"));
    }
    let line = |(at, (row, kinds)): (usize, (BTreeMap<usize, String>, Kinds))| Line {
        line: document.lines.get(at).copied().unwrap_or(1),
        cells: (0..columns.len())
            .map(|at| row.get(&at).map_or("", String::as_str))
            .collect(),
        kinds,
    };
    let rows = rows.into_iter().enumerate().map(line).collect();
    Ok(Table::new(columns, rows, true))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    /// Columns and rows, as text.
    fn read(text: &str, kind: Kind) -> Result<(Vec<String>, Vec<Vec<String>>), String> {
        let table =
            parse::table(text.as_bytes(), kind.into()).map_err(|fault| fault.to_string())?;
        let row = |line: &Line| line.cells.iter().map(str::to_owned).collect();
        Ok((table.columns.clone(), table.rows.iter().map(row).collect()))
    }

    #[test]
    fn a_document_is_a_row_and_its_columns_are_paths() {
        let json = r#"{"acc": 0.50, "loss": {"train": 1e-3, "a/b~": [1, true, null]}, "note": "x", "none": []}"#;
        let (columns, rows) = read(json, Kind::Json).unwrap();
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
        let (columns, rows) = read(yaml, Kind::Yaml).unwrap();
        assert_eq!(columns, ["acc", "loss/train", "loss/steps", "loss/kind"]);
        assert_eq!(rows, [["0.50", "1e-3", "16", "\"x\""]]);
    }

    #[test]
    fn a_list_of_objects_has_a_row_for_each() {
        let json = r#"[{"epoch": 1}, {"epoch": 2, "acc": NaN}, {"acc": "NaN"}]"#;
        let (columns, rows) = read(json, Kind::Json).unwrap();
        assert_eq!(columns, ["epoch", "acc"]);
        assert_eq!(rows, [["1", ""], ["2", "NaN"], ["", "\"NaN\""]]);
    }

    #[test]
    fn what_holds_no_values_by_name_is_told_apart() {
        let wrong = |text: &str, format| read(text, format).unwrap_err();
        assert_eq!(
            wrong("3", Kind::Json),
            "holds a single value, not an object or a list"
        );
        assert_eq!(wrong("{}", Kind::Json), "holds no values");
        assert_eq!(wrong("[]", Kind::Yaml), "holds no values");
        let message = wrong("{\"a\": ", Kind::Json);
        assert!(message.starts_with("is not JSON: EOF"), "{message}");
        let message = wrong("a: [", Kind::Yaml);
        assert!(
            message.starts_with("is not YAML that can be read: "),
            "{message}"
        );
        let open = "[".repeat(10_000);
        assert!(wrong(&open, Kind::Json).starts_with("is not JSON"));
        let message = wrong(&(open + &"]".repeat(10_000)), Kind::Json);
        assert!(message.starts_with("has more than 128 maps"), "{message}");
        let twice = r#"{"a": {"b": {"x": 1}, "b": {"y": 2}}}"#;
        assert_eq!(wrong(twice, Kind::Json), "gives `b` twice");
    }

    #[test]
    fn json_lines_are_rows_and_toml_is_a_document() {
        let lines = "{\"step\": 1, \"loss\": 0.5}\r\n\n{\"step\": 2, \"acc\": NaN}\n";
        let (columns, rows) = read(lines, Kind::JsonLines).unwrap();
        assert_eq!(columns, ["step", "loss", "acc"]);
        assert_eq!(rows, [["1", "0.5", ""], ["2", "", "NaN"]]);
        let toml = "at = 2026-01-02\nacc = 5_0.5_0\n[loss]\nval = -inf\nn = 0x10\nkind = 'x'\n";
        let (columns, rows) = read(toml, Kind::Toml).unwrap();
        assert_eq!(columns, ["at", "acc", "loss/val", "loss/n", "loss/kind"]);
        assert_eq!(rows, [["2026-01-02", "50.50", "-inf", "16", "\"x\""]]);
    }

    #[test]
    fn numbers_that_json_cannot_hold_keep_their_digits() {
        let big = "123456789012345678901234567890";
        let (_, rows) = read(
            &format!("{{\"a\": 1e400, \"b\": {big}, \"c\": 5.0}}"),
            Kind::Json,
        )
        .unwrap();
        assert_eq!(rows, [["1e400", big, "5.0"]]);
        // As Python's json and yaml write them.
        let (_, rows) = read(
            "{\"a\": 1e400, \"b\": NaN, \"c\": -Infinity, \"d\": \"NaN\"}",
            Kind::Json,
        )
        .unwrap();
        assert_eq!(rows, [["1e400", "NaN", "-Infinity", "\"NaN\""]]);
        let yaml = format!("a: 1e400\nb: {big}\nc: .nan\nd: -.inf\ne: '.nan'\nf: \".inf\"\n");
        let (_, rows) = read(&yaml, Kind::Yaml).unwrap();
        assert_eq!(
            rows,
            [["1e400", big, "nan", "-inf", "\".nan\"", "\".inf\""]]
        );
    }

    #[test]
    fn a_line_of_json_that_cannot_be_read_is_named() {
        let wrong = |text: &str| read(text, Kind::JsonLines).unwrap_err();
        let message = wrong("{\"a\": 1}\n{\"a\": \n");
        assert!(
            message.starts_with("is not JSON: EOF") && message.ends_with("(line 2)"),
            "{message}"
        );
        assert_eq!(wrong("{\"a\": 1}\n\n3\n"), "has no object in line 3");
        assert_eq!(wrong("{\"a\": 1, \"a\": 2}"), "gives `a` twice (line 1)");
        assert_eq!(wrong("\n"), "holds no values");
        let wrong = |text: &str| read(text, Kind::Toml).unwrap_err();
        let message = wrong("a = 1\nb = \n");
        assert!(
            message.starts_with("is not TOML: ") && message.ends_with("(line 2)"),
            "{message}"
        );
        for (open, close) in [("a = [", "]"), ("a = {b=", "}"), ("[a", "]")] {
            let deep = format!(
                "{}{}",
                open.replace("a = ", "").repeat(10_000),
                close.repeat(10_000)
            );
            assert!(wrong(&format!("a = {deep}")).starts_with("is not TOML"));
        }
        let dotted = format!("a{} = 1", ".b".repeat(10_000));
        let message = wrong(&dotted);
        assert!(
            message.starts_with("is not TOML") || message.starts_with("has more than"),
            "{message}"
        );
    }
}
