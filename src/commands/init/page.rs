//! What is said of an import: the stages, what changed on the way, and what is missing.

use std::path::Path;

use serde_json::json;

use super::results::Results;
use crate::format::{count, grouped};
use crate::style::Style;
use restage_import_dvc::Imported;

/// A file or folder that the pipeline reads and that is not there.
pub(super) struct Missing {
    pub(super) path: String,
    /// Of the `.dvc` file beside it.
    pub(super) md5: Option<String>,
}

pub(super) fn lines_json(
    target: &Path,
    imported: &Imported,
    missing: &[Missing],
    results: &Results,
) -> String {
    let mut lines = Vec::new();
    for stage in &imported.stages {
        lines.push(json!({"event": "imported", "stage": stage}));
    }
    for change in &imported.changes {
        lines.push(json!({
            "event": "changed", "file": change.file, "line": change.line, "stage": change.stage,
            "change": change.text,
        }));
    }
    for item in &imported.unmapped {
        lines.push(json!({
            "event": "unmapped", "file": item.file, "line": item.line, "stage": item.stage,
            "field": item.field, "advice": item.advice, "breaks": item.breaks,
        }));
    }
    for missing in missing {
        lines.push(json!({"event": "missing", "path": missing.path, "md5": missing.md5}));
    }
    lines.extend(results.lines());
    lines.push(json!({
        "event": "summary", "wrote": target.display().to_string(),
        "stages": imported.stages.len(), "unmapped": imported.unmapped.len(),
        "params_from": imported.from, "left_out": imported.left_out.len(),
        "not_working": imported.not_working(), "adopted": results.adopted.len(),
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

pub(super) fn page(imported: &Imported, missing: &[Missing], style: Style) -> String {
    let mut text = format!(
        "{}: {}\n",
        style.good(&format!(
            "imported {}",
            count(imported.stages.len(), "stage")
        )),
        imported.stages.join(", ")
    );
    if !imported.left_out.is_empty() {
        let left_out = count(imported.left_out.len(), "stage");
        text += &format!(
            "{}: {}\n",
            style.bad(&format!("left out {left_out}")),
            imported.left_out.join(", ")
        );
    }
    if !imported.from.is_empty() {
        let files: Vec<String> = imported.from.iter().map(|f| format!("`{f}`")).collect();
        text += &format!("parameters stay in {}: edit them there\n", files.join(", "));
    }
    let changes = imported.changes.iter();
    let changes = changes.map(|c| (place(&c.file, c.line), c.stage.clone(), c.text.clone()));
    text += &table(&style.busy("changed"), changes.collect());
    for (title, breaks) in [
        (style.bad("does not work as it did"), true),
        (style.busy("not imported"), false),
    ] {
        let items = imported.unmapped.iter();
        let items = items.filter(|item| item.breaks == breaks);
        let rows = items.map(|item| {
            let what = match &item.stage {
                Some(stage) => format!("{stage}: {}", item.field),
                None => item.field.clone(),
            };
            (place(&item.file, item.line), what, item.advice.clone())
        });
        text += &table(&title, rows.collect());
    }
    for Missing { path, md5 } in missing {
        let md5 = md5.as_ref().map(|md5| format!(" (md5 {md5})"));
        let (md5, tracks) = match md5 {
            Some(md5) => (md5, "DVC tracks it: run `dvc pull`"),
            None => (String::new(), "if DVC tracks it, run `dvc pull`"),
        };
        text += &format!("{} `{path}`{md5}: {tracks}\n", style.busy("missing"));
    }
    let broken = imported.not_working();
    if !broken.is_empty() {
        let will = count(broken.len(), "stage");
        text += &format!(
            "{}: {}\n",
            style.bad(&format!("{will} will not work as before")),
            grouped(broken)
        );
    }
    text
}

fn place(file: &str, line: usize) -> String {
    format!("{file}:{line}")
}

/// A line for each remark: where it is about, what, and the remark. Those that differ in place and subject
/// alone are one.
fn table(title: &str, rows: Vec<(String, String, String)>) -> String {
    const NAMED: usize = 3;
    if rows.is_empty() {
        return String::new();
    }
    let mut shown: Vec<(String, Vec<String>, String)> = Vec::new();
    for (place, what, about) in rows {
        match shown.iter_mut().find(|(.., known)| *known == about) {
            Some((_, all, _)) if all.contains(&what) => {}
            Some((_, all, _)) => all.push(what),
            None => shown.push((place, vec![what], about)),
        }
    }
    let shown: Vec<(String, String, String)> = shown
        .into_iter()
        .map(|(place, what, about)| {
            let more = what.len().saturating_sub(NAMED);
            let mut named = what[..what.len() - more].join(", ");
            if more > 0 {
                named += &format!(" and {more} more");
            }
            (place, named, about)
        })
        .collect();
    let first = shown.iter().map(|row| row.0.chars().count()).max();
    let (first, second) = (
        first.unwrap_or(0),
        shown
            .iter()
            .map(|row| row.1.chars().count())
            .max()
            .unwrap_or(0),
    );
    let mut text = format!("{title}:\n");
    for (place, what, about) in shown {
        text += &format!("  {place:first$}  {what:second$}  {about}\n");
    }
    text
}
