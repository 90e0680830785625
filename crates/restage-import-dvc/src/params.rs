//! What `${..}` in a `dvc.yaml` can name, and what a stage may get: `params.yaml`, `vars` and the
//! params files of stages, merged.

use std::collections::BTreeMap;

use super::emit;
use restage_core::span::Location;
use restage_pipeline::diagnostic::Diagnostics;
use restage_pipeline::node::{Entry, Node, Value};
use restage_pipeline::template::RESERVED;
use restage_pipeline::yaml;

/// What DVC reads by default.
pub(super) const DEFAULT_FILE: &str = "params.yaml";

/// How a params file reaches a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON is YAML: the command copies it from `RESTAGE_PARAMS_FILE`.
    Given,
    /// As the file itself.
    Whole(String),
    /// It does not exist.
    Missing,
}

/// All parameters.
#[derive(Debug)]
pub(super) struct Params {
    /// What references can name.
    pub(super) values: Node,
    /// The files that were read, by name.
    files: BTreeMap<String, Node>,
    /// Why others were not.
    unread: BTreeMap<String, String>,
    /// In order: what goes under `params:`, with its source and the source's text.
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    from: String,
    node: Node,
    text: Option<String>,
}

/// The value of a dotted path, in which items of lists are numbers; and whether our own paths
/// lead there.
pub(super) fn find<'a>(root: &'a Node, path: &str) -> Option<(&'a Node, bool)> {
    let mut node = root;
    let mut ours = true;
    for segment in path.split('.') {
        node = match &node.value {
            Value::List(items) => {
                ours = false;
                items.get(segment.parse::<usize>().ok()?)?
            }
            _ => node.get(segment)?,
        };
    }
    Some((node, ours))
}

pub(super) fn map(entries: Vec<Entry>) -> Node {
    Node::new(Value::Map(entries), Location::default())
}

impl Params {
    /// Reads the files that exist.
    /// `default` is the name of the one that is read where none is named.
    pub(super) fn read(
        files: &BTreeMap<String, String>,
        default: &str,
    ) -> Result<Self, Diagnostics> {
        let (mut read, mut unread) = (BTreeMap::new(), BTreeMap::new());
        for (name, text) in files {
            match parse(name, text)? {
                Ok(node) => drop(read.insert(name.clone(), node)),
                Err(why) => drop(unread.insert(name.clone(), why)),
            }
        }
        let mut params = Self {
            values: map(Vec::new()),
            files: read,
            unread,
            sections: Vec::new(),
        };
        // There is nothing yet that it could contradict.
        if let Some(node) = params.files.get(default).cloned() {
            let _ = params.add(default, &node, files.get(default));
        }
        Ok(params)
    }

    /// One item of `vars`: a map, a file, or `file:key,key`.
    pub(super) fn add_vars(
        &mut self,
        item: &Node,
        folder: &str,
        texts: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let Value::Text(text) = &item.value else {
            return self.add("vars", item, None);
        };
        let (name, keys) = text.split_once(':').unwrap_or((text, ""));
        let name = super::paths::join(folder, name)?;
        let Some(node) = self.files.get(&name).cloned() else {
            return Err(match self.unread.get(&name) {
                Some(why) => format!("`{name}` was not read: {why}"),
                None => format!("`{name}` is not there"),
            });
        };
        let keys: Vec<&str> = keys.split(',').filter(|key| !key.is_empty()).collect();
        if keys.is_empty() {
            let text = texts.get(&name).filter(|_| is_yaml(&name));
            return self.add(&name, &node, text);
        }
        let chosen = node.entries().iter();
        let chosen = chosen.filter(|entry| keys.contains(&entry.key.as_str()));
        self.add(&name, &map(chosen.cloned().collect()), None)
    }

    /// How a stage that lists a params file gets it.
    pub(super) fn form(&mut self, name: &str, texts: &BTreeMap<String, String>) -> Form {
        let Some(text) = texts.get(name) else {
            return Form::Missing;
        };
        if !is_yaml(name) {
            return Form::Whole("only YAML and JSON can be made of params".to_owned());
        }
        let Some(node) = self.files.get(name).cloned() else {
            return Form::Whole(self.unread.get(name).cloned().unwrap_or_default());
        };
        let unusable = |key: &str| key.contains('.') || RESERVED.contains(&key);
        if node.keys().any(unusable) {
            return Form::Whole("it has a key that no parameter can have".to_owned());
        }
        match self.add(name, &node, Some(text)) {
            Ok(()) => Form::Given,
            Err(_) => Form::Whole(
                "it gives a key that another file gives too, with another value".to_owned(),
            ),
        }
    }

    /// A params file, if it could be read.
    pub(super) fn file(&self, name: &str) -> Option<&Node> {
        self.files.get(name)
    }

    /// The params files that could not be read, and why, for the end of a message.
    pub(super) fn unread(&self) -> String {
        let files = self.unread.iter();
        let files = files.map(|(name, why)| format!("; `{name}` was not read: {why}"));
        files.collect()
    }

    /// The top-level keys of a params file.
    pub(super) fn keys(&self, name: &str) -> Vec<String> {
        let node = self.files.get(name);
        let keys = node.into_iter().flat_map(Node::keys);
        keys.map(ToOwned::to_owned).collect()
    }

