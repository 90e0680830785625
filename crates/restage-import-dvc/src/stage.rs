//! One stage of a `dvc.yaml`, field by field: what it becomes, and what does not map.

use std::collections::BTreeSet;

use super::command::{self, Parts};
use super::imported::{Change, Notes, Unmapped};
use super::lock::Instance;
use super::params::{Params, Scope};
use super::paths;
use super::shape::{DvcStage, described, items};
use super::template::{Context, Said, Use, references};
use super::variants::{self, Variants};
use restage_core::span::Location;
use restage_pipeline::node::{Node, Value};
use restage_pipeline::shell::{self, Place};
use restage_pipeline::yaml;
use restage_scripts::Files;

/// A stage as it goes into our file.
pub(super) struct Converted {
    pub(super) name: String,
    pub(super) changes: Vec<String>,
    pub(super) desc: Option<String>,
    pub(super) over: Option<Variants>,
    pub(super) cmd: String,
    pub(super) deps: Vec<String>,
    pub(super) params: Vec<String>,
    pub(super) outs: Vec<String>,
    pub(super) tools: Vec<String>,
    /// Whether its command writes a params file.
    pub(super) makes_params: bool,
    pub(super) instances: Vec<Instance>,
    /// References that are written out, by their paths, where what they name is from.
    pub(super) written_out: BTreeSet<String>,
    pub(super) scope: Scope,
}

/// Why a stage cannot be imported at all.
pub(super) struct Refusal {
    at: Location,
    field: &'static str,
    reason: String,
}

pub(super) struct Reader<'a, 'f> {
    pub(super) stage: DvcStage<'a>,
    /// Its name in our file.
    pub(super) name: &'a str,
    /// Of its dvc.yaml.
    pub(super) file_name: &'a str,
    pub(super) params: &'a mut Params<'f>,
    /// What its dvc.yaml can name.
    pub(super) scope: Scope,
    /// What the stages write.
    pub(super) written: &'a BTreeSet<String>,
    pub(super) notes: &'a mut Notes,
    pub(super) said: Said,
    /// The folder of `dvc.yaml`, from the pipeline's.
    pub(super) base: &'a str,
    /// The stage's own, likewise.
    pub(super) folder: String,
    pub(super) files: &'f dyn Files,
    pub(super) tools: Vec<String>,
}

impl Reader<'_, '_> {
    /// The stage; `None` if it cannot be imported, which is noted.
    pub(super) fn read(mut self) -> Option<Converted> {
        match self.convert() {
            Ok(converted) => {
                for text in &converted.changes {
                    self.notes.changes.push(Change {
                        file: self.file_name.to_owned(),
                        line: self.stage.entry.key_location.line,
                        stage: self.name.to_owned(),
                        text: text.clone(),
                    });
                }
                Some(converted)
            }
            Err(Refusal { at, field, reason }) => {
                let advice = format!("the stage is left out: {reason}; write it by hand");
                self.note(at, field.to_owned(), advice, true);
                None
            }
        }
    }

    /// Something that has no equivalent.
    pub(super) fn unmapped(
        &mut self,
        at: Location,
        field: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.note(at, field.into(), advice.into(), false);
    }

    /// Something without which the stage does not do what it did.
    pub(super) fn broken(
        &mut self,
        at: Location,
        field: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.note(at, field.into(), advice.into(), true);
    }

    fn note(&mut self, at: Location, field: String, advice: String, breaks: bool) {
        self.notes.unmapped.push(Unmapped {
            file: self.file_name.to_owned(),
            line: at.line,
            stage: Some(self.stage.entry.key.clone()),
            field,
            advice,
            breaks,
        });
    }

