//! Values of other files that are written into the pipeline: an edit there changes nothing here, and is told.

use std::fmt;

use serde_json::Value as Json;

use super::diagnostic::Diagnostic;
use super::fields::expected;
use super::node::{Entry, Node, Value};
use super::params_files::{is_toml, is_yaml, params_in};
use super::pipeline::Pipeline;
use super::sources::Named;
use restage_core::rel_path::RelPath;

/// A value that is written into the pipeline, and is another one now where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditedCopy {
    /// Where it comes from.
    pub file: String,
    /// Dotted; `a.*` stands for the keys of `a`.
    pub path: String,
    /// What is written here.
    pub here: Json,
    /// What is there now, if anything.
    pub there: Option<Json>,
}

impl fmt::Display for EditedCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            path,
            here,
            there,
        } = self;
        let there = there.as_ref().map_or("gone".to_owned(), Json::to_string);
        write!(
            f,
            "`{path}` in `{file}` is {there}, but {here} is written into stages"
        )
    }
}

/// Reads `copied_params`.
pub(crate) fn read(
    node: &Node,
    pipeline: &mut Pipeline,
    named: &Named,
    report: &mut Vec<Diagnostic>,
) {
    let what = "a map from file to digest, or to values by path";
    if !matches!(node.value, Value::Map(_)) {
        report.push(expected(node, "copied_params", "the pipeline", what));
    }
    for Entry { key, value, .. } in node.entries() {
        match &value.value {
            Value::Text(digest) => {
                let copied = &mut pipeline.copied_params;
                copied.insert(key.clone(), digest.clone());
            }
            Value::Map(values) => pipeline.edited_copies.extend(edited(key, values, named)),
            _ => report.push(expected(value, "copied_params", "the pipeline", what)),
        }
    }
}

/// The values that are others now. A file that is gone has none: its values live here alone.
fn edited(file: &str, values: &[Entry], named: &Named) -> Vec<EditedCopy> {
    let opened = RelPath::new(file)
        .ok()
        .and_then(|path| named.open(&path).ok());
    let Some((_, text)) = opened.filter(|_| is_yaml(file) || is_toml(file)) else {
        return Vec::new();
    };
    let now = params_in(file, &text, &mut Vec::new());
    let mut found = Vec::new();
    for Entry { key, value, .. } in values {
        let there = now.as_ref().and_then(|now| at(now, key));
        let here = value.to_json();
        if there.as_ref() != Some(&here) {
            found.push(EditedCopy {
                file: file.to_owned(),
                path: key.clone(),
                here,
                there,
            });
        }
    }
    found
}

/// The value at a path, in which items of lists are numbers, or the keys at `a.*`.
fn at(root: &Node, path: &str) -> Option<Json> {
    let (path, keys) = match path.strip_suffix(".*") {
        Some(path) => (path, true),
        None => (path, false),
    };
    let mut node = root;
    for segment in path.split('.') {
        node = match &node.value {
            Value::List(items) => items.get(segment.parse::<usize>().ok()?)?,
            _ => node.get(segment)?,
        };
    }
    Some(match keys {
        true => node.keys().collect(),
        false => node.to_json(),
    })
}
