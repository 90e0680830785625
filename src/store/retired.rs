//! What finished attempts leave: emptied at once, but removed only when the run is over.
//! It must not know what it was for.
//!
//! For minutes, ext4 gives the number of a removed file or folder to no new one, and whenever it
//! makes one it looks past each such number (`recently_deleted` in Linux's fs/ext4/ialloc.c). A
//! run that removed a few folders for each of its stages would make everything slower with every
//! stage. Files whose other names stay, such as outs and inputs, are not removed in this sense.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use super::{Inner, Store, StoreError};
use crate::base::fs;

/// So many wait at most: empty folders take room too.
const MOST: usize = 1 << 14;

impl Store {
    /// Takes a folder, or a small file, out of the way. Nothing there is fine.
    pub(crate) fn retire(&self, path: &Path) -> Result<(), StoreError> {
        let aside = self.aside(path);
        match fs::rename(path, &aside) {
            Ok(()) => {}
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.source.kind() == io::ErrorKind::CrossesDevices => {
                return Ok(fs::remove_all(path)?);
            }
            Err(error) => return Err(error.into()),
        }
        fs::remove_files(&aside)?;
        let full = {
            let mut retired = self.retired();
            retired.push(aside);
            retired.len() >= MOST
        };
        match full {
            true => self.sweep(),
            false => Ok(()),
        }
    }

    /// Removes what was retired.
    pub(crate) fn sweep(&self) -> Result<(), StoreError> {
        let retired = std::mem::take(&mut *self.retired());
        for path in retired {
            fs::remove_all(&path)?;
        }
        Ok(())
    }

    fn retired(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        let retired = self.0.retired.lock();
        retired.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let retired = self.retired.get_mut();
        for path in std::mem::take(retired.unwrap_or_else(PoisonError::into_inner)) {
            // Who next opens the store alone removes what stays.
            let _ = fs::remove_all(&path);
        }
    }
}
