//! Lists everything below a folder, in the same order on every machine.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::FsError;
use super::ops::{read_dir, symlink_metadata_if_exists};

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
    walk_except(root, &|_| false)
}

/// Like [`walk`], without the relative paths that `skip` names, and what lies in them.
pub fn walk_except(root: &Path, skip: &dyn Fn(&Path) -> bool) -> Result<Vec<Entry>, FsError> {
    let mut entries = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for name in read_dir(&root.join(&folder))? {
            let path = folder.join(name);
            if skip(&path) {
                continue;
            }
            let Some(metadata) = symlink_metadata_if_exists(&root.join(&path))? else {
                continue;
            };
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
    }
}
