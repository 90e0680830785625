//! What is thrown away: moved aside at once, removed now or once the run is over.
//!
//! For minutes, ext4 gives the inode number of a removed file or folder to no new one, and
//! whenever it makes one it skips over each such number (`recently_deleted` in Linux's
//! fs/ext4/ialloc.c). A run that removed a few files after each of its stages would get slower
//! with every stage: that took a fifth of the CPU time of a thousand small ones. So what a stage leaves is
//! removed at the end. What takes room is emptied at once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::StoreError;
use super::location::Location;
use super::store_lock::StoreLock;
use restage_core::fs;

/// How much waits at most: empty folders take room too.
const MOST: usize = 1 << 14;
/// What may wait as it is: so many files and folders, of so many bytes in all.
const SMALL: (usize, u64) = (16, 1 << 16);

/// The trash of an open store; a clone is the same trash.
#[derive(Debug, Clone)]
pub(super) struct Trash(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    location: Location,
    waiting: Mutex<Vec<PathBuf>>,
    warnings: Mutex<Vec<String>>,
    /// While there is trash, nobody else may tidy `tmp/`.
    _lock: Arc<StoreLock>,
}

impl Trash {
    pub(super) fn new(location: &Location, lock: &Arc<StoreLock>) -> Self {
        Self(Arc::new(Inner {
            location: location.clone(),
            waiting: Mutex::default(),
            warnings: Mutex::default(),
            _lock: Arc::clone(lock),
        }))
    }

    /// Moves a folder, or a file, aside and empties it if it is not small; [`Trash::empty`] removes it.
    /// Does nothing if nothing is there. What can't be removed is worth a warning.
    pub(super) fn discard(&self, path: &Path) {
        let location = &self.0.location;
        let aside = self.aside(path);
        match location.rename(path, &aside) {
            Ok(()) => {}
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return,
            Err(error) if error.source.kind() == io::ErrorKind::CrossesDevices => {
                return self.remove_at(path);
            }
            Err(error) => return self.note(error),
        }
        // What can't be looked through may be of any size.
        if !is_small(&aside).unwrap_or(false) {
            // What stays is named when it is removed.
            let _ = location.empty(&aside);
        }
        let full = {
            let mut waiting = self.waiting();
            waiting.push(aside);
            waiting.len() >= MOST
        };
        if full {
            self.empty();
        }
    }

    /// Removes what was discarded.
    pub(super) fn empty(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        for path in waiting {
            self.remove_at(&path);
        }
    }

    /// Removes a file or folder now; its name is free at once, even if that takes long. What can't be
    /// removed is worth a warning.
    pub(super) fn remove(&self, path: &Path) {
        // Most scratch folders are empty.
        match fs::remove_dir(path) {
            Ok(()) => return,
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return,
            Err(_) => {}
        }
        let aside = self.aside(path);
        match self.0.location.rename(path, &aside) {
            Ok(()) => self.remove_at(&aside),
            // On another disk, someone else was faster, or it may not be renamed.
            Err(_) => self.remove_at(path),
        }
    }

    /// Removes what is at a path, where it is.
    pub(super) fn remove_at(&self, path: &Path) {
        if let Err(error) = self.0.location.remove(path) {
            self.note(error);
        }
    }

    /// Remembers that something stays.
    pub(super) fn note(&self, error: impl Into<StoreError>) {
        let warnings = self.0.warnings.lock();
        let mut warnings = warnings.unwrap_or_else(PoisonError::into_inner);
        warnings.push(format!("{}; it stays there", error.into()));
    }

    /// What could not be removed since the last call.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        let warnings = self.0.warnings.lock();
        std::mem::take(&mut warnings.unwrap_or_else(PoisonError::into_inner))
    }

    /// A new name in the temporary folder that is on the file system of `path`.
    fn aside(&self, path: &Path) -> PathBuf {
        let location = &self.0.location;
        let tmp = match path.starts_with(location.dir()) {
            true => location.tmp(),
            false => location.own_tmp(),
        };
        fs::temp_name(&tmp.join(path.file_name().unwrap_or_default()))
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        let waiting = self.0.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what is at a path is [`SMALL`].
fn is_small(path: &Path) -> Result<bool, StoreError> {
    let (mut count, mut bytes) = (0, 0);
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let found = fs::symlink_metadata(&path)?;
        count += 1;
        if found.is_dir() {
            open.extend(fs::read_dir(&path)?.into_iter().map(|name| path.join(name)));
        } else {
            bytes += found.len();
        }
        if count + open.len() > SMALL.0 || bytes > SMALL.1 {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Drop for Inner {
    fn drop(&mut self) {
        let waiting = self.waiting.get_mut();
        for path in std::mem::take(waiting.unwrap_or_else(PoisonError::into_inner)) {
            // What stays is removed by the next process that opens the store alone.
            let _ = self.location.remove(&path);
        }
    }
}
