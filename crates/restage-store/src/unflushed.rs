//! What was written and must still reach the disk before anything may depend on it
//! (docs/adr/0009).

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use restage_core::fs;

/// From this many files on, one flush of the whole file system is cheaper than one per file.
const FLUSH_ALL_FROM: usize = 8;

/// Files and folders that were written, but may so far be only in memory.
#[derive(Debug, Clone, Default)]
pub struct Unflushed {
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
    /// Published copies, perhaps on another file system.
    copies: BTreeSet<PathBuf>,
}

impl Unflushed {
    /// Notes a file that is new in its folder.
    pub(super) fn file(&mut self, path: PathBuf) {
        self.folders.extend(path.parent().map(Path::to_owned));
        self.files.insert(path);
    }

    /// Notes a folder that has a new entry.
    pub(super) fn folder(&mut self, path: PathBuf) {
        self.folders.insert(path);
    }

    /// Notes a published copy of what the store has. Whoever owns the workspace may remove it at
    /// any time.
    pub fn copy(&mut self, path: PathBuf) {
        self.copies.insert(path);
    }

    /// Takes over what another one notes.
    pub fn add(&mut self, other: Unflushed) {
        self.copies.extend(other.copies);
        self.files.extend(other.files);
        self.folders.extend(other.folders);
    }

    /// Whether nothing is noted.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty() && self.copies.is_empty()
    }

    /// Waits until all of it is on the disk.
    pub fn flush(self) -> Result<(), StoreError> {
        let all = self.files.len() + self.copies.len() >= FLUSH_ALL_FROM;
        let mut flushed = BTreeSet::new();
        match self.files.first() {
            // The others are in the same store.
            Some(file) if all => {
                flushed.insert(fs::metadata(file)?.dev());
                fs::sync_file_system(file)?;
            }
            _ => {
                for file in &self.files {
                    fs::sync_file(file)?;
                }
                for folder in &self.folders {
                    fs::sync_dir(folder)?;
                }
            }
        }
        for copy in &self.copies {
            let Some(found) = fs::metadata_if_exists(copy)? else {
                continue;
            };
            if all || found.is_dir() {
                if flushed.insert(found.dev()) {
                    fs::sync_file_system(copy)?;
                }
                continue;
            }
            fs::sync_file(copy)?;
            if let Some(parent) = copy.parent() {
                fs::sync_dir(parent)?;
            }
        }
        Ok(())
    }
}