    fn convert(&mut self) -> Result<Converted, Refusal> {
        let DvcStage { body, .. } = self.stage;
        let folder = body.get("wdir").and_then(Node::scalar_text);
        let folder = paths::join(self.base, &folder.unwrap_or_default()).unwrap_or_default();
        for item in items(body, "vars") {
            let added = self.params.add_vars(item, &folder, &mut self.scope);
            added.map_err(|reason| refusal(item.location, "vars", reason))?;
        }
        let (values, unread) = (self.scope.values.clone(), self.scope.unread());
        let ours = self.params.values.clone();
        let outside = Context {
            values: &values,
            ours: &ours,
            unread: &unread,
            variants: None,
        };
        let over = self.over(&outside)?;
        let context = Context {
            variants: over.as_ref().map(|over| over.all.as_slice()),
            ..outside
        };
        self.folder = self.wdir(&context)?;
        let deps = self.deps(&context)?;
        let mut outs = self.outs(&context)?;
        let mut given = self.given(&context, deps)?;
        let stamp = outs.is_empty().then(|| self.stamp(over.is_some()));
        outs.extend(stamp.clone());
        let commands = self.commands(&context)?;
        self.pulled_in(&commands, &context, &outs, &mut given);
        let inside = |path: &String| paths::is_within(path, &self.folder) && *path != self.folder;
        let cmd = command::join(&Parts {
            folder: &self.folder,
            make_folder: !given.deps.iter().chain(&outs).any(inside)
                && !given.deps.contains(&self.folder),
            params_files: &given.files,
            variables: &self.variables(&commands),
            commands,
            stamp: stamp.as_deref(),
        });
        let texts = [&given.deps, &outs, &given.params];
        let uses_key = cmd.contains("${key}")
            || texts
                .into_iter()
                .flatten()
                .any(|text| text.contains("${key}"));
        let renamed = over.as_ref().is_some_and(|over| over.renamed);
        if renamed && uses_key && stamp.is_none() {
            let at = self.stage.entry.key_location;
            let reason = "`${key}` has characters that a stage's name cannot have";
            return Err(refusal(at, "foreach", reason));
        }
        let desc = match body.get("desc").and_then(Node::scalar_text) {
            Some(text) => context.translate(&text, Use::Text, &mut self.said).ok(),
            None => None,
        };
        self.rest();
        let said = std::mem::take(&mut self.said);
        let mut changes = Vec::new();
        for change in said.changes {
            if !changes.contains(&change) {
                changes.push(change);
            }
        }
        let instances = self.instances(&values, over.as_ref());
        Ok(Converted {
            instances,
            name: self.name.to_owned(),
            changes,
            desc,
            over,
            cmd,
            deps: given.deps,
            params: given.params,
            outs,
            tools: std::mem::take(&mut self.tools),
            makes_params: !given.files.is_empty(),
            written_out: said.written_out,
            scope: self.scope.clone(),
        })
    }

    /// What it is expanded over.
    fn over(&mut self, context: &Context<'_>) -> Result<Option<Variants>, Refusal> {
        let (field, data) = match (self.stage.foreach, self.stage.matrix) {
            (Some(data), _) => ("foreach", data),
            (None, Some(data)) => ("matrix", data),
            (None, None) => return Ok(None),
        };
        let over = match field {
            "foreach" => variants::foreach(&data.value, context),
            _ => variants::matrix(&data.value, context),
        };
        let over = over.map_err(|reason| refusal(data.key_location, field, reason))?;
        let kept = references(&over.data);
        let written = references(&data.value).into_iter();
        let written = written.filter(|path| !kept.contains(path));
        self.said.written_out.extend(written);
        self.said.changes.extend(over.change.clone());
        Ok(Some(over))
    }

    /// Variables of DVC's that its commands use.
    fn variables(&self, commands: &[String]) -> Vec<String> {
        let uses = |name: &str| commands.iter().any(|command| command.contains(name));
        let mut found = Vec::new();
        if uses("DVC_ROOT") {
            found.push("DVC_ROOT=\"$PWD\"".to_owned());
        }
        if uses("DVC_STAGE") {
            found.push("DVC_STAGE=\"$RESTAGE_STAGE\"".to_owned());
        }
        found
    }

    fn wdir(&mut self, context: &Context<'_>) -> Result<String, Refusal> {
        let Some(node) = self.stage.body.get("wdir") else {
            return Ok(self.base.to_owned());
        };
        let text = node.scalar_text().unwrap_or_default();
        let folder = context.translate(&text, Use::Path, &mut self.said);
        let base = self.base;
        folder
            .and_then(|folder| self.place(base, &folder))
            .map_err(|reason| refusal(node.location, "wdir", reason))
    }

