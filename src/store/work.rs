//! Work folders, logs, and what is thrown away.
//! It must not know what stages do in them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::{Store, StoreError};
use crate::base::fs;
use crate::digest::Digest;

/// Attempts whose logs are kept, for each stage.
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
}

impl LogPaths {
    fn new(dir: PathBuf) -> Self {
        let (stdout, stderr) = (dir.join("stdout"), dir.join("stderr"));
        let events = dir.join("events.jsonl");
        Self {
            dir,
            stdout,
            stderr,
            events,
        }
    }
}

impl Store {
    /// Makes a new, empty work folder for an attempt of a stage.
    pub fn new_work_dir(&self, stage: &str) -> Result<PathBuf, StoreError> {
        let name = work_name(stage);
        numbered_folder(&self.own().join("work"), |number| {
            format!("{name}-{number}")
        })
    }

    /// Makes a new folder for the logs of an attempt, and drops those of old attempts.
    pub fn new_logs(&self, stage: &str) -> Result<LogPaths, StoreError> {
        let folder = self.log_folder(stage);
        fs::create_dir_all(&folder)?;
        let attempts = attempts(&folder)?;
        let next = attempts.last().map_or(1, |last| last + 1);
        for old in attempts.iter().rev().skip(KEEP_LOGS - 1) {
            self.discard(&folder.join(format!("{old:04}")))?;
        }
        numbered_folder(&folder, |number| format!("{:04}", next - 1 + number)).map(LogPaths::new)
    }

    /// Logs of the stage's attempts that are kept, newest first.
    pub fn logs(&self, stage: &str) -> Result<Vec<LogPaths>, StoreError> {
        let folder = self.log_folder(stage);
        let attempts = attempts(&folder)?.into_iter().rev();
        Ok(attempts
            .map(|number| LogPaths::new(folder.join(format!("{number:04}"))))
            .collect())
    }

    /// Logs of the stage's last attempt.
    pub fn last_logs(&self, stage: &str) -> Result<Option<LogPaths>, StoreError> {
        Ok(self.logs(stage)?.into_iter().next())
    }

    fn log_folder(&self, stage: &str) -> PathBuf {
        stage
            .split('/')
            .fold(self.own().join("logs"), |path, part| {
                path.join(safe_name(part))
            })
    }

