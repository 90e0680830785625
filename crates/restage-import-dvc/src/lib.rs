//! A `dvc.yaml` as a pipeline of ours: the subset that maps, and a list of what does not; and what
//! `dvc.lock` says of its stages. It reads no file: params files are passed as text.
//!
//! A stage of DVC runs among all files of the repository, and its scripts read `params.yaml`
//! themselves. Ours run in a folder that holds only what they declare. So values move into `params:`, and a
//! stage's command begins by writing those that it declares, and no others, to its own
//! `params.yaml`: the script finds what it looks for, and only an edit of these values reruns it.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod command;
mod emit;
mod given;
mod hash;
mod instances;
mod lock;
mod params;
mod paths;
mod shape;
mod stage;
mod template;
mod variants;

use std::collections::{BTreeMap, BTreeSet};

pub use self::hash::{file_md5, folder_md5};
pub use self::lock::{DvcLock, Instance, Locked};
use self::params::{DEFAULT_FILE, Params};
use self::shape::{described, items};
use self::stage::{Converted, Reader};
use restage_core::digest::Digest;
use restage_core::span::Location;
use restage_pipeline::diagnostic::{Diagnostic, Diagnostics};
pub use restage_pipeline::node::{Node, Value, is_name};
use restage_pipeline::{scalar, yaml};

/// A list in brackets is at most this wide, with everything before it.
const WIDTH: usize = 92;

/// A `dvc.yaml` that can be read.
#[derive(Debug)]
pub struct DvcFile {
    file_name: String,
    /// Its folder, from the pipeline's; `""` if they are the same.
    folder: String,
    text: String,
    root: Node,
}

/// What became of a `dvc.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// `pipeline.yaml`.
    pub text: String,
    /// The stages in it.
    pub stages: Vec<String>,
    /// Their instances, for [`DvcLock::files`].
    pub instances: Vec<Instance>,
    /// What has no equivalent in it, in the file's order.
    pub unmapped: Vec<Unmapped>,
    /// What has another form in it.
    pub changes: Vec<Change>,
    /// Files whose values were copied.
    pub copied: Vec<String>,
    /// Stages that were left out.
    pub left_out: usize,
    /// Whether a path leads out of the pipeline's folder: a folder above it may be the right one.
    pub leads_outside: bool,
}

/// Something in `dvc.yaml` that has no equivalent in `pipeline.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmapped {
    /// Of `dvc.yaml`.
    pub line: usize,
    /// Its stage, if it belongs to one.
    pub stage: Option<String>,
    /// What it is.
    pub field: String,
    /// Why, or what to do instead.
    pub advice: String,
}

/// Something that is in `pipeline.yaml` in another form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of the stage in `dvc.yaml`.
    pub line: usize,
    /// The stage.
    pub stage: String,
    /// What changed.
    pub text: String,
}

/// Collected on the way.
#[derive(Debug, Default)]
struct Notes {
    unmapped: Vec<Unmapped>,
    changes: Vec<Change>,
    leads_outside: bool,
}

