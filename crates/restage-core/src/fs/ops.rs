//! Single calls: read, look, list, create, rename, remove, flush.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is what others call instead"
)]

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::error::{Context, FsError};
use crate::fault;

/// `Ok(None)` if the path, or a folder above it, does not exist.
fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// No file that is read as a whole is larger.
const MOST: u64 = 1 << 30;

/// The file's bytes.
pub fn read(path: &Path) -> Result<Vec<u8>, FsError> {
    fault::point("read", path).at("read", path)?;
    opened(path).and_then(whole).at("read", path)
}

/// The last bytes of a file that restage made, at most `most`, and whether these are all that it has.
/// A symbolic link is refused.
pub fn read_end(path: &Path, most: u64) -> Result<(Vec<u8>, bool), FsError> {
    let mut file = open_own(path)?;
    let len = file.metadata().at("look at", path)?.len();
    let start = len.saturating_sub(most);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start)).at("read", path)?;
    // What is appended meanwhile would have no bound.
    file.take(most).read_to_end(&mut bytes).at("read", path)?;
    Ok((bytes, start == 0))
}

/// The file's bytes, or `None` if there is no such file.
pub fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>, FsError> {
    fault::point("read", path).at("read", path)?;
    optional(opened(path).and_then(whole)).at("read", path)
}

/// The bytes of a file that only restage writes, or `None` if there is no such file. A symbolic link
/// is refused.
pub fn read_own(path: &Path) -> Result<Option<Vec<u8>>, FsError> {
    fault::point("read", path).at("read", path)?;
    optional(opened_own(path).and_then(whole)).at("read", path)
}

/// The file's text; it is an error if it is not UTF-8.
pub fn read_to_string(path: &Path) -> Result<String, FsError> {
    let text = String::from_utf8(read(path)?);
    text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
        .at("read", path)
}

/// Opens an existing file or folder for reading.
pub fn open(path: &Path) -> Result<File, FsError> {
    fault::point("open", path).at("open", path)?;
    opened(path).at("open", path)
}

/// Opens what was seen to be a file a moment ago. By now it may be anything: look at it before or after it is
/// read, and read by position, which takes nothing out of a pipe.
pub fn open_seen(path: &Path) -> Result<File, FsError> {
    fault::point("open", path).at("open", path)?;
    let mut options = OpenOptions::new();
    options.read(true);
    unseen(options, OFlags::empty(), path).at("open", path)
}

/// Opens a file that restage made for reading. A symbolic link is refused.
pub fn open_own(path: &Path) -> Result<File, FsError> {
    fault::point("open", path).at("open", path)?;
    opened_own(path).at("open", path)
}

fn opened(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    no_pipe(options, OFlags::empty(), path)
}

fn opened_own(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    no_link(options, path)
}

/// All bytes of an open file.
fn whole(file: File) -> io::Result<Vec<u8>> {
    // Files of /proc have no length, and others may grow.
    let len = file.metadata()?.len();
    let mut bytes = Vec::new();
    if len <= MOST {
        bytes.reserve_exact(usize::try_from(len).unwrap_or_default());
        file.take(MOST + 1).read_to_end(&mut bytes)?;
    }
    match len.max(bytes.len() as u64) > MOST {
        true => Err(content(
            "it has more than 1 GiB, too much to be read as a whole",
        )),
        false => Ok(bytes),
    }
}

/// What was found is to blame.
fn content(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// Creates a file, or empties an existing one, for writing in place (logs; results go
/// through `write_atomic`).
pub fn create(path: &Path) -> Result<File, FsError> {
    fault::point("create", path).at("create", path)?;
    File::create(path).at("create", path)
}

/// Creates a file that must not exist yet.
pub fn create_new(path: &Path) -> Result<File, FsError> {
    fault::point("create", path).at("create", path)?;
    File::create_new(path).at("create", path)
}

/// Creates a named pipe, which must not exist yet, that only this user may open.
pub fn make_pipe(path: &Path) -> Result<(), FsError> {
    fault::point("create", path).at("create", path)?;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let made = rustix::fs::mkfifoat(rustix::fs::CWD, path, mode);
    made.map_err(io::Error::from).at("create", path)
}

/// Opens a named pipe for reading and writing, so that nobody waits for the other end.
pub fn open_pipe(path: &Path) -> Result<File, FsError> {
    fault::point("open", path).at("open", path)?;
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.at("open", path)
}

/// Opens a file for appending, creating it if missing. A symbolic link is refused.
pub fn append(path: &Path) -> Result<File, FsError> {
    fault::point("open", path).at("open", path)?;
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    no_link(options, path).at("open", path)
}

/// Opens what is at the path, unless it is a symbolic link.
pub(super) fn no_link(options: OpenOptions, path: &Path) -> io::Result<File> {
    match no_pipe(options, OFlags::NOFOLLOW, path) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => {
            Err(io::Error::other("it is a symbolic link"))
        }
        file => file,
    }
}