    /// A path from a folder, below the pipeline's.
    pub(super) fn place(&mut self, folder: &str, path: &str) -> Result<String, String> {
        self.notes.leads_outside |= paths::is_outside(folder, path);
        paths::join(folder, path)
    }

    fn commands(&mut self, context: &Context<'_>) -> Result<Vec<String>, Refusal> {
        let Some(node) = self.stage.body.get("cmd") else {
            return Ok(Vec::new());
        };
        let lines: Vec<String> = match &node.value {
            Value::List(items) => items.iter().filter_map(Node::scalar_text).collect(),
            // DVC runs each line separately.
            _ => {
                let text = node.scalar_text().unwrap_or_default();
                text.lines().map(ToOwned::to_owned).collect()
            }
        };
        let mut commands = Vec::new();
        for line in lines.iter().filter(|line| !line.trim().is_empty()) {
            let command = context.translate(line.trim(), Use::Command, &mut self.said);
            commands.push(command.map_err(|reason| refusal(node.location, "cmd", reason))?);
        }
        if commands.is_empty() {
            return Err(refusal(node.location, "cmd", "it is blank"));
        }
        Ok(commands)
    }

    fn deps(&mut self, context: &Context<'_>) -> Result<Vec<String>, Refusal> {
        let mut deps: Vec<String> = Vec::new();
        for item in items(self.stage.body, "deps") {
            let text = item.scalar_text().unwrap_or_default();
            if text.starts_with('/') {
                self.outside(&text);
                continue;
            }
            let path = context
                .translate(&text, Use::Dep, &mut self.said)
                .map_err(|reason| refusal(item.location, "deps", reason))?;
            let folder = self.folder.clone();
            match self.place(&folder, &path) {
                Ok(path) if path.is_empty() => {
                    let advice = "it is the whole folder; name the files and folders in it";
                    self.broken(item.location, format!("deps: {text}"), advice);
                }
                Ok(path) => {
                    let path = self.tracked(path);
                    let path = match self.is_filled(&path) {
                        true => {
                            self.said.change(format!(
                                "dep `{path}` is `{path}/**/*` here: other stages write files in it"
                            ));
                            format!("{path}/**/*")
                        }
                        false => path,
                    };
                    if !deps.contains(&path) {
                        deps.push(path);
                    }
                }
                // Without it the stage would fail, or give something else.
                Err(reason) if paths::is_outside(&folder, &path) => {
                    return Err(refusal(item.location, "deps", reason));
                }
                Err(reason) => {
                    let advice = format!(
                        "{reason}, so no change of it is seen: let a stage fetch it, and name what that writes"
                    );
                    self.broken(item.location, format!("deps: {text}"), advice);
                }
            }
        }
        Ok(deps)
    }

    /// A dep that is not in the project: a tool tells whether it has changed.
    fn outside(&mut self, path: &str) {
        let Some(word) = shell::quote(path, Place::Bare) else {
            return;
        };
        self.said.change(format!(
            "dep `{path}` lies outside: a line of `tools` lists its files, their sizes and times"
        ));
        let list = format!("find -L {word} -type f -printf '%P %s %T@\\n'");
        self.tools
            .push(format!("{list} | LC_ALL=C sort | sha256sum"));
    }

    /// What a `.dvc` file tracks, in its place.
    fn tracked(&mut self, path: String) -> String {
        let Some(data) = path.strip_suffix(".dvc") else {
            return path;
        };
        if path.contains("${") || !self.files.is_file(&path) {
            return path;
        }
        let md5 = self.files.text(&path).and_then(|text| md5_in(&text));
        let md5 = md5.map_or(String::new(), |md5| format!(", md5 {md5}"));
        self.said.change(format!(
            "dep `{path}` is `{data}` here: what it tracks{md5}"
        ));
        data.to_owned()
    }

    /// Whether stages write files in a folder that is not itself an out.
    fn is_filled(&self, folder: &str) -> bool {
        let mut inside = self.written.iter();
        !self.written.contains(folder) && inside.any(|out| paths::is_within(out, folder))
    }