    /// What a path in a params file is for us: itself, or what holds it.
    pub(super) fn reachable(&self, name: &str, path: &str) -> Option<String> {
        let root = self.files.get(name)?;
        let (_, ours) = find(root, path)?;
        if ours {
            return Some(path.to_owned());
        }
        let mut parent = path;
        while let Some((shorter, _)) = parent.rsplit_once('.') {
            parent = shorter;
            if let Some((_, true)) = find(root, parent) {
                return Some(parent.to_owned());
            }
        }
        None
    }

    /// Adds values to those that are there; a value is never replaced by another.
    fn add(&mut self, from: &str, node: &Node, text: Option<&String>) -> Result<(), String> {
        if self
            .sections
            .iter()
            .any(|section| section.from == from && section.node == *node)
        {
            return Ok(());
        }
        let mut values = self.values.clone();
        lay(&mut values, node, "")?;
        self.values = values;
        self.sections.push(Section {
            from: from.to_owned(),
            node: node.clone(),
            text: text.cloned(),
        });
        Ok(())
    }

    /// `params:` of the pipeline; empty if there are none.
    pub(super) fn emit(&self) -> String {
        let kept = usable(&self.values);
        if kept.entries().is_empty() {
            return String::new();
        }
        let as_written = self.as_written();
        let written = yaml::parse(&as_written, &mut Vec::new());
        let same = written
            .is_some_and(|root| root.get("params").map(Node::to_json) == Some(kept.to_json()));
        match same {
            true => as_written,
            false => format!("# {}.\n{}", self.origin(), emit::entry("params", &kept, 0)),
        }
    }

    /// Where the values came from, and that they are edited here from now on.
    fn origin(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for section in &self.sections {
            let name = match section.from.as_str() {
                "vars" => "`vars`".to_owned(),
                file => format!("`{file}`"),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        format!("Copied from {}: edit the values here", names.join(", "))
    }

    /// With the comments and the order of the files.
    fn as_written(&self) -> String {
        let mut shown = format!("# {}.\nparams:\n", self.origin());
        for section in &self.sections {
            if self.sections.len() > 1 {
                shown += &format!("  # {}\n", section.from);
            }
            match &section.text {
                Some(text) => {
                    let lines = text.trim_end().lines().filter(|line| *line != "---");
                    for line in lines {
                        let indent = if line.trim().is_empty() { "" } else { "  " };
                        shown += &format!("{indent}{line}\n");
                    }
                }
                None => {
                    for Entry { key, value, .. } in usable(&section.node).entries() {
                        shown += &emit::entry(key, value, 2);
                    }
                }
            }
        }
        shown
    }

    /// Whether values of this file are under `params:`.
    pub(super) fn was_copied(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section.from == name)
    }

    /// Top-level names that mean something else here.
    pub(super) fn reserved(&self) -> Vec<&str> {
        let keys = self.values.keys();
        keys.filter(|key| RESERVED.contains(key)).collect()
    }
}

/// Without the names that mean something else here.
fn usable(node: &Node) -> Node {
    let entries = node.entries().iter();
    let entries = entries.filter(|entry| !RESERVED.contains(&entry.key.as_str()));
    map(entries.cloned().collect())
}

fn is_yaml(name: &str) -> bool {
    [".yaml", ".yml", ".json"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

/// The map in a params file, or why there is none: it is not a map, has a value that no parameter can
/// have, or is in a format that we don't read.
fn parse(name: &str, text: &str) -> Result<Result<Node, String>, Diagnostics> {
    let read = if is_yaml(name) {
        let mut report = Vec::new();
        let node = yaml::parse(text, &mut report);
        match (node, report.first()) {
            (Some(node), None) => Ok(node),
            // Such as `.inf` or a tag, which scripts may read: they get the file itself.
            (Some(_), Some(wrong)) => {
                let line = wrong.location.line;
                Err(format!("{} ({name}:{line})", wrong.message))
            }
            (None, _) => return Err(Diagnostics::new(name, text, report)),
        }
    } else if name.ends_with(".toml") {
        toml::from_str::<serde_json::Value>(text)
            .map(|value| from_json(&value))
            .map_err(|error| error.message().to_owned())
    } else {
        Err("it is not YAML, JSON or TOML".to_owned())
    };
    Ok(read.and_then(|node| match node.value {
        Value::Map(_) => Ok(node),
        Value::Null => Ok(map(Vec::new())),
        _ => Err("it holds no map".to_owned()),
    }))
}

fn from_json(value: &serde_json::Value) -> Node {
    use serde_json::Value as Json;
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Number(number.clone()),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect()),
        Json::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| entry(key, from_json(value)))
                .collect(),
        ),
    };
    Node::new(value, Location::default())
}

pub(super) fn entry(key: &str, value: Node) -> Entry {
    Entry {
        key: key.to_owned(),
        key_location: Location::default(),
        value,
    }
}

fn lay(below: &mut Node, above: &Node, path: &str) -> Result<(), String> {
    let (Value::Map(into), Value::Map(from)) = (&mut below.value, &above.value) else {
        return match below.to_json() == above.to_json() {
            true => Ok(()),
            false => Err(format!("`{path}` has another value already")),
        };
    };
    for entry in from {
        let path = match path {
            "" => entry.key.clone(),
            path => format!("{path}.{}", entry.key),
        };
        match into.iter_mut().find(|found| found.key == entry.key) {
            Some(found) => lay(&mut found.value, &entry.value, &path)?,
            None => into.push(entry.clone()),
        }
    }
    Ok(())
}
