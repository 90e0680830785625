//! Records: what a key's stage wrote, kept for good.
//! It must not know what makes a record worth having; see [`super::commit`].
//!
//! A record is two lines: JSON, and the digest of the JSON. One that was cut or edited is no
//! record: its stage runs again.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::sealed::{seal, unseal};
use super::{Store, StoreError};
use crate::base::clock::WallTime;
use crate::base::fs;
use crate::digest::{Digest, PathDigest, StageKey};

/// A finished run of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`Record::FORMAT`] when it was written.
    pub format: u32,
    /// Digest of `inputs`.
    pub key: Digest,
    /// The stage that ran, as its caller names it: `quick/train@resnet18`.
    pub stage: String,
    /// All that went in.
    pub inputs: StageKey,
    /// All that came out, in declared order.
    pub outs: Vec<RecordedOut>,
    /// When it started: RFC 3339, UTC.
    pub started: String,
    /// How long it took, in wall time.
    pub seconds: f64,
    /// Most memory that it had at once, in bytes, if that was measured.
    pub peak_memory: Option<u64>,
    /// The machine that ran it.
    pub host: String,
    /// Paths that it wrote without declaring them.
    pub undeclared: Vec<String>,
    /// Other outs that earlier runs of the same key wrote, oldest first.
    pub variants: Vec<Vec<RecordedOut>>,
    /// Whether two runs of this key wrote different bytes.
    pub nondeterministic: bool,
}

/// An out and what was written there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedOut {
    /// Relative to the pipeline's folder.
    pub path: String,
    /// Whether its bytes enter no key.
    pub volatile: bool,
    /// What stands there.
    pub content: PathDigest,
}

impl Record {
    /// The format that is written now; records of another one are not read.
    pub const FORMAT: u32 = 1;

    /// A record of a run on this machine.
    pub fn new(
        inputs: StageKey,
        stage: String,
        outs: Vec<RecordedOut>,
        started: WallTime,
        seconds: f64,
        peak_memory: Option<u64>,
        undeclared: Vec<String>,
    ) -> Record {
        Record {
            format: Record::FORMAT,
            key: inputs.digest(),
            stage,
            inputs,
            outs,
            started: started.to_string(),
            // JSON has no NaN.
            seconds: if seconds.is_finite() { seconds } else { 0.0 },
            peak_memory,
            host: Record::this_host(),
            undeclared,
            variants: Vec::new(),
            nondeterministic: false,
        }
    }

    /// What records of runs on this machine have as their host.
    pub fn this_host() -> String {
        let name = rustix::system::uname();
        name.nodename().to_string_lossy().into_owned()
    }

    /// The record as the two lines of its file.
    pub fn to_text(&self) -> String {
        let json = serde_json::to_string(self)
            .expect("a record holds texts, finite numbers and maps by text alone");
        seal(&json)
    }

    /// Reads what [`Record::to_text`] wrote; `Err` says what is wrong with it.
    pub fn from_text(text: &[u8]) -> Result<Record, String> {
        let json = unseal(text)?;
        let record: Record = serde_json::from_str(json)
            .map_err(|error| format!("it is of another version ({error})"))?;
        if record.format != Record::FORMAT {
            return Err(format!("it has format {}", record.format));
        }
        Ok(record)
    }
}

impl Store {
    /// The record of a key, if it was ever finished. A damaged one counts as none, and leaves
    /// a warning.
    pub fn record(&self, key: &Digest) -> Result<Option<Arc<Record>>, StoreError> {
        let path = self.record_path(key);
        let Some(text) = fs::read_if_exists(&path)? else {
            return Ok(None);
        };
        let problem = match Record::from_text(&text) {
            Ok(record) if record.key == *key => return Ok(Some(Arc::new(record))),
            Ok(record) => format!("it is about key {}", record.key.short()),
            Err(problem) => problem,
        };
        let path = path.display();
        self.warn(format!(
            "record `{path}` is not used: {problem}; its stage runs again"
        ));
        Ok(None)
    }

    /// The file of a key's record.
    pub(crate) fn record_path(&self, key: &Digest) -> PathBuf {
        self.dir().join("records").join(format!("{key}.json"))
    }

    /// The readable records of these keys.
    pub(super) fn records_of<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a Digest>,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let records = keys.into_iter().map(|key| self.record(key));
        let records: Vec<_> = records.collect::<Result<_, _>>()?;
        Ok(records.into_iter().flatten().collect())
    }

    /// Every readable record, in order of keys.
    pub fn records(&self) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut records = Vec::new();
        for name in fs::read_dir(&self.dir().join("records"))? {
            let key = name
                .to_str()
                .and_then(|name| name.strip_suffix(".json")?.parse().ok());
            if let Some(key) = key {
                records.extend(self.record(&key)?);
            }
        }
        Ok(records)
    }
}
