//! Waits until what was written is on the disk, and writes it anew if the disk refused some of it.
//!
//! Linux reports a failed write once, to whoever flushes next, and may drop the bytes: they can
//! still be read for a while, and another flush of the same file succeeds. So what could not be
//! flushed is copied into new files, which are flushed, or it is not believed (docs/adr/0009).

use std::path::Path;
use std::sync::PoisonError;

use super::{Objects, Placement};
use crate::error::StoreError;
use crate::sealed::unseal;
use crate::unflushed::{Unflushed, flush_copy, flush_disk_of};
use restage_core::digest::{Kind, PathDigest, copy_to_new_and_digest};
use restage_core::fs::{self, StagedFile};

impl Objects {
    /// Waits until all of it is on the disk. What the disk refuses is written anew once, with a
    /// warning; an object for which that fails too is no longer one.
    pub fn flush(&self, unflushed: &Unflushed) -> Result<(), StoreError> {
        match self.flush_once(unflushed) {
            Ok(()) => Ok(()),
            Err(_) => self.write_anew(unflushed),
        }
    }

    /// Waits until all of it is on the disk. After an error it has to be given to
    /// [`Objects::write_anew`].
    pub fn flush_once(&self, unflushed: &Unflushed) -> Result<(), StoreError> {
        let done = unflushed.flush_once(self.disk.as_ref());
        if let Err(error) = &done {
            let text = format!("{error}; all that was to be flushed is written again");
            let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            warnings.push(text);
        }
        Ok(done?)
    }

    /// Writes files anew that could not be flushed, and flushes them.
    pub fn write_anew(&self, unflushed: &Unflushed) -> Result<(), StoreError> {
        for file in &unflushed.files {
            let done = match file.starts_with(self.folder()) {
                true => self.object_anew(file),
                false => self.sealed_anew(file),
            };
            if let Err(error) = done {
                // Whatever can be read of them now may be gone later.
                for file in &unflushed.files {
                    if file.starts_with(self.folder()) {
                        // Where even that is refused, the first error is the one to report.
                        let _ = self.set_aside(file);
                    }
                }
                return Err(error);
            }
        }
        for folder in &unflushed.folders {
            fs::sync_dir(folder)?;
        }
        for (path, content) in &unflushed.copies {
            self.copy_anew(path, content)?;
        }
        Ok(())
    }

    fn object_anew(&self, object: &Path) -> Result<(), StoreError> {
        let found = fs::symlink_metadata(object).map_err(StoreError::of_object)?;
        let mut staged = StagedFile::new_in(&self.location.tmp(), object)?;
        let (digest, _) = copy_to_new_and_digest(object, staged.file(), object)?;
        if self.path(&digest) != object {
            return Err(changed(object));
        }
        self.cache.forget(&found);
        staged.set_mode(super::mode(&found))?;
        staged.commit()?;
        Ok(self.cache.seal(object, digest)?)
    }

    /// Writes a record anew.
    fn sealed_anew(&self, path: &Path) -> Result<(), StoreError> {
        let bytes = fs::read(path)?;
        unseal(&bytes).map_err(|_| changed(path))?;
        let mut staged = StagedFile::new_in(&self.location.tmp(), path)?;
        staged.set_mode(super::mode(&fs::symlink_metadata(path)?))?;
        staged.write(&bytes)?;
        Ok(staged.commit()?)
    }

    /// Publishes a copy again, unless it was edited or removed meanwhile.
    fn copy_anew(&self, path: &Path, content: &PathDigest) -> Result<(), StoreError> {
        if !self.is_in_place(content, path, Placement::Plain)? {
            return Ok(());
        }
        let look = |_: &Path, at: &Path| match self.is_in_place(content, at, Placement::Plain)? {
            true => Ok(()),
            false => Err(changed(path)),
        };
        self.put_content(content, path, Placement::Plain, &look)?;
        match content.kind {
            Kind::File { .. } => flush_copy(path)?,
            Kind::Tree => flush_disk_of(path)?,
        }
        Ok(())
    }
}

fn changed(path: &Path) -> StoreError {
    StoreError::SourceChanged {
        path: path.to_owned(),
    }
}
