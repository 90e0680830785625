//! What a JSON, YAML or TOML document holds.

use std::collections::BTreeSet;

/// A document whose values are JSON texts: values that differ then differ as texts, `1` from `"1"`
/// and `null` from `""`, and a number keeps all its digits.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Data {
    Value(String),
    List(Vec<Data>),
    /// In the file's order; each key once.
    Map(Vec<(String, Data)>),
}

/// Maps and lists within each other.
pub(super) const DEPTH: usize = 128;

pub(super) fn too_deep() -> String {
    format!("has more than {DEPTH} maps and lists within each other")
}

/// A text's value.
pub(super) fn quoted(text: &str) -> Data {
    Data::Value(serde_json::Value::from(text).to_string())
}

/// What a value says, without its kind.
pub(in super::super) fn plain(cell: &str) -> String {
    match cell {
        "null" => String::new(),
        cell if cell.starts_with('"') => {
            serde_json::from_str(cell).unwrap_or_else(|_| cell.to_owned())
        }
        cell => cell.to_owned(),
    }
}

/// A key that is given twice.
pub(super) fn repeated<'a>(keys: impl IntoIterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = BTreeSet::new();
    keys.into_iter().find(|key| !seen.insert(*key))
}

impl Data {
    /// "an object", for messages.
    pub(in super::super) fn kind(&self) -> &'static str {
        match self {
            Self::Value(_) => "a value",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}
