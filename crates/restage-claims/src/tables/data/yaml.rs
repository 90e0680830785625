//! YAML documents.

use restage_pipeline::node::{Entry, Node, Value};
use restage_pipeline::{scalar, yaml};

use super::value::{Data, quoted};

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Data, String> {
    let mut report = Vec::new();
    let root = yaml::parse_data(text, &mut report);
    match (root, report.first()) {
        (Some(root), None) => Ok(of(&root, text)),
        (_, wrong) => {
            let what = wrong.map_or("no document", |wrong| wrong.message.as_str());
            let line = wrong.map_or(1, |wrong| wrong.location.line);
            Err(format!(
                "is not YAML that can be read: {what} (line {line})"
            ))
        }
    }
}

fn of(node: &Node, text: &str) -> Data {
    match &node.value {
        Value::Map(entries) => {
            let entries = entries.iter();
            let read = |entry: &Entry| (entry.key.clone(), of(&entry.value, text));
            Data::Map(entries.map(read).collect())
        }
        Value::List(items) => Data::List(items.iter().map(|item| of(item, text)).collect()),
        Value::Text(said) => {
            let is_number = written(node, text) == said && scalar::resolve(said).is_err();
            match is_number {
                // `.nan` and `-.inf` have a point that no one else writes.
                true => Data::Value(said.replace(".inf", "inf").replace(".nan", "nan")),
                false => quoted(said),
            }
        }
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
