//! One or several `dvc.yaml` as one pipeline.

use std::collections::{BTreeMap, BTreeSet};

use super::DvcFile;
use super::emit;
use super::imported::{Imported, Notes, Unmapped};
use super::params::{Params, Scope, find};
use super::paths;
use super::shape::{self, DvcStage, described, items};
use super::stage::{Converted, Reader};
use super::template::Said;
use restage_core::span::Location;
use restage_pipeline::diagnostic::{Diagnostic, Diagnostics};
use restage_pipeline::node::{Node, Value, is_name};
use restage_pipeline::scalar;
use restage_scripts::Files;

/// The pipeline, called `name`, of the stages of `files`. `project` has the files of its folder.
///
/// # Errors
/// No stage is left.
pub fn import(files: &[DvcFile], name: &str, project: &dyn Files) -> Result<Imported, Diagnostics> {
    let mut params = Params::new(project);
    // What one stage adds to the parameters decides what another one's references can be. The second
    // time nothing is added any more.
    let mut first = Notes::default();
    let converted = stages(files, &mut params, &declared(files), &mut first, project);
    let written: BTreeSet<String> = outs(&converted).chain(declared(files)).collect();
    let mut notes = Notes::default();
    let stages = stages(files, &mut params, &written, &mut notes, project);
    reserved(&params, files, &mut notes);
    if stages.is_empty() {
        return Err(nothing_left(files, &notes));
    }
    notes.unmapped.sort();
    let left_out = |item: &&Unmapped| item.advice.starts_with("the stage is left out");
    let left_out = notes.unmapped.iter().filter(left_out);
    Ok(Imported {
        left_out: left_out.filter_map(|item| item.stage.clone()).collect(),
        leads_outside: notes.leads_outside,
        text: pipeline(files, name, &params, &stages),
        from: params.from,
        instances: stages
            .iter()
            .flat_map(|stage| stage.instances.clone())
            .collect(),
        stages: stages.into_iter().map(|stage| stage.name).collect(),
        unmapped: notes.unmapped,
        changes: notes.changes,
    })
}

/// The files of `others` that are connected with the first ones: one reads what the other writes.
/// Those that can't be imported are connected with nothing.
pub fn connected(first: &[DvcFile], others: Vec<DvcFile>, project: &dyn Files) -> Vec<DvcFile> {
    let paths = |file: &DvcFile| {
        let file = std::slice::from_ref(file);
        let mut params = Params::new(project);
        let mut notes = Notes::default();
        let found = stages(file, &mut params, &declared(file), &mut notes, project);
        let mut reads = BTreeSet::new();
        for instance in found.iter().flat_map(|stage| &stage.instances) {
            reads.extend(instance.now.iter().flat_map(|now| now.deps.clone()));
        }
        (outs(&found).collect::<BTreeSet<String>>(), reads)
    };
    let meet = |written: &BTreeSet<String>, read: &BTreeSet<String>| {
        read.iter().any(|path| {
            let mut written = written.iter();
            written.any(|out| paths::is_within(path, out) || paths::is_within(out, path))
        })
    };
    let mut inside: Vec<_> = first.iter().map(paths).collect();
    let mut rest: Vec<_> = others
        .into_iter()
        .map(|file| (paths(&file), file))
        .collect();
    let mut found = Vec::new();
    while let Some(at) = rest.iter().position(|((outs, reads), _)| {
        inside
            .iter()
            .any(|(written, read)| meet(written, reads) || meet(outs, read))
    }) {
        let (paths, file) = rest.remove(at);
        inside.push(paths);
        found.push(file);
    }
    found
}

/// What stages write, as dvc.yaml has it.
fn declared(files: &[DvcFile]) -> impl Iterator<Item = String> + Clone + use<> {
    let mut found = Vec::new();
    for file in files {
        for stage in shape::stages(&file.root, &mut Vec::new()) {
            let folder = stage.body.get("wdir").and_then(Node::scalar_text);
            let folder = paths::join(&file.folder, &folder.unwrap_or_default());
            let folder = folder.unwrap_or_default();
            let outs = ["outs", "metrics", "plots"].map(|field| items(stage.body, field));
            let outs = outs.into_iter().flatten().flat_map(described);
            found.extend(outs.map(|(path, _)| paths::join(&folder, &path).unwrap_or(path)));
        }
    }
    found.into_iter()
}

/// What instances write.
fn outs(stages: &[Converted]) -> impl Iterator<Item = String> {
    let instances = stages.iter().flat_map(|stage| &stage.instances);
    let now = instances.filter_map(|instance| instance.now.as_ref().ok());
    now.flat_map(|now| now.outs.iter().cloned())
}

