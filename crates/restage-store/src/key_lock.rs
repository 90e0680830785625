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
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::lease::{Lease, Next, Outlived, Seen, Succession, Terms, look_at};
use super::location::Location;
use super::scratch::Scratch;
use super::token::Token;
use super::trash::Trash;
use restage_core::digest::Digest;
use restage_core::fs::{self, Context, FileLock, FsError};
use restage_core::process::{ProcessRef, group_of};
use restage_core::whereabouts::Whereabouts;

/// How long an orphan may take to end after TERM.
const GRACE: Duration = Duration::from_secs(5);

/// How often an heir is looked for that is being written.
const HEIR_TICK: Duration = Duration::from_millis(50);

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
    /// The folder of leases, and ours if we have one.
    claims: PathBuf,
    lease: Mutex<Option<Token>>,
    /// The key is another's: what is in the file is, too.
    forsaken: AtomicBool,
}

/// How somebody waits for a lease.
pub struct Waiting<'a> {
    /// How long things take.
    pub terms: Terms,
    /// A clock of who waits.
    pub now: &'a dyn Fn() -> Duration,
    /// Waits for a while, and says whether to go on.
    pub pause: &'a dyn Fn() -> bool,
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
    /// The lease by which it writes in that folder (docs/adr/0036).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease: Option<Token>,
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

    /// The machine, for people.
    fn place(&self) -> String {
        match self.at.host.as_str() {
            "" => "another machine".to_owned(),
            host => format!("`{host}`"),
        }
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
                claims: folder(location),
                lease: Mutex::new(None),
                forsaken: AtomicBool::new(false),
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
            lease: self.our_lease().clone(),
        })
    }

    fn our_lease(&self) -> MutexGuard<'_, Option<Token>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.stop_orphans()?;
        let mut told = None;
        if left.is_out_of_sight() {
            told = Some(match &left.lease {
                None => self.take_another(left)?,
                Some(token) => {
                    // It ends when it looks at its lease. Nobody waits for that here.
                    let lease = Lease::take(&self.claims, &self.key)?;
                    let terms = Terms::looking_every(Duration::ZERO);
                    let waiting = Waiting {
                        terms,
                        now: &|| Duration::ZERO,
                        pause: &|| {
                            std::thread::sleep(HEIR_TICK);
                            true
                        },
                    };
                    let told = self.succeed(&lease, left, token, &waiting)?;
                    lease.withdraw();
                    told.ok_or(StoreError::LeaseTaken { key: self.key })?
                }
            });
        }
        self.write_note(None)?;
        self.settled.store(true, Ordering::Relaxed);
        Ok(told)
    }

    /// Like [`KeyLock::settle`], by a lease: whoever works out of sight by one is told to end, and is waited for. If it
    /// says that it has, its scratch folder is ours. `None` if it is not to be waited for any longer, or if
    /// somebody else took the lease meanwhile.
    pub fn settle_by_lease(
        &self,
        waiting: &Waiting<'_>,
    ) -> Result<Option<(Lease, Option<String>)>, StoreError> {
        let lease = Lease::take(&self.claims, &self.key)?;
        let mut told = None;
        if let Some(left) = &self.left {
            self.stop_orphans()?;
            if left.is_out_of_sight() {
                told = match &left.lease {
                    None => Some(self.take_another(left)?),
                    Some(token) => self.succeed(&lease, left, token, waiting)?,
                };
                if told.is_none() {
                    lease.withdraw();
                    return Ok(None);
                }
            }
        }
        *self.our_lease() = Some(lease.token().clone());
        self.write_note(None)?;
        self.settled.store(true, Ordering::Relaxed);
        Ok(Some((lease, told)))
    }

    fn stop_orphans(&self) -> Result<(), StoreError> {
        for process in self.orphans()? {
            if !process.stop(GRACE) {
                return Err(StoreError::Orphan { process });
            }
        }
        Ok(())
    }

    /// Takes the scratch folder after ours, because somebody may yet write in ours.
    fn take_another(&self, left: &Note) -> Result<String, StoreError> {
        let before = self.number();
        let goes_on = match self.scratch.follow(before)? {
            true => "goes on from a copy of what it left in RESTAGE_SCRATCH",
            false => "begins anew",
        };
        self.number.store(before + 1, Ordering::Relaxed);
        let place = left.place();
        Ok(format!(
            "a run of it on {place} ended without saying so, and may go on unseen: this one {goes_on}"
        ))
    }

    /// Becomes the heir of a holder, or of its last heir, and gets its scratch folder or the next one.
    fn succeed(
        &self,
        lease: &Lease,
        left: &Note,
        first: &Token,
        waiting: &Waiting<'_>,
    ) -> Result<Option<String>, StoreError> {
        let (terms, now, place) = (waiting.terms, waiting.now, left.place());
        let mut succession = Succession::new(terms, first.clone(), self.number(), now());
        loop {
            let found = look_at(&self.claims, &self.key, &succession.holder)?;
            match succession.looked(now(), found) {
                Next::Look => continue,
                Next::Inherit(scratch, how) if lease.inherit(&succession.holder, scratch)? => {
                    self.number.store(succession.scratch, Ordering::Relaxed);
                    return Ok(Some(match how {
                        Outlived::Silent => self.take_another(left)?,
                        Outlived::Gone => format!(
                            "a run of it on {place} was told to end, and has: this one goes on in its \
                             RESTAGE_SCRATCH"
                        ),
                    }));
                }
                // Another one was faster, and what it wrote is yet to be read.
                Next::Inherit(..) | Next::Wait => {}
            }
            if lease.look() == Seen::Others || !(waiting.pause)() {
                return Ok(None);
            }
        }
    }

    /// Lets go of a key that somebody else has taken: nothing of it is ours to remove any more.
    pub fn forsake(&self) {
        self.forsaken.store(true, Ordering::Relaxed);
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
        if *self.forsaken.get_mut() {
            return;
        }
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
