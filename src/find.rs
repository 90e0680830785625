//! Finds the pipeline file for someone who stands in a folder of its workspace.

use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::error::CliError;
use crate::output::Output;
use crate::settings::Settings;
use restage_core::fs;

/// The name that is looked for.
pub(crate) const NAME: &str = "pipeline.yaml";

/// A pipeline file, which may not exist.
#[derive(Debug)]
pub(crate) struct PipelinePath {
    pub(crate) path: PathBuf,
    /// As shown in messages.
    pub(crate) shown: String,
}

/// The file that is named, or `pipeline.yaml` in the current folder or else in the nearest folder
/// above that has one. That is said.
pub(crate) fn pipeline(
    settings: &Settings,
    named: Option<&Path>,
) -> Result<PipelinePath, CliError> {
    let name = named.unwrap_or(Path::new(NAME));
    let here = PipelinePath {
        path: settings.path(name),
        shown: name.display().to_string(),
    };
    if named.is_some() || fs::exists(&here.path)? {
        return Ok(here);
    }
    let Some(found) = above(settings)? else {
        return Ok(here);
    };
    if !settings.has_noted_pipeline.replace(true) {
        Output::new(settings.err_style).note(&format!("using `{}`\n", found.shown));
    }
    Ok(found)
}

/// Looks upwards. It ends, as others' pipelines are beyond, at the root of a git repository, at a
/// workspace without a pipeline, at the home folder, and where another file system begins.
fn above(settings: &Settings) -> Result<Option<PipelinePath>, CliError> {
    let Some(start) = fs::metadata_if_exists(&settings.directory)? else {
        return Ok(None);
    };
    let home = settings.env.get("HOME").map(Path::new);
    let mut folder = fs::canonicalize(&settings.directory)?;
    let mut shown = PathBuf::new();
    loop {
        let ends = fs::exists(&folder.join(".git"))? || fs::exists(&folder.join(".restage"))?;
        if ends || Some(&*folder) == home || !folder.pop() {
            return Ok(None);
        }
        shown.push("..");
        if fs::metadata(&folder)?.dev() != start.dev() {
            return Ok(None);
        }
        let path = folder.join(NAME);
        if fs::metadata_if_exists(&path)?.is_some_and(|found| found.is_file()) {
            let shown = shown.join(NAME).display().to_string();
            return Ok(Some(PipelinePath { path, shown }));
        }
    }
}

/// A path without `.` and `..`.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}