/// Opens a file or folder, and nothing else: a named pipe would make the caller wait for its other
/// end, and some devices never end.
fn no_pipe(options: OpenOptions, flags: OFlags, path: &Path) -> io::Result<File> {
    let file = unseen(options, flags, path)?;
    let kind = file.metadata()?.file_type();
    match kind.is_file() || kind.is_dir() {
        true => Ok(file),
        false if kind.is_fifo() => Err(content("it is a pipe, not a file")),
        false => Err(content("it is a device, not a file")),
    }
}

/// Opens whatever it is, without waiting for a pipe's other end.
fn unseen(mut options: OpenOptions, flags: OFlags, path: &Path) -> io::Result<File> {
    let flags = flags | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed()).open(path)
}

/// What the path leads to, symbolic links followed.
pub fn metadata(path: &Path) -> Result<Metadata, FsError> {
    std::fs::metadata(path).at("look at", path)
}

/// What the path leads to, symbolic links followed; `None` if nothing is there.
pub fn metadata_if_exists(path: &Path) -> Result<Option<Metadata>, FsError> {
    optional(std::fs::metadata(path)).at("look at", path)
}

/// What is at the path itself, even a symbolic link.
pub fn symlink_metadata(path: &Path) -> Result<Metadata, FsError> {
    std::fs::symlink_metadata(path).at("look at", path)
}

/// What is at the path itself, even a symbolic link; `None` if nothing is there.
pub fn symlink_metadata_if_exists(path: &Path) -> Result<Option<Metadata>, FsError> {
    optional(std::fs::symlink_metadata(path)).at("look at", path)
}

/// Whether anything is at the path, even a broken link.
pub fn exists(path: &Path) -> Result<bool, FsError> {
    Ok(symlink_metadata_if_exists(path)?.is_some())
}

/// The target of a symbolic link.
pub fn read_link(path: &Path) -> Result<PathBuf, FsError> {
    std::fs::read_link(path).at("read the link", path)
}

/// The absolute path without symbolic links.
pub fn canonicalize(path: &Path) -> Result<PathBuf, FsError> {
    std::fs::canonicalize(path).at("find", path)
}

/// Names in a folder, sorted bytewise.
pub fn read_dir(path: &Path) -> Result<Vec<OsString>, FsError> {
    fault::point("list", path).at("list", path)?;
    let names = std::fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
        .at("list", path);
    names.map(|mut names: Vec<OsString>| {
        names.sort_unstable();
        names
    })
}

/// Names in a folder, sorted bytewise; empty if there is no such folder.
pub fn read_dir_if_exists(path: &Path) -> Result<Vec<OsString>, FsError> {
    match read_dir(path) {
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    }
}

/// Creates one folder, which must not exist yet.
pub fn create_dir(path: &Path) -> Result<(), FsError> {
    fault::point("create the folder", path).at("create the folder", path)?;
    std::fs::create_dir(path).at("create the folder", path)
}

/// Creates a folder and its parents, unless they exist.
pub fn create_dir_all(path: &Path) -> Result<(), FsError> {
    fault::point("create the folder", path).at("create the folder", path)?;
    std::fs::create_dir_all(path).at("create the folder", path)
}

/// Renames within one file system, replacing a file at `to`.
pub fn rename(from: &Path, to: &Path) -> Result<(), FsError> {
    fault::point("rename to", to).at("rename to", to)?;
    std::fs::rename(from, to).at("rename to", to)
}

/// Removes a file or symbolic link.
pub fn remove_file(path: &Path) -> Result<(), FsError> {
    fault::point("remove", path).at("remove", path)?;
    std::fs::remove_file(path).at("remove", path)
}

/// Removes an empty folder.
pub fn remove_dir(path: &Path) -> Result<(), FsError> {
    fault::point("remove the folder", path).at("remove the folder", path)?;
    std::fs::remove_dir(path).at("remove the folder", path)
}

