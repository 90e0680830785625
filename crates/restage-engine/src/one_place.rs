//! Outs that have two paths and are one place, because a link in the workspace leads to a folder of it.
//!
//! Each would take what the other has published for an edit, and be restored over it, run after run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::RunError;
use super::workspace::Workspace;
use restage_core::fs::{self, FsError};
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::Graph;

/// Refuses a pipeline of which two outs are one place, or one lies in the other.
pub(super) fn check(ws: &Workspace, graph: &Graph) -> Result<(), RunError> {
    let mut folders = BTreeMap::new();
    let mut places: BTreeMap<PathBuf, (&str, &RelPath)> = BTreeMap::new();
    let root = fs::canonicalize(&ws.root)?;
    for stage in graph.stages() {
        for out in stage.outs.iter().filter(|out| !out.temporary) {
            let at = root.join(out.path.as_str());
            let real = match fs::metadata_if_exists(&at)?.is_some_and(|found| found.is_dir()) {
                // A link to it is filled.
                true => fs::canonicalize(&at)?,
                false => match (at.parent(), at.file_name()) {
                    (Some(folder), Some(name)) => real_folder(folder, &mut folders)?.join(name),
                    _ => at,
                },
            };
            let this = (stage.name.as_str(), &out.path);
            if let Some(other) = places.insert(real, this) {
                return Err(refusal(other, this));
            }
        }
    }
    // What lies in a folder follows it: paths are in the order of their parts.
    let mut above: Vec<(&PathBuf, &(&str, &RelPath))> = Vec::new();
    for (real, this) in &places {
        while above
            .last()
            .is_some_and(|(folder, _)| !real.starts_with(folder))
        {
            above.pop();
        }
        if let Some((_, other)) = above.last() {
            return Err(refusal(**other, *this));
        }
        above.push((real, this));
    }
    Ok(())
}

fn refusal(one: (&str, &RelPath), other: (&str, &RelPath)) -> RunError {
    RunError::OnePlace {
        stages: [one.0.to_owned(), other.0.to_owned()],
        paths: [one.1.to_string(), other.1.to_string()],
    }
}

/// Where a folder is, or will be made.
fn real_folder(folder: &Path, known: &mut BTreeMap<PathBuf, PathBuf>) -> Result<PathBuf, FsError> {
    if let Some(real) = known.get(folder) {
        return Ok(real.clone());
    }
    let real = match (
        fs::metadata_if_exists(folder)?,
        folder.parent(),
        folder.file_name(),
    ) {
        (None, Some(above), Some(name)) => real_folder(above, known)?.join(name),
        _ => fs::canonicalize(folder)?,
    };
    known.insert(folder.to_owned(), real.clone());
    Ok(real)
}
