//! Objects that go to another store, and objects that come from one (docs/adr/0034).

use std::fs::File;
use std::path::{Path, PathBuf};

use super::Objects;
use crate::error::StoreError;
use crate::unflushed::Unflushed;
use restage_core::digest::{Digest, Manifest, digest_file};
use restage_core::fs::StagedFile;

/// An object that is coming in. It has no name yet, and is removed if it is dropped.
#[derive(Debug)]
pub struct Arrival {
    digest: Digest,
    staged: StagedFile,
}

impl Arrival {
    /// The file to fill, from its start.
    pub fn file(&mut self) -> &mut File {
        self.staged.file()
    }

    /// Where that file is.
    pub fn path(&self) -> &Path {
        self.staged.path()
    }
}

impl Objects {
    /// Where an object is, to be read: checked by what `stat` says of it.
    pub fn file(&self, digest: &Digest, size: u64) -> Result<PathBuf, StoreError> {
        self.check(digest, size)?;
        Ok(self.path(digest))
    }

    /// Reads an object and checks every byte. A damaged one is moved to the quarantine.
    pub fn verify_object(&self, digest: &Digest) -> Result<(), StoreError> {
        self.verify_blob(digest)
    }

    /// Whether there is an object of this digest and size. If so it is noted: whoever made it may have died before
    /// it was on the disk.
    pub fn has_object(
        &self,
        digest: &Digest,
        size: u64,
        unflushed: &mut Unflushed,
    ) -> Result<bool, StoreError> {
        let there = self.has_blob(digest, size)?;
        if there {
            unflushed.file(self.path(digest));
        }
        Ok(there)
    }

    /// The manifest of a folder, if there is a sound one; it is noted, too.
    pub fn manifest_if_there(
        &self,
        digest: &Digest,
        unflushed: &mut Unflushed,
    ) -> Result<Option<Manifest>, StoreError> {
        match self.manifest(digest) {
            Ok(manifest) => {
                unflushed.file(self.path(digest));
                Ok(Some(manifest))
            }
            Err(StoreError::MissingObject { .. } | StoreError::CorruptObject { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins an object whose bytes come from elsewhere.
    pub fn arrive(&self, digest: &Digest) -> Result<Arrival, StoreError> {
        let staged = StagedFile::new_in(&self.location.tmp(), &self.path(digest))?;
        let digest = *digest;
        Ok(Arrival { digest, staged })
    }

    /// Makes an object of what has come, if its bytes are those of its digest; otherwise it is removed.
    /// Returns whether they were.
    pub fn keep_arrival(
        &self,
        arrival: Arrival,
        unflushed: &mut Unflushed,
    ) -> Result<bool, StoreError> {
        let Arrival { digest, mut staged } = arrival;
        if digest_file(staged.path())? != digest {
            return Ok(false);
        }
        let object = self.path(&digest);
        self.make_folder(&object, unflushed)?;
        unflushed.file(object.clone());
        staged.set_mode(self.location.object_mode(0o444))?;
        staged.commit_unflushed()?;
        self.cache.seal(&object, digest)?;
        Ok(true)
    }
}
