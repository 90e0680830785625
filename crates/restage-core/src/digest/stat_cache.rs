//! Remembers a file's digest by what `stat` says of it, so that an unchanged file is not read
//! again, unless a change could be invisible to `stat`.
//!
//! A file is known by device and inode, under all its names; its digest is valid as long as
//! size, modification time and change time stay the same. A file that was touched within one tick of
//! the clock before it was read could be changed once more with the same times: its digest is
//! used but not remembered (git calls such entries racy).
//!
//! Linking and unlinking change a file's change time. The store's objects are sealed: read-only
//! under all their names, and trusted without their change time. Instead, their birth time must be
//! the same, because a file system gives a removed file's number to a new file. Where birth times
//! are unknown, the change time counts for them too.
//!
//! `stat` says nothing of a bit that flips on the disk. So an entry vouches for its file for a month
//! at most, and only on the machine that read the bytes (docs/adr/0019).
//!
//! Layout of the file: 16 bytes of name and version, 64 bytes that name the machine, entries of 92
//! bytes sorted by device and inode, the blake3 digest of everything before. Little-endian.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::file::{Tree, digest_open, expect_file, is_executable, look, tree};
use super::hash::Digest;
use super::listing::{Skip, nothing};
use super::path::{Kind, PathDigest};
use super::stamp::{Id, Stamp, settled_before};
use crate::clock::WallTime;
use crate::fs::{self, FsError};
use crate::rel_path::RelPath;
use crate::whereabouts::{boot_id, host_name};

/// How often something may change while it is read before that is an error. Not just a few times:
/// each link that another restage makes to an out changes the out's times.
const ATTEMPTS: u32 = 8;
/// Before the second reading; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(1);
/// Maps for what is learnt.
const SHARDS: usize = 16;
/// For how many saves an entry is kept that nobody asks for.
const KEEP_UNUSED: u32 = 100;
/// Starts the file: name and version.
const HEAD: &[u8; 16] = b"restage stat v2\n";
/// What the file of the version before starts with.
const OLD_HEAD: &[u8; 16] = b"restage stat v1\n";
/// Bytes per entry.
const ENTRY: usize = 92;
/// For how many days an entry vouches at most for bytes that were read.
const MOST_DAYS: u32 = 30;
/// Entries expire over so many days, by their inode's number, so that no single run has to read
/// everything again.
const SPREAD_DAYS: u32 = 7;

/// Digests of files by what `stat` says of them; shared by threads.
#[derive(Debug)]
pub struct StatCache {
    file: PathBuf,
    machine: Machine,
    /// Days since 1970.
    today: u32,
    /// As loaded: sorted by device and inode.
    loaded: Vec<Entry>,
    /// Whether each loaded entry was asked for.
    used: Vec<AtomicBool>,
    /// Whether each loaded entry is to be forgotten: it is wrong, or its file is gone.
    wrong: Vec<AtomicBool>,
    /// Found or sealed since; these replace loaded ones. In several maps by inode, so that threads which
    /// learn of many small files seldom wait for each other.
    found: [Mutex<BTreeMap<Id, Entry>>; SHARDS],
    warning: Option<String>,
}

/// A file or folder with its content.
#[derive(Debug, Clone)]
pub enum Found {
    /// A file.
    File(PathDigest),
    /// A folder.
    Folder(Tree),
}

impl Found {
    /// It as one value.
    pub fn content(&self) -> PathDigest {
        match self {
            Self::File(content) => *content,
            Self::Folder(tree) => tree.content,
        }
    }
}

impl StatCache {
    /// Loads the cache. One that is damaged, unreadable or of another version counts as
    /// empty, and [`StatCache::warning`] says so: it costs time, never correctness. One of another
    /// machine counts as empty too.
    pub fn load(file: &Path) -> StatCache {
        let days = WallTime::now().seconds.div_euclid(24 * 60 * 60);
        let today = u32::try_from(days).unwrap_or(0);
        Self::load_at(file, Machine::here(), today)
    }

    fn load_at(file: &Path, machine: Machine, today: u32) -> StatCache {
        let (loaded, warning) = match fs::read_own(file) {
            Ok(None) => (Vec::new(), None),
            Ok(Some(bytes)) => match parse(&bytes) {
                Some((of, entries)) if of.is_same_as(&machine) => (entries, None),
                Some(_) => (Vec::new(), None),
                // Not worth a word: it is only of an older restage.
                None if bytes.starts_with(OLD_HEAD) => (Vec::new(), None),
                None => {
                    let file = file.display();
                    let why = "is damaged or of another version: files are read again";
                    (Vec::new(), Some(format!("`{file}` {why}")))
                }
            },
            Err(error) => (Vec::new(), Some(format!("{error}: files are read again"))),
        };
        let flags = || loaded.iter().map(|_| AtomicBool::new(false)).collect();
        let (used, wrong) = (flags(), flags());
        let found = Default::default();
        StatCache {
            file: file.to_owned(),
            machine,
            today,
            loaded,
            used,
            wrong,
            found,
            warning,
        }
    }

