//! What was written and must still reach the disk before anything may depend on it
//! (docs/adr/0009).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use restage_core::digest::PathDigest;
use restage_core::fs::{self, FsError};

/// From this many files on, one flush of the whole file system is cheaper than one per file.
const FLUSH_ALL_FROM: usize = 8;

/// Files and folders that were written, but may so far be only in memory.
#[derive(Debug, Clone, Default)]
pub struct Unflushed {
    pub(super) files: BTreeSet<PathBuf>,
    pub(super) folders: BTreeSet<PathBuf>,
    /// Published copies, perhaps on another file system, with what they are copies of.
    pub(super) copies: BTreeMap<PathBuf, PathDigest>,
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
    pub fn copy(&mut self, path: PathBuf, content: PathDigest) {
        self.copies.insert(path, content);
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

    /// Waits until all of it is on the disk. `disk` is the store's, opened before any of it was
    /// written.
    ///
    /// After an error nothing is known of any of it, and a second try proves nothing: Linux
    /// reports a failed write once, and may drop what it could not write.
    pub(super) fn flush_once(&self, disk: Option<&File>) -> Result<(), FsError> {
        let many = self.files.len() + self.copies.len() >= FLUSH_ALL_FROM;
        let all = many && fs::sync_tells_of_lost_writes();
        let mut flushed = BTreeSet::new();
        match (self.files.first(), disk) {
            // The others are in the same store.
            (Some(file), Some(disk)) if all => {
                flushed.insert(fs::metadata(file)?.dev());
                fs::sync_file_system(disk, file)?;
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
        for copy in self.copies.keys() {
            let Some(found) = fs::metadata_if_exists(copy)? else {
                continue;
            };
            match found.is_file() && !all {
                true => flush_copy(copy)?,
                false if flushed.insert(found.dev()) => flush_disk_of(copy)?,
                false => {}
            }
        }
        Ok(())
    }
}

/// Waits until a published file is on the disk. Where somebody made it unreadable meanwhile, its
/// file system is flushed.
pub(super) fn flush_copy(path: &Path) -> Result<(), FsError> {
    match fs::sync_file(path) {
        Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
            return flush_disk_of(path);
        }
        // Whoever owns the workspace removed it.
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(()),
        done => done?,
    }
    match path.parent() {
        Some(parent) => allowed(fs::sync_dir(parent)),
        None => Ok(()),
    }
}

/// Waits until the file system that a published file or folder is on is flushed.
pub(super) fn flush_disk_of(path: &Path) -> Result<(), FsError> {
    let parent = path.parent().unwrap_or(path);
    match fs::open(parent) {
        Ok(folder) => fs::sync_file_system(&folder, parent),
        Err(error) => allowed(Err(error)),
    }
}

/// What may not be opened can't be flushed. The store has what was published there.
fn allowed(done: Result<(), FsError>) -> Result<(), FsError> {
    match done {
        Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}