impl DvcFile {
    /// Reads a `dvc.yaml`. The file is not opened: its text is given, and its name for messages.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn read(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut report = Vec::new();
        let root = yaml::parse(text, &mut report);
        if let Some(root) = &root {
            shape::stages(root, &mut report);
        }
        match root {
            Some(root) if report.is_empty() => Ok(Self {
                file_name: file_name.to_owned(),
                folder: String::new(),
                text: text.to_owned(),
                root,
            }),
            _ => Err(Diagnostics::new(file_name, text, report)),
        }
    }

    /// The same file, for a pipeline in a folder above it: `folder` leads from there to its own.
    #[must_use]
    pub fn in_folder(self, folder: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            ..self
        }
    }

    fn default_params(&self) -> String {
        paths::join(&self.folder, DEFAULT_FILE).unwrap_or_default()
    }

    /// The params files that it names, from the pipeline's folder; some may not exist.
    pub fn params_files(&self) -> Vec<String> {
        let mut names = BTreeSet::from([self.default_params()]);
        let mut add = |folder: &str, name: &str| {
            names.extend(paths::join(folder, name).ok());
        };
        let vars = |node: &Node, add: &mut dyn FnMut(&str)| {
            for item in items(node, "vars") {
                if let Value::Text(text) = &item.value {
                    add(text.split(':').next().unwrap_or_default());
                }
            }
        };
        vars(&self.root, &mut |name| add(&self.folder, name));
        for stage in shape::stages(&self.root, &mut Vec::new()) {
            let folder = stage.body.get("wdir").and_then(Node::scalar_text);
            let folder = paths::join(&self.folder, &folder.unwrap_or_default()).unwrap_or_default();
            vars(stage.body, &mut |name| add(&folder, name));
            add(&folder, DEFAULT_FILE);
            for item in items(stage.body, "params") {
                item.keys().for_each(|name| add(&folder, name));
            }
        }
        names.into_iter().filter(|name| !name.is_empty()).collect()
    }

    /// The pipeline, called `name`. `texts`: the params files that exist; `is_file` says whether a path
    /// from the pipeline's folder is a file's.
    ///
    /// # Errors
    /// A params file is not YAML, or no stage is left.
    pub fn import(
        &self,
        name: &str,
        texts: &BTreeMap<String, String>,
        is_file: &dyn Fn(&str) -> bool,
    ) -> Result<Imported, Diagnostics> {
        let mut params = Params::read(texts, &self.default_params())?;
        let mut notes = Notes::default();
        self.top_level(&mut params, texts, &mut notes);
        let found = shape::stages(&self.root, &mut Vec::new());
        let written: BTreeSet<String> = found
            .iter()
            .flat_map(|stage| {
                let folder = stage.body.get("wdir").and_then(Node::scalar_text);
                let folder = paths::join(&self.folder, &folder.unwrap_or_default());
                let folder = folder.unwrap_or_default();
                let outs = ["outs", "metrics", "plots"].map(|field| items(stage.body, field));
                let outs = outs.into_iter().flatten().flat_map(described);
                outs.map(move |(path, _)| paths::join(&folder, &path).unwrap_or(path))
            })
            .collect();
        let all = found.len();
        let mut stages: Vec<Converted> = Vec::new();
        for stage in found {
            let name = stage_name(&stage.entry.key, &stages);
            let mut changes = Vec::new();
            if name != stage.entry.key {
                changes.push(format!("called `{}` in dvc.yaml", stage.entry.key));
            }
            let reader = Reader {
                stage,
                name: &name,
                params: &mut params,
                texts,
                written: &written,
                notes: &mut notes,
                changes,
                base: &self.folder,
                folder: String::new(),
                is_file,
            };
            stages.extend(reader.read());
        }
        if stages.is_empty() {
            return Err(self.nothing_left(&notes));
        }
        notes.unmapped.sort();
        let copied = texts.keys().filter(|file| params.was_copied(file));
        Ok(Imported {
            copied: copied.cloned().collect(),
            left_out: all - stages.len(),
            leads_outside: notes.leads_outside,
            text: self.pipeline(name, &params, &stages, texts),
            instances: stages
                .iter()
                .flat_map(|stage| stage.instances.clone())
                .collect(),
            stages: stages.into_iter().map(|stage| stage.name).collect(),
            unmapped: notes.unmapped,
            changes: notes.changes,
        })
    }

    /// `vars` and what belongs to no stage.
    fn top_level(&self, params: &mut Params, texts: &BTreeMap<String, String>, notes: &mut Notes) {
        let mut note = |at: Location, field: &str, advice: String| {
            notes.unmapped.push(Unmapped {
                line: at.line,
                stage: None,
                field: field.to_owned(),
                advice,
            });
        };
        for item in items(&self.root, "vars") {
            if let Err(reason) = params.add_vars(item, &self.folder, texts) {
                note(item.location, "vars", reason);
            }
        }
        for entry in self.root.entries() {
            let advice = match entry.key.as_str() {
                "stages" | "vars" => continue,
                "metrics" | "plots" => {
                    "the files are outs of their stages; `compare` says how tables must match, and \
                     a stage can draw them"
                }
                "params" => "stages list the params that they are given",
                "artifacts" => "there is no registry; an out is found by its path",
                "datasets" => "add a stage that fetches them",
                _ => "the pipeline has no such field",
            };
            note(entry.key_location, &entry.key, advice.to_owned());
        }
        for key in params.reserved() {
            let advice = format!(
                "`{key}` means something else in templates; stages that read it get the whole file"
            );
            notes.unmapped.push(Unmapped {
                line: 1,
                stage: None,
                field: format!("params: {key}"),
                advice,
            });
        }
    }

    fn nothing_left(&self, notes: &Notes) -> Diagnostics {
        let items = notes.unmapped.iter().map(|item| {
            let start = self.text.split_inclusive('\n').take(item.line - 1);
            let offset = start.map(str::len).sum();
            let line = self.text[offset..].lines().next().unwrap_or_default();
            let indent = line.len() - line.trim_start().len();
            let at = Location::in_text(&self.text, offset + indent, line.trim().len());
            let stage = item.stage.as_deref().unwrap_or_default();
            Diagnostic::new(
                at,
                format!("no stage can be imported; `{}` of `{stage}`", item.field),
                item.advice.clone(),
            )
        });
        Diagnostics::new(&self.file_name, &self.text, items.collect())
    }

    fn pipeline(
        &self,
        name: &str,
        params: &Params,
        stages: &[Converted],
        texts: &BTreeMap<String, String>,
    ) -> String {
        let file = self.file_name.rsplit('/').next().unwrap_or_default();
        let mut text =
            format!("# Imported from {file} by `restage init --from {file}`.\nschema: 1\n");
        text += &format!("name: {}\n", scalar::written(name, false));
        let values = params.emit();
        if !values.is_empty() {
            text += &format!("\n{values}");
        }
        let mut copied = texts
            .iter()
            .filter(|(file, _)| params.was_copied(file))
            .peekable();
        if copied.peek().is_some() {
            text +=
                "# An edit of these files has no effect: restage warns of one.\ncopied_params:\n";
        }
        for (file, content) in copied {
            let digest = Digest::of(content.as_bytes());
            text += &format!("  {}: \"{digest}\"\n", scalar::written(file, true));
        }
        text += "\nstages:\n";
        if stages.iter().any(|stage| stage.makes_params) {
            text += "  # `RESTAGE_PARAMS_FILE` has the params that a stage declares; where its script reads a\n  \
                     # params file, `cmd` makes one of them.\n";
        }
        let blocks: Vec<String> = stages.iter().map(block).collect();
        text + &blocks.join("\n")
    }
}

