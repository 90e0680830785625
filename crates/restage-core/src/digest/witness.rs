//! What `stat` said of files that somebody else may write to, to tell later whether anybody did.
//!
//! Unlike the stat cache it knows nothing of bytes: a write that is undone counts, because whoever
//! read in between has read something else.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::stat_cache::Stamp;
use crate::clock::WallTime;
use crate::fs::{self, FsError};

/// A pause while the clock of the file system stands still.
const PAUSE: Duration = Duration::from_millis(1);
/// How many of them, at most: two ticks of the slowest kernel clock in use.
const PAUSES: u32 = 20;

/// The stamps of a file, or of a folder and all that lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness(Vec<(PathBuf, Stamp)>);

/// What has happened to a file or folder between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touch {
    /// Nobody wrote to it.
    None,
    /// It got or lost a name or a permission, or somebody wrote to it and took the times back: only its
    /// bytes can tell.
    Perhaps,
    /// Somebody wrote to it, or put something else in its place.
    Written,
}

impl Witness {
    /// Looks at a path; a symbolic link is followed, one inside a folder is not.
    pub fn of(path: &Path) -> Result<Self, FsError> {
        let metadata = fs::metadata(path)?;
        let mut seen = vec![(PathBuf::new(), Stamp::of(&metadata))];
        if metadata.is_dir() {
            let inside = fs::walk(path)?.into_iter();
            seen.extend(inside.map(|entry| (entry.path, Stamp::of(&entry.metadata))));
            seen.sort();
        }
        Ok(Self(seen))
    }

    /// Like [`Witness::of`]; `None` if nothing is there.
    pub fn of_any(path: &Path) -> Result<Option<Self>, FsError> {
        match Self::of(path) {
            Ok(witness) => Ok(Some(witness)),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What has happened between this look and a later one.
    pub fn until(&self, later: &Self) -> Touch {
        if self.0.len() != later.0.len() {
            return Touch::Written;
        }
        let pairs = self.0.iter().zip(&later.0);
        let touches = pairs.map(|((path, old), (same, new))| match path == same {
            true => old.touch(new),
            false => Touch::Written,
        });
        touches.max().unwrap_or(Touch::None)
    }

    /// Device and inode of the path itself.
    pub fn id(&self) -> (u64, u64) {
        self.0.first().map_or((0, 0), |(_, stamp)| stamp.id())
    }

    /// Waits until whoever writes from now on gives a file another time than it has here: a tick of
    /// the kernel's clock at most.
    pub fn settle(&self) {
        let times = self.0.iter().map(|(_, stamp)| stamp.newest());
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
        let before = Witness::of(dir.path()).unwrap();
        before.settle();
        change(dir.path());
        before.until(&Witness::of(dir.path()).unwrap())
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
    fn what_is_not_there_has_no_witness() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Witness::of_any(&dir.path().join("none")).unwrap(), None);
        assert!(Witness::of(&dir.path().join("none")).is_err());
    }
}
