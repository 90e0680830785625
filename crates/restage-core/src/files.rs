//! Files below a folder, as the pipeline names them.

use std::path::Path;

use crate::fs::{self, FsError};
use crate::rel_path::RelPath;

/// Folders that no pattern looks into: ours and git's.
pub const HIDDEN: [&str; 2] = [".restage", ".git"];

/// What is below a folder.
#[derive(Debug, Default)]
pub struct Below {
    /// Files and links, as paths below the root, sorted.
    pub files: Vec<RelPath>,
    /// Folders that were listed to find them, relative to the root: the first is the start.
    pub folders: Vec<String>,
}

/// Files below `root/start`. Links are listed, not followed. What `skip` matches is left out, a
/// folder with its contents; so are names that no path of a pipeline can have. If `start` does
/// not exist, there are no files.
pub fn files_below(
    root: &Path,
    start: &str,
    skip: &dyn Fn(&RelPath) -> bool,
) -> Result<Below, FsError> {
    let mut below = Below::default();
    let mut folders = vec![start.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in fs::read_dir_if_exists(&root.join(&folder))? {
            let Some(name) = name.to_str() else { continue };
            let text = match folder.as_str() {
                "" => name.to_owned(),
                folder => format!("{folder}/{name}"),
            };
            match RelPath::new(&text) {
                Ok(path) if !skip(&path) => {
                    if fs::symlink_metadata(&path.under(root))?.is_dir() {
                        folders.push(text);
                    } else {
                        below.files.push(path);
                    }
                }
                _ => {}
            }
        }
        below.folders.push(folder);
    }
    below.files.sort();
    Ok(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_skipped_is_skipped_with_all_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/1", "a/b/2", ".git/3", "c"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        let skip = |path: &RelPath| path.as_str() == ".git" || path.as_str() == "a/1";
        let listed = |start| -> Vec<String> {
            let below = files_below(dir.path(), start, &skip).unwrap();
            below.files.iter().map(ToString::to_string).collect()
        };
        assert_eq!(listed(""), ["a/b/2", "c"]);
        assert_eq!(listed("a"), ["a/b/2"]);
        assert_eq!(listed("nowhere"), [""; 0]);
    }
}
