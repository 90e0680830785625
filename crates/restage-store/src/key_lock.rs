//! The lock on a key: whoever holds it works on the key, and only it commits the key's record.
//!
//! It is a kernel lock on a file, so it ends with its process. The file names the process that
//! works under the lock and is removed when the lock is released. A file that is found was thus
//! left by a restage that died, and its stage may live on: that is stopped before its scratch
//! folder is used again. On another machine it can't be stopped: it keeps that folder, and the next
//! owner gets another (docs/adr/0008).

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::location::Location;
use super::scratch::Scratch;
use super::trash::Trash;
use restage_core::digest::Digest;
use restage_core::fs::{self, Context, FileLock, FsError};
use restage_core::process::{ProcessRef, group_of};
use restage_core::whereabouts::Whereabouts;

/// How long an orphan may take to end after TERM.
const GRACE: Duration = Duration::from_secs(5);

/// Ends the names of lock files.
pub(super) const ENDING: &str = ".lock";

/// The right to work on a key and to commit its record; dropping it releases the key.
#[derive(Debug)]
pub struct KeyLock {
    key: Digest,
    scratch: Scratch,
    /// Which of the scratch folders is ours.
    number: AtomicU32,
    /// Where the file goes; it also keeps the store open.
    trash: Trash,
    file: Mutex<FileLock>,
    /// What a dead restage left in the file.
    left: Option<Note>,
    /// What it left running was stopped, or keeps its folder.
    settled: AtomicBool,
    /// What works under this lock now.
    working: Mutex<Option<ProcessRef>>,
}

/// The contents of the lock's file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Note {
    /// Our own process, for people.
    restage: u32,
    /// Where it runs.
    #[serde(flatten)]
    at: Whereabouts,
    /// The stage's process.
    stage: Option<ProcessRef>,
    /// Which scratch folder it has, from 1.
    #[serde(default)]
    scratch: u32,
    /// It released the lock, and left the file for the number of the folder alone.
    #[serde(default)]
    released: bool,
}

impl Note {
    /// The last of the notes in a file, one a line.
    fn read(text: &[u8]) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut lines = text.rsplit(|byte| *byte == b'\n');
        // The writer of a truncated one died while it wrote it. If that was the first, it had started
        // nothing yet, and all that it says is that somebody died.
        let whole = lines.find_map(|line| serde_json::from_slice(line).ok());
        Some(whole.unwrap_or_else(|| Self {
            at: Whereabouts::here().clone(),
            ..Self::default()
        }))
    }

    /// Whether a stage that can't be seen from here may work in its folder.
    fn is_out_of_sight(&self) -> bool {
        !self.released && self.at.is_out_of_sight_of(Whereabouts::here())
    }
}

