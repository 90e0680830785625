//! The lock on a folder of the store: shared while it is used, alone while it is cleared up.
//! It must not know what the folder holds.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::StoreError;
use crate::base::fs::{self, Context, FsError};

/// Held until it is dropped, or its process ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    /// Whether nobody else has it.
    pub(super) is_alone: bool,
}

impl Lock {
    /// Takes it alone if nobody else has it, otherwise shared; `waiting` is called if another
    /// process has it alone, before this one waits for it.
    pub(super) fn take(dir: &Path, waiting: &dyn Fn()) -> Result<Self, FsError> {
        fs::create_dir_all(dir)?;
        let path = dir.join("lock");
        let file = fs::open_or_create(&path)?;
        let is_alone = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if !is_alone && flock(&file, FlockOperation::NonBlockingLockShared).is_err() {
            waiting();
            flock(&file, FlockOperation::LockShared).at("lock", &path)?;
        }
        Ok(Self {
            file,
            path,
            is_alone,
        })
    }

    /// Takes it alone, or not at all.
    pub(super) fn take_alone(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir)?;
        let path = dir.join("lock");
        let file = fs::open_or_create(&path)?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    return Ok(Self {
                        file,
                        path,
                        is_alone: true,
                    });
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(StoreError::InUse {
                        dir: dir.to_owned(),
                    });
                }
                Err(error) => return Err(error).at("lock", &path).map_err(StoreError::from),
            }
        }
    }

    /// Lets others in.
    pub(super) fn share(&self) -> Result<(), FsError> {
        flock(&self.file, FlockOperation::LockShared).at("lock", &self.path)
    }
}
