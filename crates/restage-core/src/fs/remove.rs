//! Removes files and folders without ever following a symbolic link.
//!
//! Every folder is opened by its name in the open folder above it, and refused if it is a link. So
//! nothing outside is reached, even if somebody puts a link in a folder's place meanwhile. Neither
//! is what is mounted below.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, StatxAttributes, StatxFlags, openat, renameat,
    statat, statx, unlinkat,
};
use rustix::io::Errno;

use super::error::{Context, FsError};
use super::write::temp_name;
use crate::fault;

/// How many folders are open at once, one in the other. Folders that lie deeper are moved up first.
const DEEPEST: usize = 64;

/// Removes whatever is at the path: a file, a link, or a folder with its contents, even if a
/// folder inside is read-only. Does nothing if nothing is there.
pub fn remove_all(path: &Path) -> Result<(), FsError> {
    fault::point("remove", path).at("remove", path)?;
    let Some(name) = path.file_name() else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput)).at("remove", path);
    };
    match open_parent(path) {
        Ok(parent) => remove_entry(&parent, name, path),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(error) => Err(error).at("remove", path),
    }
}

/// Like [`remove_all`], for a path below `root`, and no folder between them may be a link either.
pub fn remove_below(root: &Path, path: &Path) -> Result<(), FsError> {
    fault::point("remove", path).at("remove", path)?;
    match parent_below(root, path).at("remove", path)? {
        Some((parent, name)) => remove_entry(&parent, name, path),
        None => Ok(()),
    }
}

/// Removes all files and links in a folder below `root`, and leaves its folders. If there is a file
/// or a link at `path`, it is left alone.
pub fn empty_below(root: &Path, path: &Path) -> Result<(), FsError> {
    fault::point("empty", path).at("empty", path)?;
    let Some((parent, name)) = parent_below(root, path).at("empty", path)? else {
        return Ok(());
    };
    match open_folder(&parent, name) {
        Ok(folder) => sweep(&folder, path, Folders::Stay),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(error) => Err(explained(error)).at("empty", path),
    }
}

/// Renames within one file system, from and to a path below `root`; no folder between them may be
/// a link.
pub fn rename_below(root: &Path, from: &Path, to: &Path) -> Result<(), FsError> {
    fault::point("rename to", to).at("rename to", to)?;
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let (old, from) = parent_below(root, from)
        .and_then(|found| found.ok_or_else(missing))
        .at("rename to", to)?;
    let (new, name) = parent_below(root, to)
        .and_then(|found| found.ok_or_else(missing))
        .at("rename to", to)?;
    let renamed = match renameat(&old, from, &new, name) {
        // A folder's `..` changes.
        Err(Errno::ACCESS) => open_folder(&old, from).and_then(|folder| {
            for changed in [&folder, &old] {
                open_up(changed)?;
            }
            renameat(&old, from, &new, name)
        }),
        renamed => renamed,
    };
    renamed.at("rename to", to)
}

/// Gives this user all rights on a folder below `root`, and on those between them, if they are its
/// own; no folder between them may be a link.
pub fn open_below(root: &Path, path: &Path) -> Result<(), FsError> {
    let op = "set the permissions of";
    fault::point(op, path).at(op, path)?;
    let Some((parent, name)) = parent_below(root, path).at(op, path)? else {
        return Ok(());
    };
    let opened = open_folder(&parent, name).and_then(|folder| open_up(&folder));
    opened.at(op, path)
}

/// The open folder that holds `path`, and the name in it; `None` if there is no such folder.
fn parent_below<'a>(root: &Path, path: &'a Path) -> io::Result<Option<(OwnedFd, &'a OsStr)>> {
    let invalid = || io::Error::other(format!("it is not below `{}`", root.display()));
    let below = path.strip_prefix(root).map_err(|_| invalid())?;
    let mut names = Vec::new();
    for part in below.components() {
        match part {
            Component::Normal(name) => names.push(name),
            _ => return Err(invalid()),
        }
    }
    let name = names.pop().ok_or_else(invalid)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = match openat(CWD, root, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for name in names {
        let open = || openat(&folder, name, flags | OFlags::NOFOLLOW, Mode::empty());
        let opened = match open() {
            Err(Errno::ACCESS) => open_up(&folder).and_then(|()| open()),
            opened => opened,
        };
        folder = match opened {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let what = format!("`{}` in its path is a link or a file", name.display());
                return Err(io::Error::other(what));
            }
            Err(error) => return Err(error.into()),
        };
    }
    Ok(Some((folder, name)))
}

fn open_parent(path: &Path) -> Result<OwnedFd, Errno> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, parent, flags, Mode::empty())
}

/// Removes what has this name in an open folder; `path` is for messages.
fn remove_entry(parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), FsError> {
    let removed = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
            match open_folder(parent, name) {
                Ok(folder) => {
                    sweep(&folder, path, Folders::Go)?;
                    unlinked(parent, name, AtFlags::REMOVEDIR)
                }
                // Somebody was faster, or put something else there.
                Err(Errno::NOTDIR) => unlinked(parent, name, AtFlags::empty()),
                Err(error) => Err(error),
            }
        }
        Ok(_) => unlinked(parent, name, AtFlags::empty()),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        Err(error) => Err(explained(error)).at("remove", path),
    }
}

