//! Objects: read-only files named by the digest of their bytes.
//! It must not know which stage made them, nor where they are published.
//!
//! A file is one object without its execute bit; a folder is the object of its manifest and
//! one for each file in it. An out's inode becomes the object: the stage's process group is
//! gone by then, so nobody holds it open for writing. An out that has other names already, or
//! that a link leads to, is copied instead.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::unflushed::Unflushed;
use super::{Store, StoreError};
use crate::base::fs::{self, StagedFile};
use crate::digest::{
    Digest, Kind, Manifest, Node, PathDigest, copy_and_digest, digest_file, digest_found,
};

impl Store {
    /// Takes a finished out, a file or folder, into the store and says what it is. When this
    /// returns, the bytes are on the disk under their digest. The path stays, read-only.
    pub fn ingest(&self, path: &Path) -> Result<PathDigest, StoreError> {
        let mut unflushed = Unflushed::default();
        let content = self.ingest_into(path, &mut unflushed)?;
        unflushed.flush()?;
        Ok(content)
    }

    /// As [`Store::ingest`], but what must still reach the disk is noted in `unflushed`.
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
        let (manifest, content) = self.stat_cache().tree(path)?;
        for entry in manifest.entries() {
            if let Node::File { digest, .. } = &entry.node {
                let file = path.join(&entry.path);
                self.keep_file(&file, &fs::metadata(&file)?, digest, true, unflushed)?;
            }
        }
        self.keep_bytes(&manifest.to_bytes(), &content.digest, unflushed)?;
        Ok(content)
    }

    /// Makes an object of a copy of a file that should have its bytes, and leaves the file as
    /// it is.
    pub(super) fn keep_copy(&self, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        let mut unflushed = Unflushed::default();
        let found = fs::metadata(path)?;
        self.keep_file(path, &found, digest, false, &mut unflushed)?;
        unflushed.flush()
    }

    /// Makes the object of a folder, without those of its files.
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
        let object = self.object_path(digest);
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
                    return Ok(self.stat_cache().seal(&object, *digest)?);
                }
                // Another process made the same object meanwhile.
                Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
                Ok(false) => {}
            }
        }
        let mut staged = StagedFile::new_in(&self.tmp(), &object)?;
        let (copied, _) = copy_and_digest(path, staged.file(), &object)?;
        if copied != *digest {
            return Err(StoreError::SourceChanged {
                path: path.to_owned(),
            });
        }
        staged.set_mode(0o444)?;
        staged.commit_unflushed()?;
        Ok(self.stat_cache().seal(&object, *digest)?)
    }

    fn keep_bytes(
        &self,
        bytes: &[u8],
        digest: &Digest,
        unflushed: &mut Unflushed,
    ) -> Result<(), StoreError> {
        let object = self.object_path(digest);
        if self.holds(digest, bytes.len() as u64)? {
            unflushed.file(object);
            return Ok(());
        }
        self.make_folder(&object, unflushed)?;
        unflushed.file(object.clone());
        let mut staged = StagedFile::new_in(&self.tmp(), &object)?;
        staged.write(bytes)?;
        staged.set_mode(0o444)?;
        staged.commit_unflushed()?;
        Ok(self.stat_cache().seal(&object, *digest)?)
    }

    /// Whether a sound object of this digest exists; a damaged one is moved aside.
    fn holds(&self, digest: &Digest, size: u64) -> Result<bool, StoreError> {
        match self.check_object(digest, size) {
            Ok(()) => Ok(true),
            Err(StoreError::MissingObject { .. } | StoreError::CorruptObject { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the store has the file, or the folder with all that lies in it; sizes are
    /// checked, bytes are not read.
    pub fn has_object(&self, content: &PathDigest) -> Result<bool, StoreError> {
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
        let found = fs::symlink_metadata_if_exists(&self.object_path(digest))?;
        Ok(found.is_some_and(|found| found.is_file() && found.len() == size))
    }

    /// Reads the file, or the folder with all that lies in it, and checks every byte. A
    /// damaged object is moved to the quarantine and counts as missing from then on.
    pub fn verify_object(&self, content: &PathDigest) -> Result<(), StoreError> {
        if content.kind != Kind::Tree {
            return self.verify_blob(&content.digest);
        }
        for (digest, _) in self.manifest(&content.digest)?.files() {
            self.verify_blob(digest)?;
        }
        Ok(())
    }

    fn verify_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        let object = self.object_path(digest);
        if fs::symlink_metadata_if_exists(&object)?.is_none() {
            return Err(StoreError::MissingObject { digest: *digest });
        }
        if digest_file(&object)? != *digest {
            return Err(self.quarantine(digest)?);
        }
        Ok(())
    }

    /// Checks an object by what `stat` says of it; its bytes are read if that is not known.
    pub(super) fn check_object(&self, digest: &Digest, size: u64) -> Result<(), StoreError> {
        let object = self.object_path(digest);
        let Some(found) = fs::symlink_metadata_if_exists(&object)? else {
            return Err(StoreError::MissingObject { digest: *digest });
        };
        self.check_found(digest, size, found)
    }

    /// As [`Store::check_object`], of an object that was looked at already.
    pub(super) fn check_found(
        &self,
        digest: &Digest,
        size: u64,
        found: Metadata,
    ) -> Result<(), StoreError> {
        let object = self.object_path(digest);
        let writable = found.permissions().mode() & 0o222 != 0;
        if !found.is_file()
            || found.len() != size
            || self.stat_cache().digest_of(&object, found)? != *digest
        {
            return Err(self.quarantine(digest)?);
        }
        if writable {
            fs::set_mode(&object, 0o444)?;
        }
        Ok(())
    }

    /// The manifest of a folder, checked.
    pub(super) fn manifest(&self, digest: &Digest) -> Result<Manifest, StoreError> {
        let bytes = fs::read_if_exists(&self.object_path(digest))?
            .ok_or(StoreError::MissingObject { digest: *digest })?;
        if Digest::of(&bytes) != *digest {
            return Err(self.quarantine(digest)?);
        }
        Manifest::from_bytes(&bytes).map_err(|source| StoreError::NoManifest {
            digest: *digest,
            source,
        })
    }

    /// Moves a damaged object aside and says so.
    pub(super) fn quarantine(&self, digest: &Digest) -> Result<StoreError, StoreError> {
        let moved_to = fs::temp_name(&self.dir().join("quarantine").join(digest.to_string()));
        fs::rename(&self.object_path(digest), &moved_to)?;
        Ok(StoreError::CorruptObject {
            digest: *digest,
            moved_to,
        })
    }

    /// Where the object of a digest is.
    pub(super) fn object_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.dir().join("objects").join(&hex[..2]).join(&hex[2..])
    }

    /// Makes the folder of a new object.
    fn make_folder(&self, object: &Path, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let Some(folder) = object.parent() else {
            return Ok(());
        };
        match fs::create_dir(folder) {
            Ok(()) => unflushed.folder(self.dir().join("objects")),
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
