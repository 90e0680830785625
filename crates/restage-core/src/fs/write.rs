//! Writes a file so that a reader, or a crash, sees the old one or the new one, never half of it.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is what others call instead"
)]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::error::{Context, FsError};
use super::ops::{metadata_if_exists, sync_dir};
use super::remove::remove_all;
use crate::fault::{self, Fault};

/// Replaces the file at `path` by `bytes`: writes a temporary file beside it, flushes it, renames
/// it and flushes the folder. The old file's permissions are kept; if `path` is a symbolic link,
/// its target is replaced.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let target = leads_to(path)?;
    replace(StagedFile::new(&target)?, &target, bytes)
}

/// Like [`write_atomic`], for a file that only restage writes: a symbolic link at `path` is itself
/// replaced.
pub fn write_own(path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    replace(StagedFile::new(path)?, path, bytes)
}

/// Like [`write_atomic`], but with the temporary file in `folder`, where leftovers of dead processes
/// are removed, if that is on the same file system.
pub fn write_atomic_from(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), FsError> {
    let target = leads_to(path)?;
    match replace(StagedFile::new_in(folder, &target)?, &target, bytes) {
        Err(error) if error.source.kind() == io::ErrorKind::CrossesDevices => {
            replace(StagedFile::new(&target)?, &target, bytes)
        }
        done => done,
    }
}

/// The path itself or, if it is a symbolic link, its target.
fn leads_to(path: &Path) -> Result<PathBuf, FsError> {
    match std::fs::canonicalize(path) {
        Ok(target) => Ok(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(error).at("find", path),
    }
}

fn replace(mut staged: StagedFile, target: &Path, bytes: &[u8]) -> Result<(), FsError> {
    if let Some(old) = metadata_if_exists(target)? {
        staged.set_mode(old.permissions().mode())?;
    }
    staged.write(bytes)?;
    staged.commit()?;
    sync_dir(parent(target))
}

/// Writes all of `bytes` to an open file, which `path` names in errors.
pub fn write_all(file: &mut File, bytes: &[u8], path: &Path) -> Result<(), FsError> {
    if let Some(fault) = fault::reached("write", path) {
        // A call that dies or fails has often done half of its work.
        let _ = file.write_all(&bytes[..bytes.len() / 2]);
        match fault {
            Fault::Die => fault::die(),
            Fault::Fail(errno) => return Err(io::Error::from(errno)).at("write", path),
        }
    }
    file.write_all(bytes).at("write", path)
}

/// A name beside `path` that nothing else uses: `.NAME.restage-PID-COUNT`.
pub fn temp_name(path: &Path) -> PathBuf {
    // Not from 0: in another container, or on another machine, a process may have the same id.
    static COUNT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(nanoseconds()));
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // A name may have 255 bytes: a long one is left out, to have room for the number.
    let name = path
        .file_name()
        .map(OsString::from)
        .filter(|name| name.len() < 200);
    let mut temp = OsString::from(".");
    temp.push(name.unwrap_or_default());
    temp.push(format!(".restage-{}-{count}", std::process::id()));
    path.with_file_name(temp)
}

/// Of this moment: another number in each process.
fn nanoseconds() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}

