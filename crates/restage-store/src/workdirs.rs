//! A workspace's work folders and logs, one per attempt of a stage, and what is thrown away.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::listing;
use super::location::Location;
use super::trash::Trash;
use restage_core::digest::Digest;
use restage_core::fs;

/// How many attempts of each stage keep their logs.
const KEEP_LOGS: usize = 10;

/// Where an attempt's output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPaths {
    /// The attempt's folder.
    pub dir: PathBuf,
    /// What the stage says on its standard output.
    pub stdout: PathBuf,
    /// What it says on its standard error.
    pub stderr: PathBuf,
    /// Its events, JSON lines.
    pub events: PathBuf,
    /// The parameters that it is given.
    pub params: PathBuf,
}

impl LogPaths {
    fn new(dir: PathBuf) -> Self {
        let (stdout, stderr) = (dir.join("stdout"), dir.join("stderr"));
        let (events, params) = (dir.join("events.jsonl"), dir.join("params.json"));
        Self {
            dir,
            stdout,
            stderr,
            events,
            params,
        }
    }
}

/// Work folders, logs and the trash.
#[derive(Debug)]
pub struct Workdirs {
    location: Location,
    trash: Trash,
}

impl Workdirs {
    pub(super) fn new(location: &Location, trash: &Trash) -> Self {
        Self {
            location: location.clone(),
            trash: trash.clone(),
        }
    }

    /// Creates an empty work folder for an attempt of a stage.
    pub fn new_work(&self, stage: &str) -> Result<PathBuf, StoreError> {
        let name = work_name(stage);
        numbered_folder(&self.work(), |number| format!("{name}-{number}"))
    }

    /// Creates a folder for the logs of an attempt, and removes those of old attempts.
    pub fn new_logs(&self, stage: &str) -> Result<LogPaths, StoreError> {
        let folder = self.log_folder(stage);
        fs::create_dir_all(&folder)?;
        let attempts = attempts(&folder)?;
        let next = attempts.last().map_or(1, |last| last + 1);
        for old in attempts.iter().rev().skip(KEEP_LOGS - 1) {
            self.trash.remove(&folder.join(format!("{old:04}")));
        }
        numbered_folder(&folder, |number| format!("{:04}", next - 1 + number)).map(LogPaths::new)
    }

    /// Logs of a stage's attempts, newest first.
    pub fn logs(&self, stage: &str) -> Result<Vec<LogPaths>, StoreError> {
        let folder = self.log_folder(stage);
        let attempts = attempts(&folder)?.into_iter().rev();
        Ok(attempts
            .map(|number| LogPaths::new(folder.join(format!("{number:04}"))))
            .collect())
    }

    /// Logs of a stage's last attempt.
    pub fn last_logs(&self, stage: &str) -> Result<Option<LogPaths>, StoreError> {
        Ok(self.logs(stage)?.into_iter().next())
    }

    fn log_folder(&self, stage: &str) -> PathBuf {
        stage
            .split('/')
            .fold(self.all_logs(), |path, part| path.join(safe_name(part)))
    }

    /// Throws away a folder, or a file, that the run is done with: it is moved aside now, emptied now if
    /// it takes room, and removed with [`Workdirs::empty_trash`] or when the store is closed. Does
    /// nothing if nothing is there. Here and below, what can't be removed is worth a warning.
    pub fn discard(&self, path: &Path) {
        self.trash.discard(path);
    }

    /// Removes what was discarded.
    pub fn empty_trash(&self) {
        self.trash.empty();
    }

    /// Removes a file or folder now; its name is free at once, even if that takes long.
    pub fn remove(&self, path: &Path) {
        self.trash.remove(path);
    }

    /// The trash.
    pub(super) fn trash(&self) -> &Trash {
        &self.trash
    }

    /// The folder of work folders.
    pub fn work(&self) -> PathBuf {
        self.location.own().join("work")
    }

    /// The folder of all logs.
    pub(super) fn all_logs(&self) -> PathBuf {
        self.location.own().join("logs")
    }

