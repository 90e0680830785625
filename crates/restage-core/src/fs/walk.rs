//! Lists everything below a folder, in the same order on every machine.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::FsError;
use super::ops::{read_dir, symlink_metadata, symlink_metadata_if_exists};

/// A file, link or folder below the folder that was walked.
#[derive(Debug)]
pub struct Entry {
    /// Path relative to that folder.
    pub path: PathBuf,
    /// Of the entry itself: links are not followed.
    pub metadata: Metadata,
}

/// Everything below `root`, including folders but not `root` itself, sorted bytewise by relative
/// path. Symbolic links are listed and not followed (`root` itself may be one). What vanishes
/// during the walk is left out.
pub fn walk(root: &Path) -> Result<Vec<Entry>, FsError> {
    walk_but(root, &|_, _| false)
}

/// Like [`walk`], without the relative paths that `skip` names, and what lies in them. It is told which
/// are folders.
pub fn walk_but(root: &Path, skip: &dyn Fn(&Path, bool) -> bool) -> Result<Vec<Entry>, FsError> {
    listed(root, skip, &|_| false)
}

/// Like [`walk_but`]. What can't be reached is left out: a folder that may not be listed, a path that is
/// too long.
pub fn walk_reachable(
    root: &Path,
    skip: &dyn Fn(&Path, bool) -> bool,
) -> Result<Vec<Entry>, FsError> {
    listed(root, skip, &FsError::is_out_of_reach)
}

fn listed(
    root: &Path,
    skip: &dyn Fn(&Path, bool) -> bool,
    pass: &dyn Fn(&FsError) -> bool,
) -> Result<Vec<Entry>, FsError> {
    let mut entries = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let names = match read_dir(&root.join(&folder)) {
            Err(error) if pass(&error) => continue,
            names => names?,
        };
        for name in names {
            let path = folder.join(name);
            let metadata = match symlink_metadata_if_exists(&root.join(&path)) {
                Err(error) if pass(&error) => continue,
                Ok(None) => continue,
                Ok(Some(metadata)) => metadata,
                Err(error) => return Err(error),
            };
            if skip(&path, metadata.is_dir()) {
                continue;
            }
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            entries.push(Entry { path, metadata });
        }
    }
    entries.sort_unstable_by(|a, b| {
        a.path
            .as_os_str()
            .as_bytes()
            .cmp(b.path.as_os_str().as_bytes())
    });
    Ok(entries)
}

/// What is at a path or below it: files, links, and folders that can't be listed. No link is followed.
pub fn leaves(at: &Path) -> Result<Vec<(PathBuf, Metadata)>, FsError> {
    let there = symlink_metadata(at)?;
    match read_dir(at) {
        Ok(names) if there.is_dir() => {
            let inside = names.into_iter().map(|name| leaves(&at.join(name)));
            Ok(inside.collect::<Result<Vec<_>, _>>()?.concat())
        }
        _ => Ok(vec![(at.to_owned(), there)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;

    #[test]
    fn entries_come_sorted_by_the_bytes_of_their_path() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["a", "a/b", "B"] {
            fs::create_dir_all(&dir.path().join(folder)).unwrap();
        }
        for file in ["a/b/file", "a.txt", "a-b", "é"] {
            std::fs::write(dir.path().join(file), b"").unwrap();
        }
        fs::symlink(Path::new("a"), &dir.path().join("link")).unwrap();
        let paths: Vec<_> = walk(dir.path())
            .unwrap()
            .into_iter()
            .map(|e| e.path)
            .collect();
        let expected = ["B", "a", "a-b", "a.txt", "a/b", "a/b/file", "link", "é"];
        assert_eq!(paths, expected.map(PathBuf::from));
        let but = walk_but(dir.path(), &|path, is_dir| is_dir && path == Path::new("a")).unwrap();
        let but: Vec<_> = but.into_iter().map(|e| e.path).collect();
        let expected = ["B", "a-b", "a.txt", "link", "é"];
        assert_eq!(but, expected.map(PathBuf::from));
        let all = leaves(dir.path()).unwrap();
        let inside = all
            .iter()
            .map(|(path, _)| path.strip_prefix(dir.path()).unwrap());
        // A folder that can be listed is none itself.
        let files = ["a-b", "a.txt", "a/b/file", "link", "é"];
        let found: std::collections::BTreeSet<_> = inside.collect();
        assert_eq!(found, files.map(Path::new).into());
        assert_eq!(leaves(&all[0].0).unwrap().len(), 1);
    }
}
