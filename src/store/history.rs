//! Which key each stage last finished with, and how long it took: for `why` and for estimates.
//! It must not decide anything: whether a stage is fresh is a matter of records alone.
//!
//! A log of JSON lines, appended to with single writes, so that processes need no lock; the
//! last line about a stage counts, and one that was cut is skipped. Lost, it is made again
//! from the records.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Record, Store, StoreError};
use crate::base::fs::{self, FsError};
use crate::digest::Digest;

/// The last success of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// Its key.
    pub key: Digest,
    /// How long it took.
    pub seconds: f64,
    /// Most memory that it had at once, in bytes.
    pub peak_memory: Option<u64>,
    /// When it started: RFC 3339, UTC.
    pub started: String,
}

/// One line of the log.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    stage: String,
    #[serde(flatten)]
    run: LastRun,
}

/// The log as last read.
#[derive(Debug, Default)]
pub(super) struct History {
    runs: BTreeMap<String, LastRun>,
    lines: usize,
}

/// Lines for each stage from which on the log is written anew when the store is opened.
const SLACK: usize = 8;

impl Store {
    /// The last success of a stage, by the name that its records have.
    pub fn last(&self, stage: &str) -> Option<LastRun> {
        self.history().as_ref()?.runs.get(stage).cloned()
    }

    /// Seconds that each stage's last success took.
    pub fn durations(&self) -> BTreeMap<String, f64> {
        let history = self.history();
        let runs = history.iter().flat_map(|history| &history.runs);
        runs.map(|(stage, run)| (stage.clone(), run.seconds))
            .collect()
    }

    /// Every stage that has a result, by the name that its records have, and what it last
    /// finished with.
    pub fn current(&self) -> Result<Vec<(String, Arc<Record>)>, StoreError> {
        let runs = self.history().as_ref().map(|history| history.runs.clone());
        let mut current = Vec::new();
        for (stage, run) in runs.unwrap_or_default() {
            current.extend(self.record(&run.key)?.map(|record| (stage, record)));
        }
        Ok(current)
    }

    /// A stage's different results, the current one first: by the history, then by their start
    /// what only records know of.
    pub fn results(&self, stage: &str) -> Result<Vec<Arc<Record>>, StoreError> {
        let (mentions, _) = self.mentions()?;
        let named = mentions.iter().filter(|(name, _)| name == stage);
        let last = last_mentions(named);
        let mut results = self.mentioned(&last)?;
        results.retain(|record| record.stage == stage || last.contains_key(&record.key));
        Ok(results)
    }

    /// The readable records that this workspace has or had results of, the last finished first;
    /// records that only the store knows of come after, the last started first.
    pub fn known(&self) -> Result<Vec<Arc<Record>>, StoreError> {
        let (mentions, _) = self.mentions()?;
        self.mentioned(&last_mentions(&mentions))
    }