    /// What was wrong with the file, if anything.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Content of the file or folder at `rel`; `None` if nothing is there. A path that is a
    /// symbolic link is followed; one that leads nowhere is nothing.
    pub fn path_digest(&self, root: &Path, rel: &RelPath) -> Result<Option<PathDigest>, FsError> {
        self.digest_at(&rel.under(root))
    }

    /// Like [`StatCache::path_digest`], for any path. A folder that is replaced while it is read
    /// is read again.
    pub fn digest_at(&self, path: &Path) -> Result<Option<PathDigest>, FsError> {
        Ok(self.found_at(path, &nothing)?.map(|found| found.content()))
    }

    /// What lies at a path, a folder without what `skip` passes over.
    pub fn found_at(&self, path: &Path, skip: &Skip<'_>) -> Result<Option<Found>, FsError> {
        for attempt in 1..ATTEMPTS {
            match self.found_now(path, skip) {
                Err(error) if error.source.kind() == io::ErrorKind::NotFound => pause(attempt),
                done => return done,
            }
        }
        self.found_now(path, skip)
    }

    fn found_now(&self, path: &Path, skip: &Skip<'_>) -> Result<Option<Found>, FsError> {
        let Some(metadata) = fs::metadata_if_exists(path)? else {
            return Ok(None);
        };
        if metadata.is_dir() {
            return Ok(Some(Found::Folder(self.tree_without(path, skip)?)));
        }
        let (digest, metadata) = self.file(path, metadata)?;
        let kind = Kind::File {
            executable: is_executable(&metadata),
        };
        Ok(Some(Found::File(PathDigest {
            digest,
            kind,
            size: metadata.len(),
            files: 1,
        })))
    }

    /// Digest of a file that was looked at already.
    pub fn digest_of(&self, path: &Path, metadata: Metadata) -> Result<Digest, FsError> {
        Ok(self.file(path, metadata)?.0)
    }

    /// A folder with all that is in it.
    pub fn tree(&self, path: &Path) -> Result<Tree, FsError> {
        self.tree_without(path, &nothing)
    }

    fn tree_without(&self, path: &Path, skip: &Skip<'_>) -> Result<Tree, FsError> {
        tree(path, skip, &|file, metadata| {
            Ok(self.file(file, metadata.clone())?.0)
        })
    }

    /// Digest of a file, and what `stat` said of exactly those bytes.
    fn file(&self, path: &Path, mut metadata: Metadata) -> Result<(Digest, Metadata), FsError> {
        expect_file(path, &metadata)?;
        if let Some(digest) = self.lookup(&metadata) {
            return Ok((digest, metadata));
        }
        for attempt in 1..=ATTEMPTS {
            let now = WallTime::file_clock();
            let file = fs::open_seen(path)?;
            if attempt > 1 {
                metadata = look(&file, path)?;
            }
            match digest_open(&file, path, metadata.len()) {
                // The file that was opened is the one that was looked at before, and nobody wrote to it since.
                // Whether the path leads to another one by now is as good a question at any later moment.
                Ok((digest, after)) if Stamp::of(&after) == Stamp::of(&metadata) => {
                    self.remember(&metadata, digest, now);
                    return Ok((digest, metadata));
                }
                // It became shorter meanwhile.
                Err(error) if error.source.kind() != io::ErrorKind::UnexpectedEof => {
                    return Err(error);
                }
                _ => pause(attempt),
            }
        }
        let source = io::Error::other("it keeps changing while it is read");
        Err(FsError {
            op: "digest",
            path: path.to_owned(),
            source,
        })
    }

    fn lookup(&self, metadata: &Metadata) -> Option<Digest> {
        let entry = self.known(Stamp::of(metadata).id())?;
        let fits = entry.vouches_for(metadata) && !entry.is_old(self.today);
        fits.then_some(entry.digest)
    }

    /// What is remembered of an inode.
    fn known(&self, id: Id) -> Option<Entry> {
        match self.loaded_at(id) {
            Some(at) if !self.wrong[at].load(Ordering::Relaxed) => {
                self.used[at].store(true, Ordering::Relaxed);
                Some(self.loaded[at])
            }
            _ => self.found(id).get(&id).copied(),
        }
    }

    fn loaded_at(&self, id: Id) -> Option<usize> {
        let found = self
            .loaded
            .binary_search_by_key(&id, |entry| entry.stamp.id());
        found.ok()
    }