/// Sets the permission bits.
pub fn set_mode(path: &Path, mode: u32) -> Result<(), FsError> {
    fault::point("set the permissions of", path).at("set the permissions of", path)?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .at("set the permissions of", path)
}

/// Sets the time of the last change to that of another file.
pub fn set_modified(path: &Path, like: &Metadata) -> Result<(), FsError> {
    let set = |file: File| file.set_modified(like.modified()?);
    let file = File::options().write(true).open(path);
    file.and_then(set).at("set the time of", path)
}

/// Waits until the file's bytes are on the disk.
pub fn sync_file(path: &Path) -> Result<(), FsError> {
    let file = open(path)?;
    fault::point("flush", path).at("flush", path)?;
    file.sync_all().at("flush", path)
}

/// Waits until the folder's entries are on the disk. File systems that can't do so (some network
/// and FUSE ones) are trusted.
pub fn sync_dir(path: &Path) -> Result<(), FsError> {
    let folder = open(path)?;
    fault::point("flush the folder", path).at("flush the folder", path)?;
    match folder.sync_all() {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
            Ok(())
        }
        done => done.at("flush the folder", path),
    }
}

/// Waits until everything written to the file system of `file`, which `path` names in errors, is on
/// the disk: cheaper than flushing hundreds of files one by one. What the disk has refused since
/// `file` was opened is an error, even if somebody else was told of it, but only where
/// [`sync_tells_of_lost_writes`].
pub fn sync_file_system(file: &File, path: &Path) -> Result<(), FsError> {
    fault::point("flush the disk of", path).at("flush the disk of", path)?;
    rustix::fs::syncfs(file)
        .map_err(io::Error::from)
        .at("flush the disk of", path)
}

/// Whether [`sync_file_system`] says so if the disk refused something: Linux does from 5.8 on.
pub fn sync_tells_of_lost_writes() -> bool {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next()?.parse::<u32>().ok();
    number()
        .zip(number())
        .is_some_and(|version| version >= (5, 8))
}

/// Whether this process may read the file or folder.
pub fn may_read(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::READ_OK).is_ok()
}

/// How many bytes we may still write on the disk that holds `path`.
pub fn available_space(path: &Path) -> Result<u64, FsError> {
    let found = rustix::fs::statvfs(path).at("measure", path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::symlink;

    #[test]
    fn an_error_names_the_operation_and_the_path() {
        let error = read(Path::new("/nowhere/at all")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read `/nowhere/at all`: no such file or directory"
        );
    }

    #[test]
    fn what_is_absent_is_none_and_not_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"x").unwrap();
        assert_eq!(read_if_exists(&dir.path().join("a/b")).unwrap(), None);
        assert!(metadata_if_exists(&file.join("below")).unwrap().is_none());
        assert!(
            read_dir_if_exists(&dir.path().join("a"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn the_end_of_a_file_is_read_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"first last").unwrap();
        assert_eq!(read_end(&file, 4).unwrap(), (b"last".to_vec(), false));
        assert_eq!(
            read_end(&file, 100).unwrap(),
            (b"first last".to_vec(), true)
        );
    }

    #[test]
    fn nothing_but_a_file_of_a_sane_size_is_read_and_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, big) = (dir.path().join("pipe"), dir.path().join("big"));
        make_pipe(&pipe).unwrap();
        File::create(&big).unwrap().set_len(MOST + 1).unwrap();
        let read = |path: &Path| {
            let errors = [
                super::read(path).map(drop),
                read_if_exists(path).map(drop),
                read_own(path).map(drop),
                read_to_string(path).map(drop),
            ];
            errors.map(|read| read.unwrap_err())
        };
        for error in read(&pipe) {
            assert!(error.to_string().ends_with("it is a pipe, not a file"));
            assert!(error.is_about_content());
        }
        for error in read(&big) {
            assert!(error.to_string().contains("more than 1 GiB"), "{error}");
        }
        for device in read(Path::new("/dev/zero")) {
            assert!(device.to_string().contains("a device"), "{device}");
        }
        for error in [
            open(&pipe).map(drop),
            open_own(&pipe).map(drop),
            read_end(&pipe, 1).map(drop),
            append(&pipe).map(drop),
            crate::fs::FileLock::open(&pipe).map(drop),
        ] {
            assert!(error.is_err());
        }
        assert!(
            !super::read(Path::new("/proc/self/status"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_broken_link_exists_and_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink(Path::new("gone"), &link).unwrap();
        assert!(exists(&link).unwrap());
        assert!(metadata_if_exists(&link).unwrap().is_none());
    }
}