/// A stage in our file.
fn block(stage: &Converted) -> String {
    let mut text = String::new();
    for change in &stage.changes {
        text += &format!("  # {}\n", change.replace('\n', " "));
    }
    text += &format!("  {}:\n", scalar::written(&stage.name, true));
    if let Some(desc) = &stage.desc {
        text += &format!("    desc: {}\n", emit::block_text(desc, 6));
    }
    if let Some(over) = &stage.over {
        text += &emit::entry(over.field, &over.data, 4);
    }
    text += &format!("    cmd: {}\n", emit::block_text(&stage.cmd, 6));
    for (field, items) in [
        ("deps", &stage.deps),
        ("params", &stage.params),
        ("outs", &stage.outs),
    ] {
        let items: Vec<String> = items
            .iter()
            .map(|item| scalar::written(item, true))
            .collect();
        let line = format!("    {field}: [{}]\n", items.join(", "));
        text += &match (items.len(), line.len() <= WIDTH) {
            (0, _) => continue,
            (_, true) => line,
            (_, false) => format!("    {field}:\n      - {}\n", items.join("\n      - ")),
        };
    }
    text
}

/// The stage's name, with characters replaced that names cannot have; no two stages get the same.
fn stage_name(name: &str, others: &[Converted]) -> String {
    let fits = |name: &str| is_name(name) && !name.starts_with(['.', '-']);
    let mut ours: String = name
        .chars()
        .map(|c| if is_name(&c.to_string()) { c } else { '-' })
        .collect();
    if !fits(&ours) {
        ours.insert(0, '_');
    }
    while others.iter().any(|other| other.name == ours) {
        ours.push('_');
    }
    ours
}
