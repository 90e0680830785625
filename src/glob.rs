//! The files in a folder, or that a pattern matches.

use std::path::Path;

use restage_core::files::{files_below, matching as matches};
use restage_core::fs::{self, FsError};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;

/// Folders that are never searched: those of restage, git and cargo.
const SKIPPED: [&str; 3] = [".restage", ".git", "target"];

/// Files below `root/start`, as paths below `root`, sorted.
pub(crate) fn below(root: &Path, start: &str) -> Result<Vec<RelPath>, FsError> {
    let skip = |path: &RelPath| SKIPPED.contains(&path.as_str());
    Ok(files_below(root, start, &skip)?.files)
}

/// Files below `root` that a pattern matches, sorted: outs, sources and anything else. A
/// pattern without special characters names one file, wherever it is.
pub(crate) fn matching(root: &Path, wanted: &Glob) -> Result<Vec<RelPath>, FsError> {
    if !Glob::is_glob(wanted.as_str())
        && let Ok(path) = RelPath::new(wanted.as_str())
    {
        let there = fs::metadata_if_exists(&path.under(root))?;
        return Ok(there.into_iter().map(|_| path.clone()).collect());
    }
    let skip = |path: &Path, _: bool| SKIPPED.iter().any(|skipped| path == Path::new(skipped));
    Ok(matches(root, wanted, &skip)?.files)
}
