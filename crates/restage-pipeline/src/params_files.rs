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
    // YAML reads more than JSON does, and otherwise: a bare `NaN` would be text.
    if name.ends_with(".json")
        && let Some(error) = not_json(text)
    {
        report.push(error);
        return None;
    }
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

/// What is wrong with a text as JSON; an empty one is left to its reader.
fn not_json(text: &str) -> Option<Diagnostic> {
    let body = text.trim_start_matches('\u{feff}');
    if body.trim().is_empty() {
        return None;
    }
    let error = serde_json::from_str::<serde::de::IgnoredAny>(body).err()?;
    let above = body.split_inclusive('\n').take(error.line() - 1);
    let start: usize = text.len() - body.len() + above.map(str::len).sum::<usize>();
    let at = (start + error.column().saturating_sub(1)).min(text.len());
    // It stops behind a sign that no number follows.
    let at = text.floor_char_boundary(at);
    let at = at - usize::from(text[at..].starts_with("Infinity") && text[..at].ends_with('-'));
    let rest = &text[at..];
    let named = ["NaN", "Infinity", "-Infinity"];
    let named = named.iter().find(|name| rest.starts_with(**name));
    let location = Location {
        file: 0,
        offset: at,
        len: named.map_or_else(
            || rest.chars().next().map_or(0, char::len_utf8),
            |name| name.len(),
        ),
        line: error.line(),
    };
    Some(match named {
        Some(name) => Diagnostic::new(
            location,
            format!("`{name}` is not a number in JSON, which stages are given"),
            "not usable here",
        )
        .hint(format!("write \"{name}\" if text is meant")),
        None => {
            let reason = error.to_string();
            let reason = reason
                .split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned();
            Diagnostic::new(
                location,
                format!("this is not JSON: {reason}"),
                "stops making sense here",
            )
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Node, Vec<(usize, usize, String)>> {
        let mut report = Vec::new();
        let node = params_in(name, text, &mut report);
        let place = |error: Diagnostic| (error.location.line, error.location.offset, error.message);
        match node {
            Some(node) if report.is_empty() => Ok(node),
            _ => Err(report.into_iter().map(place).collect()),
        }
    }

    #[test]
    fn a_json_file_is_read_as_json_and_not_as_yaml() {
        for (text, line, offset) in [
            ("{\"a\": NaN}", 1, 6),
            ("{\n\"é\": 1,\n\"a\": -Infinity}", 3, 16),
            ("\u{feff}{\"a\": yes}", 1, 9),
            ("{\"a\": 01}", 1, 7),
            ("{\"a\": 1,}", 1, 8),
            ("{'a': 1}", 1, 1),
            ("{\"a\": \"x\ny\"}", 1, 7),
            ("{\"a\": 1", 1, 6),
        ] {
            let errors = read("p.json", text).expect_err(text);
            assert_eq!(errors.len(), 1, "{text}: {errors:?}");
            assert_eq!(
                (errors[0].0, errors[0].1),
                (line, offset),
                "{text}: {errors:?}"
            );
        }
        for text in [
            "",
            " \n",
            "{\"a\":\t1e2}",
            "{\n\t\"a\": \"\\ud83d\\ude00\"\n}\r\n",
        ] {
            assert!(read("p.json", text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_merge_key_in_quotes_is_a_key() {
        let merged = read("p.yaml", "b: &b {x: 1}\na: {<<: *b}").expect("a map");
        assert!(merged.get("a").is_some_and(|a| a.get("x").is_some()));
        for (name, text) in [
            ("p.json", "{\"a\": {\"<<\": {\"x\": 1}}}"),
            ("p.yaml", "a: {'<<': {x: 1}}"),
        ] {
            let map = read(name, text).expect("a map");
            let a = map.get("a").expect("it is there");
            assert!(a.get("x").is_none() && a.get("<<").is_some(), "{text}");
        }
    }
}
