//! Where parameters are: which files and `vars` can be `params` of the pipeline, and what `${..}` in a
//! `dvc.yaml` or a stage can name. These differ, for `vars` are their file's or stage's own.

use std::collections::{BTreeMap, BTreeSet};

use super::emit;
use super::paths;
use restage_core::span::Location;
use restage_pipeline::node::{Entry, Node, Value};
use restage_pipeline::template::RESERVED;
use restage_pipeline::{is_toml, is_yaml, params_in};
use restage_scripts::Files;

/// What DVC reads by default.
pub(super) const DEFAULT_FILE: &str = "params.yaml";

/// The key under our `params` that names files.
const FROM: &str = "from";

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

/// The pipeline's parameters.
pub(super) struct Params<'a> {
    files: &'a dyn Files,
    /// What was read, or why it could not be; `None`: not there.
    read: BTreeMap<String, Option<Result<Node, String>>>,
    /// All values.
    pub(super) values: Node,
    /// The files that they come from, in order.
    pub(super) from: Vec<String>,
    /// Those of `vars`.
    own: Node,
}

/// What references can name.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) values: Node,
    /// The files that are the source of values which are not the pipeline's parameters.
    pub(super) local_files: BTreeSet<String>,
    /// Files that could not be read, and why.
    pub(super) unread: BTreeMap<String, String>,
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

/// The one value whose path matches a pattern, in which `*` stands for any part of a key, and its path.
pub(super) fn find_glob<'a>(root: &'a Node, path: &str) -> Option<(&'a Node, String)> {
    if !path.contains('*') {
        return find(root, path).map(|(node, _)| (node, path.to_owned()));
    }
    let mut found = vec![(root, String::new())];
    for segment in path.split('.') {
        let mut next = Vec::new();
        for (node, path) in found {
            let join = |key: &str| match path.as_str() {
                "" => key.to_owned(),
                path => format!("{path}.{key}"),
            };
            match &node.value {
                Value::List(items) => {
                    let numbers = items.iter().enumerate();
                    let numbers = numbers.map(|(n, item)| (n.to_string(), item));
                    let fits = numbers.filter(|(n, _)| matches(segment, n));
                    next.extend(fits.map(|(n, item)| (item, join(&n))));
                }
                _ => {
                    let entries = node.entries().iter();
                    let fits = entries.filter(|entry| matches(segment, &entry.key));
                    next.extend(fits.map(|entry| (&entry.value, join(&entry.key))));
                }
            }
        }
        found = next;
    }
    match found.len() {
        1 => found.pop(),
        _ => None,
    }
}

/// Whether a key matches a pattern whose `*` stands for any text.
fn matches(pattern: &str, key: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == key;
    };
    let Some(key) = key.strip_prefix(first) else {
        return false;
    };
    let mut ends = (0..=key.len()).filter(|at| key.is_char_boundary(*at));
    ends.any(|at| matches(rest, &key[at..]))
}

pub(super) fn map(entries: Vec<Entry>) -> Node {
    Node::new(Value::Map(entries), Location::default())
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            values: map(Vec::new()),
            local_files: BTreeSet::new(),
            unread: BTreeMap::new(),
        }
    }
}

impl Scope {
    /// The params files that could not be read, and why, for the end of a message.
    pub(super) fn unread(&self) -> String {
        let files = self.unread.iter();
        let files = files.map(|(name, why)| format!("; `{name}` was not read: {why}"));
        files.collect()
    }

    fn add(&mut self, node: &Node) -> Result<(), String> {
        let mut values = self.values.clone();
        lay(&mut values, node, "")?;
        self.values = values;
        Ok(())
    }
}

