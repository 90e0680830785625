//! The lock on a store's folders: shared while the store is used, exclusive for gc and fsck, which
//! may remove what others could be using.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::StoreError;
use super::location::Location;
use restage_core::fs::{self, Context, FsError};

/// The locks on a store's one or two folders, held as long as the store is open.
#[derive(Debug)]
pub(super) struct StoreLock {
    /// On the folder of objects and records.
    pub(super) dir: FolderLock,
    /// On the workspace's own folder, if that is a different one.
    pub(super) own: Option<FolderLock>,
}

impl StoreLock {
    /// Takes each lock exclusively if nobody else has it, otherwise shared; `waiting` is called
    /// before waiting for a process that has one exclusively.
    pub(super) fn take(location: &Location, waiting: &dyn Fn()) -> Result<Self, StoreError> {
        let own = match location.shared() {
            Some(_) => Some(FolderLock::take(location.own(), waiting)?),
            None => None,
        };
        let dir = FolderLock::take(location.dir(), waiting).map_err(|e| location.explain(e))?;
        Ok(Self { dir, own })
    }

    /// Takes the locks exclusively or not at all.
    pub(super) fn take_exclusive(location: &Location) -> Result<Self, StoreError> {
        let own = match location.shared() {
            Some(_) => Some(FolderLock::take_exclusive(location.own())?),
            None => None,
        };
        let dir = FolderLock::take_exclusive(location.dir()).map_err(|error| match error {
            StoreError::Fs(error) => location.explain(error),
            error => error,
        })?;
        Ok(Self { dir, own })
    }

    /// The lock on the workspace's own folder.
    pub(super) fn own(&self) -> &FolderLock {
        self.own.as_ref().unwrap_or(&self.dir)
    }

    /// Lets others in.
    pub(super) fn share(&self) -> Result<(), FsError> {
        for lock in self.own.iter().chain([&self.dir]) {
            if lock.is_exclusive {
                flock(&lock.file, FlockOperation::LockShared).at("lock", &lock.path)?;
            }
        }
        Ok(())
    }
}

/// Held until it is dropped or its process ends.
#[derive(Debug)]
pub(super) struct FolderLock {
    file: File,
    path: PathBuf,
    /// Whether nobody else had the folder when this lock was taken.
    pub(super) is_exclusive: bool,
}

impl FolderLock {
    fn take(dir: &Path, waiting: &dyn Fn()) -> Result<Self, FsError> {
        let (file, path) = lock_file(dir)?;
        let is_exclusive = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if !is_exclusive && flock(&file, FlockOperation::NonBlockingLockShared).is_err() {
            waiting();
            flock(&file, FlockOperation::LockShared).at("lock", &path)?;
        }
        Ok(Self {
            file,
            path,
            is_exclusive,
        })
    }

    fn take_exclusive(dir: &Path) -> Result<Self, StoreError> {
        let (file, path) = lock_file(dir)?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    return Ok(Self {
                        file,
                        path,
                        is_exclusive: true,
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
}

fn lock_file(dir: &Path) -> Result<(File, PathBuf), FsError> {
    fs::create_dir_all(dir)?;
    let path = dir.join("lock");
    Ok((fs::open_or_create(&path)?, path))
}
