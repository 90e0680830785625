//! Objects: read-only files named by the digest of their bytes.
//!
//! A file is one object without its execute bit; a folder is the object of its manifest and
//! one for each file in it. An out's inode becomes the object: the stage's process group is
//! gone by then, so nobody has it open for writing. An out that has other names already, or
//! that a link leads to, is copied instead.

mod place;

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::error::StoreError;
use super::listing::{self, Listing};
use super::location::Location;
use super::trash::Trash;
use super::unflushed::Unflushed;
use restage_core::digest::{
    Digest, Kind, Manifest, Node, PathDigest, StatCache, copy_and_digest, digest_file, digest_found,
};
use restage_core::fs::{self, StagedFile};

/// The objects of a store.
#[derive(Debug)]
pub struct Objects {
    location: Location,
    cache: Arc<StatCache>,
    trash: Trash,
    /// Devices whose files can't be cloned into the workspace's temporary folder.
    never_clone: Mutex<BTreeSet<u64>>,
}

/// How a path gets its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// A separate file, which may be written to.
    Plain,
    /// Read-only: a clone of the object, else a hard link to it, else a copy.
    Linked,
}

impl Objects {
    pub(super) fn new(location: &Location, cache: &Arc<StatCache>, trash: &Trash) -> Self {
        Self {
            location: location.clone(),
            cache: Arc::clone(cache),
            trash: trash.clone(),
            never_clone: Mutex::default(),
        }
    }

    /// Takes a finished out, a file or folder, into the store and returns its digest. When this
    /// returns, the bytes are on the disk. The path stays, read-only.
    pub fn ingest(&self, path: &Path) -> Result<PathDigest, StoreError> {
        let mut unflushed = Unflushed::default();
        let content = self.ingest_into(path, &mut unflushed)?;
        unflushed.flush()?;
        Ok(content)
    }

    /// Like [`Objects::ingest`], but notes in `unflushed` what must still reach the disk.
    pub fn ingest_into(
        &self,
        path: &Path,
        unflushed: &mut Unflushed,
    ) -> Result<PathDigest, StoreError> {
        let found = fs::symlink_metadata(path)?;
        let linked = found.is_symlink();
        let metadata = if linked { fs::metadata(path)? } else { found };
        if !metadata.is_dir() {
            let digest = digest_found(path, &metadata)?;
            self.keep_file(path, &metadata, &digest, !linked, unflushed)?;
            let kind = Kind::File {
                executable: metadata.mode() & 0o100 != 0,
            };
            return Ok(PathDigest {
                digest,
                kind,
                size: metadata.len(),
                files: 1,
            });
        }
        let (manifest, content) = self.cache.tree(path)?;
        for entry in manifest.entries() {
            if let Node::File { digest, .. } = &entry.node {
                let file = path.join(&entry.path);
                self.keep_file(&file, &fs::metadata(&file)?, digest, true, unflushed)?;
            }
        }
        self.keep_bytes(&manifest.to_bytes(), &content.digest, unflushed)?;
        Ok(content)
    }

    /// Copies a file that should have this digest into the store; the file stays as it is.
    pub(super) fn keep_copy(&self, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        let mut unflushed = Unflushed::default();
        let found = fs::metadata(path)?;
        self.keep_file(path, &found, digest, false, &mut unflushed)?;
        unflushed.flush()
    }

    /// Makes a folder's object, but not those of its files.
    pub(super) fn keep_manifest(
        &self,
        manifest: &Manifest,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let mut unflushed = Unflushed::default();
        self.keep_bytes(&manifest.to_bytes(), digest, &mut unflushed)?;
        unflushed.flush()
    }

    /// Makes a file with this digest an object, unless it is one already.
    fn keep_file(
        &self,
        path: &Path,
        before: &Metadata,
        digest: &Digest,
        may_link: bool,
        unflushed: &mut Unflushed,
    ) -> Result<(), StoreError> {
        let object = self.path(digest);
        if self.holds(digest, before.len())? {
            // Another run may have made it a moment ago.
            unflushed.file(object);
            return Ok(());
        }
        self.make_folder(&object, unflushed)?;
        unflushed.file(object.clone());
        if may_link && before.nlink() == 1 {
            fs::set_mode(path, 0o444)?;
            match fs::hard_link(path, &object) {
                Ok(true) => {
                    let after = fs::metadata(&object)?;
                    if (after.len(), after.mtime(), after.mtime_nsec())
                        != (before.len(), before.mtime(), before.mtime_nsec())
                    {
                        fs::remove_file(&object)?;
                        return Err(StoreError::SourceChanged {
                            path: path.to_owned(),
                        });
                    }
                    return Ok(self.cache.seal(&object, *digest)?);
                }
                // Another process made the same object meanwhile.
                Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
                Ok(false) => {}
            }
        }
        let mut staged = StagedFile::new_in(&self.location.tmp(), &object)?;
        let (copied, _) = copy_and_digest(path, staged.file(), &object)?;
        if copied != *digest {
            return Err(StoreError::SourceChanged {
                path: path.to_owned(),
            });
        }
        staged.set_mode(0o444)?;
        staged.commit_unflushed()?;
        Ok(self.cache.seal(&object, *digest)?)
    }

