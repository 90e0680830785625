//! Ways to have one file's bytes at a second path: a clone, a hard link, a copy, a symbolic link.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is what others call instead"
)]

use std::fs::File;
use std::io;
use std::path::Path;

use super::error::{Context, FsError};
use super::ops::{create_new, open, remove_file};
use crate::fault;

/// Whether a file's blocks could be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clone {
    /// The new file shares them.
    Made,
    /// Not for this file; there is no new one.
    Refused,
    /// Never on this file system, or between these two; there is no new file.
    Never,
}

/// Makes `to`, a new file, share the blocks of `from` (btrfs, XFS, bcachefs): instant, and a
/// later write to one never shows in the other.
pub fn reflink(from: &Path, to: &Path) -> Result<Clone, FsError> {
    use rustix::io::Errno;
    let source = open(from)?;
    let target = create_new(to)?;
    fault::point("clone to", to).at("clone to", to)?;
    match rustix::fs::ioctl_ficlone(&target, &source) {
        Ok(()) => Ok(Clone::Made),
        Err(error) => {
            remove_file(to)?;
            match error {
                Errno::OPNOTSUPP | Errno::XDEV | Errno::NOTTY | Errno::NOSYS => Ok(Clone::Never),
                Errno::INVAL | Errno::PERM | Errno::TXTBSY | Errno::ISDIR => Ok(Clone::Refused),
                error => Err(error).at("clone to", to),
            }
        }
    }
}

/// Gives the file at `from` a second name. `false` if the file system can't, or allows no more
/// names; `to` must not exist.
pub fn hard_link(from: &Path, to: &Path) -> Result<bool, FsError> {
    use rustix::io::Errno;
    fault::point("link to", to).at("link to", to)?;
    match std::fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {
                Ok(false)
            }
            _ => Err(error).at("link to", to),
        },
    }
}

/// Copies the bytes of `from` into a new file at `to`; permissions are the process's default.
pub fn copy(from: &Path, to: &Path) -> Result<u64, FsError> {
    let mut source = open(from)?;
    let mut target: File = create_new(to)?;
    fault::point("copy to", to).at("copy to", to)?;
    io::copy(&mut source, &mut target).at("copy to", to)
}

/// Creates a symbolic link to `target` at `path`.
pub fn symlink(target: &Path, path: &Path) -> Result<(), FsError> {
    fault::point("create the link", path).at("create the link", path)?;
    std::os::unix::fs::symlink(target, path).at("create the link", path)
}

/// Swaps two paths in one step. `false` if the file system can't.
pub fn exchange(a: &Path, b: &Path) -> Result<bool, FsError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    fault::point("replace", b).at("replace", b)?;
    match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error).at("replace", b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;

    #[test]
    fn a_clone_has_the_bytes_or_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::write(&from, b"bytes").unwrap();
        if reflink(&from, &to).unwrap() == Clone::Made {
            assert_eq!(fs::read(&to).unwrap(), b"bytes");
        } else {
            assert!(!fs::exists(&to).unwrap());
        }
    }

    #[test]
    fn a_copy_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::write(&from, b"bytes").unwrap();
        assert_eq!(copy(&from, &to).unwrap(), 5);
        assert!(copy(&from, &to).is_err());
    }

    #[test]
    fn two_folders_change_places() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir_all(&a.join("one")).unwrap();
        fs::create_dir_all(&b.join("two")).unwrap();
        if exchange(&a, &b).unwrap() {
            assert_eq!(fs::read_dir(&a).unwrap(), ["two"]);
            assert_eq!(fs::read_dir(&b).unwrap(), ["one"]);
        }
    }
}
