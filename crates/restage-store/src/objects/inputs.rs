//! What a stage reads, as long as it shares files with the store; see docs/adr/0018.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Objects;
use crate::error::StoreError;
use restage_core::digest::{
    Digest, Kind, ManifestEntry, Node, PathDigest, Witness, digest_found, nothing,
};
use restage_core::fs::{self, FsError};

/// A file that is a second name of an object: who may write to it could write into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFile {
    /// The object.
    pub digest: Digest,
    /// Its other name.
    pub path: PathBuf,
}

impl Objects {
    /// Which files at `dest` are second names of objects, after `content`, or what lies at `inside` it,
    /// was put there with [`Placement::Input`](super::Placement::Input).
    pub fn shared_files(
        &self,
        content: &PathDigest,
        inside: &str,
        dest: &Path,
        link_from: u64,
    ) -> Result<Vec<SharedFile>, StoreError> {
        let files = match content.kind {
            Kind::File { .. } => vec![(content.digest, content.size, dest.to_owned())],
            Kind::Tree if content.size < link_from => Vec::new(),
            Kind::Tree => {
                let whole = self.manifest(&content.digest)?;
                let part = match inside {
                    "" => Some((Some(whole), *content)),
                    inside => {
                        let part = whole
                            .part(inside)
                            .map_err(|source| StoreError::NoManifest {
                                digest: content.digest,
                                source,
                            })?;
                        part.map(|part| (part.folder, part.content))
                    }
                };
                let inner = |entry: &ManifestEntry| file(entry, dest.join(&entry.path));
                match part {
                    None => Vec::new(),
                    Some((Some(folder), _)) => folder.entries().iter().filter_map(inner).collect(),
                    Some((None, one)) => vec![(one.digest, one.size, dest.to_owned())],
                }
            }
        };
        let mut shared = Vec::new();
        for (digest, size, path) in files {
            if size < link_from {
                continue;
            }
            let ids = [&self.path(&digest), &path].map(|path| {
                let found = fs::symlink_metadata_if_exists(path);
                Ok::<_, StoreError>(found?.map(|found| (found.dev(), found.ino())))
            });
            let [object, placed] = ids;
            if object? == placed? {
                shared.push(SharedFile { digest, path });
            }
        }
        Ok(shared)
    }

    /// What `stat` says of an object; `None` if there is none.
    pub fn witness(&self, digest: &Digest) -> Result<Option<Witness>, StoreError> {
        Ok(Witness::of_any(&self.path(digest), &nothing)?)
    }

    /// Reads an object that somebody may have written to. A damaged one is moved to the quarantine,
    /// and what was remembered of its bytes is forgotten; returns whether it is sound.
    pub fn is_sound(&self, digest: &Digest) -> Result<bool, StoreError> {
        let object = self.path(digest);
        let Some(found) = fs::symlink_metadata_if_exists(&object)? else {
            return Ok(false);
        };
        // Whoever else looked at it may set it aside at any moment.
        let is_gone = |error: &FsError| error.source.kind() == ErrorKind::NotFound;
        let now = match digest_found(&object, &found) {
            Err(error) if is_gone(&error) => return Ok(false),
            now => now?,
        };
        self.cache.refute(&found, Some(now));
        if now == *digest {
            return match self.cache.seal(&object, now) {
                Err(error) if is_gone(&error) => Ok(false),
                sealed => Ok(sealed.map(|()| true)?),
            };
        }
        self.quarantine(digest)?;
        Ok(false)
    }
}

/// Digest and size of an entry that is a file which may be linked, and where it was put.
fn file(entry: &ManifestEntry, path: PathBuf) -> Option<(Digest, u64, PathBuf)> {
    match entry.node {
        Node::File {
            digest,
            size,
            executable: false,
        } => Some((digest, size, path)),
        _ => None,
    }
}
