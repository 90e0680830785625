//! The lock on a key: whoever holds it works on the key, and only it commits the key's record.
//!
//! It is a kernel lock on a file, so it ends with its process. The file names the process that
//! works under the lock and is removed when the lock is released. A file that is found was thus
//! left by a restage that died, and its stage may live on: that is stopped before its scratch
//! folder is used again.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::location::Location;
use super::trash::Trash;
use restage_core::digest::Digest;
use restage_core::fs::{self, Context, FileLock, FsError};
use restage_core::process::{ProcessRef, host_name};

/// How long an orphan may take to end after TERM.
const GRACE: Duration = Duration::from_secs(5);

/// Ends the names of lock files.
pub(super) const ENDING: &str = ".lock";

/// The right to work on a key and to commit its record; dropping it releases the key.
#[derive(Debug)]
pub struct KeyLock {
    key: Digest,
    scratch: PathBuf,
    /// Where the file goes; it also keeps the store open.
    trash: Trash,
    file: Mutex<FileLock>,
    /// What a dead restage left in the file.
    left: Option<Note>,
    /// What works under this lock now.
    working: Mutex<Option<ProcessRef>>,
}

/// The contents of the lock's file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Note {
    /// Our own process, for people.
    restage: u32,
    /// The machine that it runs on.
    host: String,
    /// The stage's process.
    stage: Option<ProcessRef>,
}

impl KeyLock {
    pub(super) fn try_take(
        location: &Location,
        trash: &Trash,
        key: &Digest,
    ) -> Result<Option<KeyLock>, StoreError> {
        let path = file_of(location, key);
        loop {
            let mut file = FileLock::open(&path)?;
            if !file.try_exclusive()? {
                return Ok(None);
            }
            // Its last owner may have removed the file between our opening and locking it.
            let ours = file.metadata()?;
            let there = fs::symlink_metadata_if_exists(&path)?;
            if there.is_none_or(|there| (there.dev(), there.ino()) != (ours.dev(), ours.ino())) {
                continue;
            }
            let text = file.read()?;
            // Even a truncated note says that its writer died.
            let left =
                (!text.is_empty()).then(|| serde_json::from_slice(&text).unwrap_or_default());
            let lock = KeyLock {
                key: *key,
                scratch: scratch_of(location, key),
                trash: trash.clone(),
                file: Mutex::new(file),
                left,
                working: Mutex::new(None),
            };
            if lock.left.is_none() {
                lock.write_note(None)?;
            }
            return Ok(Some(lock));
        }
    }

    /// The key that is locked.
    pub fn key(&self) -> &Digest {
        &self.key
    }

    /// Notes the process that works under this lock, so that the next owner can stop it if this
    /// process dies.
    pub fn note_process(&self, process: &ProcessRef) -> Result<(), StoreError> {
        *self.working.lock().unwrap_or_else(PoisonError::into_inner) = Some(process.clone());
        Ok(self.write_note(Some(process.clone()))?)
    }

    fn write_note(&self, stage: Option<ProcessRef>) -> Result<(), FsError> {
        let note = Note {
            restage: std::process::id(),
            host: host_name(),
            stage,
        };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let text = serde_json::to_vec(&note)
            .map_err(std::io::Error::from)
            .at("write", file.path())?;
        // Never empty in between: an empty file would say that its owner released it.
        file.write(&text)
    }

    /// Process groups that a dead restage left working on this key.
    pub(crate) fn orphans(&self) -> Result<Vec<ProcessRef>, StoreError> {
        let Some(left) = &self.left else {
            return Ok(Vec::new());
        };
        let mut orphans: Vec<ProcessRef> = left.stage.iter().cloned().collect();
        // The dead restage may not have noted its stage yet, and a stage's child may have left
        // its group: all of them were given this scratch folder.
        for orphan in given_scratch(&self.scratch)? {
            if !orphans.iter().any(|known| known.pid == orphan.pid) {
                orphans.push(orphan);
            }
        }
        orphans.retain(ProcessRef::is_alive);
        Ok(orphans)
    }

    /// Stops what a dead restage left working on this key and waits until it is gone. Must be
    /// called before the scratch folder is used.
    pub fn kill_orphan(&self) -> Result<(), StoreError> {
        if self.left.is_none() {
            return Ok(());
        }
        for process in self.orphans()? {
            if !process.stop(GRACE) {
                return Err(StoreError::Orphan { process });
            }
        }
        Ok(self.write_note(None)?)
    }

    /// The folder that attempts of this key share, created if missing: checkpoints, partial
    /// downloads. It is removed when the key's record is committed.
    pub fn scratch(&self) -> Result<PathBuf, StoreError> {
        fs::create_dir_all(&self.scratch)?;
        Ok(self.scratch.clone())
    }

    /// Where that folder is, if it exists.
    pub(super) fn scratch_path(&self) -> &Path {
        &self.scratch
    }
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        let working = self
            .working
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let still_works = working.as_ref().is_some_and(ProcessRef::is_alive);
        // An orphan that nobody stopped stays noted.
        let unsettled = self.left.as_ref().is_some_and(|left| {
            working.is_none() && left.stage.as_ref().is_some_and(ProcessRef::is_alive)
        });
        if !still_works && !unsettled {
            // While the lock is held, so that nobody can have locked the file meanwhile. A
            // file that stays does no harm.
            let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
            self.trash.discard(file.path());
        }
    }
}

/// Whether a stage that a dead restage started still works on this key. Changes nothing.
pub(super) fn has_orphan(location: &Location, key: &Digest) -> Result<bool, StoreError> {
    let Some(text) = fs::read_if_exists(&file_of(location, key))? else {
        return Ok(false);
    };
    let note: Note = serde_json::from_slice(&text).unwrap_or_default();
    Ok(note.stage.is_some_and(|stage| stage.is_alive())
        || given_scratch(&scratch_of(location, key))?
            .iter()
            .any(ProcessRef::is_alive))
}

/// The folder of lock files.
pub(super) fn folder(location: &Location) -> PathBuf {
    location.dir().join("claims")
}

fn file_of(location: &Location, key: &Digest) -> PathBuf {
    folder(location).join(format!("{key}{ENDING}"))
}

fn scratch_of(location: &Location, key: &Digest) -> PathBuf {
    location.dir().join("scratch").join(key.to_string())
}

/// Process groups, other than our own, that were started with this scratch folder.
fn given_scratch(scratch: &Path) -> Result<Vec<ProcessRef>, StoreError> {
    use std::os::unix::ffi::OsStrExt;
    let mut wanted = b"RESTAGE_SCRATCH=".to_vec();
    wanted.extend_from_slice(scratch.as_os_str().as_bytes());
    let own = rustix::process::getpgrp();
    let mut groups = std::collections::BTreeSet::new();
    for name in fs::read_dir_if_exists(Path::new("/proc"))? {
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // Others' processes can't be read, and any may end meanwhile.
        let Ok(environ) = fs::read(&Path::new("/proc").join(name).join("environ")) else {
            continue;
        };
        if environ
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted)
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
            && let Ok(group) = rustix::process::getpgid(Some(pid))
            && group != own
        {
            groups.insert(group.as_raw_nonzero().get().unsigned_abs());
        }
    }
    Ok(groups.into_iter().map(ProcessRef::of).collect())
}