impl<'a> Params<'a> {
    pub(super) fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            read: BTreeMap::new(),
            values: map(Vec::new()),
            from: Vec::new(),
            own: map(Vec::new()),
        }
    }

    /// The map in a params file, or why there is none.
    pub(super) fn file(&mut self, name: &str) -> Option<Result<Node, String>> {
        if !self.read.contains_key(name) {
            let there = self
                .files
                .is_file(name)
                .then(|| match self.files.text(name) {
                    Some(text) => parse(name, &text),
                    None => Err("it is not UTF-8 text".to_owned()),
                });
            self.read.insert(name.to_owned(), there);
        }
        self.read.get(name).cloned().flatten()
    }

    /// What was read of a file so far.
    pub(super) fn known(&self, name: &str) -> Option<&Node> {
        self.read.get(name)?.as_ref()?.as_ref().ok()
    }

    /// `params.yaml` of a dvc.yaml, if it is there.
    pub(super) fn add_default(&mut self, name: &str, scope: &mut Scope) {
        match self.file(name) {
            Some(Ok(node)) => drop(self.add_file(name, &node, scope)),
            Some(Err(why)) => drop(scope.unread.insert(name.to_owned(), why)),
            None => {}
        }
    }

    /// One item of `vars`: a map, a file, or `file:key,key`.
    pub(super) fn add_vars(
        &mut self,
        item: &Node,
        folder: &str,
        scope: &mut Scope,
    ) -> Result<(), String> {
        let Value::Text(text) = &item.value else {
            scope.add(item)?;
            let mut values = self.values.clone();
            // Where another one has its place it is the scope's alone, and written out. So is `from`, which
            // names files here.
            let entries = item.entries().iter().filter(|entry| entry.key != FROM);
            let item = map(entries.cloned().collect());
            if lay(&mut values, &item, "").is_ok() {
                self.values = values;
                // What a file gives already is not written again.
                let new = without(&item, &self.given_by_files());
                lay(&mut self.own, &new, "")?;
            }
            return Ok(());
        };
        let (name, keys) = text.split_once(':').unwrap_or((text, ""));
        let name = paths::join(folder, name)?;
        let node = match self.file(&name) {
            Some(Ok(node)) => node,
            Some(Err(why)) => return Err(format!("`{name}` was not read: {why}")),
            None => return Err(format!("`{name}` is not there")),
        };
        let keys: Vec<&str> = keys.split(',').filter(|key| !key.is_empty()).collect();
        if keys.is_empty() {
            return self.add_file(&name, &node, scope);
        }
        let chosen = node.entries().iter();
        let chosen = chosen.filter(|entry| keys.contains(&entry.key.as_str()));
        scope.add(&map(chosen.cloned().collect()))?;
        self.take_file(&name, &node, scope);
        Ok(())
    }

    fn add_file(&mut self, name: &str, node: &Node, scope: &mut Scope) -> Result<(), String> {
        scope.add(node)?;
        self.take_file(name, node, scope);
        Ok(())
    }

    /// Makes a file one that parameters come from, if nothing stands against it.
    fn take_file(&mut self, name: &str, node: &Node, scope: &mut Scope) {
        if !self.take(name, node) {
            scope.local_files.insert(name.to_owned());
        }
    }

    fn take(&mut self, name: &str, node: &Node) -> bool {
        if self.from.iter().any(|from| from == name) {
            return true;
        }
        let mut values = self.values.clone();
        let fits = lay(&mut values, &usable(node), "").is_ok();
        if fits {
            self.values = values;
            self.from.push(name.to_owned());
            self.own = without(&self.own, node);
        }
        fits
    }

    /// What the files give.
    fn given_by_files(&self) -> Node {
        let mut all = map(Vec::new());
        for node in self.from.iter().filter_map(|name| self.known(name)) {
            // They were laid over each other before.
            let _ = lay(&mut all, node, "");
        }
        all
    }

    /// How a stage that lists a params file gets it.
    pub(super) fn form(&mut self, name: &str) -> Form {
        let node = match self.file(name) {
            None => return Form::Missing,
            Some(_) if !is_yaml(name) => {
                return Form::Whole("only YAML and JSON can be made of params".to_owned());
            }
            Some(Err(why)) => return Form::Whole(why),
            Some(Ok(node)) => node,
        };
        let unusable = |key: &str| key.contains('.') || RESERVED.contains(&key);
        if node.keys().any(unusable) {
            return Form::Whole("it has a key that no parameter can have".to_owned());
        }
        match self.take(name, &node) {
            true => Form::Given,
            false => Form::Whole(
                "it gives a key that another file gives too, with another value".to_owned(),
            ),
        }
    }

    /// The top-level keys of a params file.
    pub(super) fn keys(&self, name: &str) -> Vec<String> {
        let keys = self.known(name).into_iter().flat_map(Node::keys);
        keys.map(ToOwned::to_owned).collect()
    }

    /// What a path in a params file is for us: itself, or what holds it.
    pub(super) fn reachable(&self, name: &str, path: &str) -> Option<String> {
        let root = self.known(name)?;
        let (_, path) = find_glob(root, path)?;
        let (_, ours) = find(root, &path)?;
        if ours {
            return Some(path);
        }
        let mut parent = path.as_str();
        while let Some((shorter, _)) = parent.rsplit_once('.') {
            parent = shorter;
            if let Some((_, true)) = find(root, parent) {
                return Some(parent.to_owned());
            }
        }
        None
    }

    /// `params:` of the pipeline; empty if there are none.
    pub(super) fn emit(&self) -> String {
        let own = usable(&self.own);
        if self.from.is_empty() && own.entries().is_empty() {
            return String::new();
        }
        let mut text = "params:\n".to_owned();
        if !self.from.is_empty() {
            text += "  # Edit the values there: what declares them runs again.\n";
            text += &super::list_line(FROM, &self.from, 2);
        }
        for Entry { key, value, .. } in own.entries() {
            text += &emit::entry(key, value, 2);
        }
        text
    }

    /// Top-level names that mean something else here.
    pub(super) fn reserved(&self) -> Vec<String> {
        let from = self.given_by_files();
        let keys = from.keys().chain(self.own.keys());
        let keys: BTreeSet<&str> = keys.filter(|key| RESERVED.contains(key)).collect();
        keys.into_iter().map(ToOwned::to_owned).collect()
    }
}

/// Without the names that mean something else here.
fn usable(node: &Node) -> Node {
    let entries = node.entries().iter();
    let entries = entries.filter(|entry| !RESERVED.contains(&entry.key.as_str()));
    map(entries.cloned().collect())
}

/// What `below` does not have.
fn without(node: &Node, below: &Node) -> Node {
    let mut rest = Vec::new();
    for found in node.entries() {
        let value = match below.get(&found.key) {
            None => found.value.clone(),
            Some(known) if matches!(found.value.value, Value::Map(_)) => {
                let value = without(&found.value, known);
                if value.entries().is_empty() {
                    continue;
                }
                value
            }
            Some(_) => continue,
        };
        rest.push(entry(&found.key, value));
    }
    map(rest)
}

/// The map in a params file, or why there is none: it is not a map, has a value that no parameter can
/// have, or is in a format that we don't read.
fn parse(name: &str, text: &str) -> Result<Node, String> {
    if !is_yaml(name) && !is_toml(name) {
        return Err("it is not YAML, JSON or TOML".to_owned());
    }
    let mut report = Vec::new();
    let node = params_in(name, text, &mut report);
    match (node, report.first()) {
        (_, Some(wrong)) => {
            let line = wrong.location.line;
            Err(format!("{} ({name}:{line})", wrong.message))
        }
        (Some(node), None) => Ok(node),
        (None, None) => Err("it holds no map".to_owned()),
    }
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
