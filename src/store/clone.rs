//! Shares a file's blocks or its name, and remembers what that needs to be done only once.
//! It must not know what is shared.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::PoisonError;

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
        let never = || {
            self.0
                .never_clone
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if ours && never().contains(&device) {
            return Ok(false);
        }
        let cloned = fs::reflink(from, to)?;
        if ours && cloned == fs::Clone::Never {
            never().insert(device);
        }
        Ok(cloned == fs::Clone::Made)
    }
}