/// What becomes of the folders in a folder that is emptied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Folders {
    Go,
    Stay,
}

/// Empties an open folder.
fn sweep(top: &OwnedFd, path: &Path, folders: Folders) -> Result<(), FsError> {
    // As often as there were folders that lie too deep.
    while empty(top, path, top, folders, 0)? {}
    Ok(())
}

/// Empties a folder in which `top` lies `depth` folders up. Returns whether folders were moved up to
/// `top` instead, because they lie too deep.
fn empty(
    folder: &OwnedFd,
    path: &Path,
    top: &OwnedFd,
    folders: Folders,
    depth: usize,
) -> Result<bool, FsError> {
    let mut moved = false;
    for (name, kind) in entries(folder).at("list", path)? {
        let name = OsStr::from_bytes(name.as_bytes());
        let child = || path.join(name);
        let opened = match kind {
            FileType::Directory | FileType::Unknown => match open_folder(folder, name) {
                Ok(opened) => Some(opened),
                Err(Errno::NOENT) => continue,
                Err(Errno::NOTDIR) => None,
                Err(error) => return Err(explained(error)).at("remove", &child()),
            },
            _ => None,
        };
        let removed = match opened {
            None => unlinked(folder, name, AtFlags::empty()),
            Some(opened) if depth == DEEPEST => {
                // Its `..` changes.
                let _ = open_up(&opened);
                moved = true;
                let aside = temp_name(Path::new(name));
                renameat(folder, name, top, &aside)
            }
            Some(opened) => {
                moved |= empty(&opened, &child(), top, folders, depth + 1)?;
                match folders {
                    Folders::Go => unlinked(folder, name, AtFlags::REMOVEDIR),
                    Folders::Stay => Ok(()),
                }
            }
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error).at("remove", &child()),
        }
    }
    Ok(moved)
}

/// Removes a name, even from a folder that is read-only.
fn unlinked(folder: &OwnedFd, name: &OsStr, flags: AtFlags) -> Result<(), Errno> {
    match unlinkat(folder, name, flags) {
        Err(Errno::ACCESS) => {
            open_up(folder)?;
            unlinkat(folder, name, flags)
        }
        done => done,
    }
}

/// Gives this user all rights on an open folder: not by its name, which could be a link by now.
fn open_up(folder: &OwnedFd) -> Result<(), Errno> {
    let mode = statat(folder, c"", AtFlags::EMPTY_PATH)?.st_mode;
    let itself = format!("/proc/self/fd/{}", folder.as_raw_fd());
    rustix::fs::chmod(itself, Mode::from_raw_mode(mode) | Mode::RWXU)
}

/// Opens a folder for reading, even one that may not be read; `NOTDIR` if it is a link or a file,
/// `XDEV` if something is mounted there.
fn open_folder(parent: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || openat(parent, name, flags | OFlags::RDONLY, Mode::empty());
    let folder = match open() {
        Err(Errno::ACCESS) => {
            let shut = || openat(parent, name, flags | OFlags::PATH, Mode::empty());
            let shut = match shut() {
                Err(Errno::ACCESS) => open_up(parent).and_then(|()| shut())?,
                shut => shut?,
            };
            open_up(&shut)?;
            open()?
        }
        Err(Errno::LOOP) => return Err(Errno::NOTDIR),
        opened => opened?,
    };
    // Without statx nothing is known of mounts: then its device tells most of them.
    let mounted = match statx(&folder, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS) {
        Ok(found)
            if found
                .stx_attributes_mask
                .contains(StatxAttributes::MOUNT_ROOT) =>
        {
            found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
        }
        _ => {
            let above = statat(parent, c"", AtFlags::EMPTY_PATH)?;
            rustix::fs::fstat(&folder)?.st_dev != above.st_dev
        }
    };
    if mounted {
        return Err(Errno::XDEV);
    }
    Ok(folder)
}

fn explained(error: Errno) -> io::Error {
    match error {
        Errno::XDEV => io::Error::other("a file system is mounted there; unmount it first"),
        error => error.into(),
    }
}

