//! What lies in the store's folders, by name alone.
//! It must not know what is needed, nor whether it is sound.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Store, StoreError};
use crate::base::fs;
use crate::digest::Digest;

/// A folder whose entries are named after digests.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Entries in order of their digests.
    pub(super) named: Vec<(Digest, PathBuf)>,
    /// What has no place in the folder.
    pub(super) strays: Vec<PathBuf>,
}

impl Listing {
    fn add(&mut self, path: PathBuf, digest: Option<Digest>) {
        match digest {
            Some(digest) => self.named.push((digest, path)),
            None => self.strays.push(path),
        }
    }
}

impl Store {
    /// Everything in `objects/`.
    pub(super) fn list_objects(&self) -> Result<Listing, StoreError> {
        let objects = self.dir().join("objects");
        let mut listing = Listing::default();
        for shard in fs::read_dir(&objects)? {
            let folder = objects.join(&shard);
            let two = shard.to_str().filter(|name| name.len() == 2);
            let (Some(two), true) = (two, fs::symlink_metadata(&folder)?.is_dir()) else {
                listing.strays.push(folder);
                continue;
            };
            for name in fs::read_dir(&folder)? {
                let digest = name
                    .to_str()
                    .and_then(|rest| format!("{two}{rest}").parse().ok());
                listing.add(folder.join(&name), digest);
            }
        }
        Ok(listing)
    }

    /// Everything in a folder whose entries are named `DIGEST` and this ending: `records`,
    /// `claims`, `scratch`, `programs`.
    pub(super) fn list(&self, folder: &str, ending: &str) -> Result<Listing, StoreError> {
        let folder = self.dir().join(folder);
        let mut listing = Listing::default();
        for name in fs::read_dir_if_exists(&folder)? {
            let digest = digest_before(&name, ending);
            listing.add(folder.join(&name), digest);
        }
        Ok(listing)
    }

    /// Every path in the quarantine.
    pub(super) fn quarantined(&self) -> Result<Vec<PathBuf>, StoreError> {
        list_any(&self.dir().join("quarantine"))
    }

    /// What was in the making, or about to go.
    pub(super) fn leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut left = list_any(&self.own_tmp())?;
        if self.location().shared().is_some() {
            left.extend(list_any(&self.tmp())?);
        }
        Ok(left)
    }

    /// Moves something that must not stay where it is into the quarantine, and says where it
    /// is now.
    pub(super) fn set_aside(&self, path: &Path) -> Result<PathBuf, StoreError> {
        let name = path.file_name().unwrap_or_default();
        let aside = fs::temp_name(&self.dir().join("quarantine").join(name));
        fs::rename(path, &aside)?;
        Ok(aside)
    }
}

/// Every path in a folder.
pub(super) fn list_any(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let names = fs::read_dir_if_exists(folder)?;
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn digest_before(name: &OsStr, ending: &str) -> Option<Digest> {
    name.to_str()?.strip_suffix(ending)?.parse().ok()
}