    /// What was being written, or about to be removed, when a process died.
    pub(super) fn leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut left = listing::of_temporary(&self.location.own_tmp())?;
        if self.location.shared().is_some() {
            left.extend(listing::of_temporary(&self.location.tmp())?);
        }
        Ok(left)
    }

    /// Removes all but the last work folder of each stage, which is kept for reading. Only
    /// while nobody else has the store open.
    pub(super) fn tidy(&self) -> Result<(), StoreError> {
        let work = self.work();
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for name in fs::read_dir(&work)? {
            let Some((stage, number)) = name.to_str().and_then(split_number) else {
                continue;
            };
            let kept = last.entry(stage.to_owned()).or_insert(number);
            let gone = number.min(*kept);
            *kept = number.max(*kept);
            if gone != *kept {
                self.remove(&work.join(format!("{stage}-{gone}")));
            }
        }
        Ok(())
    }
}

/// The start of the names of a stage's work folders.
pub(super) fn work_name(stage: &str) -> String {
    safe_name(&stage.replace('/', "-"))
}

/// The parts of a work folder's name.
pub(super) fn split_number(name: &str) -> Option<(&str, u64)> {
    let (stage, number) = name.rsplit_once('-')?;
    Some((stage, number.parse().ok()?))
}

/// Numbers of the attempts in a stage's log folder, ascending.
pub(super) fn attempts(folder: &Path) -> Result<Vec<u64>, StoreError> {
    let names = fs::read_dir_if_exists(folder)?;
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Creates the first of the folders `name(1)`, `name(2)`, ... that does not exist yet.
fn numbered_folder(parent: &Path, name: impl Fn(u64) -> String) -> Result<PathBuf, StoreError> {
    let mut number = 1;
    loop {
        let path = parent.join(name(number));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// A file name for any text; different texts get different names. Letters, digits and
/// `._@+=,-` stay, other bytes are written like `%2F`; a very long name is cut and ends in its
/// digest.
fn safe_name(text: &str) -> String {
    let mut name = String::new();
    for (i, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"._@+=,-".contains(&byte);
        // No hidden names, and no `..`.
        if plain && !(i == 0 && byte == b'.') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    if name.len() > 200 {
        name.truncate(180);
        name.push('%');
        name.push_str(&Digest::of(text.as_bytes()).short());
    }
    if name.is_empty() {
        "%".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::store_lock::StoreLock;

    fn workdirs() -> (tempfile::TempDir, Workdirs) {
        let dir = tempfile::tempdir().unwrap();
        let location = Location::alone(&dir.path().join(".restage"));
        let lock = StoreLock::take(&location, &|| {}).unwrap();
        location.make().unwrap();
        let trash = Trash::new(&location, &Arc::new(lock));
        (dir, Workdirs::new(&location, &trash))
    }

    #[test]
    fn every_attempt_has_a_separate_work_folder() {
        let (_dir, workdirs) = workdirs();
        let a = workdirs.new_work("train@resnet18").unwrap();
        let b = workdirs.new_work("train@resnet18").unwrap();
        assert!(a.ends_with("work/train@resnet18-1") && b.ends_with("work/train@resnet18-2"));
    }

    #[test]
    fn the_logs_of_the_last_ten_attempts_are_kept() {
        let (_dir, workdirs) = workdirs();
        for _ in 0..13 {
            let logs = workdirs.new_logs("quick/train@resnet18").unwrap();
            std::fs::write(&logs.stdout, b"x").unwrap();
        }
        let logs = workdirs.logs("quick/train@resnet18").unwrap();
        assert_eq!(logs.len(), 10);
        assert!(logs[0].dir.ends_with("quick/train@resnet18/0013"));
        assert_eq!(
            workdirs.last_logs("quick/train@resnet18").unwrap().as_ref(),
            Some(&logs[0])
        );
        assert_eq!(workdirs.last_logs("quick/other").unwrap(), None);
    }

    #[test]
    fn a_stage_cannot_be_named_out_of_the_store() {
        let (_dir, workdirs) = workdirs();
        for name in ["../../x", "..", "/x", "", "a/../../../b", "a\nb"] {
            let logs = workdirs.new_logs(name).unwrap();
            assert!(logs.dir.starts_with(workdirs.all_logs()));
            assert!(
                !logs.dir.components().any(|c| c.as_os_str() == ".."),
                "{name}"
            );
            assert!(
                workdirs
                    .new_work(name)
                    .unwrap()
                    .starts_with(workdirs.work())
            );
        }
    }

    proptest! {
        #[test]
        fn different_texts_have_different_names(a in ".{0,4}", b in ".{0,4}") {
            prop_assert_eq!(a == b, safe_name(&a) == safe_name(&b));
            prop_assert!(!safe_name(&a).contains('/') && !safe_name(&a).starts_with('.'));
        }
    }
}
