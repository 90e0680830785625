//! Parameters and the values that runs had, each value once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Document, StageRun, entity};

/// Leaves of a tree by dotted path. A list is one value: its items have no names.
fn leaves(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                leaves(&format!("{path}.{name}"), value, found);
            }
        }
        leaf => drop(found.insert(path.to_owned(), leaf.clone())),
    }
}

impl StageRun {
    fn leaves(&self) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        for (path, value) in &self.params {
            leaves(path, value, &mut found);
        }
        found
    }
}

/// schema.org's word for a value's type.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "Boolean",
        Value::Number(number) if number.is_f64() => "Float",
        Value::Number(_) => "Integer",
        _ => "Text",
    }
}

/// Text as it is, everything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Different values of each parameter, in the order of runs.
pub(super) fn values(runs: &[StageRun]) -> BTreeMap<String, Vec<Value>> {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for run in runs {
        for (path, value) in run.leaves() {
            let values = all.entry(path).or_default();
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    all
}

impl Document<'_> {
    /// The parameters of the pipeline that any run had.
    pub(super) fn parameter_names(&self) -> Vec<String> {
        let paths = self.values.keys();
        paths
            .map(|path| entity::part(&self.of.pipeline, "param", path))
            .collect()
    }

    /// A run's parameters and the values that it had.
    pub(super) fn values_of(&self, run: &StageRun) -> impl Iterator<Item = (String, String)> {
        let own = run.leaves().into_iter();
        own.map(|(path, value)| {
            let n = self
                .values
                .get(&path)
                .and_then(|values| values.iter().position(|other| *other == value));
            let parameter = entity::part(&self.of.pipeline, "param", &path);
            (parameter, entity::value("param", &path, n.unwrap_or(0)))
        })
    }

    /// Their entities.
    pub(super) fn parameters(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for (path, values) in &self.values {
            let parameter = entity::part(&self.of.pipeline, "param", path);
            let kind = values.first().map_or("Text", kind);
            found.push(json!({
                "@id": parameter,
                "@type": "FormalParameter",
                "name": path,
                "additionalType": kind,
            }));
            for (n, value) in values.iter().enumerate() {
                found.push(json!({
                    "@id": entity::value("param", path, n),
                    "@type": "PropertyValue",
                    "name": path,
                    "value": text(value),
                    "exampleOfWork": entity::reference(&parameter),
                }));
            }
        }
        found
    }
}
