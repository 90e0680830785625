//! `environments:`, the software that stages run in, by name (docs/adr/0027).
//! It does not know what lock files say: they are on the disk.

mod fields;
mod made;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::fields::expected;
use super::names;
use super::node::{Entry, Value, printable};
use super::sources::FileText;
use super::template::{Scope, Templates};
pub(crate) use fields::ENVIRONMENT;
use fields::{OF_KINDS, is_kind};
pub use made::{
    Conda, Environment, Image, Installer, Made, Nix, Pixi, Renv, Runtime, Tool, Uv, Venv,
};
use restage_core::span::Location;
use restage_core::suggest;
use values::{Draft, Reader};

/// The word of a stage that runs in no environment although there is a default.
pub(crate) const NO_ENVIRONMENT: &str = "none";
/// Environments by name.
pub(crate) type Environments = BTreeMap<String, Arc<Environment>>;

/// Reads the map of environments.
pub(crate) fn read(
    entry: &Entry,
    file: FileText<'_>,
    scope: Scope<'_>,
    report: &mut Vec<Diagnostic>,
) -> Environments {
    let Value::Map(entries) = &entry.value.value else {
        let what = "a map of environments";
        let error = expected(&entry.value, "environments", "the pipeline", what);
        report.push(error.hint("write `environments:`, and below it `py: {uv: pyproject.toml}`"));
        return Environments::new();
    };
    let mut all = Environments::new();
    for entry in entries {
        let name = entry.key.as_str();
        names::check("environment", name, entry.key_location, report);
        if name == NO_ENVIRONMENT {
            let message = "`none` cannot be the name of an environment";
            let error = Diagnostic::new(entry.key_location, message, "means that there is none");
            report.push(error.hint("choose another name"));
        }
        let owner = format!("environment `{}`", printable(name));
        let mut reader = Reader {
            templates: Templates {
                file,
                scope,
                owner: &owner,
            },
            report,
        };
        if let Some(made) = made(&mut reader, entry) {
            let environment = Environment {
                name: scope.place.name(name),
                made,
                location: entry.key_location,
            };
            all.insert(name.to_owned(), Arc::new(environment));
        }
    }
    all
}

/// The environment of stages that name none.
pub(crate) fn default(
    entry: &Entry,
    all: &Environments,
    report: &mut Vec<Diagnostic>,
) -> Option<Arc<Environment>> {
    let (owner, at) = ("the pipeline", entry.value.location);
    let Value::Text(name) = &entry.value.value else {
        let what = "an environment's name";
        report.push(expected(&entry.value, &entry.key, owner, what));
        return None;
    };
    named(name, at, &entry.key, owner, all, report)
}

/// The environment of this name; one that is not known is reported.
pub(crate) fn named(
    name: &str,
    at: Location,
    field: &str,
    owner: &str,
    all: &Environments,
    report: &mut Vec<Diagnostic>,
) -> Option<Arc<Environment>> {
    let found = all.get(name).cloned();
    if found.is_none() {
        let shown = printable(name);
        let message = format!("`{field}` of {owner} is `{shown}`, which is not an environment");
        let names = all.keys().map(String::as_str);
        let hint = suggest::hint_among(name, "the environments are", names);
        let hint = hint.unwrap_or_else(|| {
            format!("write `environments: {{{shown}: {{uv: pyproject.toml}}}}` above `stages:`")
        });
        report.push(Diagnostic::new(at, message, "not under `environments`").hint(hint));
    }
    found
}

/// How one environment is made.
fn made(reader: &mut Reader<'_>, entry: &Entry) -> Option<Made> {
    let (owner, before) = (reader.templates.owner, reader.report.len());
    let known = ENVIRONMENT.check(&entry.value, owner, reader.report)?;
    let mut draft = Draft::default();
    let mut kinds = Vec::new();
    for (read, field) in ENVIRONMENT.present(&entry.value) {
        if is_kind(&field.key) {
            kinds.push(field);
        }
        read(reader, &mut draft, field);
    }
    match kinds[..] {
        [] if known => {
            let message = format!("{owner} does not say how it is made");
            let label = "names no lock file, image or tools";
            let error = Diagnostic::new(entry.key_location, message, label);
            let hint = "write such as `{uv: pyproject.toml}` or `{venv: requirements.txt}`";
            reader.report.push(error.hint(hint));
        }
        [first, second, ..] => {
            let message = format!("{owner} has both `{}` and `{}`", first.key, second.key);
            let error = Diagnostic::new(second.key_location, message, "it is made one way");
            let error = error.note_at(format!("`{}` is given", first.key), first.key_location);
            let hint = "keep one, or make two environments of it";
            reader.report.push(error.hint(hint));
        }
        _ => {}
    }
    unused(reader, entry);
    if reader.report.len() > before {
        return None;
    }
    draft.made()
}

/// Reports fields that mean nothing for this kind, or beside another field.
fn unused(reader: &mut Reader<'_>, entry: &Entry) {
    let owner = reader.templates.owner;
    let node = &entry.value;
    for (field, kinds) in OF_KINDS {
        if let Some(found) = node.entry(field)
            && !kinds.iter().any(|kind| node.get(kind).is_some())
        {
            let message = format!("{owner} has `{field}` without `{}`", kinds.join("` or `"));
            let error = Diagnostic::new(found.key_location, message, "means nothing here");
            reader.report.push(error.hint("remove it"));
        }
    }
    let Some(only) = node.entry("only_groups") else {
        return;
    };
    for field in ["groups", "extras"] {
        if let Some(found) = node.entry(field) {
            let message = format!("{owner} has both `only_groups` and `{field}`");
            let label = "not together with `only_groups`";
            let error = Diagnostic::new(found.key_location, message, label);
            let error = error.note_at("`only_groups` is given", only.key_location);
            let hint = "name all groups under `only_groups`, or all under `groups`";
            reader.report.push(error.hint(hint));
        }
    }
}
