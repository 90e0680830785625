//! The lock on a store's folders: shared while the store is used, exclusive for gc and fsck, which
//! may remove what others could be using.

use std::path::Path;

use super::error::StoreError;
use super::location::Location;
use restage_core::fs::{self, FileLock, FsError};

/// The name of the lock file.
const NAME: &str = "lock";

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

    /// Shares the locks that there are; nothing is made, and no right to write is needed.
    pub(super) fn look(location: &Location, waiting: &dyn Fn()) -> Result<Self, StoreError> {
        let own = match location.shared() {
            Some(_) => Some(FolderLock::look(location.own(), waiting)?),
            None => None,
        };
        let dir = FolderLock::look(location.dir(), waiting)?;
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
            if let (true, Some(file)) = (lock.is_exclusive, &lock.file) {
                file.shared()?;
            }
        }
        Ok(())
    }
}

/// Held until it is dropped or its process ends.
#[derive(Debug)]
pub(super) struct FolderLock {
    /// `None` if there is none, for who only looks.
    file: Option<FileLock>,
    /// Whether nobody else had the folder when this lock was taken.
    pub(super) is_exclusive: bool,
}

impl FolderLock {
    fn take(dir: &Path, waiting: &dyn Fn()) -> Result<Self, FsError> {
        let file = lock_file(dir)?;
        let is_exclusive = file.try_exclusive()?;
        if !is_exclusive && !file.try_shared()? {
            waiting();
            file.shared()?;
        }
        Ok(Self {
            file: Some(file),
            is_exclusive,
        })
    }

    fn look(dir: &Path, waiting: &dyn Fn()) -> Result<Self, FsError> {
        let file = FileLock::open_to_share(&dir.join(NAME))?;
        if let Some(file) = &file
            && !file.try_shared()?
        {
            waiting();
            file.shared()?;
        }
        Ok(Self {
            file,
            is_exclusive: false,
        })
    }

    fn take_exclusive(dir: &Path) -> Result<Self, StoreError> {
        let file = lock_file(dir)?;
        if !file.try_exclusive()? {
            return Err(StoreError::InUse {
                dir: dir.to_owned(),
            });
        }
        Ok(Self {
            file: Some(file),
            is_exclusive: true,
        })
    }
}

fn lock_file(dir: &Path) -> Result<FileLock, FsError> {
    fs::create_dir_all(dir)?;
    FileLock::open(&dir.join(NAME))
}