    /// Removes a file or folder; it is out of the way at once, even if that takes long.
    pub fn discard(&self, path: &Path) -> Result<(), StoreError> {
        // Most scratch folders are empty.
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) => {}
        }
        let going = self.aside(path);
        match fs::rename(path, &going) {
            Ok(()) => Ok(fs::remove_all(&going)?),
            // On another disk, or someone else was faster.
            Err(error)
                if matches!(
                    error.source.kind(),
                    io::ErrorKind::CrossesDevices | io::ErrorKind::NotFound
                ) =>
            {
                Ok(fs::remove_all(path)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A new name in the folder for things that are going, on the file system of `path`.
    pub(super) fn aside(&self, path: &Path) -> PathBuf {
        let tmp = match path.starts_with(self.dir()) {
            true => self.tmp(),
            false => self.own_tmp(),
        };
        fs::temp_name(&tmp.join(path.file_name().unwrap_or_default()))
    }

    /// Removes what dead processes left in the workspace's own folder: things in the making or
    /// going, and all but the last work folder of each stage, which is kept for reading. Only
    /// while nobody else has it open.
    pub(super) fn tidy_own(&self) -> Result<(), StoreError> {
        remove_leftovers(&self.own_tmp())?;
        remove_successors(self.own())?;
        let work = self.own().join("work");
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for name in fs::read_dir(&work)? {
            let Some((stage, number)) = name.to_str().and_then(split_number) else {
                continue;
            };
            let kept = last.entry(stage.to_owned()).or_insert(number);
            let gone = number.min(*kept);
            *kept = number.max(*kept);
            if gone != *kept {
                self.discard(&work.join(format!("{stage}-{gone}")))?;
            }
        }
        Ok(())
    }

    /// Removes what dead processes left in the folder of objects and records. Only while nobody
    /// else has it open.
    pub(super) fn tidy(&self) -> Result<(), StoreError> {
        if self.location().shared().is_some() {
            remove_leftovers(&self.tmp())?;
            remove_successors(self.dir())?;
        }
        self.tidy_finished()
    }

    /// Gives back claims and removes scratch folders of keys that have a record: their owner died
    /// between writing it and doing so. Others are for the next attempt.
    fn tidy_finished(&self) -> Result<(), StoreError> {
        let mut keys = BTreeSet::new();
        for (folder, ending) in [("scratch", ""), ("claims", ".lock")] {
            let names = fs::read_dir(&self.dir().join(folder))?;
            let key = |name: &OsString| name.to_str()?.strip_suffix(ending)?.parse::<Digest>().ok();
            keys.extend(names.iter().filter_map(key));
        }
        for key in keys {
            if fs::exists(&self.record_path(&key))?
                && let Some(claim) = self.try_claim(&key)?
                // A forced run's stage may live on; who claims the key next must find it.
                && claim.orphans()?.is_empty()
            {
                self.discard(&claim.scratch_path())?;
            }
        }
        Ok(())
    }
}

fn remove_leftovers(tmp: &Path) -> Result<(), StoreError> {
    for name in fs::read_dir(tmp)? {
        remove_leftover(&tmp.join(name))?;
    }
    Ok(())
}

/// Beside our own files: their successors in the making.
fn remove_successors(folder: &Path) -> Result<(), StoreError> {
    for name in fs::read_dir(folder)? {
        if name.to_str().is_some_and(fs::is_temp_name) {
            fs::remove_all(&folder.join(name))?;
        }
    }
    Ok(())
}

/// Removes something in `tmp/` whose maker is dead. In a throw-away store a stage may run on.
pub(super) fn remove_leftover(path: &Path) -> Result<(), StoreError> {
    if fs::exists(&path.join("claims"))? {
        stop_orphans(path)?;
    }
    Ok(fs::remove_all(path)?)
}

/// Stops what a dead restage left running in a throw-away store.
fn stop_orphans(dir: &Path) -> Result<(), StoreError> {
    let store = Store::open(dir)?;
    for (key, _) in store.list("claims", ".lock")?.named {
        if let Some(claim) = store.try_claim(&key)? {
            claim.kill_orphan()?;
        }
    }
    Ok(())
}

/// What the names of a stage's work folders begin with.
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

/// Makes the first folder `name(1)`, `name(2)`, ... that does not exist yet.
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

/// A file name for any text; different texts have different names. Letters, digits and
/// `._@+=,-` stay, other bytes become `%2F`; a very long name is cut and ends in its digest.
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
    use super::*;
    use proptest::prelude::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join(".restage")).unwrap();
        (dir, store)
    }

    #[test]
    fn every_attempt_has_a_work_folder_of_its_own() {
        let (_dir, store) = store();
        let a = store.new_work_dir("train@resnet18").unwrap();
        let b = store.new_work_dir("train@resnet18").unwrap();
        assert!(a.ends_with("work/train@resnet18-1") && b.ends_with("work/train@resnet18-2"));
    }

    #[test]
    fn the_logs_of_the_last_ten_attempts_are_kept() {
        let (_dir, store) = store();
        for _ in 0..13 {
            let logs = store.new_logs("quick/train@resnet18").unwrap();
            std::fs::write(&logs.stdout, b"x").unwrap();
        }
        let logs = store.logs("quick/train@resnet18").unwrap();
        assert_eq!(logs.len(), 10);
        assert!(logs[0].dir.ends_with("quick/train@resnet18/0013"));
        assert_eq!(
            store.last_logs("quick/train@resnet18").unwrap().as_ref(),
            Some(&logs[0])
        );
        assert_eq!(store.last_logs("quick/other").unwrap(), None);
    }

    #[test]
    fn what_dead_processes_left_is_removed_but_for_each_stages_last_work_folder() {
        let (dir, store) = store();
        for _ in 0..11 {
            store.new_work_dir("a-1").unwrap();
        }
        store.new_work_dir("b").unwrap();
        std::fs::create_dir_all(store.dir().join("tmp/old/inner")).unwrap();
        drop(store);
        let store = Store::open(&dir.path().join(".restage")).unwrap();
        assert_eq!(
            fs::read_dir(&store.dir().join("work")).unwrap(),
            ["a-1-11", "b-1"]
        );
        assert!(fs::read_dir(&store.dir().join("tmp")).unwrap().is_empty());
    }

    #[test]
    fn nothing_is_removed_while_another_has_the_store_open() {
        let (dir, store) = store();
        store.new_work_dir("a").unwrap();
        store.new_work_dir("a").unwrap();
        let second = Store::open(&dir.path().join(".restage")).unwrap();
        assert_eq!(
            fs::read_dir(&second.dir().join("work")).unwrap(),
            ["a-1", "a-2"]
        );
    }

    #[test]
    fn a_stage_cannot_be_named_out_of_the_store() {
        let (_dir, store) = store();
        for name in ["../../x", "..", "/x", "", "a/../../../b", "a\nb"] {
            let logs = store.new_logs(name).unwrap();
            assert!(logs.dir.starts_with(store.dir().join("logs")));
            assert!(
                !logs.dir.components().any(|c| c.as_os_str() == ".."),
                "{name}"
            );
            assert!(
                store
                    .new_work_dir(name)
                    .unwrap()
                    .starts_with(store.dir().join("work"))
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
