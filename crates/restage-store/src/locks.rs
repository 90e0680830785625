//! Who works on which key, and that the store is open.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::key_lock::{self, KeyLock, Left};
use super::lease;
use super::listing::{self, Listing};
use super::location::Location;
use super::store_lock::StoreLock;
use super::trash::Trash;
use restage_core::digest::Digest;
use restage_core::fs;

/// The locks of a store.
#[derive(Debug)]
pub struct Locks {
    location: Location,
    trash: Trash,
    store: Arc<StoreLock>,
}

impl Locks {
    pub(super) fn new(location: &Location, trash: &Trash, store: Arc<StoreLock>) -> Self {
        Self {
            location: location.clone(),
            trash: trash.clone(),
            store,
        }
    }

    /// Locks a key, unless another restage, or another thread of this one, has it.
    pub fn try_lock(&self, key: &Digest) -> Result<Option<KeyLock>, StoreError> {
        KeyLock::try_take(&self.location, &self.trash, key)
    }

    /// Locks a key, checking every `tick` whether it is free; `None` once `cancelled` says so.
    pub fn lock(
        &self,
        key: &Digest,
        cancelled: &dyn Fn() -> bool,
        tick: Duration,
    ) -> Result<Option<KeyLock>, StoreError> {
        while !cancelled() {
            if let Some(lock) = self.try_lock(key)? {
                return Ok(Some(lock));
            }
            std::thread::sleep(tick);
        }
        Ok(None)
    }

    /// What a dead restage left of the lock on this key. Changes nothing.
    pub(super) fn left(&self, key: &Digest) -> Result<Left, StoreError> {
        key_lock::left(&self.location, key)
    }

    /// Files of key locks: of keys that are locked, and of restages that died.
    pub(super) fn list(&self) -> Result<Listing, StoreError> {
        listing::of_digests(&key_lock::folder(&self.location), key_lock::ENDING)
    }

    /// Files of leases, by their keys.
    pub(super) fn leases(&self) -> Result<Vec<(Digest, PathBuf)>, StoreError> {
        let folder = key_lock::folder(&self.location);
        let names = fs::read_dir_if_exists(&folder)?.into_iter();
        let named =
            names.filter_map(|name| Some((lease::key_of(name.to_str()?)?, folder.join(&name))));
        Ok(named.collect())
    }

    /// The lock on the store itself.
    pub(super) fn store(&self) -> &Arc<StoreLock> {
        &self.store
    }
}
