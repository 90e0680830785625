//! What a caller's path text means: read from its memory, made absolute, links resolved.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};

/// The longest path that the kernel accepts.
const LONGEST: usize = 4096;
const PAGE: u64 = 4096;
/// The kernel follows no more links of one path.
const MOST_LINKS: u32 = 40;

/// A thread's memory.
pub(super) struct Memory(File);

impl Memory {
    pub(super) fn of(thread: u32) -> io::Result<Self> {
        File::open(format!("/proc/{thread}/mem")).map(Self)
    }

    /// The text at an address, up to its NUL.
    pub(super) fn text(&self, address: u64) -> Option<OsString> {
        let mut text = Vec::new();
        let mut at = address;
        while text.len() < LONGEST {
            // One page at a time: the next one may not be mapped.
            let mut page = [0; PAGE as usize];
            let rest = (PAGE - at % PAGE) as usize;
            let got = self.0.read_at(&mut page[..rest], at).ok()?;
            let part = &page[..got];
            match part.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    text.extend(&part[..end]);
                    return Some(OsString::from_vec(text));
                }
                None if got == 0 => return None,
                None => text.extend(part),
            }
            at = at.checked_add(got as u64)?;
        }
        None
    }

    /// An eight-byte number at an address.
    pub(super) fn number(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, address).ok()?;
        Some(u64::from_ne_bytes(bytes))
    }
}

/// The absolute path of a thread's text, links not resolved.
pub(super) fn absolute(thread: u32, dir: i32, text: &OsString) -> io::Result<PathBuf> {
    let path = Path::new(text);
    if path.is_absolute() {
        return Ok(own_process(thread, path));
    }
    let base = match dir {
        libc::AT_FDCWD => format!("/proc/{thread}/cwd"),
        fd => format!("/proc/{thread}/fd/{fd}"),
    };
    Ok(fs::read_link(base)?.join(path))
}

/// `/proc/self` means the caller, not us.
fn own_process(thread: u32, path: &Path) -> PathBuf {
    for own in ["/proc/self", "/proc/thread-self"] {
        if let Ok(rest) = path.strip_prefix(own) {
            return Path::new(&format!("/proc/{thread}")).join(rest);
        }
    }
    path.to_owned()
}

/// A path with its links resolved, and what is there.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) found: Option<Metadata>,
}

/// The files that a thread sees: a mount namespace of its own can have others at the same paths.
pub(super) enum Files {
    /// The same as we.
    Ours,
    /// Those below this folder, its root.
    Of(OwnedFd),
}

