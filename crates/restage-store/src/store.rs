//! Opens a store, tidies what dead processes left in it, and hands out its parts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::batches::Batches;
use super::environments::Environments;
use super::error::StoreError;
use super::listing;
use super::location::Location;
use super::locks::Locks;
use super::objects::Objects;
use super::records::Records;
use super::registry::{self, Member};
use super::scratch;
use super::store_lock::StoreLock;
use super::trash::Trash;
use super::workdirs::Workdirs;
use restage_core::digest::StatCache;
use restage_core::fs;

/// The store of one workspace; shared by threads, and with other processes. A clone is the
/// same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    location: Location,
    cache: Arc<StatCache>,
    cache_warning: Mutex<Option<String>>,
    objects: Objects,
    records: Records,
    locks: Locks,
    workdirs: Workdirs,
    environments: Environments,
    batches: Batches,
}

impl Store {
    /// Opens the store in `dir`, creating it if missing. Leftovers of dead processes are removed
    /// if no other process has it open.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        Store::open_patiently(&Location::alone(dir), &|| {})
    }

    /// Like [`Store::open`], at any location; `waiting` is called before waiting for a process
    /// that has the store open alone.
    pub fn open_patiently(location: &Location, waiting: &dyn Fn()) -> Result<Store, StoreError> {
        // Nothing but this is read or made before the locks are ours: whoever had them may have
        // changed anything, or have tidied away what we were making.
        location.check()?;
        let lock = Arc::new(StoreLock::take(location, waiting)?);
        let store = Store::with_lock(location, Arc::clone(&lock))?;
        if lock.own().is_exclusive {
            store.tidy_tmp(&location.own_tmp(), location.own())?;
            store.workdirs().tidy()?;
            store.records().compact_history()?;
        }
        if lock.dir.is_exclusive {
            if location.shared().is_some() {
                store.tidy_tmp(&location.tmp(), location.dir())?;
            }
            store.tidy_finished()?;
        }
        lock.share()?;
        Ok(store)
    }

    /// Opens the store to look at it: nothing is made or tidied, and no right to write is needed. If
    /// there is none, it is as if nothing had run. What looking finds out may be remembered in its
    /// stat cache.
    pub fn open_to_look(location: &Location, waiting: &dyn Fn()) -> Result<Store, StoreError> {
        location.check()?;
        let lock = StoreLock::look(location, waiting)?;
        location.check_format()?;
        let history = registry::history(location);
        Ok(Store::assemble(location, history, Arc::new(lock)))
    }

    /// Opens the store for a worker, whose own folder is at `own`: no workspace is registered, and nothing is
    /// tidied.
    pub fn open_to_work(own: &Path, dir: &Path) -> Result<Store, StoreError> {
        let location = Location::of_worker(own, dir);
        location.check()?;
        let lock = Arc::new(StoreLock::take(&location, &|| {})?);
        location.make_own()?;
        location.check_format()?;
        lock.share()?;
        let history = own.join("history.jsonl");
        Ok(Store::assemble(&location, history, lock))
    }

    /// Opens the store for this process alone, and leaves everything as it is. While it is open,
    /// others wait to open it.
    pub fn open_alone(location: &Location) -> Result<Store, StoreError> {
        location.check()?;
        let lock = StoreLock::take_exclusive(location)?;
        Store::with_lock(location, Arc::new(lock))
    }

    /// A throw-away store below `tmp/`, for work whose results must not count. If this process
    /// dies, the next one to tidy removes it.
    pub fn throwaway(&self, name: &str) -> Result<Store, StoreError> {
        Store::open(&fs::temp_name(&self.location().own_tmp().join(name)))
    }

    /// The store as another workspace sees it. It is not to be changed.
    pub fn seen_by(&self, member: &Member) -> Store {
        let location = Location::within(&member.root, self.location().dir());
        let lock = Arc::clone(self.locks().store());
        Store::assemble(&location, member.history(), lock)
    }

    fn with_lock(location: &Location, lock: Arc<StoreLock>) -> Result<Store, StoreError> {
        location.make().map_err(|error| match error {
            StoreError::Fs(error) => location.explain(error),
            error => error,
        })?;
        let history = registry::join(location)?;
        Ok(Store::assemble(location, history, lock))
    }

    fn assemble(location: &Location, history: PathBuf, lock: Arc<StoreLock>) -> Store {
        let cache = Arc::new(StatCache::load(&location.own().join("stat-cache")));
        let trash = Trash::new(location, &lock);
        Store(Arc::new(Inner {
            location: location.clone(),
            cache_warning: Mutex::new(cache.warning().map(str::to_owned)),
            objects: Objects::new(location, &cache, &trash),
            records: Records::new(location, history),
            locks: Locks::new(location, &trash, lock),
            workdirs: Workdirs::new(location, &trash),
            environments: Environments::new(location, &trash),
            batches: Batches::new(location),
            cache,
        }))
    }

    /// Where it lies.
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// Digests of files by what `stat` says of them. A run that ends saves it.
    pub fn stat_cache(&self) -> &Arc<StatCache> {
        &self.0.cache
    }

    /// Content by digest.
    pub fn objects(&self) -> &Objects {
        &self.0.objects
    }

    /// Results by key, and the history.
    pub fn records(&self) -> &Records {
        &self.0.records
    }

    /// Who works on which key.
    pub fn locks(&self) -> &Locks {
        &self.0.locks
    }

    /// Work folders, logs and the trash.
    pub fn workdirs(&self) -> &Workdirs {
        &self.0.workdirs
    }

    /// Software that stages run in.
    pub fn environments(&self) -> &Environments {
        &self.0.environments
    }

    /// Tasks that were handed over to run elsewhere.
    pub fn batches(&self) -> &Batches {
        &self.0.batches
    }

    /// What went wrong without doing harm since the last call: damaged caches and records.
    pub fn take_warnings(&self) -> Vec<String> {
        let cache = self.0.cache_warning.lock();
        let cache = cache.unwrap_or_else(PoisonError::into_inner).take();
        let mut warnings: Vec<String> = cache.into_iter().collect();
        warnings.extend(self.objects().take_warnings());
        warnings.extend(self.records().take_warnings());
        warnings.extend(self.workdirs().trash().take_warnings());
        warnings
    }

    /// Releases locks and removes scratch folders of keys that have a record: their owner died
    /// after writing it. Others are for the next attempt.
    fn tidy_finished(&self) -> Result<(), StoreError> {
        let scratch = scratch::list(self.location())?;
        let mut keys = BTreeSet::new();
        for listing in [scratch, self.locks().list()?] {
            keys.extend(listing.named.into_iter().map(|(key, _)| key));
        }
        let leases = self.locks().leases()?;
        keys.extend(leases.iter().map(|(key, _)| *key));
        for key in keys {
            if fs::exists(&self.records().path(&key))?
                && let Some(lock) = self.locks().try_lock(&key)?
                // A forced run's stage may live on; the key's next owner must find it.
                && !lock.may_be_worked_on()?
            {
                for scratch in lock.scratch_paths() {
                    self.workdirs().remove(&scratch);
                }
                for (_, lease) in leases.iter().filter(|(of, _)| *of == key) {
                    self.workdirs().remove(lease);
                }
            }
        }
        Ok(())
    }

    /// Removes what dead processes were writing or removing in a folder of the store. What can't be
    /// removed stays.
    fn tidy_tmp(&self, tmp: &Path, folder: &Path) -> Result<(), StoreError> {
        for path in listing::of_temporary(tmp)? {
            self.remove_leftover(&path);
        }
        // New versions of our own files are written beside them.
        for path in listing::of_temporary(folder)? {
            self.workdirs().trash().remove_at(&path);
        }
        Ok(())
    }

    /// Removes something in `tmp/` whose maker is dead. If it is a throw-away store, a stage may
    /// still run there: it is stopped first, or the store stays.
    pub(super) fn remove_leftover(&self, path: &Path) {
        match stop_in(path) {
            Ok(()) => self.workdirs().trash().remove_at(path),
            Err(error) => self.workdirs().trash().note(error),
        }
    }
}

/// Stops what runs in a throw-away store, if that is what is at a path.
fn stop_in(path: &Path) -> Result<(), StoreError> {
    // What may not be looked into is none: its folders are made by us.
    if fs::exists(&path.join("claims")).is_ok_and(|there| there) {
        match Store::open(path) {
            Ok(store) => {
                for (key, _) in store.locks().list()?.named {
                    if let Some(lock) = store.locks().try_lock(&key)? {
                        lock.settle()?;
                    }
                }
            }
            // Half of it is gone: whoever removed it has stopped them.
            Err(StoreError::NotAStore { .. } | StoreError::NotAFolder { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
