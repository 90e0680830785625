//! Files that lie in a folder, or that a pattern names.
//! It must not know what they are for.

use std::path::Path;

use restage_core::files::files_below;
use restage_core::fs::{self, FsError};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;

/// Folders that are looked into by none of this: restage's, git's and cargo's own.
const PASSED_OVER: [&str; 3] = [".restage", ".git", "target"];

/// Files below `root/start`, as paths below `root`, sorted.
pub(crate) fn below(root: &Path, start: &str) -> Result<Vec<RelPath>, FsError> {
    let skip = |path: &RelPath| PASSED_OVER.contains(&path.as_str());
    Ok(files_below(root, start, &skip)?.files)
}

/// Files below `root` that a pattern matches, sorted: outs, sources and all else that lies there. A
/// pattern without special characters names one file, wherever it is.
pub(crate) fn matching(root: &Path, wanted: &Glob) -> Result<Vec<RelPath>, FsError> {
    if !Glob::is_glob(wanted.as_str())
        && let Ok(path) = RelPath::new(wanted.as_str())
    {
        let there = fs::metadata_if_exists(&path.under(root))?;
        return Ok(there.into_iter().map(|_| path.clone()).collect());
    }
    let mut files = below(root, wanted.base_folder())?;
    files.retain(|path| wanted.matches(path));
    Ok(files)
}