fn stages<'f>(
    files: &[DvcFile],
    params: &mut Params<'f>,
    written: &(impl IntoIterator<Item = String> + Clone),
    notes: &mut Notes,
    project: &'f dyn Files,
) -> Vec<Converted> {
    let written: BTreeSet<String> = written.clone().into_iter().collect();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for file in files {
        for stage in shape::stages(&file.root, &mut Vec::new()) {
            *times.entry(stage.entry.key.clone()).or_default() += 1;
        }
    }
    let mut converted: Vec<Converted> = Vec::new();
    for file in files {
        let mut scope = Scope::default();
        let default = paths::join(&file.folder, super::params::DEFAULT_FILE);
        params.add_default(&default.unwrap_or_default(), &mut scope);
        for item in items(&file.root, "vars") {
            if let Err(reason) = params.add_vars(item, &file.folder, &mut scope) {
                note(file, item.location, "vars", reason, notes);
            }
        }
        top_level(file, notes);
        for stage in shape::stages(&file.root, &mut Vec::new()) {
            let DvcStage { entry, .. } = stage;
            // Of several files, each has its folder's name before it.
            let shared = times.get(&entry.key).is_some_and(|times| *times > 1);
            let wanted = match shared && !file.folder.is_empty() {
                true => format!("{}-{}", file.folder, entry.key),
                false => entry.key.clone(),
            };
            let name = stage_name(&wanted, &converted);
            let mut said = Said::default();
            if name != entry.key {
                said.change(format!("called `{}` in {}", entry.key, file.file_name));
            }
            let reader = Reader {
                stage,
                name: &name,
                file_name: &file.file_name,
                params,
                scope: scope.clone(),
                written: &written,
                notes,
                said,
                base: &file.folder,
                folder: String::new(),
                files: project,
                tools: Vec::new(),
            };
            converted.extend(reader.read());
        }
    }
    converted
}

fn note(file: &DvcFile, at: Location, field: &str, advice: String, notes: &mut Notes) {
    notes.unmapped.push(Unmapped {
        file: file.file_name.clone(),
        line: at.line,
        stage: None,
        field: field.to_owned(),
        advice,
        breaks: false,
    });
}

/// What belongs to no stage.
fn top_level(file: &DvcFile, notes: &mut Notes) {
    for entry in file.root.entries() {
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
        note(
            file,
            entry.key_location,
            &entry.key,
            advice.to_owned(),
            notes,
        );
    }
}

fn reserved(params: &Params<'_>, files: &[DvcFile], notes: &mut Notes) {
    let Some(file) = files.first() else { return };
    for key in params.reserved() {
        let advice = format!(
            "`{key}` means something else in templates; stages that read it get the whole file"
        );
        let at = Location {
            line: 1,
            ..Location::default()
        };
        note(file, at, &format!("params: {key}"), advice, notes);
    }
}

fn nothing_left(files: &[DvcFile], notes: &Notes) -> Diagnostics {
    let Some(file) = files.first() else {
        return Diagnostics::new("dvc.yaml", "", Vec::new());
    };
    let own = notes.unmapped.iter();
    let own = own.filter(|item| item.file == file.file_name);
    let items = own.map(|item| {
        let start = file.text.split_inclusive('\n').take(item.line - 1);
        let offset = start.map(str::len).sum();
        let line = file.text[offset..].lines().next().unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        let at = Location::in_text(&file.text, offset + indent, line.trim().len());
        let stage = item.stage.as_deref().unwrap_or_default();
        Diagnostic::new(
            at,
            format!("no stage can be imported; `{}` of `{stage}`", item.field),
            item.advice.clone(),
        )
    });
    Diagnostics::new(&file.file_name, &file.text, items.collect())
}

fn pipeline(files: &[DvcFile], name: &str, params: &Params<'_>, stages: &[Converted]) -> String {
    let names: Vec<String> = files.iter().map(DvcFile::path).collect();
    let mut text = format!(
        "# Imported from {} by `restage init --from {}`.\nschema: 1\n",
        names.join(", "),
        names.first().map_or("dvc.yaml", String::as_str)
    );
    text += &format!("name: {}\n", scalar::written(name, false));
    let values = params.emit();
    if !values.is_empty() {
        text += &format!("\n{values}");
    }
    text += &written_out(params, stages);
    text += "\nstages:\n";
    if stages.iter().any(|stage| stage.makes_params) {
        text += "  # `RESTAGE_PARAMS_FILE` has the params that a stage declares; where its script reads a\n  \
                 # params file, `cmd` makes one of them.\n";
    }
    let blocks: Vec<String> = stages.iter().map(block).collect();
    text + &blocks.join("\n")
}

/// Values of params files that are written into stages: an edit there is warned of.
fn written_out(params: &Params<'_>, stages: &[Converted]) -> String {
    let mut by_file: BTreeMap<&str, BTreeMap<&str, Node>> = BTreeMap::new();
    for stage in stages {
        for path in &stage.written_out {
            let is_keys = path.ends_with(".*");
            let at = path.strip_suffix(".*").unwrap_or(path);
            let Some((value, _)) = find(&stage.scope.values, at) else {
                continue;
            };
            let files = params.from.iter().chain(&stage.scope.local_files);
            let mut files = files.filter(|file| {
                let found = params.known(file).and_then(|node| find(node, at));
                found.is_some_and(|(found, _)| found.to_json() == value.to_json())
            });
            let Some(file) = files.next() else { continue };
            let value = match is_keys {
                false => value.clone(),
                true => {
                    let keys = value.keys().map(|key| Value::Text(key.to_owned()));
                    let keys = keys.map(|key| Node::new(key, Location::default()));
                    Node::new(Value::List(keys.collect()), Location::default())
                }
            };
            by_file.entry(file).or_default().insert(path, value);
        }
    }
    if by_file.is_empty() {
        return String::new();
    }
    let mut text = "# These values are written into stages: an edit of one there is warned of.\ncopied_params:\n".to_owned();
    for (file, values) in by_file {
        text += &format!("  {}:\n", scalar::written(file, true));
        for (path, value) in values {
            text += &emit::entry(path, &value, 4);
        }
    }
    text
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
        ("tools", &stage.tools),
        ("outs", &stage.outs),
    ] {
        if !items.is_empty() {
            text += &super::list_line(field, items, 4);
        }
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