    /// Of a store of our own all records, of a shared one those that are mentioned: others name
    /// their stages as they like.
    fn mentioned(&self, last: &BTreeMap<Digest, usize>) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut records = match self.location().shared() {
            None => self.records()?,
            Some(_) => self.records_of(last.keys())?,
        };
        records.sort_by_key(|record| {
            let order = (last.get(&record.key), record.started.clone(), record.key);
            std::cmp::Reverse((order.0.copied(), order.1, order.2))
        });
        Ok(records)
    }

    /// Says that `record` is what the stage's outs are now, so that `why` compares with it.
    /// Committing says so; a caller that restores an older record's outs must.
    pub fn mark_current(&self, record: &Record) -> Result<(), StoreError> {
        let mut history = self.history();
        let run = LastRun {
            key: record.key,
            seconds: record.seconds,
            peak_memory: record.peak_memory,
            started: record.started.clone(),
        };
        if let Some(history) = history.as_mut()
            && history
                .runs
                .insert(record.stage.clone(), run.clone())
                .as_ref()
                == Some(&run)
        {
            return Ok(());
        }
        let line = Line {
            stage: record.stage.clone(),
            run,
        };
        let path = self.history_path();
        // The line feed comes first too: the last writer may have been cut.
        let text = format!("\n{}\n", to_json(&line));
        Ok(fs::write_all(
            &mut fs::append(path)?,
            text.as_bytes(),
            path,
        )?)
    }

    /// The log as it stands on the disk: each line's stage and key, oldest first, and how many
    /// lines say neither.
    pub(super) fn mentions(&self) -> Result<(Vec<(String, Digest)>, usize), StoreError> {
        let bytes = fs::read_if_exists(self.history_path())?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter(|line| !line.is_empty());
        let (mut mentions, mut unreadable) = (Vec::new(), 0);
        for line in lines {
            match serde_json::from_str::<Line>(line) {
                Ok(line) => mentions.push((line.stage, line.run.key)),
                Err(_) => unreadable += 1,
            }
        }
        Ok((mentions, unreadable))
    }

    /// Writes the log anew without lines about these keys and unreadable ones. Only while
    /// nobody else has the store open: others append to it.
    pub(super) fn forget(&self, keys: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let path = self.history_path();
        let mut history = self.history();
        let Some(bytes) = fs::read_if_exists(path)? else {
            return Ok(());
        };
        let old = String::from_utf8_lossy(&bytes);
        let mut text = String::with_capacity(old.len());
        for line in old.lines() {
            if serde_json::from_str::<Line>(line).is_ok_and(|line| !keys.contains(&line.run.key)) {
                text += &format!("{line}\n");
            }
        }
        if text.as_bytes() != bytes {
            fs::write_atomic(path, text.as_bytes())?;
            *history = None;
        }
        Ok(())
    }

    /// The file of the history.
    pub(crate) fn history_path(&self) -> &Path {
        &self.0.history_path
    }

    /// The history, read on first use. It is a convenience: an unreadable one is a warning.
    fn history(&self) -> MutexGuard<'_, Option<History>> {
        let mut history = self
            .0
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if history.is_none() {
            match self.read_history() {
                Ok(read) => *history = Some(read),
                Err(error) => self.warn(format!("no durations are known: {error}")),
            }
        }
        history
    }

    fn read_history(&self) -> Result<History, StoreError> {
        let path = self.history_path();
        match fs::read_if_exists(path)? {
            Some(text) => Ok(parse(&String::from_utf8_lossy(&text))),
            // Most records of a shared store are others'.
            None if self.location().shared().is_some() => Ok(History::default()),
            None => {
                let history = rebuild(self.records()?);
                if !history.runs.is_empty() {
                    write(path, &history)?;
                }
                Ok(history)
            }
        }
    }

    /// Shortens the log, if it is long and nobody else has the store open.
    pub(super) fn compact_history(&self) -> Result<(), StoreError> {
        let path = self.history_path();
        let long = fs::metadata_if_exists(path)?.is_some_and(|found| found.len() > 1 << 20);
        if long
            && let Some(history) = self.history().as_ref()
            && history.lines > SLACK * history.runs.len()
        {
            write(path, history)?;
        }
        Ok(())
    }
}

/// Where each key is last mentioned, from 1.
fn last_mentions<'a>(
    mentions: impl IntoIterator<Item = &'a (String, Digest)>,
) -> BTreeMap<Digest, usize> {
    let keys = mentions.into_iter().map(|(_, key)| *key);
    keys.zip(1..).collect()
}

fn parse(text: &str) -> History {
    let mut history = History {
        runs: BTreeMap::new(),
        lines: 0,
    };
    for line in text.lines() {
        if let Ok(Line { stage, run }) = serde_json::from_str(line) {
            history.runs.insert(stage, run);
            history.lines += 1;
        }
    }
    history
}

/// The last run of each stage by its start, which is all that records know.
fn rebuild(mut records: Vec<Arc<Record>>) -> History {
    records.sort_by(|a, b| (&a.started, &a.key).cmp(&(&b.started, &b.key)));
    let runs = records.iter().map(|record| {
        let run = LastRun {
            key: record.key,
            seconds: record.seconds,
            peak_memory: record.peak_memory,
            started: record.started.clone(),
        };
        (record.stage.clone(), run)
    });
    History {
        runs: runs.collect(),
        lines: records.len(),
    }
}

fn write(path: &Path, history: &History) -> Result<(), FsError> {
    let mut text = String::new();
    for (stage, run) in &history.runs {
        text.push_str(&to_json(&Line {
            stage: stage.clone(),
            run: run.clone(),
        }));
        text.push('\n');
    }
    fs::write_atomic(path, text.as_bytes())
}

fn to_json(line: &Line) -> String {
    serde_json::to_string(line).expect("a line of the history has only texts and numbers")
}
