//! Keeps the last two checkpoints in the stage's scratch folder.
//! It must not know what a checkpoint holds beyond its count of epochs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use contract::files::{self, FileError};

use crate::checkpoint::{self, Snapshot};

/// A broken newest checkpoint then costs one epoch, not all.
const KEPT: usize = 2;
const PREFIX: &str = "epoch-";

/// Where checkpoints of one training run lie.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    fingerprint: String,
}

impl Checkpoints {
    /// Opens the folder `checkpoints` in `scratch`, and frees it of half-written files.
    ///
    /// # Errors
    /// A folder that cannot be made, listed or cleaned.
    pub fn open(scratch: &Path, fingerprint: String) -> Result<Self, FileError> {
        let checkpoints = Self {
            folder: scratch.join("checkpoints"),
            fingerprint,
        };
        files::create_dir_all(&checkpoints.folder)?;
        for name in checkpoints.names()? {
            if epoch_of(&name).is_none() {
                checkpoints.remove(&name)?;
            }
        }
        Ok(checkpoints)
    }

    /// The newest usable checkpoint; `note` is told of each one that is passed over.
    ///
    /// # Errors
    /// A folder or file that cannot be read.
    pub fn newest(&self, mut note: impl FnMut(&str)) -> Result<Option<Snapshot>, FileError> {
        let mut epochs = self.epochs()?;
        while let Some(epoch) = epochs.pop() {
            let bytes = files::read(self.path(epoch))?;
            match checkpoint::decode(&bytes, &self.fingerprint) {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(reason) => {
                    let instead = if epochs.is_empty() {
                        "starting afresh"
                    } else {
                        "trying the one before"
                    };
                    note(&format!(
                        "checkpoint of epoch {epoch} is not used: {reason}; {instead}"
                    ));
                }
            }
        }
        Ok(None)
    }

    /// Writes a checkpoint, then removes those that are too old or of a later epoch.
    ///
    /// # Errors
    /// A file that cannot be written or removed; earlier checkpoints are safe.
    pub fn save(&self, snapshot: &Snapshot) -> Result<(), FileError> {
        let epoch = snapshot.records.len() as u64;
        files::write_atomic(self.path(epoch), |out| {
            checkpoint::encode(snapshot, &self.fingerprint, out)
        })?;
        let epochs = self.epochs()?;
        let (earlier, later): (Vec<u64>, Vec<u64>) =
            epochs.iter().partition(|&&other| other <= epoch);
        // A later one was passed over on resuming: it is damaged or another run's.
        for stale in later.iter().chain(earlier.iter().rev().skip(KEPT)) {
            self.remove(&name_of(*stale))?;
        }
        Ok(())
    }

    /// Epochs of the checkpoints that are there, ascending.
    fn epochs(&self) -> Result<Vec<u64>, FileError> {
        let mut epochs: Vec<u64> = self
            .names()?
            .iter()
            .filter_map(|name| epoch_of(name))
            .collect();
        epochs.sort_unstable();
        Ok(epochs)
    }

    fn names(&self) -> Result<Vec<String>, FileError> {
        let list = || {
            fs::read_dir(&self.folder)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<_>>()
        };
        list().map_err(FileError::new("list", &self.folder))
    }

    fn path(&self, epoch: u64) -> PathBuf {
        self.folder.join(name_of(epoch))
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        let path = self.folder.join(name);
        fs::remove_file(&path).map_err(FileError::new("remove", &path))
    }
}

fn name_of(epoch: u64) -> String {
    format!("{PREFIX}{epoch:05}")
}

fn epoch_of(name: &str) -> Option<u64> {
    let epoch = name.strip_prefix(PREFIX)?.parse().ok()?;
    (name_of(epoch) == name).then_some(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::tests::snapshot;

    fn open(scratch: &Path) -> Checkpoints {
        Checkpoints::open(scratch, "f".to_owned()).unwrap()
    }

    fn newest(checkpoints: &Checkpoints) -> (Option<usize>, Vec<String>) {
        let mut notes = Vec::new();
        let found = checkpoints
            .newest(|note| notes.push(note.to_owned()))
            .unwrap();
        (found.map(|snapshot| snapshot.records.len()), notes)
    }

    const LOSSES: [f64; 4] = [4.0, 3.0, 2.0, 1.0];

    #[test]
    fn an_empty_scratch_has_no_checkpoint() {
        let scratch = tempfile::tempdir().unwrap();
        assert_eq!(newest(&open(scratch.path())), (None, vec![]));
    }

    #[test]
    fn the_last_two_are_kept() {
        let scratch = tempfile::tempdir().unwrap();
        let checkpoints = open(scratch.path());
        for count in 1..=4 {
            checkpoints.save(&snapshot(&LOSSES[..count])).unwrap();
        }
        assert_eq!(checkpoints.epochs().unwrap(), [3, 4]);
        assert_eq!(newest(&checkpoints), (Some(4), vec![]));
    }

    #[test]
    fn a_truncated_newest_gives_way_to_the_one_before_and_says_so() {
        let scratch = tempfile::tempdir().unwrap();
        let checkpoints = open(scratch.path());
        for count in 1..=3 {
            checkpoints.save(&snapshot(&LOSSES[..count])).unwrap();
        }
        let path = checkpoints.path(3);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let (found, notes) = newest(&checkpoints);
        assert_eq!(found, Some(2));
        assert_eq!(
            notes,
            ["checkpoint of epoch 3 is not used: it is damaged; trying the one before"]
        );
    }

    #[test]
    fn nothing_but_damage_is_a_fresh_start() {
        let scratch = tempfile::tempdir().unwrap();
        let checkpoints = open(scratch.path());
        checkpoints.save(&snapshot(&LOSSES[..1])).unwrap();
        fs::write(checkpoints.path(1), b"").unwrap();
        let (found, notes) = newest(&checkpoints);
        assert_eq!(found, None);
        assert_eq!(
            notes,
            ["checkpoint of epoch 1 is not used: it is damaged; starting afresh"]
        );
    }

    #[test]
    fn another_runs_checkpoints_are_passed_over_and_then_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let other = Checkpoints::open(scratch.path(), "other".to_owned()).unwrap();
        for count in 1..=3 {
            other.save(&snapshot(&LOSSES[..count])).unwrap();
        }
        let checkpoints = open(scratch.path());
        let (found, notes) = newest(&checkpoints);
        assert_eq!((found, notes.len()), (None, 2));
        assert!(notes[0].contains("other parameters or data"));
        checkpoints.save(&snapshot(&LOSSES[..1])).unwrap();
        assert_eq!(checkpoints.epochs().unwrap(), [1]);
    }

    #[test]
    fn half_written_files_are_cleared_away() {
        let scratch = tempfile::tempdir().unwrap();
        open(scratch.path()).save(&snapshot(&LOSSES[..1])).unwrap();
        let leftover = scratch.path().join("checkpoints/.tmp-abc");
        fs::write(&leftover, b"half").unwrap();
        let checkpoints = open(scratch.path());
        assert!(!leftover.exists());
        assert_eq!(newest(&checkpoints).0, Some(1));
    }
}
