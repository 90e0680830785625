//! What lies in the store's folders, by name alone.

use std::path::{Path, PathBuf};

use super::error::StoreError;
use restage_core::digest::Digest;
use restage_core::fs;

/// A folder whose entries are named after digests.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Entries in order of their digests.
    pub(super) named: Vec<(Digest, PathBuf)>,
    /// What does not belong in the folder.
    pub(super) strays: Vec<PathBuf>,
}

impl Listing {
    pub(super) fn add(&mut self, path: PathBuf, digest: Option<Digest>) {
        match digest {
            Some(digest) => self.named.push((digest, path)),
            None => self.strays.push(path),
        }
    }
}

/// Everything in a folder whose entries are named `DIGEST` and this ending.
pub(super) fn of_digests(folder: &Path, ending: &str) -> Result<Listing, StoreError> {
    let mut listing = Listing::default();
    for name in fs::read_dir_if_exists(folder)? {
        let digest = name
            .to_str()
            .and_then(|name| name.strip_suffix(ending)?.parse().ok());
        listing.add(folder.join(&name), digest);
    }
    Ok(listing)
}

/// Every path in a folder that has a temporary name, which only restage gives.
pub(super) fn of_temporary(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut names = fs::read_dir_if_exists(folder)?;
    names.retain(|name| fs::is_temp_name(name));
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// Every path in a folder.
pub(super) fn of_any(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let names = fs::read_dir_if_exists(folder)?;
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
