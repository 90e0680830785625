//! The history as text: which key each stage last finished with, and how long that took.
//!
//! A log of JSON lines, appended to with single writes, so that processes need no lock. The last
//! line about a stage counts, and one that was cut is skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::Record;
use restage_core::digest::Digest;

/// The last success of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// Its key.
    pub key: Digest,
    /// How long it took.
    pub seconds: f64,
    /// Its peak memory, in bytes.
    pub peak_memory: Option<u64>,
    /// When it started: RFC 3339, UTC.
    pub started: String,
}

impl LastRun {
    fn of(record: &Record) -> Self {
        Self {
            key: record.key,
            seconds: record.seconds,
            peak_memory: record.peak_memory,
            started: record.started.clone(),
        }
    }
}

/// One line of the log.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    stage: String,
    #[serde(flatten)]
    run: LastRun,
}

impl Line {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a line of the history has only texts and numbers")
    }
}

/// Lines per stage above which the log is rewritten when the store is opened.
const SLACK: usize = 8;

/// The log as last read.
#[derive(Debug, Default)]
pub(super) struct History {
    runs: BTreeMap<String, LastRun>,
    lines: usize,
}

impl History {
    pub(super) fn parse(text: &str) -> Self {
        let mut history = Self::default();
        for line in text.lines() {
            if let Ok(Line { stage, run }) = serde_json::from_str(line) {
                history.runs.insert(stage, run);
                history.lines += 1;
            }
        }
        history
    }

    /// The last run of each stage by its start, which is all that records know.
    pub(super) fn of_records(mut records: Vec<Arc<Record>>) -> Self {
        records.sort_by(|a, b| (&a.started, &a.key).cmp(&(&b.started, &b.key)));
        let runs = records
            .iter()
            .map(|record| (record.stage.clone(), LastRun::of(record)));
        Self {
            runs: runs.collect(),
            lines: records.len(),
        }
    }

    /// The shortest log that says the same.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for (stage, run) in &self.runs {
            let (stage, run) = (stage.clone(), run.clone());
            text.push_str(&Line { stage, run }.to_json());
            text.push('\n');
        }
        text
    }

    pub(super) fn runs(&self) -> &BTreeMap<String, LastRun> {
        &self.runs
    }

    /// Whether the log is much longer than it need be.
    pub(super) fn is_bloated(&self) -> bool {
        self.lines > SLACK * self.runs.len()
    }

    /// Makes a record its stage's last run; `false` if it was that already.
    pub(super) fn note(&mut self, record: &Record) -> bool {
        let run = LastRun::of(record);
        self.runs.insert(record.stage.clone(), run.clone()) != Some(run)
    }
}

/// What to append to the log when a record becomes its stage's last run.
pub(super) fn line(record: &Record) -> String {
    let line = Line {
        stage: record.stage.clone(),
        run: LastRun::of(record),
    };
    // The line feed comes first too: the last writer may have been cut.
    format!("\n{}\n", line.to_json())
}

/// Each line's stage and key, oldest first, and how many lines can't be read.
pub(super) fn mentions(text: &str) -> (Vec<(String, Digest)>, usize) {
    let (mut mentions, mut unreadable) = (Vec::new(), 0);
    for line in text.lines().filter(|line| !line.is_empty()) {
        match serde_json::from_str::<Line>(line) {
            Ok(line) => mentions.push((line.stage, line.run.key)),
            Err(_) => unreadable += 1,
        }
    }
    (mentions, unreadable)
}

/// The log without unreadable lines and those about these keys.
pub(super) fn without(text: &str, keys: &BTreeSet<Digest>) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        if serde_json::from_str::<Line>(line).is_ok_and(|line| !keys.contains(&line.run.key)) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}