/// What a restage left of the lock on a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing that matters.
    Nothing,
    /// A stage that works here.
    Orphan,
    /// Which scratch folder is the right one: another may have a writer elsewhere.
    Number,
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
            let note = Note::read(&file.read()?);
            let lock = KeyLock {
                key: *key,
                scratch: Scratch::of(location, key),
                number: AtomicU32::new(note.as_ref().map_or(1, |note| note.scratch.max(1))),
                trash: trash.clone(),
                file: Mutex::new(file),
                left: note.filter(|note| !note.released),
                settled: AtomicBool::new(false),
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
        self.write(&Note {
            restage: std::process::id(),
            at: Whereabouts::here().clone(),
            stage,
            scratch: self.number(),
            released: false,
        })
    }

    fn write(&self, note: &Note) -> Result<(), FsError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let text = serde_json::to_string(note)
            .map_err(std::io::Error::from)
            .at("write", file.path())?;
        // What stands there stays until all of this does; a truncated line before it ends.
        file.append(format!("\n{text}\n").as_bytes())
    }

    /// Process groups that a dead restage left working on this key.
    pub(crate) fn orphans(&self) -> Result<Vec<ProcessRef>, StoreError> {
        let Some(left) = &self.left else {
            return Ok(Vec::new());
        };
        let mut orphans: Vec<ProcessRef> = left.stage.iter().cloned().collect();
        // The dead restage may not have noted its stage yet, and a stage's child may have left
        // its group: all of them were given this scratch folder.
        for orphan in given_scratch(&self.scratch_path())? {
            if !orphans.iter().any(|known| known.pid == orphan.pid) {
                orphans.push(orphan);
            }
        }
        orphans.retain(ProcessRef::is_alive);
        Ok(orphans)
    }

    /// Stops what a dead restage left working on this key and waits until it is gone. Where that can't
    /// be seen from here, it keeps the scratch folder, and this lock gets another. Must be called before
    /// the scratch folder is used. Returns what to tell people.
    pub fn settle(&self) -> Result<Option<String>, StoreError> {
        let Some(left) = &self.left else {
            return Ok(None);
        };
        for process in self.orphans()? {
            if !process.stop(GRACE) {
                return Err(StoreError::Orphan { process });
            }
        }
        let mut told = None;
        if left.is_out_of_sight() {
            let before = self.number();
            let place = match left.at.host.as_str() {
                "" => "another machine".to_owned(),
                host => format!("`{host}`"),
            };
            let goes_on = match self.scratch.follow(before)? {
                true => "goes on from a copy of what it left in RESTAGE_SCRATCH",
                false => "begins anew",
            };
            self.number.store(before + 1, Ordering::Relaxed);
            told = Some(format!(
                "a run of it on {place} ended without saying so, and may go on unseen: this one {goes_on}"
            ));
        }
        self.write_note(None)?;
        self.settled.store(true, Ordering::Relaxed);
        Ok(told)
    }

    fn number(&self) -> u32 {
        self.number.load(Ordering::Relaxed)
    }

    /// The folder that attempts of this key share, created if missing: checkpoints, partial
    /// downloads. It is removed when the key's record is committed.
    pub fn scratch(&self) -> Result<PathBuf, StoreError> {
        let scratch = self.scratch_path();
        fs::create_dir_all(&scratch)?;
        Ok(scratch)
    }

    /// Where that folder is, if it exists.
    fn scratch_path(&self) -> PathBuf {
        self.scratch.path(self.number())
    }

    /// Where the folders of all attempts are, if they exist.
    pub(super) fn scratch_paths(&self) -> impl Iterator<Item = PathBuf> {
        (1..=self.number()).map(|n| self.scratch.path(n))
    }

    /// Whether something may work on the key that this lock did not start.
    pub(super) fn may_be_worked_on(&self) -> Result<bool, StoreError> {
        let unseen = self.left.as_ref().is_some_and(Note::is_out_of_sight);
        Ok(unseen || !self.orphans()?.is_empty())
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
        let settled = *self.settled.get_mut();
        let unsettled = self.left.as_ref().is_some_and(|left| {
            let alive = left.stage.as_ref().is_some_and(ProcessRef::is_alive);
            working.is_none() && !settled && (alive || left.is_out_of_sight())
        });
        if still_works || unsettled {
            return;
        }
        // Whoever has an earlier folder may write in it after the key's record is committed, too.
        if self.number() > 1 {
            let note = Note {
                scratch: self.number(),
                released: true,
                ..Note::default()
            };
            // If that fails, ours stays, and says that we died here.
            let _ = self.write(&note);
            return;
        }
        // While the lock is held, so that nobody can have locked the file meanwhile. A
        // file that stays does no harm.
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.trash.discard(file.path());
    }
}

/// What a dead restage left of the lock on this key. Changes nothing.
pub(super) fn left(location: &Location, key: &Digest) -> Result<Left, StoreError> {
    let text = fs::read_if_exists(&file_of(location, key))?;
    let Some(note) = text.and_then(|text| Note::read(&text)) else {
        return Ok(Left::Nothing);
    };
    let given = given_scratch(&Scratch::of(location, key).path(note.scratch))?;
    let mut started = note.stage.iter().chain(&given);
    Ok(match started.any(ProcessRef::is_alive) {
        true => Left::Orphan,
        false if note.scratch > 1 || note.is_out_of_sight() => Left::Number,
        false => Left::Nothing,
    })
}

/// The folder of lock files.
pub(super) fn folder(location: &Location) -> PathBuf {
    location.dir().join("claims")
}

fn file_of(location: &Location, key: &Digest) -> PathBuf {
    folder(location).join(format!("{key}{ENDING}"))
}

/// Process groups, other than our own, that were started with this scratch folder.
fn given_scratch(scratch: &Path) -> Result<Vec<ProcessRef>, StoreError> {
    use std::os::unix::ffi::OsStrExt;
    let mut wanted = b"RESTAGE_SCRATCH=".to_vec();
    wanted.extend_from_slice(scratch.as_os_str().as_bytes());
    let own = group_of(std::process::id());
    let mut groups = std::collections::BTreeSet::new();
    for name in fs::read_dir_if_exists(Path::new("/proc"))? {
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Others' processes can't be read, and any may end meanwhile.
        let Ok(environ) = fs::read(&Path::new("/proc").join(name).join("environ")) else {
            continue;
        };
        if environ
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted)
            && let Some(group) = group_of(pid)
            && Some(group) != own
        {
            groups.insert(group);
        }
    }
    Ok(groups.into_iter().map(ProcessRef::of).collect())
}