/// Whether a file's name is one that [`temp_name`] makes.
pub fn is_temp_name(name: &OsStr) -> bool {
    // What stands before the numbers need not be UTF-8.
    let text = name.to_string_lossy();
    let numbers = text
        .strip_prefix('.')
        .and_then(|name| name.rsplit_once(".restage-"))
        .and_then(|(_, numbers)| numbers.split_once('-'));
    numbers.is_some_and(|(pid, count)| {
        [pid, count]
            .iter()
            .all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// The folder that holds `path`.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A new version of a file, not yet in its place; it is removed if it is dropped.
#[derive(Debug)]
pub struct StagedFile {
    file: File,
    temp: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl StagedFile {
    /// Starts an empty file beside `target`, to which [`StagedFile::commit`] will rename it.
    pub fn new(target: &Path) -> Result<Self, FsError> {
        Self::start(temp_name(target), target)
    }

    /// Like [`StagedFile::new`], but in a folder of the same file system where leftovers of dead
    /// processes are removed.
    pub fn new_in(folder: &Path, target: &Path) -> Result<Self, FsError> {
        let name = target.file_name().unwrap_or_default();
        Self::start(temp_name(&folder.join(name)), target)
    }

    fn start(temp: PathBuf, target: &Path) -> Result<Self, FsError> {
        fault::point("create", target).at("create", target)?;
        loop {
            match File::create_new(&temp) {
                // Left by a dead process that had our id.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    remove_all(&temp)?;
                }
                file => {
                    let file = file.at("create", target)?;
                    return Ok(Self {
                        file,
                        temp,
                        target: target.to_owned(),
                        committed: false,
                    });
                }
            }
        }
    }

    /// The open file; the caller adds the path to errors.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Where it is until it is in its place.
    pub fn path(&self) -> &Path {
        &self.temp
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        write_all(&mut self.file, bytes, &self.target)
    }

    /// Sets the permission bits.
    pub fn set_mode(&mut self, mode: u32) -> Result<(), FsError> {
        let mode = std::fs::Permissions::from_mode(mode & 0o7777);
        self.file
            .set_permissions(mode)
            .at("set the permissions of", &self.target)
    }

    /// Flushes the file and renames it over the target. The caller flushes the folder.
    pub fn commit(self) -> Result<(), FsError> {
        fault::point("flush", &self.target).at("flush", &self.target)?;
        self.file.sync_all().at("flush", &self.target)?;
        self.commit_unflushed()
    }

    /// Renames the file over the target; the caller flushes it there.
    pub fn commit_unflushed(mut self) -> Result<(), FsError> {
        fault::point("rename to", &self.target).at("rename to", &self.target)?;
        std::fs::rename(&self.temp, &self.target).at("rename to", &self.target)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.committed {
            // Already failing: the first error is the one to report.
            let _ = std::fs::remove_file(&self.temp);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::fs;

    #[test]
    fn a_replaced_file_keeps_its_permissions_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"old").unwrap();
        fs::set_mode(&path, 0o640).unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap(), ["file"]);
    }

    #[test]
    fn temporary_names_are_recognised() {
        let odd = OsStr::from_bytes(b"\xe9");
        for path in [
            "a".as_ref(),
            "dir/format".as_ref(),
            "n".repeat(255).as_ref(),
            odd,
        ] {
            let temp = temp_name(Path::new(path));
            assert!(is_temp_name(temp.file_name().unwrap()));
        }
        for name in [
            "format",
            ".format.restage-",
            ".restage-1",
            ".x.restage-1-b",
            "x.restage-1-2",
        ] {
            assert!(!is_temp_name(name.as_ref()), "{name}");
        }
    }

    #[test]
    fn a_link_stays_a_link_when_its_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&path, b"old").unwrap();
        fs::symlink(Path::new("file"), &link).unwrap();
        write_atomic(&link, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_file_that_is_given_up_leaves_the_old_one_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"old").unwrap();
        let mut staged = StagedFile::new(&path).unwrap();
        staged.write(b"half").unwrap();
        drop(staged);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap(), ["file"]);
    }

    #[test]
    fn a_name_of_255_bytes_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n".repeat(255));
        write_atomic(&path, b"x").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn a_write_to_a_full_device_is_an_error_that_says_so() {
        if !fs::exists(Path::new("/dev/full")).unwrap() {
            println!("skipped: no /dev/full here");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut staged = StagedFile::new(&dir.path().join("file")).unwrap();
        staged.file = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let error = staged.write(b"x").unwrap_err();
        assert!(error.hint().unwrap().contains("disk is full"), "{error}");
    }
}
