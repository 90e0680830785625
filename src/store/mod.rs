//! What has been computed: objects by digest, records by key, and who is at work on which key.
//! It must not know the graph, what is stale, or how stages are run.
//!
//! Below `.restage/`: `objects/` (read-only blobs), `records/` (one for each finished key),
//! `claims/` (locks), `scratch/` (kept across attempts of one key), `work/` (stages' work
//! folders), `logs/`, `quarantine/` (damaged objects), `tmp/` (in the making, or going), `history.jsonl`,
//! `standstills/`, `stat-cache`. All may be deleted at the price of running again.

mod claim;
mod clone;
mod commit;
mod error;
mod fsck;
mod gc;
mod history;
mod listing;
pub mod lockfile;
mod object;
mod place;
mod record;
mod sealed;
pub mod standstills;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

pub use claim::Claim;
pub use commit::CommitOutcome;
pub use error::StoreError;
pub use fsck::{CheckStep, Checked, Finding, Need, OutState, Problem, Remedy, Report};
pub use gc::{Category, Garbage, Needs, Tally};
pub use history::LastRun;
pub use place::Placement;
pub use record::{Record, RecordedOut};
pub use work::LogPaths;

use crate::base::fs::{self, Context};
use crate::digest::StatCache;
use history::History;

/// The layout that this restage writes, and the newest that it reads.
const FORMAT: u32 = 1;

const FOLDERS: [&str; 8] = [
    "objects",
    "records",
    "claims",
    "scratch",
    "work",
    "logs",
    "quarantine",
    "tmp",
];

/// Backup programs skip a folder with this file (<https://bford.info/cachedir/>).
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # Made by restage. Backups may leave this folder out: all of it can be computed again.\n";

/// The store in one workspace; shared by threads, and with other processes. A clone is the
/// same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    cache: Arc<StatCache>,
    history: Mutex<Option<History>>,
    warnings: Mutex<Vec<String>>,
    /// Devices whose files can't be cloned into our folder for things in the making.
    never_clone: Mutex<BTreeSet<u64>>,
    /// Held for as long as the store is open, shared but for [`Store::open_alone`]: who holds it
    /// alone may remove what others could be using.
    lock: File,
}

impl Store {
    /// Opens the store in `dir`, making it first if need be. Leftovers of dead processes are
    /// removed if no other process has it open.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        Store::open_patiently(dir, &|| {})
    }

    /// As [`Store::open`]; `waiting` is called if another process has it alone, before this one
    /// waits for it.
    pub fn open_patiently(dir: &Path, waiting: &dyn Fn()) -> Result<Store, StoreError> {
        fs::create_dir_all(dir)?;
        let path = dir.join("lock");
        let lock = fs::open_or_create(&path)?;
        let alone = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if !alone && flock(&lock, FlockOperation::NonBlockingLockShared).is_err() {
            waiting();
            flock(&lock, FlockOperation::LockShared).at("lock", &path)?;
        }
        // Nothing is read or made before the lock is ours: whoever had it may have changed
        // anything, or have tidied away what we were making.
        make_layout(dir)?;
        let store = Store::with_lock(dir, lock);
        if alone {
            store.tidy()?;
            store.compact_history()?;
            flock(&store.0.lock, FlockOperation::LockShared).at("lock", &path)?;
        }
        Ok(store)
    }

    /// Opens the store in `dir` for this process alone, and leaves everything as it is. While
    /// it is open, others wait to open it.
    pub fn open_alone(dir: &Path) -> Result<Store, StoreError> {
        fs::create_dir_all(dir)?;
        let lock_path = dir.join("lock");
        let lock = fs::open_or_create(&lock_path)?;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    make_layout(dir)?;
                    return Ok(Store::with_lock(dir, lock));
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(StoreError::InUse {
                        dir: dir.to_owned(),
                    });
                }
                Err(error) => return Err(error).at("lock", &lock_path).map_err(StoreError::from),
            }
        }
    }

    fn with_lock(dir: &Path, lock: File) -> Store {
        let cache = Arc::new(StatCache::load(&dir.join("stat-cache")));
        let warnings = cache.warning().map(str::to_owned).into_iter().collect();
        Store(Arc::new(Inner {
            dir: dir.to_owned(),
            cache,
            history: Mutex::new(None),
            warnings: Mutex::new(warnings),
            never_clone: Mutex::default(),
            lock,
        }))
    }

    /// A store of its own below `tmp/`, to be thrown away: for work whose results must not count.
    /// Should this process die, the next one to tidy removes it.
    pub fn scratch(&self, name: &str) -> Result<Store, StoreError> {
        Store::open(&self.temp(Path::new(name)))
    }

    /// The store's folder.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Digests of files by what `stat` says of them; the only user of its file.
    pub fn stat_cache(&self) -> &Arc<StatCache> {
        &self.0.cache
    }

    /// What went wrong without doing harm since the last call: damaged caches and records.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(
            &mut self
                .0
                .warnings
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Keeps what was learnt about files for the next process. Call it when a run ends.
    pub fn save(&self) -> Result<(), StoreError> {
        Ok(self.0.cache.save()?)
    }

    /// A path for something in the making, or about to go.
    fn temp(&self, name: &Path) -> PathBuf {
        fs::temp_name(&self.tmp().join(name.file_name().unwrap_or_default()))
    }

    /// The folder for such things; emptied when the store is opened and nobody else has it.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.dir().join("tmp")
    }

    fn warn(&self, text: String) {
        self.0
            .warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    }
}

fn make_layout(dir: &Path) -> Result<(), StoreError> {
    let format = dir.join("format");
    match fs::read_if_exists(&format)? {
        Some(text) => {
            let text = String::from_utf8_lossy(&text);
            // An empty file is one whose writer's machine went down.
            let known = text.trim().is_empty()
                || text
                    .trim()
                    .parse::<u32>()
                    .is_ok_and(|found| (1..=FORMAT).contains(&found));
            if !known {
                let found = text.trim().to_owned();
                return Err(StoreError::NewerFormat {
                    dir: dir.to_owned(),
                    found,
                    known: FORMAT,
                });
            }
        }
        None => {
            fs::write_atomic(&dir.join("CACHEDIR.TAG"), CACHEDIR_TAG.as_bytes())?;
            fs::write_atomic(&format, format!("{FORMAT}\n").as_bytes())?;
        }
    }
    for folder in FOLDERS {
        if !fs::exists(&dir.join(folder))? {
            fs::create_dir_all(&dir.join(folder))?;
        }
    }
    Ok(())
}