    /// Keeps an entry in place of any other of the same inode.
    fn insert(&self, entry: Entry) {
        let id = entry.stamp.id();
        self.drop_loaded(id);
        self.found(id).insert(id, entry);
    }

    fn drop_loaded(&self, id: Id) {
        if let Some(at) = self.loaded_at(id) {
            self.wrong[at].store(true, Ordering::Relaxed);
        }
    }

    /// Forgets a file that is about to be removed, or not to be trusted: its number may come back
    /// for another one.
    pub fn forget(&self, metadata: &Metadata) {
        let id = Stamp::of(metadata).id();
        self.drop_loaded(id);
        self.found(id).remove(&id);
    }

    /// Compares what is remembered of a file with the digest of its bytes, which were read just
    /// now. A wrong entry is forgotten; returns whether it was wrong.
    pub fn refute(&self, metadata: &Metadata, digest: Option<Digest>) -> bool {
        let remembered = self.lookup(metadata);
        if remembered.is_none() || remembered == digest {
            return false;
        }
        self.forget(metadata);
        true
    }

    /// Keeps a digest, unless the file was touched so shortly before `now` that a change after
    /// it was read could have left the same times.
    fn remember(&self, metadata: &Metadata, digest: Digest, now: WallTime) {
        let entry = Entry::of(metadata, digest, self.today);
        // An object that was due to be read again, and is sound.
        let known = self.known(entry.stamp.id());
        let sealed = known.is_some_and(|known| {
            known.sealed && known.digest == digest && known.vouches_for(metadata)
        });
        if sealed || settled_before(&entry.stamp, now) {
            self.insert(Entry { sealed, ..entry });
        }
    }

    /// Vouches for a read-only file of the store, whose bytes were just digested and which
    /// nobody can be writing to.
    pub fn seal(&self, path: &Path, digest: Digest) -> Result<(), FsError> {
        let entry = Entry::of(&fs::symlink_metadata(path)?, digest, self.today);
        self.insert(Entry {
            sealed: true,
            ..entry
        });
        Ok(())
    }

    /// Like [`StatCache::seal`], for an object that another process made, if its bytes were read
    /// and remembered: otherwise linking it would mean reading it again.
    pub fn adopt(&self, path: &Path, digest: Digest) -> Result<(), FsError> {
        let found = fs::symlink_metadata(path)?;
        let now = Entry::of(&found, digest, self.today);
        // What is remembered was old enough when it was read that a later change shows in its times.
        let same = |known: &Entry| {
            known.digest == digest && known.same_but_for_ctime(&now) && !known.sealed
        };
        if let Some(known) = self.known(now.stamp.id()).filter(same) {
            self.insert(Entry {
                sealed: true,
                checked: known.checked,
                ..now
            });
        }
        Ok(())
    }

    /// The map for an inode.
    fn found(&self, (_, ino): Id) -> MutexGuard<'_, BTreeMap<Id, Entry>> {
        locked(&self.found[ino as usize % SHARDS])
    }

    /// Writes the cache if it changed since it was loaded, unless its folder is missing: whoever only looks at
    /// a workspace makes none.
    pub fn save(&self) -> Result<(), FsError> {
        if !fs::exists(self.file.parent().unwrap_or(Path::new("/")))? {
            return Ok(());
        }
        let mut entries: Vec<Entry> = Vec::new();
        for found in &self.found {
            entries.extend(locked(found).values());
        }
        let wrong = |at: usize| self.wrong[at].load(Ordering::Relaxed);
        if entries.is_empty() && !(0..self.loaded.len()).any(wrong) {
            return Ok(());
        }
        for (at, (entry, used)) in self.loaded.iter().zip(&self.used).enumerate() {
            // Those of which another one was found are wrong too.
            if wrong(at) {
                continue;
            }
            let unused = if used.load(Ordering::Relaxed) {
                0
            } else {
                entry.unused + 1
            };
            if unused <= KEEP_UNUSED {
                entries.push(Entry { unused, ..*entry });
            }
        }
        entries.sort_unstable_by_key(|entry| entry.stamp.id());
        fs::write_own(&self.file, &to_bytes(&self.machine, &entries))
    }
}

fn locked<T>(found: &Mutex<T>) -> MutexGuard<'_, T> {
    // A map is valid after every insert, even if the thread panicked afterwards.
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pause(attempt: u32) {
    std::thread::sleep(PAUSE * (1 << (attempt - 1)));
}

/// A file's stamp and the digest of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    stamp: Stamp,
    /// Nanoseconds since 1970, or [`UNKNOWN`].
    born: i64,
    digest: Digest,
    /// One of the store's objects: its change time may move on.
    sealed: bool,
    /// Saves since somebody last asked for it.
    unused: u32,
    /// When its bytes were last read, in days since 1970.
    checked: u32,
}