    fn keep_bytes(
        &self,
        bytes: &[u8],
        digest: &Digest,
        unflushed: &mut Unflushed,
    ) -> Result<(), StoreError> {
        let object = self.path(digest);
        if self.holds(digest, bytes.len() as u64)? {
            unflushed.file(object);
            return Ok(());
        }
        self.make_folder(&object, unflushed)?;
        unflushed.file(object.clone());
        let mut staged = StagedFile::new_in(&self.location.tmp(), &object)?;
        staged.write(bytes)?;
        staged.set_mode(0o444)?;
        staged.commit_unflushed()?;
        Ok(self.cache.seal(&object, *digest)?)
    }

    /// Whether there is a sound object of this digest; a damaged one is moved aside.
    fn holds(&self, digest: &Digest, size: u64) -> Result<bool, StoreError> {
        match self.check(digest, size) {
            Ok(()) => Ok(true),
            Err(StoreError::MissingObject { .. } | StoreError::CorruptObject { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the store has the file, or the folder with all that lies in it; sizes are
    /// checked, bytes are not read.
    pub fn has(&self, content: &PathDigest) -> Result<bool, StoreError> {
        if content.kind != Kind::Tree {
            return self.has_blob(&content.digest, content.size);
        }
        let manifest = match self.manifest(&content.digest) {
            Ok(manifest) => manifest,
            Err(StoreError::Fs(error)) => return Err(error.into()),
            Err(_) => return Ok(false),
        };
        for (digest, size) in manifest.files() {
            if !self.has_blob(digest, size)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool, StoreError> {
        let found = fs::symlink_metadata_if_exists(&self.path(digest))?;
        Ok(found.is_some_and(|found| found.is_file() && found.len() == size))
    }

    /// Reads the file, or the folder with all that lies in it, and checks every byte. A
    /// damaged object is moved to the quarantine and counts as missing from then on.
    pub fn verify(&self, content: &PathDigest) -> Result<(), StoreError> {
        if content.kind != Kind::Tree {
            return self.verify_blob(&content.digest);
        }
        for (digest, _) in self.manifest(&content.digest)?.files() {
            self.verify_blob(digest)?;
        }
        Ok(())
    }

    fn verify_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        let object = self.path(digest);
        if fs::symlink_metadata_if_exists(&object)?.is_none() {
            return Err(StoreError::MissingObject { digest: *digest });
        }
        if digest_file(&object)? != *digest {
            return Err(self.quarantine(digest)?);
        }
        Ok(())
    }

    /// Checks an object by what `stat` says of it; its bytes are read if the stat cache doesn't
    /// know it.
    pub(super) fn check(&self, digest: &Digest, size: u64) -> Result<(), StoreError> {
        let object = self.path(digest);
        let Some(found) = fs::symlink_metadata_if_exists(&object)? else {
            return Err(StoreError::MissingObject { digest: *digest });
        };
        self.check_found(digest, size, found)
    }

    /// Like [`Objects::check`], of an object that was looked at already.
    fn check_found(&self, digest: &Digest, size: u64, found: Metadata) -> Result<(), StoreError> {
        let object = self.path(digest);
        let writable = found.permissions().mode() & 0o222 != 0;
        if !found.is_file()
            || found.len() != size
            || self.cache.digest_of(&object, found)? != *digest
        {
            return Err(self.quarantine(digest)?);
        }
        if writable {
            fs::set_mode(&object, 0o444)?;
        }
        Ok(())
    }

    /// The manifest of a folder, checked.
    pub fn manifest(&self, digest: &Digest) -> Result<Manifest, StoreError> {
        let bytes = fs::read_if_exists(&self.path(digest))?
            .ok_or(StoreError::MissingObject { digest: *digest })?;
        if Digest::of(&bytes) != *digest {
            return Err(self.quarantine(digest)?);
        }
        Manifest::from_bytes(&bytes).map_err(|source| StoreError::NoManifest {
            digest: *digest,
            source,
        })
    }

    /// Every file in `objects/`.
    pub(super) fn list(&self) -> Result<Listing, StoreError> {
        let objects = self.folder();
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

    /// Moves something that must not stay where it is to the quarantine; returns its new path.
    pub(super) fn set_aside(&self, path: &Path) -> Result<PathBuf, StoreError> {
        let name = path.file_name().unwrap_or_default();
        self.set_aside_as(path, name.as_ref())
    }

    /// Every path in the quarantine.
    pub(super) fn quarantined(&self) -> Result<Vec<PathBuf>, StoreError> {
        listing::of_temporary(&self.location.quarantine())
    }

    /// Moves a damaged object to the quarantine; returns the error that says so.
    fn quarantine(&self, digest: &Digest) -> Result<StoreError, StoreError> {
        let (path, name) = (self.path(digest), digest.to_string());
        let moved_to = match self.set_aside_as(&path, name.as_ref()) {
            Err(StoreError::Fs(error)) if error.is_forbidden() => path,
            moved => moved?,
        };
        Ok(StoreError::CorruptObject {
            digest: *digest,
            moved_to,
        })
    }

    fn set_aside_as(&self, path: &Path, name: &Path) -> Result<PathBuf, StoreError> {
        let aside = fs::temp_name(&self.location.quarantine().join(name));
        fs::rename(path, &aside)?;
        Ok(aside)
    }

    /// Where the object of a digest is.
    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.folder().join(&hex[..2]).join(&hex[2..])
    }

    fn folder(&self) -> PathBuf {
        self.location.dir().join("objects")
    }

    /// Creates the folder of a new object.
    fn make_folder(&self, object: &Path, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let Some(folder) = object.parent() else {
            return Ok(());
        };
        match fs::create_dir(folder) {
            Ok(()) => unflushed.folder(self.folder()),
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
