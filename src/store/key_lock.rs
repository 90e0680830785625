//! Who is at work on which key: one claim a key, held by a kernel lock that dies with its
//! process. It must not know how stages are run.
//!
//! A claim's file names the process that works under it, and is removed when the claim is
//! given back. One that is found is thus from a restage that died, whose stage may live on:
//! it is stopped before its scratch folder is used again.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::base::fs::{self, Context, FsError};
use crate::base::process::ProcessRef;
use crate::digest::Digest;

/// How long an orphan may take to end after TERM.
const GRACE: Duration = Duration::from_secs(5);

/// The right to work on a key and to commit its record; dropped, it is free again.
#[derive(Debug)]
pub struct KeyLock {
    pub(super) store: Store,
    key: Digest,
    path: PathBuf,
    file: Mutex<File>,
    /// What a dead restage left in the file.
    left: Option<Note>,
    /// What works under this claim now.
    working: Mutex<Option<ProcessRef>>,
}

/// What a claim's file says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Note {
    /// Our own process, for people.
    restage: u32,
    /// The machine that it runs on.
    host: String,
    /// The stage's process.
    stage: Option<ProcessRef>,
}

impl Store {
    /// Claims a key, unless another restage, or another thread of this one, has it.
    pub fn try_claim(&self, key: &Digest) -> Result<Option<KeyLock>, StoreError> {
        let path = self.dir().join("claims").join(format!("{key}.lock"));
        loop {
            let mut file = fs::open_or_create(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error).at("lock", &path).map_err(StoreError::from),
            }
            // Its last owner may have removed the file between our opening and locking it.
            let ours = file.metadata().at("look at", &path)?;
            let there = fs::metadata_if_exists(&path)?;
            if there.is_none_or(|there| (there.dev(), there.ino()) != (ours.dev(), ours.ino())) {
                continue;
            }
            let mut text = Vec::new();
            file.read_to_end(&mut text).at("read", &path)?;
            // A cut note still says that its writer died.
            let left =
                (!text.is_empty()).then(|| serde_json::from_slice(&text).unwrap_or_default());
            let claim = KeyLock {
                store: self.clone(),
                key: *key,
                path,
                file: Mutex::new(file),
                left,
                working: Mutex::new(None),
            };
            if claim.left.is_none() {
                claim.write_note(None)?;
            }
            return Ok(Some(claim));
        }
    }

    /// Whether a stage that a dead restage started still works on this key. Changes nothing.
    pub(super) fn has_orphan(&self, key: &Digest) -> Result<bool, StoreError> {
        let path = self.dir().join("claims").join(format!("{key}.lock"));
        let Some(text) = fs::read_if_exists(&path)? else {
            return Ok(false);
        };
        let note: Note = serde_json::from_slice(&text).unwrap_or_default();
        let scratch = self.dir().join("scratch").join(key.to_string());
        Ok(note.stage.is_some_and(|stage| stage.is_alive())
            || given_scratch(&scratch)?.iter().any(ProcessRef::is_alive))
    }

    /// Claims a key, looking every `tick` whether it is free; `None` once `cancelled` says so.
    pub fn claim_wait(
        &self,
        key: &Digest,
        cancelled: &dyn Fn() -> bool,
        tick: Duration,
    ) -> Result<Option<KeyLock>, StoreError> {
        while !cancelled() {
            if let Some(claim) = self.try_claim(key)? {
                return Ok(Some(claim));
            }
            std::thread::sleep(tick);
        }
        Ok(None)
    }
}

impl KeyLock {
    /// The key that is claimed.
    pub fn key(&self) -> &Digest {
        &self.key
    }

    /// Notes the process that works under this claim, so that the next owner can stop it
    /// should this process die.
    pub fn note_process(&self, process: &ProcessRef) -> Result<(), StoreError> {
        *self.working.lock().unwrap_or_else(PoisonError::into_inner) = Some(process.clone());
        Ok(self.write_note(Some(process.clone()))?)
    }

    fn write_note(&self, stage: Option<ProcessRef>) -> Result<(), FsError> {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let note = Note {
            restage: std::process::id(),
            host,
            stage,
        };
        let text = serde_json::to_vec(&note)
            .map_err(std::io::Error::from)
            .at("write", &self.path)?;
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // Never empty in between: an empty file would say that its owner gave it back.
        file.seek(SeekFrom::Start(0)).at("write", &self.path)?;
        fs::write_all(&mut file, &text, &self.path)?;
        file.set_len(text.len() as u64).at("write", &self.path)
    }

    /// Process groups that a dead restage left working on this key.
    pub fn orphans(&self) -> Result<Vec<ProcessRef>, StoreError> {
        let Some(left) = &self.left else {
            return Ok(Vec::new());
        };
        let mut orphans: Vec<ProcessRef> = left.stage.iter().cloned().collect();
        // The dead one may not have come to note its stage, and a stage's child may have left
        // its group: all of them were given this scratch folder.
        for orphan in given_scratch(&self.scratch_path())? {
            if !orphans.iter().any(|known| known.pid == orphan.pid) {
                orphans.push(orphan);
            }
        }
        orphans.retain(ProcessRef::is_alive);
        Ok(orphans)
    }

    /// Stops what a dead restage left working on this key and waits until it is gone. To be
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

    /// The folder that attempts of this key share, made if need be: checkpoints, partial
    /// downloads. It goes when the key's record is committed.
    pub fn scratch(&self) -> Result<PathBuf, StoreError> {
        let path = self.scratch_path();
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    pub(super) fn scratch_path(&self) -> PathBuf {
        self.store.dir().join("scratch").join(self.key.to_string())
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
            let _ = self.store.retire(&self.path);
        }
    }
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
