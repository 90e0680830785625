//! Remembers what `stat` said of many files and folders, to find out later whether any changed.
//!
//! As in the stat cache, a file whose device, inode, size, modification and change time are what
//! they were has the bytes that it had; a folder with the same ones has the same names in it.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::listing::{Skip, list};
use super::stamp::{Stamp, settled_before};
use crate::clock::WallTime;
use crate::fs::{self, FsError};

/// Paths per task: one `stat` takes some microseconds.
const CHUNK: usize = 512;

/// What `stat` said of some paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatSnapshot(Vec<(String, Stamp)>);

impl StatSnapshot {
    /// Looks at `paths`, each below `root` or absolute, and at everything inside those that are
    /// folders, but for what `skip` passes over, and behind links; and at `folders`, of which only
    /// the names in them count. `None` if one is missing, or was touched after `since` or so shortly before it that whoever read it
    /// from `since` on may have seen something else.
    pub fn take(
        root: &Path,
        paths: impl IntoIterator<Item = String>,
        skip: &Skip<'_>,
        folders: impl IntoIterator<Item = String>,
        since: WallTime,
    ) -> Result<Option<Self>, FsError> {
        let mut seen = Vec::new();
        for path in paths {
            let full = root.join(&path);
            let Some(metadata) = fs::metadata_if_exists(&full)? else {
                return Ok(None);
            };
            if metadata.is_dir() {
                let skip = |inner: &Path, is_dir: bool| skip(&Path::new(&path).join(inner), is_dir);
                for entry in list(&full, &skip)?.found {
                    // A name that is not UTF-8 can't be written down.
                    let Some(inner) = entry.path.to_str() else {
                        return Ok(None);
                    };
                    seen.push((format!("{path}/{inner}"), Stamp::of(&entry.metadata)));
                }
            }
            seen.push((path, Stamp::of(&metadata)));
        }
        for folder in folders {
            let Some(metadata) = fs::metadata_if_exists(&root.join(&folder))? else {
                return Ok(None);
            };
            seen.push((folder, Stamp::of(&metadata)));
        }
        let settled = seen.iter().all(|(_, stamp)| settled_before(stamp, since));
        Ok(settled.then_some(Self(seen)))
    }

    /// Takes over what another one saw.
    pub fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether nothing has changed since.
    pub fn holds(&self, root: &Path) -> bool {
        let unchanged = |(path, stamp): &(String, Stamp)| {
            // Of a link that was followed, what it leads to was seen, and inside a folder the link too.
            let full = root.join(path);
            fs::metadata(&full).is_ok_and(|found| Stamp::of(&found) == *stamp)
                || fs::symlink_metadata(&full)
                    .is_ok_and(|found| found.is_symlink() && Stamp::of(&found) == *stamp)
        };
        self.0
            .par_chunks(CHUNK)
            .all(|chunk| chunk.iter().all(unchanged))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::digest::nothing;

    struct Setup {
        dir: tempfile::TempDir,
        snapshot: StatSnapshot,
    }

    impl Setup {
        /// A file, a folder with a file, an empty folder and a link in it, and a listed folder.
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for folder in ["tree/empty", "listed"] {
                std::fs::create_dir_all(dir.path().join(folder)).unwrap();
            }
            for file in ["file", "tree/inner", "listed/unread"] {
                std::fs::write(dir.path().join(file), b"one").unwrap();
            }
            std::os::unix::fs::symlink("inner", dir.path().join("tree/link")).unwrap();
            settle();
            let snapshot = snapshot(dir.path(), WallTime::file_clock()).unwrap();
            let setup = Self { dir, snapshot };
            assert!(setup.holds());
            setup
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn holds(&self) -> bool {
            self.snapshot.holds(self.dir.path())
        }
    }

    fn snapshot(root: &Path, since: WallTime) -> Option<StatSnapshot> {
        let paths = ["file".to_owned(), "tree".to_owned()];
        StatSnapshot::take(root, paths, &nothing, ["listed".to_owned()], since).unwrap()
    }

    fn settle() {
        std::thread::sleep(Duration::from_millis(40));
    }

    #[test]
    fn it_reads_back_as_it_was() {
        let setup = Setup::new();
        let text = serde_json::to_string(&setup.snapshot).unwrap();
        assert_eq!(
            serde_json::from_str::<StatSnapshot>(&text).unwrap(),
            setup.snapshot
        );
    }

    #[test]
    fn it_notices_every_kind_of_change() {
        type Change = fn(&Setup);
        let changes: [(&str, Change); 9] = [
            ("an edit", |s| {
                std::fs::write(s.path("file"), b"two").unwrap();
            }),
            ("an edit that hides its time", |s| {
                let old = fs::metadata(&s.path("file")).unwrap().modified().unwrap();
                std::fs::write(s.path("file"), b"two").unwrap();
                let file = std::fs::File::open(s.path("file")).unwrap();
                file.set_modified(old).unwrap();
            }),
            ("a removal", |s| fs::remove_file(&s.path("file")).unwrap()),
            ("another mode", |s| {
                fs::set_mode(&s.path("file"), 0o755).unwrap();
            }),
            ("an edit in a folder", |s| {
                std::fs::write(s.path("tree/inner"), b"two").unwrap();
            }),
            ("a new file in a folder", |s| {
                std::fs::write(s.path("tree/new"), b"").unwrap();
            }),
            ("a new file in an empty folder", |s| {
                std::fs::write(s.path("tree/empty/new"), b"").unwrap();
            }),
            ("a link that leads elsewhere", |s| {
                fs::remove_file(&s.path("tree/link")).unwrap();
                fs::symlink(Path::new("empty"), &s.path("tree/link")).unwrap();
            }),
            ("a new file in a listed folder", |s| {
                std::fs::write(s.path("listed/new"), b"").unwrap();
            }),
        ];
        for (what, change) in changes {
            let setup = Setup::new();
            change(&setup);
            assert!(!setup.holds(), "{what}");
        }
    }

    #[test]
    fn an_edit_of_an_unread_file_in_a_listed_folder_does_not_matter() {
        let setup = Setup::new();
        std::fs::write(setup.path("listed/unread"), b"two").unwrap();
        assert!(setup.holds());
    }

    #[test]
    fn what_was_touched_after_it_was_read_or_just_before_has_no_snapshot() {
        let setup = Setup::new();
        let read = WallTime::file_clock();
        std::fs::write(setup.path("file"), b"two").unwrap();
        assert_eq!(snapshot(setup.dir.path(), read), None);
        assert_eq!(snapshot(setup.dir.path(), WallTime::file_clock()), None);
        settle();
        assert!(snapshot(setup.dir.path(), WallTime::file_clock()).is_some());
    }

    #[test]
    fn what_is_not_there_has_no_snapshot() {
        let setup = Setup::new();
        fs::remove_file(&setup.path("file")).unwrap();
        assert_eq!(snapshot(setup.dir.path(), WallTime::file_clock()), None);
    }
}
