//! `dvc.lock`: what DVC last made, for stages that would still do the same. Whether the files are
//! still those, the caller looks up: no file is read here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::paths;
use super::shape::items;
use restage_core::span::Location;
use restage_pipeline::diagnostic::{Diagnostic, Diagnostics};
use restage_pipeline::node::{Node, Value};
use restage_pipeline::yaml;

/// A stage instance, and what DVC would look at to tell whether it is up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The dvc.yaml that it is from, as it was named.
    pub dvc_file: String,
    /// Its name in `pipeline.yaml`: `train@a`.
    pub stage: String,
    /// Its name in `dvc.lock`.
    pub(super) in_lock: String,
    /// An error says why DVC's results can't be told to be its.
    pub(super) now: Result<Given, String>,
}

/// Parameters by file and key.
type ByFile = BTreeMap<String, BTreeMap<String, Json>>;

/// What a stage is made of, besides the bytes of its files. Paths start at the pipeline's folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Given {
    pub(super) folder: String,
    pub(super) cmd: Json,
    pub(super) deps: BTreeSet<String>,
    pub(super) outs: BTreeSet<String>,
    pub(super) params: ByFile,
}

/// A file or folder that `dvc.lock` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// From the pipeline's folder.
    pub path: String,
    /// MD5 in hexadecimal: of the file, or of the folder's listing, which ends in `.dir`.
    pub md5: String,
    /// Whether the stage writes it.
    pub is_out: bool,
}

/// A `dvc.lock` that can be read.
#[derive(Debug)]
pub struct DvcLock(Node);

impl DvcLock {
    /// Reads a `dvc.lock`, whose text is given, and its name for messages.
    ///
    /// # Errors
    /// It is not YAML, or has no stages.
    pub fn read(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut report = Vec::new();
        let root = yaml::parse(text, &mut report);
        let stages = root.as_ref().and_then(|root| root.get("stages"));
        if report.is_empty() && stages.is_none_or(|stages| !is_map(stages)) {
            let message = "the file is not a `dvc.lock` of DVC 2 or 3";
            let label = "expected a map with `stages`";
            let at = Location::in_text(text, 0, 0);
            report.push(Diagnostic::new(at, message, label));
        }
        match root {
            Some(root) if report.is_empty() => Ok(Self(root)),
            _ => Err(Diagnostics::new(file_name, text, report)),
        }
    }

    /// What DVC read and wrote when it last ran the stage, if it would do the same now and the files
    /// are still these.
    ///
    /// # Errors
    /// Why the stage would run, or may.
    pub fn files(&self, instance: &Instance) -> Result<Vec<Locked>, String> {
        let stages = self.0.get("stages");
        let Some(entry) = stages.and_then(|stages| stages.get(&instance.in_lock)) else {
            return Err("dvc.lock has no entry for it".to_owned());
        };
        let now = instance.now.as_ref().map_err(Clone::clone)?;
        if entry.get("cmd").map(Node::to_json).as_ref() != Some(&now.cmd) {
            return Err("its `cmd` is another one in dvc.lock".to_owned());
        }
        let mut files = Vec::new();
        for (field, declared) in [("deps", &now.deps), ("outs", &now.outs)] {
            let before = files.len();
            for item in items(entry, field) {
                files.push(locked(item, &now.folder, field == "outs")?);
            }
            let paths = files[before..].iter().map(|file| file.path.clone());
            if paths.collect::<BTreeSet<_>>() != *declared {
                return Err(format!("its `{field}` are others in dvc.lock"));
            }
        }
        if now.outs.is_empty() {
            return Err("it has no outs in dvc.yaml".to_owned());
        }
        let then = params(entry, &now.folder)?;
        match first_difference(&then, &now.params) {
            Some(name) => Err(format!("its parameter {name} is another one in dvc.lock")),
            None => Ok(files),
        }
    }
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}

/// An item of `deps` or `outs`.
fn locked(item: &Node, folder: &str, is_out: bool) -> Result<Locked, String> {
    let text = |name: &str| item.get(name).and_then(Node::scalar_text);
    let path = text("path").unwrap_or_default();
    let md5 = text("md5").ok_or_else(|| format!("dvc.lock has no MD5 of `{path}`"))?;
    let path = paths::join(folder, &path)?;
    Ok(Locked { path, md5, is_out })
}

/// The parameters of an entry.
fn params(entry: &Node, folder: &str) -> Result<ByFile, String> {
    let mut found = ByFile::new();
    let files = entry.get("params").into_iter().flat_map(Node::entries);
    for file in files {
        let keys = file.value.entries().iter();
        let keys = keys.map(|key| (key.key.clone(), key.value.to_json()));
        found.insert(paths::join(folder, &file.key)?, keys.collect());
    }
    Ok(found)
}

/// The first parameter that only one side has, or that has another value there.
fn first_difference(then: &ByFile, now: &ByFile) -> Option<String> {
    for file in then.keys().chain(now.keys()) {
        let (then, now) = (then.get(file), now.get(file));
        if then == now {
            continue;
        }
        let keys = [then, now].into_iter().flatten().flat_map(BTreeMap::keys);
        let value = |side: Option<&BTreeMap<String, Json>>, key: &str| side?.get(key).cloned();
        let other = keys
            .into_iter()
            .find(|key| value(then, key) != value(now, key));
        return Some(match other {
            Some(key) => format!("`{key}` of `{file}`"),
            None => format!("file `{file}`"),
        });
    }
    None
}
