//! `programs:`, where the packages of `program:` stages are built (docs/adr/0016).

use super::diagnostic::Diagnostic;
use super::fields::{About, Field, Kind, Mapping, expected};
use super::node::{Entry, Node, Value, printable};
use restage_core::rel_path::{RelPath, RelPathError};

const OWNER: &str = "`programs`";

pub(crate) static PROGRAMS: Mapping<fn(&mut String, &Node, &mut Vec<Diagnostic>)> = Mapping {
    about: About::new(
        "Programs",
        "Programs",
        "a programs",
        "The cargo workspace that `program:` packages belong to.",
    ),
    fields: &[(
        Field::optional(
            "workspace",
            Kind::Filled,
            "the pipeline's folder",
            "The folder of its Cargo.toml and Cargo.lock, in or below the pipeline's folder. Moving \
             the workspace's root reruns nothing: files are named relative to the pipeline.",
        )
        .example("programs: {workspace: stages}")
        .words(&["folder", "path", "dir", "manifest", "root"]),
        Some(|workspace, node, report| {
            *workspace = folder(node, report).unwrap_or_default();
        }),
    )],
};

/// The workspace's folder relative to the pipeline's; empty where they are the same.
pub(crate) fn read(entry: &Entry, report: &mut Vec<Diagnostic>) -> String {
    let mut workspace = String::new();
    PROGRAMS.check(&entry.value, OWNER, report);
    for (read, entry) in PROGRAMS.present(&entry.value) {
        read(&mut workspace, &entry.value, report);
    }
    workspace
}

fn folder(node: &Node, report: &mut Vec<Diagnostic>) -> Option<String> {
    let Value::Text(text) = &node.value else {
        report.push(expected(node, "workspace", OWNER, "a folder"));
        return None;
    };
    match RelPath::new(text) {
        Ok(path) => Some(path.as_str().to_owned()),
        Err(RelPathError::Empty) if !text.is_empty() => Some(String::new()),
        Err(error) => {
            let message = format!("`workspace` of {OWNER} cannot be `{}`", printable(text));
            let error = Diagnostic::new(node.location, message, error.to_string());
            report.push(error.hint("name a folder in the pipeline's, such as `stages`"));
            None
        }
    }
}
