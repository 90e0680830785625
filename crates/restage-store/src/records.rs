//! The records of finished keys, and the history of what each stage last finished with.
//!
//! The history decides nothing: whether a stage is up to date depends on records alone. It is for
//! `why`, for estimates and for gc; if it is lost, it is rebuilt from the records.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::error::StoreError;
use super::history::{self, History, LastRun};
use super::listing::{self, Listing};
use super::location::Location;
use super::record::Record;
use super::unflushed::Unflushed;
use restage_core::digest::Digest;
use restage_core::fs::{self, StagedFile};

/// Records per task: one takes some ten microseconds.
const CHUNK: usize = 64;

/// The records of a store, and one workspace's history.
#[derive(Debug)]
pub struct Records {
    location: Location,
    history_path: PathBuf,
    /// Read on first use.
    history: Mutex<Option<History>>,
    warnings: Mutex<Vec<String>>,
}

impl Records {
    pub(super) fn new(location: &Location, history_path: PathBuf) -> Self {
        Self {
            location: location.clone(),
            history_path,
            history: Mutex::default(),
            warnings: Mutex::default(),
        }
    }

    /// The record of a key, if it ever finished. A damaged one counts as none and leaves a
    /// warning.
    pub fn get(&self, key: &Digest) -> Result<Option<Arc<Record>>, StoreError> {
        let path = self.path(key);
        let problem = match fs::read_own(&path) {
            Ok(None) => return Ok(None),
            Ok(Some(text)) => match Record::from_text(&text) {
                Ok(record) if record.key == *key => return Ok(Some(Arc::new(record))),
                Ok(record) => format!("it is about key {}", record.key.short()),
                Err(problem) => problem,
            },
            // Another user's, and no damage.
            Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
                "you may not read it (its owner can allow it with `chmod a+r`)".to_owned()
            }
            Err(error) => return Err(error.into()),
        };
        let path = path.display();
        self.warn(format!(
            "record `{path}` is not used: {problem}; its stage runs again"
        ));
        Ok(None)
    }

    /// The file of a key's record.
    pub fn path(&self, key: &Digest) -> PathBuf {
        self.folder().join(format!("{key}.json"))
    }

    /// Every readable record, in order of keys.
    pub fn all(&self) -> Result<Vec<Arc<Record>>, StoreError> {
        let listed = self.list()?.named.into_iter();
        self.of(&listed.map(|(key, _)| key).collect::<Vec<_>>())
    }

    /// Whether there is a file of a record that is none: a power cut may have torn it, and with it
    /// what was known of the outs.
    pub fn any_is_damaged(&self) -> Result<bool, StoreError> {
        let listed = self.list()?.named.len();
        Ok(self.all()?.len() < listed)
    }

    /// The readable records of these keys.
    fn of(&self, keys: &[Digest]) -> Result<Vec<Arc<Record>>, StoreError> {
        let records = keys
            .par_chunks(CHUNK)
            .flat_map_iter(|keys| keys.iter().map(|key| self.get(key)));
        let records: Vec<_> = records.collect::<Result<_, _>>()?;
        Ok(records.into_iter().flatten().collect())
    }

    /// The files of all records.
    pub(super) fn list(&self) -> Result<Listing, StoreError> {
        listing::of_digests(&self.folder(), ".json")
    }

    /// Writes a record's file, replacing an older one in one step.
    pub(super) fn put(&self, record: &Record, unflushed: &mut Unflushed) -> Result<(), StoreError> {
        let path = self.path(&record.key);
        let mut staged = StagedFile::new_in(&self.location.tmp(), &path)?;
        staged.write(record.to_text().as_bytes())?;
        staged.commit_unflushed()?;
        self.location.share(&path)?;
        unflushed.file(path);
        Ok(())
    }

    /// Waits until the disk knows which records were removed.
    pub(super) fn flush_removals(&self) -> Result<(), StoreError> {
        Ok(fs::sync_dir(&self.folder())?)
    }

    /// The last success of a stage, by the name that its records have.
    pub fn last(&self, stage: &str) -> Option<LastRun> {
        self.history().as_ref()?.runs().get(stage).cloned()
    }

    /// Seconds that each stage's last success took.
    pub fn durations(&self) -> BTreeMap<String, f64> {
        let history = self.history();
        let runs = history.iter().flat_map(History::runs);
        runs.map(|(stage, run)| (stage.clone(), run.seconds))
            .collect()
    }

    /// Every stage that has a result, by the name that its records have, and the record that it
    /// last finished with.
    pub fn current(&self) -> Result<Vec<(String, Arc<Record>)>, StoreError> {
        let runs = self
            .history()
            .as_ref()
            .map(|history| history.runs().clone());
        let mut current = Vec::new();
        for (stage, run) in runs.unwrap_or_default() {
            current.extend(self.get(&run.key)?.map(|record| (stage, record)));
        }
        Ok(current)
    }

    /// A stage's different results, the current one first: ordered by the history, then those
    /// that it does not mention by their start.
    pub fn results(&self, stage: &str) -> Result<Vec<Arc<Record>>, StoreError> {
        let (mentions, _) = self.mentions()?;
        let named = mentions.iter().filter(|(name, _)| name == stage);
        let last = last_mentions(named);
        let mut results = self.mentioned(&last)?;
        results.retain(|record| record.stage == stage || last.contains_key(&record.key));
        Ok(results)
    }

    /// The readable records of results that this workspace has or had, the last finished first;
    /// records that its history does not mention come after, the last started first.
    pub fn known(&self) -> Result<Vec<Arc<Record>>, StoreError> {
        let (mentions, _) = self.mentions()?;
        self.mentioned(&last_mentions(&mentions))
    }

    /// Of a workspace's own store all records, of a shared one those that are mentioned: other
    /// workspaces name their stages as they like.
    fn mentioned(&self, last: &BTreeMap<Digest, usize>) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut records = match self.location.shared() {
            None => self.all()?,
            Some(_) => self.of(&last.keys().copied().collect::<Vec<_>>())?,
        };
        records.sort_by_cached_key(|record| {
            let order = (last.get(&record.key), record.started.clone(), record.key);
            std::cmp::Reverse((order.0.copied(), order.1, order.2))
        });
        Ok(records)
    }

    /// Makes `record` its stage's last run, which `why` compares with. Committing does so; a
    /// caller that restores an older record's outs must.
    pub fn mark_current(&self, record: &Record) -> Result<(), StoreError> {
        let mut history = self.history();
        if let Some(history) = history.as_mut()
            && !history.note(record)
        {
            return Ok(());
        }
        let path = &self.history_path;
        Ok(fs::write_all(
            &mut fs::append(path)?,
            history::line(record).as_bytes(),
            path,
        )?)
    }

    /// What the history's file says now: each line's stage and key, oldest first, and how many
    /// lines can't be read.
    pub(super) fn mentions(&self) -> Result<(Vec<(String, Digest)>, usize), StoreError> {
        let bytes = fs::read_own(&self.history_path)?.unwrap_or_default();
        Ok(history::mentions(&String::from_utf8_lossy(&bytes)))
    }

    /// Rewrites the history without lines about these keys and unreadable ones. Only while
    /// nobody else has the store open: others append to it.
    pub(super) fn forget(&self, keys: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let path = &self.history_path;
        let mut history = self.history();
        let Some(bytes) = fs::read_own(path)? else {
            return Ok(());
        };
        let text = history::without(&String::from_utf8_lossy(&bytes), keys);
        if text.as_bytes() != bytes {
            fs::write_own(path, text.as_bytes())?;
            *history = None;
        }
        Ok(())
    }

    /// Shortens the history if it is long. Only while nobody else has the store open.
    pub(super) fn compact_history(&self) -> Result<(), StoreError> {
        let path = &self.history_path;
        let long = fs::metadata_if_exists(path)?.is_some_and(|found| found.len() > 1 << 20);
        if long
            && let Some(history) = self.history().as_ref()
            && history.is_bloated()
        {
            fs::write_own(path, history.to_text().as_bytes())?;
        }
        Ok(())
    }

    /// The file of the history.
    pub fn history_path(&self) -> &Path {
        &self.history_path
    }

    /// What went wrong without doing harm since the last call: records and a history that can't
    /// be read.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn warn(&self, text: String) {
        let warnings = self.warnings.lock();
        warnings.unwrap_or_else(PoisonError::into_inner).push(text);
    }

    fn history(&self) -> MutexGuard<'_, Option<History>> {
        let history = self.history.lock();
        let mut history = history.unwrap_or_else(PoisonError::into_inner);
        if history.is_none() {
            match self.read_history() {
                Ok(read) => *history = Some(read),
                Err(error) => self.warn(format!("no durations are known: {error}")),
            }
        }
        history
    }

    fn read_history(&self) -> Result<History, StoreError> {
        let path = &self.history_path;
        match fs::read_own(path)? {
            Some(text) => Ok(History::parse(&String::from_utf8_lossy(&text))),
            // Most records of a shared store are other workspaces'.
            None if self.location.shared().is_some() => Ok(History::default()),
            None => {
                let history = History::of_records(self.all()?);
                if !history.runs().is_empty() {
                    // Whoever only looks may not be able to: it is read from the records again.
                    let _ = fs::write_own(path, history.to_text().as_bytes());
                }
                Ok(history)
            }
        }
    }

    fn folder(&self) -> PathBuf {
        self.location.dir().join("records")
    }
}

/// Where each key is last mentioned, from 1.
fn last_mentions<'a>(
    mentions: impl IntoIterator<Item = &'a (String, Digest)>,
) -> BTreeMap<Digest, usize> {
    let keys = mentions.into_iter().map(|(_, key)| *key);
    keys.zip(1..).collect()
}
