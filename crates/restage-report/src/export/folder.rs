//! Replaces a folder that an export made as a whole: readers see the old one or the new one.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::replace::{PackageError, may_replace};
use restage_core::fs::{self, FsError};

/// Marks every folder that an export made: a folder with this file may be replaced.
const MARK: &str = ".restage-export";
const NOTE: &str = "Made by `restage export`, which replaces this folder whole.\n";

/// An unfinished folder; removed on drop.
#[derive(Debug)]
pub(super) struct Folder {
    temp: PathBuf,
    target: PathBuf,
}

impl Folder {
    /// Starts one that will replace `target`, which must be free or an export's.
    pub(super) fn start(target: &Path) -> Result<Self, PackageError> {
        ours(target)?;
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let temp = fs::temp_name(target);
        // Left by a dead process with our process id.
        fs::remove_all(&temp)?;
        fs::create_dir(&temp)?;
        let folder = Self {
            temp,
            target: target.to_owned(),
        };
        let mut mark = folder.create(MARK)?;
        fs::write_all(&mut mark, NOTE.as_bytes(), &folder.temp)?;
        Ok(folder)
    }

    /// A new file, `path` relative to the folder.
    pub(super) fn create(&self, path: &str) -> Result<File, FsError> {
        let path = self.temp.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::create_new(&path)
    }

    /// Moves it into place, unless something else has been put there meanwhile.
    pub(super) fn commit(self) -> Result<(), PackageError> {
        ours(&self.target)?;
        if fs::exists(&self.target)? {
            // The old folder is swapped out and removed on drop. On a file system that can't
            // swap, there is a moment without either.
            if !fs::exchange(&self.temp, &self.target)? {
                fs::remove_all(&self.target)?;
                fs::rename(&self.temp, &self.target)?;
            }
        } else {
            fs::rename(&self.temp, &self.target)?;
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The first error is the one to report.
        let _ = fs::remove_all(&self.temp);
    }
}

/// Whether the folder may be replaced: it is not there, empty, or an export's.
fn ours(path: &Path) -> Result<(), PackageError> {
    may_replace(path, |found| {
        if !found.is_dir() {
            return Ok(Err("no folder"));
        }
        let names = fs::read_dir(path)?;
        Ok(
            match names.is_empty() || names.iter().any(|name| name == MARK) {
                true => Ok(()),
                false => Err("a folder with files that no export made"),
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let names = fs::read_dir(path).unwrap().into_iter();
        names.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn an_exports_folder_is_replaced_as_a_whole_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/out");
        for name in ["one", "two/three"] {
            let folder = Folder::start(&target).unwrap();
            folder.create(name).unwrap();
            folder.commit().unwrap();
        }
        assert_eq!(names(&target), [MARK, "two"]);
        assert_eq!(names(&dir.path().join("a")), ["out"]);
    }

    #[test]
    fn what_no_export_made_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path().join("folder"), dir.path().join("file"));
        fs::create_dir(&folder).unwrap();
        Folder::start(&folder).unwrap().commit().unwrap();
        fs::remove_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("thesis"), b"years").unwrap();
        std::fs::write(&file, b"x").unwrap();
        for path in [&folder, &file] {
            let error = Folder::start(path).unwrap_err();
            assert!(matches!(error, PackageError::NotOurs { .. }), "{error}");
            assert!(error.hint().unwrap().contains("--out"));
        }
        assert_eq!(names(&folder), ["thesis"]);
        assert_eq!(names(dir.path()), ["file", "folder"]);
    }

    #[test]
    fn a_folder_that_is_given_up_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        Folder::start(&target).unwrap().commit().unwrap();
        let folder = Folder::start(&target).unwrap();
        folder.create("half").unwrap();
        drop(folder);
        assert_eq!(names(&target), [MARK]);
        assert_eq!(names(dir.path()), ["out"]);
    }

    #[test]
    fn a_folder_that_became_somebodys_meanwhile_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let folder = Folder::start(&target).unwrap();
        fs::create_dir(&target).unwrap();
        std::fs::write(target.join("theirs"), b"x").unwrap();
        assert!(matches!(folder.commit(), Err(PackageError::NotOurs { .. })));
        assert_eq!(names(&target), ["theirs"]);
    }
}
