//! Shares a file's blocks or its name, and remembers what that needs to be done only once.
//! It must not know what is shared.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use super::{Store, StoreError};
use crate::base::fs;
use crate::digest::Digest;

impl Store {
    /// What other workspaces put into a shared store is known by reading it once.
    pub(super) fn adopt(&self, object: &Path, digest: &Digest) -> Result<(), StoreError> {
        match self.location().shared() {
            Some(_) => Ok(self.stat_cache().adopt(object, *digest)?),
            None => Ok(()),
        }
    }

    /// As [`fs::reflink`]; where a file system never can, it is not asked again.
    pub(super) fn clone_file(&self, from: &Path, to: &Path) -> Result<bool, StoreError> {
        // Elsewhere than in our own folder, `to` may be on any file system.
        let ours = to.starts_with(self.own_tmp());
        let device = fs::metadata(from)?.dev();
        if ours && self.cannot_clone(device) {
            return Ok(false);
        }
        let cloned = fs::reflink(from, to)?;
        if ours && cloned == fs::Clone::Never {
            self.never_clone().insert(device);
        }
        Ok(cloned == fs::Clone::Made)
    }

    /// Whether a device's files are known never to share blocks with ours.
    pub(super) fn cannot_clone(&self, device: u64) -> bool {
        self.never_clone().contains(&device)
    }

    fn never_clone(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        let devices = self.0.never_clone.lock();
        devices.unwrap_or_else(PoisonError::into_inner)
    }
}
