//! What `stat` said of files that somebody else may write to, to tell later whether anybody did.
//!
//! Unlike the stat cache it knows nothing of bytes: a write that is undone counts, because whoever
//! read in between has read something else.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::listing::{Skip, list, nothing};
use super::stamp::{Stamp, Touch};
use crate::clock::WallTime;
use crate::fs::{self, FsError};

/// A pause while the clock of the file system stands still.
const PAUSE: Duration = Duration::from_millis(1);
/// How many of them, at most: two ticks of the slowest kernel clock in use.
const PAUSES: u32 = 20;

/// The stamps of a file, or of a folder and all that lies in it and is not passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness(Vec<Seen>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    path: PathBuf,
    stamp: Stamp,
    is_folder: bool,
    is_link: bool,
}

fn look(path: PathBuf, metadata: &std::fs::Metadata) -> Seen {
    Seen {
        path,
        stamp: Stamp::of(metadata),
        is_folder: metadata.is_dir(),
        is_link: metadata.is_symlink(),
    }
}

impl Witness {
    /// Looks at a path; a symbolic link is followed, one inside a folder is not.
    pub fn of(path: &Path, skip: &Skip<'_>) -> Result<Self, FsError> {
        let metadata = fs::metadata(path)?;
        let mut seen = vec![look(PathBuf::new(), &metadata)];
        if metadata.is_dir() {
            let inside = fs::walk_but(path, skip)?.into_iter();
            seen.extend(inside.map(|entry| look(entry.path, &entry.metadata)));
            seen.sort();
        }
        Ok(Self(seen))
    }