impl Files {
    pub(super) fn of(thread: u32) -> Self {
        let namespace = |who: &str| fs::read_link(format!("/proc/{who}/ns/mnt")).ok();
        let theirs = namespace(&thread.to_string());
        if theirs.is_none() || theirs == namespace("self") {
            return Self::Ours;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(format!("/proc/{thread}/root"), flags, Mode::empty()) {
            Ok(root) => Self::Of(root),
            Err(_) => Self::Ours,
        }
    }

    /// What is at a path, and the path without links; of the last part a link is only resolved if
    /// `follow`.
    fn find(&self, path: &Path, follow: bool) -> Option<(PathBuf, Metadata)> {
        match self {
            Self::Of(root) if !path.starts_with("/proc") => {
                let mut flags = OFlags::PATH | OFlags::CLOEXEC;
                if !follow {
                    flags |= OFlags::NOFOLLOW;
                }
                // Absolute links start at that root too.
                let scope = ResolveFlags::IN_ROOT;
                let fd = rustix::fs::openat2(root, path, flags, Mode::empty(), scope).ok()?;
                // The kernel names it by the mounts through which it was opened.
                let real = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
                Some((real, File::from(fd).metadata().ok()?))
            }
            _ if follow => {
                let real = fs::canonicalize(path).ok()?;
                let found = fs::metadata(&real).ok()?;
                Some((real, found))
            }
            _ => Some((path.to_owned(), fs::symlink_metadata(path).ok()?)),
        }
    }

    /// Where the link at a path leads.
    fn link(&self, path: &Path) -> Option<PathBuf> {
        let target = match self {
            Self::Of(root) if !path.starts_with("/proc") => {
                let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                let scope = ResolveFlags::IN_ROOT;
                let fd = rustix::fs::openat2(root, path, flags, Mode::empty(), scope).ok()?;
                let text = rustix::fs::readlinkat(&fd, "", Vec::new()).ok()?;
                PathBuf::from(OsString::from_vec(text.into_bytes()))
            }
            _ => fs::read_link(path).ok()?,
        };
        Some(path.parent()?.join(target))
    }

    /// Resolves all links, the last part's only if `follow`. From the first missing part on, the
    /// path stays as written.
    pub(super) fn resolve(&self, path: &Path, follow: bool) -> Place {
        self.resolve_links(path, follow, MOST_LINKS)
    }

    /// Follows at most so many links that lead to nothing.
    fn resolve_links(&self, path: &Path, follow: bool, links: u32) -> Place {
        let found = match follow {
            true => self.find(path, true),
            false => None,
        };
        if let Some((path, found)) = found {
            let found = Some(found);
            return Place { path, found };
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return match self.find(path, true) {
                Some((path, found)) => Place {
                    path,
                    found: Some(found),
                },
                None => Place {
                    path: path.to_owned(),
                    found: None,
                },
            };
        };
        let path = self.existing_part(folder).join(name);
        if follow
            && links > 0
            && let Some(target) = self.link(&path)
        {
            return self.resolve_links(&target, true, links - 1);
        }
        Place {
            found: self.find(&path, follow).map(|(_, found)| found),
            path,
        }
    }

    /// The folder with its links resolved as far as it exists.
    fn existing_part(&self, folder: &Path) -> PathBuf {
        let mut rest = Vec::new();
        let mut known = folder;
        let real = loop {
            if let Some((real, _)) = self.find(known, true) {
                break real;
            }
            rest.push(known.components().next_back());
            match known.parent() {
                Some(parent) => known = parent,
                None => return folder.to_owned(),
            }
        };
        let mut path = real;
        for part in rest.into_iter().rev().flatten() {
            match part {
                Component::ParentDir => {
                    path.pop();
                }
                Component::Normal(name) => path.push(name),
                _ => {}
            }
        }
        path
    }
}

/// `folder/` and `folder/.` mean the folder that a link leads to, whatever the call says.
pub(super) fn means_folder(text: &OsString) -> bool {
    let bytes = text.as_bytes();
    bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes.ends_with(b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_as_far_as_there_is_something() {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open("/", flags, Mode::empty()).unwrap();
        // Another root is walked through as our own is.
        for files in [Files::Ours, Files::Of(root)] {
            links_are_resolved(&files);
        }
    }

    fn links_are_resolved(files: &Files) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/file"), b"x").unwrap();
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        std::os::unix::fs::symlink("file", root.join("real/alias")).unwrap();
        let at = |path: &str, follow| {
            let place = files.resolve(&root.join(path), follow);
            let shown = place.path.strip_prefix(&root).unwrap().to_owned();
            (shown.display().to_string(), place.found.is_some())
        };
        let absolute = root.join("absolute");
        std::os::unix::fs::symlink(root.join("real"), absolute).unwrap();
        assert_eq!(at("absolute/file", true), ("real/file".into(), true));
        assert_eq!(at("link/file", true), ("real/file".into(), true));
        assert_eq!(at("link/../link/alias", true), ("real/file".into(), true));
        assert_eq!(at("link/alias", false), ("real/alias".into(), true));
        std::os::unix::fs::symlink("link/none", root.join("dangling")).unwrap();
        assert_eq!(at("dangling", true), ("real/none".into(), false));
        assert_eq!(at("dangling", false), ("dangling".into(), true));
        assert_eq!(at("link/none", true), ("real/none".into(), false));
        assert_eq!(at("link/a/../b/c", true), ("real/b/c".into(), false));
    }

    #[test]
    fn a_text_is_read_from_memory_across_pages() {
        let memory = Memory::of(std::process::id()).unwrap();
        let text = vec![b'x'; 3000];
        let mut pages = vec![0u8; 3 * PAGE as usize];
        let start = PAGE as usize - pages.as_ptr() as usize % PAGE as usize + 2000;
        pages[start..start + 3000].copy_from_slice(&text);
        let address = pages[start..].as_ptr() as u64;
        assert_eq!(memory.text(address).unwrap().as_bytes(), text);
        assert_eq!(memory.text(8), None);
    }
}
