//! Gives a file's object a second name where nothing stands: in one step, without a detour.
//! It must not replace anything.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Store, StoreError};
use crate::base::fs;
use crate::digest::Digest;

impl Store {
    /// Whether `dest` is now a second name of the object, which was checked. `false` if something
    /// stands there, if the object's file system may share blocks instead, or if there can be no
    /// second name there.
    pub(super) fn link_fresh(
        &self,
        digest: &Digest,
        size: u64,
        dest: &Path,
    ) -> Result<bool, StoreError> {
        let object = self.object_path(digest);
        let Some(found) = fs::symlink_metadata_if_exists(&object)? else {
            return Err(StoreError::MissingObject { digest: *digest });
        };
        if !self.cannot_clone(found.dev()) {
            return Ok(false);
        }
        self.check_found(digest, size, found)?;
        let linked = match fs::hard_link(&object, dest) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => {
                dest.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::hard_link(&object, dest)
            }
            linked => linked,
        };
        match linked {
            Ok(true) => {
                self.adopt(&object, digest)?;
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) if error.source.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