    fn outs(&mut self, context: &Context<'_>) -> Result<Vec<String>, Refusal> {
        let mut outs: Vec<String> = Vec::new();
        for field in ["outs", "metrics", "plots"] {
            for item in items(self.stage.body, field) {
                for (text, said) in described(item) {
                    let label = format!("{field}: {text}");
                    let path = context
                        .translate(&text, Use::Out, &mut self.said)
                        .and_then(|path| self.place(&self.folder.clone(), &path));
                    match path {
                        Ok(path) if outs.contains(&path) => {}
                        Ok(path) if !path.is_empty() => outs.push(path),
                        // A stage without its out would succeed and leave nothing.
                        Ok(_) => {
                            let reason = format!("`{text}` is the whole folder");
                            return Err(refusal(item.location, field, reason));
                        }
                        Err(reason) => return Err(refusal(item.location, field, reason)),
                    }
                    self.out_fields(&label, said);
                }
            }
        }
        Ok(outs)
    }

    fn out_fields(&mut self, label: &str, said: Option<&Node>) {
        let lists: Vec<&Node> = match said.map(|node| (node, &node.value)) {
            Some((_, Value::List(items))) => items.iter().collect(),
            Some((node, _)) => vec![node],
            None => Vec::new(),
        };
        let mut drawn = false;
        for entry in lists.iter().flat_map(|node| node.entries()) {
            let on = entry.value.value == Value::Bool(true);
            let advice = match entry.key.as_str() {
                // Every out is stored, and none is pushed.
                "cache" | "push" => continue,
                "persist" | "checkpoint" if !on => continue,
                "persist" | "checkpoint" => {
                    "a stage never sees its earlier outs; keep what it continues from in `RESTAGE_SCRATCH`"
                }
                "remote" => "there are no remotes; copy the outs that others need",
                "desc" | "type" | "labels" | "meta" => "it describes the file; write a comment",
                "x" | "y" | "x_label" | "y_label" | "title" | "template" | "header" => {
                    if std::mem::replace(&mut drawn, true) {
                        continue;
                    }
                    "how it is drawn; let a stage draw it, or keep this for `dvc plots`"
                }
                _ => "an out has no such field",
            };
            self.unmapped(
                entry.key_location,
                format!("{label}: {}", entry.key),
                advice,
            );
        }
    }

    /// The out that only shows that the stage ran, if it has no other.
    fn stamp(&mut self, expanded: bool) -> String {
        let name = match expanded {
            true => format!("{}-${{key}}.done", self.name),
            false => format!("{}.done", self.name),
        };
        self.said.change(format!(
            "it has no outs in dvc.yaml: `{name}` says that it ran"
        ));
        paths::join(&self.folder, &name).unwrap_or(name)
    }

    /// Fields that say how DVC runs a stage.
    fn rest(&mut self) {
        let DvcStage { body, entry, .. } = self.stage;
        let beside = match self.stage.foreach {
            Some(_) => entry.value.entries(),
            None => &[],
        };
        for entry in body.entries().iter().chain(beside) {
            let on = entry.value.value == Value::Bool(true);
            let advice = match entry.key.as_str() {
                "cmd" | "wdir" | "deps" | "outs" | "metrics" | "plots" | "params" | "vars"
                | "desc" | "foreach" | "do" | "matrix" => continue,
                "frozen" | "always_changed" if !on => continue,
                "frozen" => {
                    let advice = "it would run: remove it, and what others read of it is read as it lies there";
                    self.broken(entry.key_location, &entry.key, advice);
                    continue;
                }
                "always_changed" => {
                    self.tools.push("date +%s%N".to_owned());
                    self.said.change(
                        "it is `always_changed`: the time among its `tools` makes it run every time",
                    );
                    continue;
                }
                "meta" => "nothing of it enters a result; write a comment",
                _ => "a stage has no such field",
            };
            self.unmapped(entry.key_location, &entry.key, advice);
        }
    }
}

pub(super) fn refusal(at: Location, field: &'static str, reason: impl Into<String>) -> Refusal {
    let reason = reason.into();
    Refusal { at, field, reason }
}

/// The MD5 in a `.dvc` file.
pub fn md5_in(text: &str) -> Option<String> {
    let root = yaml::parse(text, &mut Vec::new())?;
    let outs = items(&root, "outs");
    outs.first()?.get("md5").and_then(Node::scalar_text)
}