/// Names in an open folder, and what they are as far as the file system says.
fn entries(folder: &OwnedFd) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut buffer = Vec::with_capacity(8192);
    let mut entries = Vec::new();
    rustix::fs::seek(folder, rustix::fs::SeekFrom::Start(0))?;
    let mut listing = RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = listing.next() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            entries.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::fs::{create_dir_all, exists, read_dir, set_mode, symlink};

    /// A folder of the user's, and one of ours.
    fn two() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (users, ours) = (dir.path().join("users"), dir.path().join("ours"));
        create_dir_all(&users.join("sub")).unwrap();
        std::fs::write(users.join("sub/thesis"), b"x").unwrap();
        create_dir_all(&ours).unwrap();
        (dir, users, ours)
    }

    fn is_untouched(users: &Path) -> bool {
        exists(&users.join("sub/thesis")).unwrap()
    }

    #[test]
    fn removing_all_takes_read_only_and_shut_folders_and_follows_no_link() {
        let (_dir, users, ours) = two();
        let inner = ours.join("tree/inner");
        for shut in ["a", "b/c"] {
            create_dir_all(&inner.join(shut)).unwrap();
            std::fs::write(inner.join(shut).join("file"), b"x").unwrap();
        }
        symlink(&users, &inner.join("link")).unwrap();
        set_mode(&inner.join("a"), 0o000).unwrap();
        set_mode(&inner.join("b/c"), 0o400).unwrap();
        set_mode(&inner, 0o555).unwrap();
        remove_all(&ours.join("tree")).unwrap();
        remove_all(&ours.join("tree")).unwrap();
        assert!(!exists(&ours.join("tree")).unwrap());
        assert!(is_untouched(&users));
    }

    #[test]
    fn of_a_link_only_the_link_goes() {
        let (_dir, users, ours) = two();
        let link = ours.join("link");
        symlink(&users, &link).unwrap();
        empty_below(&ours, &link).unwrap();
        assert!(exists(&link).unwrap() && is_untouched(&users));
        remove_all(&link).unwrap();
        assert!(!exists(&link).unwrap() && is_untouched(&users));
    }

    #[test]
    fn nothing_is_reached_through_a_link_on_the_way() {
        let (_dir, users, ours) = two();
        create_dir_all(&ours.join("real")).unwrap();
        symlink(&users, &ours.join("link")).unwrap();
        let through = ours.join("link/sub");
        for error in [
            remove_below(&ours, &through).unwrap_err(),
            empty_below(&ours, &through).unwrap_err(),
            rename_below(&ours, &through, &ours.join("real/sub")).unwrap_err(),
            rename_below(&ours, &ours.join("real"), &ours.join("link/real")).unwrap_err(),
        ] {
            assert!(error.to_string().contains("`link` in its path is a link"));
        }
        assert!(is_untouched(&users));
        assert_eq!(read_dir(&users).unwrap(), ["sub"]);
        assert!(remove_below(&ours, &users).is_err());
        assert!(remove_below(&ours, &ours.join("../users/sub")).is_err());
        assert!(is_untouched(&users));
    }

    #[test]
    fn a_link_that_takes_a_folders_place_meanwhile_is_not_followed() {
        let (_dir, users, ours) = two();
        let (tree, other) = (ours.join("tree"), ours.join("link"));
        symlink(&users, &other).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = crate::fs::exchange(&tree.join("sub"), &other);
                }
            });
            for _ in 0..50 {
                let _ = create_dir_all(&tree.join("sub/sub"));
                let _ = remove_all(&tree);
                let _ = remove_below(&ours, &tree.join("sub"));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert!(is_untouched(&users));
    }

    #[test]
    fn folders_stay_when_files_are_removed() {
        let (_dir, users, ours) = two();
        create_dir_all(&ours.join("a/b")).unwrap();
        std::fs::write(ours.join("a/b/file"), b"x").unwrap();
        symlink(&users, &ours.join("a/link")).unwrap();
        set_mode(&ours.join("a/b"), 0o555).unwrap();
        empty_below(&ours, &ours.join("a")).unwrap();
        assert_eq!(read_dir(&ours.join("a")).unwrap(), ["b"]);
        assert!(read_dir(&ours.join("a/b")).unwrap().is_empty());
        assert!(is_untouched(&users));
    }

    #[test]
    fn folders_of_any_depth_are_removed() {
        let (_dir, _users, ours) = two();
        create_dir_all(&ours.join("tree")).unwrap();
        let top = open_parent(&ours.join("tree/x")).unwrap();
        let mut folder = top;
        // Deeper than a path can say.
        for _ in 0..3000 {
            rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
            folder = openat(&folder, "d", OFlags::PATH, Mode::empty()).unwrap();
        }
        drop(folder);
        remove_all(&ours.join("tree")).unwrap();
        assert!(!exists(&ours.join("tree")).unwrap());
    }

    #[test]
    fn what_is_mounted_stays() {
        let (_dir, users, ours) = two();
        let place = ours.join("tree/mounted");
        create_dir_all(&place).unwrap();
        let mount = |args: &[&OsStr]| {
            let done = std::process::Command::new(args[0])
                .args(&args[1..])
                .output();
            done.is_ok_and(|done| done.status.success())
        };
        let (from, to) = (users.as_os_str(), place.as_os_str());
        if !mount(&["mount".as_ref(), "--bind".as_ref(), from, to]) {
            println!("skipped: nothing may be mounted here");
            return;
        }
        let error = remove_all(&ours.join("tree")).unwrap_err();
        let direct = remove_all(&place).unwrap_err();
        assert!(mount(&["umount".as_ref(), to]));
        assert!(error.to_string().contains("unmount it first"), "{error}");
        assert!(direct.to_string().contains("unmount it first"), "{direct}");
        assert!(is_untouched(&users));
    }
}
