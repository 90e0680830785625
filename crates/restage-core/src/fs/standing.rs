//! What stands at a path: whether it can be renamed and written to, and moving it elsewhere.
#![expect(
    clippy::disallowed_methods,
    reason = "this module is what others call instead"
)]

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::error::{Context, FsError};
use super::ops::{
    create_dir, metadata, read_dir, read_if_exists, read_link, remove_file, rename, set_mode,
    symlink_metadata,
};
use super::place::{copy, symlink};
use super::remove::remove_all;
use crate::fault;

/// Whether another file system, or another part of this one, is mounted at the path itself. It can
/// then be neither renamed nor replaced. Nothing is mounted where nothing is.
pub fn is_mount_point(path: &Path) -> Result<bool, FsError> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    use rustix::io::Errno;
    match statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE) {
        Ok(found) => Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error).at("look at", path),
    }
}

/// The places, as this process sees them, where something is mounted; none where the system does not
/// say.
pub fn mount_points() -> Result<Vec<PathBuf>, FsError> {
    let table = read_if_exists(Path::new("/proc/self/mountinfo"))?.unwrap_or_default();
    let lines = table.split(|byte| *byte == b'\n');
    // NUMBER PARENT DEVICE ROOT PLACE ..
    let places = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    Ok(places
        .map(|place| PathBuf::from(OsString::from_vec(unescaped(place))))
        .collect())
}

/// Blanks, line breaks and backslashes stand as three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| byte == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

/// Whether this process may create files in a folder.
pub fn may_write(folder: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Moves a file, link or folder to `to`, where nothing may be, also to another file system: then it
/// is copied, and removed once the copy is complete.
pub fn move_to(from: &Path, to: &Path) -> Result<(), FsError> {
    match rename(from, to) {
        Err(error) if error.source.kind() == io::ErrorKind::CrossesDevices => {}
        done => return done,
    }
    let copied = copy_all(from, to);
    if copied.is_err() {
        // Already failing: the first error is the one to report.
        let _ = remove_all(to);
        return copied;
    }
    match symlink_metadata(from)?.is_dir() {
        true => remove_all(from),
        false => remove_file(from),
    }
}

fn copy_all(from: &Path, to: &Path) -> Result<(), FsError> {
    let found = symlink_metadata(from)?;
    if found.is_symlink() {
        return symlink(&read_link(from)?, to);
    }
    if found.is_dir() {
        create_dir(to)?;
        for name in read_dir(from)? {
            copy_all(&from.join(&name), &to.join(&name))?;
        }
    } else if found.is_file() {
        copy(from, to)?;
        let written = std::fs::File::open(to).at("open", to)?;
        fault::point("flush", to).at("flush", to)?;
        written.sync_all().at("flush", to)?;
    } else {
        let source = io::Error::other("it is neither a file nor a folder nor a link");
        return Err(FsError {
            op: "copy",
            path: from.to_owned(),
            source,
        });
    }
    set_mode(to, metadata(from)?.permissions().mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;

    #[test]
    fn a_folder_that_cannot_be_renamed_is_copied_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(&from.join("in")).unwrap();
        std::fs::write(from.join("in/file"), b"x").unwrap();
        set_mode(&from.join("in/file"), 0o640).unwrap();
        symlink(Path::new("gone"), &from.join("link")).unwrap();
        copy_all(&from, &to).unwrap();
        assert_eq!(fs::read(&to.join("in/file")).unwrap(), b"x");
        let mode = metadata(&to.join("in/file")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(read_link(&to.join("link")).unwrap(), Path::new("gone"));
    }

    #[test]
    fn only_where_something_is_mounted_is_a_mount_point() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_mount_point(dir.path()).unwrap());
        assert!(!is_mount_point(&dir.path().join("nothing")).unwrap());
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        assert!(mount_points().unwrap().contains(&PathBuf::from("/proc")));
        assert_eq!(unescaped(br"/a\040b\134c\0"), br"/a b\c\0");
    }
}