/// The birth time of a file whose file system keeps none.
const UNKNOWN: i64 = i64::MIN;

impl Entry {
    /// An unsealed one of a file whose bytes were read today.
    fn of(metadata: &Metadata, digest: Digest, today: u32) -> Self {
        let born = metadata.created().ok().map(WallTime::from);
        let born = born.and_then(|time| i64::try_from(time.as_nanos()).ok());
        Self {
            stamp: Stamp::of(metadata),
            born: born.unwrap_or(UNKNOWN),
            digest,
            sealed: false,
            unused: 0,
            checked: today,
        }
    }

    /// Whether a file of which `stat` says this still has these bytes.
    fn vouches_for(&self, metadata: &Metadata) -> bool {
        let found = Self::of(metadata, self.digest, self.checked);
        let read_only = metadata.permissions().mode() & 0o222 == 0;
        match self.sealed {
            true => read_only && self.same_but_for_ctime(&found),
            false => self.stamp == found.stamp,
        }
    }

    /// Whether both are of the same file with the same bytes, which may have got or lost names.
    fn same_but_for_ctime(&self, other: &Self) -> bool {
        let ctime = self.stamp.ctime;
        let known = self.born != UNKNOWN || ctime == other.stamp.ctime;
        known
            && self.born == other.born
            && self.stamp
                == Stamp {
                    ctime,
                    ..other.stamp
                }
    }

    /// Whether its bytes are to be read again.
    fn is_old(&self, today: u32) -> bool {
        let earlier = (self.stamp.ino % u64::from(SPREAD_DAYS)) as u32;
        // A clock that was wrong then or is wrong now proves nothing.
        today.abs_diff(self.checked) >= MOST_DAYS - earlier
    }
}

/// The machine that a cache is of: by its name or, because a container often gets a new one, by its
/// boot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Machine {
    name: Digest,
    boot: Digest,
}

impl Machine {
    fn here() -> Self {
        let boot = boot_id().unwrap_or_default();
        Self {
            name: Digest::of(host_name().as_bytes()),
            boot: Digest::of(boot.as_bytes()),
        }
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let no_boot = Digest::of(b"");
        self.name == other.name || (self.boot == other.boot && self.boot != no_boot)
    }
}

/// Entries, sorted by file, as bytes.
fn to_bytes(machine: &Machine, entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD.len() + 64 + entries.len() * ENTRY + 32);
    bytes.extend_from_slice(HEAD);
    bytes.extend_from_slice(&machine.name.0);
    bytes.extend_from_slice(&machine.boot.0);
    for Entry {
        stamp,
        born,
        digest,
        sealed,
        unused,
        checked,
    } in entries
    {
        for number in [stamp.dev, stamp.ino, stamp.size] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for time in [stamp.mtime, stamp.ctime, *born] {
            bytes.extend_from_slice(&time.to_le_bytes());
        }
        bytes.extend_from_slice(&digest.0);
        for number in [u32::from(*sealed), *unused, *checked] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    let check = Digest::of(&bytes);
    bytes.extend_from_slice(&check.0);
    bytes
}

/// Reads what [`to_bytes`] wrote; `None` if a single bit differs.
fn parse(bytes: &[u8]) -> Option<(Machine, Vec<Entry>)> {
    let (body, check) = bytes.split_last_chunk::<32>()?;
    if Digest::of(body).0 != *check {
        return None;
    }
    let mut rest = body.strip_prefix(HEAD)?;
    let machine = Machine {
        name: Digest(take(&mut rest)?),
        boot: Digest(take(&mut rest)?),
    };
    let entries = rest.chunks_exact(ENTRY);
    if !entries.remainder().is_empty() {
        return None;
    }
    let entries: Vec<Entry> = entries.map(parse_entry).collect::<Option<_>>()?;
    let sorted = entries.is_sorted_by_key(|entry| entry.stamp.id());
    sorted.then_some((machine, entries))
}

fn parse_entry(mut bytes: &[u8]) -> Option<Entry> {
    Some(Entry {
        stamp: Stamp {
            dev: u64::from_le_bytes(take(&mut bytes)?),
            ino: u64::from_le_bytes(take(&mut bytes)?),
            size: u64::from_le_bytes(take(&mut bytes)?),
            mtime: i64::from_le_bytes(take(&mut bytes)?),
            ctime: i64::from_le_bytes(take(&mut bytes)?),
        },
        born: i64::from_le_bytes(take(&mut bytes)?),
        digest: Digest(take(&mut bytes)?),
        sealed: u32::from_le_bytes(take(&mut bytes)?) != 0,
        unused: u32::from_le_bytes(take(&mut bytes)?),
        checked: u32::from_le_bytes(take(&mut bytes)?),
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
#[path = "stat_cache_tests.rs"]
mod tests;