    /// Like [`Witness::of`]; `None` if nothing is there.
    pub fn of_any(path: &Path, skip: &Skip<'_>) -> Result<Option<Self>, FsError> {
        match Self::of(path, skip) {
            Ok(witness) => Ok(Some(witness)),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Like [`Witness::of_any`], of a folder that counts as a whole, and with what its links lead to outside of it: whoever
    /// reads through one reads that. `None` also if one leads nowhere.
    pub fn of_all(path: &Path) -> Result<Option<Self>, FsError> {
        let Some(mut all) = Self::of_any(path, &nothing)? else {
            return Ok(None);
        };
        if !all.has_links() {
            return Ok(Some(all));
        }
        let listing = match list(path, &nothing) {
            Ok(listing) => listing,
            // Somebody is at it: a folder or what a link leads to has gone.
            Err(_) => return Ok(None),
        };
        let behind = listing.found.into_iter().filter(|entry| entry.behind_link);
        all.0
            .extend(behind.map(|entry| look(entry.path, &entry.metadata)));
        all.0.sort();
        Ok(Some(all))
    }

    /// What has happened between this look and a later one.
    pub fn until(&self, later: &Self) -> Touch {
        if self.0.len() != later.0.len() {
            return Touch::Written;
        }
        let pairs = self.0.iter().zip(&later.0);
        let touches = pairs.map(|(old, new)| {
            let same = old.path == new.path && old.is_folder == new.is_folder;
            match old.stamp.touch(&new.stamp) {
                _ if !same => Touch::Written,
                // An editor's swap file comes and goes: what the folder has counts, not when it got it.
                Touch::Written if old.is_folder && old.stamp.id() == new.stamp.id() => {
                    Touch::Perhaps
                }
                touch => touch,
            }
        });
        touches.max().unwrap_or(Touch::None)
    }

    /// Whether there is a link in it, which may lead out of it.
    pub fn has_links(&self) -> bool {
        self.0.iter().any(|seen| seen.is_link)
    }

    /// Device and inode of the path itself.
    pub fn id(&self) -> (u64, u64) {
        self.0.first().map_or((0, 0), |seen| seen.stamp.id())
    }

    /// Waits until whoever writes from now on gives a file another time than it has here: a tick of
    /// the kernel's clock at most.
    pub fn settle(&self) {
        let times = self.0.iter().map(|seen| seen.stamp.newest());
        let newest = times.max().unwrap_or(0);
        for _ in 0..PAUSES {
            if WallTime::file_clock().as_nanos() > i128::from(newest) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a change does to a folder with a file and a folder with a file in it.
    fn touch(change: impl Fn(&Path)) -> Touch {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        for name in ["f", "d/f"] {
            std::fs::write(dir.path().join(name), b"one").unwrap();
        }
        let skip = |path: &Path, _: bool| path.ends_with("junk");
        let before = Witness::of(dir.path(), &skip).unwrap();
        before.settle();
        change(dir.path());
        before.until(&Witness::of(dir.path(), &skip).unwrap())
    }

    #[test]
    fn reading_and_listing_touch_nothing() {
        let read = |dir: &Path| {
            assert_eq!(std::fs::read(dir.join("d/f")).unwrap(), b"one");
            assert_eq!(std::fs::read_dir(dir).unwrap().count(), 2);
        };
        assert_eq!(touch(read), Touch::None);
    }

    #[test]
    fn a_write_shows_even_if_it_is_undone() {
        let write = |dir: &Path| {
            for text in ["two", "one"] {
                std::fs::write(dir.join("d/f"), text).unwrap();
            }
        };
        assert_eq!(touch(write), Touch::Written);
        assert_eq!(
            touch(|dir| std::fs::write(dir.join("g"), b"").unwrap()),
            Touch::Written
        );
        assert_eq!(
            touch(|dir| std::fs::remove_file(dir.join("f")).unwrap()),
            Touch::Written
        );
        let replace = |dir: &Path| std::fs::rename(dir.join("f"), dir.join("d/f")).unwrap();
        assert_eq!(touch(replace), Touch::Written);
    }

    #[test]
    fn what_is_passed_over_leaves_the_bytes_to_tell() {
        let comes = |dir: &Path| std::fs::write(dir.join("d/junk"), b"").unwrap();
        assert_eq!(touch(comes), Touch::Perhaps);
        let comes_with_files = |dir: &Path| {
            std::fs::create_dir(dir.join("junk")).unwrap();
            std::fs::write(dir.join("junk/f"), b"").unwrap();
        };
        assert_eq!(touch(comes_with_files), Touch::Perhaps);
        let goes = |dir: &Path| {
            comes(dir);
            std::fs::remove_file(dir.join("d/junk")).unwrap();
        };
        assert_eq!(touch(goes), Touch::Perhaps);
    }

    #[test]
    fn a_new_name_and_a_write_that_takes_the_times_back_look_alike() {
        let link = |dir: &Path| {
            let elsewhere = tempfile::tempdir_in(dir.parent().unwrap()).unwrap();
            std::fs::hard_link(dir.join("f"), elsewhere.path().join("f")).unwrap();
        };
        assert_eq!(touch(link), Touch::Perhaps);
        let hide = |dir: &Path| {
            let file = std::fs::File::options()
                .write(true)
                .open(dir.join("f"))
                .unwrap();
            let time = file.metadata().unwrap().modified().unwrap();
            io::Write::write_all(&mut &file, b"two").unwrap();
            file.set_modified(time).unwrap();
        };
        assert_eq!(touch(hide), Touch::Perhaps);
    }

    #[test]
    fn what_links_lead_to_outside_of_a_folder_is_watched_too() {
        let touch = |change: &dyn Fn(&Path)| {
            let dir = tempfile::tempdir().unwrap();
            for folder in ["d", "far", "far/deep"] {
                std::fs::create_dir(dir.path().join(folder)).unwrap();
            }
            for file in ["d/own", "far/f", "far/deep/f"] {
                std::fs::write(dir.path().join(file), b"one").unwrap();
            }
            for (target, link) in [
                ("own", "d/in"),
                ("../far/f", "d/f"),
                ("../far/deep", "d/deep"),
            ] {
                std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
            }
            let look = || Witness::of_all(&dir.path().join("d")).unwrap();
            let before = look().unwrap();
            before.settle();
            change(dir.path());
            look().map(|now| before.until(&now))
        };
        assert_eq!(touch(&|_| ()), Some(Touch::None));
        for file in ["d/own", "far/f", "far/deep/f"] {
            let write = |dir: &Path| std::fs::write(dir.join(file), "two").unwrap();
            assert_eq!(touch(&write), Some(Touch::Written), "{file}");
        }
        let replaced = |dir: &Path| {
            std::fs::copy(dir.join("far/f"), dir.join("far/g")).unwrap();
            std::fs::rename(dir.join("far/g"), dir.join("far/f")).unwrap();
        };
        assert_eq!(touch(&replaced), Some(Touch::Written));
        let more = |dir: &Path| std::fs::write(dir.join("far/deep/g"), "").unwrap();
        assert_eq!(touch(&more), Some(Touch::Written));
        let gone = |dir: &Path| std::fs::remove_file(dir.join("far/f")).unwrap();
        assert_eq!(touch(&gone), None);
    }

    #[test]
    fn what_is_not_there_has_no_witness() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            Witness::of_any(&dir.path().join("none"), &nothing).unwrap(),
            None
        );
        assert!(Witness::of(&dir.path().join("none"), &nothing).is_err());
    }
}
