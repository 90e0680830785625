//! The files that parameters come from: `params: {from: [params.yaml]}`.

use super::diagnostic::Diagnostic;
use super::fields::{expected, expected_of};
use super::node::{Node, Value};
use super::sources::{Mention, Named, NoText};
use super::table::unreadable;
use super::template::{Place, RESERVED};
use super::toml_values;
use super::yaml;
use restage_core::rel_path::RelPath;
use restage_core::span::Location;

/// The key under `params` that names files.
pub(crate) const FROM: &str = "from";

/// The maps of the files that `params` names, in order. `None`: one is not to be had, which is
/// reported; without its parameters nothing else that is wrong can be told.
pub(crate) fn read(
    root: &Node,
    place: Place<'_>,
    named: &Named,
    report: &mut Vec<Diagnostic>,
) -> Option<Vec<Node>> {
    let Some(node) = root.get("params").and_then(|params| params.get(FROM)) else {
        return Some(Vec::new());
    };
    let names = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let before = report.len();
    let mut found = Vec::new();
    for item in names {
        let Value::Text(name) = &item.value else {
            report.push(expected(item, FROM, "`params`", "a list of files").hint(
                "a parameter of the pipeline itself can't be called `from`; put it inside a map",
            ));
            continue;
        };
        let Some(mut map) = file(&place.below(name), item.location, named, report) else {
            continue;
        };
        // They mean something else in templates, and the file may be another program's.
        if let Value::Map(entries) = &mut map.value {
            entries.retain(|entry| !RESERVED.contains(&entry.key.as_str()));
        }
        found.push(map);
    }
    (report.len() == before).then_some(found)
}

/// The map in a YAML, JSON or TOML file; an empty file has no entries.
fn file(name: &str, at: Location, named: &Named, report: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut fail = |message: String, label: String, hint: &str| {
        report.push(Diagnostic::new(at, message, label).hint(hint));
    };
    if !is_toml(name) && !is_yaml(name) {
        let message = format!("`{name}` is not a file that parameters can come from");
        let label = "expected a name that ends in .yaml, .yml, .json or .toml";
        let hint = "a stage that reads it itself names it in `deps`";
        fail(message, label.to_owned(), hint);
        return None;
    }
    let path = match RelPath::new(name) {
        Ok(path) => path,
        Err(error) => {
            let hint = "move, link or copy it into the pipeline's folder, and name it from there";
            let message = format!("parameters can't come from `{name}`");
            fail(message, error.to_string(), hint);
            return None;
        }
    };
    let (number, text) = match named.open(&path) {
        Ok(opened) => opened,
        Err(NoText::Missing) => {
            let hint = "create it, or fix the path; paths are relative to the pipeline's folder";
            fail(format!("there is no `{path}`"), "not found".into(), hint);
            return None;
        }
        Err(no_text) => {
            report.push(unreadable(no_text, &path, at));
            return None;
        }
    };
    named.mention(Mention {
        path,
        at,
        what: "a file of parameters",
        missing: None,
    });
    let before = report.len();
    let node = params_in(name, &text, report);
    move_to_file(&mut report[before..], number);
    let mut node = node?;
    set_file(&mut node, number);
    Some(node)
}

/// The map in the text of a YAML, JSON or TOML file of this name; an empty file has no entries. `None`, and
/// also where a value is one that no parameter can have: `report` says why.
pub fn params_in(name: &str, text: &str, report: &mut Vec<Diagnostic>) -> Option<Node> {
    let node = match is_toml(name) {
        true => toml_values::parse(text, report),
        false => yaml::parse(text, report),
    }?;
    match node.value {
        Value::Map(_) => Some(node),
        Value::Null => Some(Node::new(Value::Map(Vec::new()), node.location)),
        _ => {
            let subject = format!("`{name}`");
            report.push(expected_of(&node, &subject, "`params`", "a map"));
            None
        }
    }
}

/// Whether a file's name says that it is YAML, or JSON, which YAML includes.
pub fn is_yaml(name: &str) -> bool {
    let endings = [".yaml", ".yml", ".json"];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// Whether a file's name says that it is TOML.
pub fn is_toml(name: &str) -> bool {
    [".toml"].iter().any(|ending| name.ends_with(ending))
}

/// Moves mistakes to the file of this number.
pub(crate) fn move_to_file(items: &mut [Diagnostic], file: u32) {
    for item in items {
        item.location.file = file;
        let places = item.notes.iter_mut();
        let places = places.filter_map(|note| note.location.as_mut());
        places.for_each(|at| at.file = file);
    }
}

/// Moves a value to the file of this number.
pub(crate) fn set_file(node: &mut Node, file: u32) {
    node.location.file = file;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| set_file(item, file)),
        Value::Map(entries) => {
            for entry in entries {
                entry.key_location.file = file;
                set_file(&mut entry.value, file);
            }
        }
        _ => {}
    }
}
