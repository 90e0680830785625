//! What has been computed: objects by digest, records by key, and who is at work on which key.
//! It must not know the graph, what is stale, or how stages are run.
//!
//! Below `.restage/`: `objects/` (read-only blobs), `records/` (one for each finished key),
//! `claims/` (locks), `scratch/` (kept across attempts of one key), `work/` (stages' work
//! folders), `logs/`, `quarantine/` (damaged objects), `tmp/` (in the making, or going), `history.jsonl`,
//! `noop/`, `stat-cache`. All may be deleted at the price of running again. Workspaces may
//! share what they can use of each other (docs/adr/0008): it then lies in a folder of its own.

mod clone;
mod commit;
mod error;
mod folder;
mod fsck;
mod gc;
mod history;
mod key_lock;
mod link;
mod listing;
mod location;
mod lock;
pub mod lockfile;
pub mod noop;
mod object;
mod place;
mod record;
mod registry;
mod retired;
mod sealed;
#[cfg(test)]
mod tests;
mod unflushed;
mod work;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use commit::CommitOutcome;
pub use error::StoreError;
pub use fsck::{CheckStep, Checked, Finding, Need, OutState, Problem, Remedy, Report};
pub use gc::{Category, Garbage, Needs, Tally};
pub use history::LastRun;
pub use key_lock::KeyLock;
pub use location::Location;
pub use place::Placement;
pub use record::{Record, RecordedOut};
pub use registry::{Member, Presence};
pub use unflushed::Unflushed;
pub use work::LogPaths;

use crate::base::fs::{self, FsError};
use crate::digest::StatCache;
use history::History;
use lock::Lock;

/// The store of one workspace; shared by threads, and with other processes. A clone is the
/// same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    location: Location,
    cache: Arc<StatCache>,
    history_path: PathBuf,
    history: Mutex<Option<History>>,
    warnings: Mutex<Vec<String>>,
    /// Devices whose files can't be cloned into our folder for things in the making.
    never_clone: Mutex<BTreeSet<u64>>,
    /// What is out of the way and yet to be removed.
    retired: Mutex<Vec<PathBuf>>,
    locks: Arc<Locks>,
}

/// Held for as long as the store is open, shared but for [`Store::open_alone`]: who holds them
/// alone may remove what others could be using.
#[derive(Debug)]
struct Locks {
    dir: Lock,
    /// Of the workspace's own folder, where that is another one.
    own: Option<Lock>,
}

impl Store {
    /// Opens the store in `dir`, making it first if need be. Leftovers of dead processes are
    /// removed if no other process has it open.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        Store::open_patiently(&Location::alone(dir), &|| {})
    }

    /// As [`Store::open`], wherever it lies; `waiting` is called if another process has it alone,
    /// before this one waits for it.
    pub fn open_patiently(location: &Location, waiting: &dyn Fn()) -> Result<Store, StoreError> {
        let explain = |error: FsError| location.explain(error);
        let own = match location.shared() {
            Some(_) => Some(Lock::take(location.own(), waiting)?),
            None => None,
        };
        let dir = Lock::take(location.dir(), waiting).map_err(explain)?;
        // Nothing is read or made before the locks are ours: whoever had them may have changed
        // anything, or have tidied away what we were making.
        let store = Store::with_locks(location, Locks { dir, own })?;
        let Locks { dir, own } = &*store.0.locks;
        if own.as_ref().unwrap_or(dir).is_alone {
            store.tidy_own()?;
            store.compact_history()?;
        }
        if dir.is_alone {
            store.tidy()?;
        }
        for lock in own.iter().chain([dir]).filter(|lock| lock.is_alone) {
            lock.share()?;
        }
        Ok(store)
    }

    /// Opens the store for this process alone, and leaves everything as it is. While it is open,
    /// others wait to open it.
    pub fn open_alone(location: &Location) -> Result<Store, StoreError> {
        let own = match location.shared() {
            Some(_) => Some(Lock::take_alone(location.own())?),
            None => None,
        };
        let dir = Lock::take_alone(location.dir()).map_err(|error| match error {
            StoreError::Fs(error) => location.explain(error),
            error => error,
        })?;
        Store::with_locks(location, Locks { dir, own })
    }

    fn with_locks(location: &Location, locks: Locks) -> Result<Store, StoreError> {
        location.make().map_err(|error| match error {
            StoreError::Fs(error) => location.explain(error),
            error => error,
        })?;
        let history_path = registry::join(location)?;
        Ok(Store::over(location.clone(), history_path, Arc::new(locks)))
    }

    fn over(location: Location, history_path: PathBuf, locks: Arc<Locks>) -> Store {
        let cache = Arc::new(StatCache::load(&location.own().join("stat-cache")));
        let warnings = cache.warning().map(str::to_owned).into_iter().collect();
        Store(Arc::new(Inner {
            location,
            cache,
            history_path,
            history: Mutex::new(None),
            warnings: Mutex::new(warnings),
            never_clone: Mutex::default(),
            retired: Mutex::default(),
            locks,
        }))
    }

    /// A store of its own below `tmp/`, to be thrown away: for work whose results must not count.
    /// Should this process die, the next one to tidy removes it.
    pub fn scratch(&self, name: &str) -> Result<Store, StoreError> {
        Store::open(&fs::temp_name(&self.own_tmp().join(name)))
    }

    /// The folder of objects and records.
    pub fn dir(&self) -> &Path {
        self.0.location.dir()
    }

    /// The workspace's own folder: the same one, unless the store is shared.
    pub fn own(&self) -> &Path {
        self.0.location.own()
    }

    /// Where it lies.
    pub fn location(&self) -> &Location {
        &self.0.location
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

    /// The folder for what goes to the store and is in the making, or about to go from there;
    /// emptied when the store is opened and nobody else has it.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.dir().join("tmp")
    }

    /// The same for what goes to the workspace.
    pub(crate) fn own_tmp(&self) -> PathBuf {
        self.own().join("tmp")
    }

    fn warn(&self, text: String) {
        self.0
            .warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    }
}
