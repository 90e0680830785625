//! Locks that the kernel keeps on a file, and ends with the process that holds them.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::{Context, FsError};
use super::ops::no_link;
use super::write::write_all;
use crate::fault;

/// A file that can be locked. Dropping it ends the lock at once: closing the file would not, as
/// long as a child that another thread is just starting has a copy of the descriptor.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Opens a lock file, creating it if missing. A symbolic link is refused.
    pub fn open(path: &Path) -> Result<Self, FsError> {
        fault::point("open", path).at("open", path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        Ok(Self {
            file: no_link(options, path).at("open", path)?,
            path: path.to_owned(),
        })
    }

    /// Opens a lock file only to share its lock, which needs no right to write. `None` if there is no
    /// such file, or this user may not read it.
    pub fn open_to_share(path: &Path) -> Result<Option<Self>, FsError> {
        fault::point("open", path).at("open", path)?;
        let mut options = OpenOptions::new();
        options.read(true);
        match no_link(options, path) {
            Ok(file) => Ok(Some(Self {
                file,
                path: path.to_owned(),
            })),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound
                        | io::ErrorKind::NotADirectory
                        | io::ErrorKind::PermissionDenied
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).at("open", path),
        }
    }

    /// Takes the lock alone, unless somebody has it. Returns whether it is taken.
    pub fn try_exclusive(&self) -> Result<bool, FsError> {
        self.set(FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes the lock together with others, unless somebody has it alone. Returns whether it is
    /// taken.
    pub fn try_shared(&self) -> Result<bool, FsError> {
        self.set(FlockOperation::NonBlockingLockShared)
    }

    /// Waits until nobody else has the lock and takes it alone.
    pub fn exclusive(&self) -> Result<(), FsError> {
        self.set(FlockOperation::LockExclusive).map(drop)
    }

    /// Waits until nobody has the lock alone and takes it together with others. Whoever had it
    /// alone lets others in.
    pub fn shared(&self) -> Result<(), FsError> {
        self.set(FlockOperation::LockShared).map(drop)
    }

    fn set(&self, operation: FlockOperation) -> Result<bool, FsError> {
        loop {
            match flock(&self.file, operation) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(false),
                Err(error) => return Err(error).at("lock", &self.path),
            }
        }
    }

    /// Where the file was when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Of the open file, which may have lost its name.
    pub fn metadata(&self) -> Result<Metadata, FsError> {
        self.file.metadata().at("look at", &self.path)
    }

    /// The file's bytes.
    pub fn read(&mut self) -> Result<Vec<u8>, FsError> {
        let mut bytes = Vec::new();
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.read_to_end(&mut bytes))
            .at("read", &self.path)?;
        Ok(bytes)
    }

    /// Adds bytes at the file's end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.file.seek(SeekFrom::End(0)).at("write", &self.path)?;
        write_all(&mut self.file, bytes, &self.path)
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // If that fails, closing the file does it.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;

    #[test]
    fn one_holder_alone_or_many_together() {
        let dir = tempfile::tempdir().unwrap();
        let open = || FileLock::open(&dir.path().join("lock")).unwrap();
        let (a, b) = (open(), open());
        assert!(a.try_exclusive().unwrap());
        assert!(!b.try_exclusive().unwrap() && !b.try_shared().unwrap());
        a.shared().unwrap();
        assert!(b.try_shared().unwrap() && !b.try_exclusive().unwrap());
        drop(a);
        assert!(b.try_exclusive().unwrap());
    }

    #[test]
    fn a_lock_can_be_shared_without_the_right_to_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(FileLock::open_to_share(&path).unwrap().is_none());
        let lock = FileLock::open(&path).unwrap();
        fs::set_mode(&path, 0o444).unwrap();
        let shared = FileLock::open_to_share(&path).unwrap().unwrap();
        assert!(shared.try_shared().unwrap() && !lock.try_exclusive().unwrap());
    }

    #[test]
    fn a_lock_ends_when_it_is_dropped_even_if_its_descriptor_lives_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = FileLock::open(&path).unwrap();
        lock.exclusive().unwrap();
        // As a child has one between fork and exec.
        let _copy = lock.file.try_clone().unwrap();
        drop(lock);
        assert!(FileLock::open(&path).unwrap().try_exclusive().unwrap());
    }

    #[test]
    fn a_lock_file_is_not_opened_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (users, link) = (dir.path().join("thesis"), dir.path().join("lock"));
        std::fs::write(&users, "text").unwrap();
        for target in [users.clone(), dir.path().join("new")] {
            let _ = std::fs::remove_file(&link);
            fs::symlink(&target, &link).unwrap();
            let error = FileLock::open(&link).unwrap_err();
            assert!(error.to_string().ends_with("lock`: it is a symbolic link"));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap(), ["lock", "thesis"]);
        assert_eq!(fs::read(&users).unwrap(), b"text");
    }

    #[test]
    fn what_is_appended_comes_after_all_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut lock = FileLock::open(&dir.path().join("lock")).unwrap();
        assert_eq!(lock.read().unwrap(), b"");
        lock.append(b"one").unwrap();
        assert_eq!(lock.read().unwrap(), b"one");
        lock.append(b"two").unwrap();
        assert_eq!(lock.read().unwrap(), b"onetwo");
    }
}
