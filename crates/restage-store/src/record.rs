//! A record: what a key's stage wrote.
//!
//! Its file has two lines, JSON and the digest of the JSON. One that was cut or edited is not a
//! record: its stage runs again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::sealed::{seal, unseal};
use restage_core::clock::WallTime;
use restage_core::digest::{Digest, PathDigest, StageKey};
use restage_core::rel_path::RelPath;
use restage_core::whereabouts::host_name;

/// A finished run of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`Record::FORMAT`] when it was written.
    pub format: u32,
    /// The digest of `inputs`.
    pub key: Digest,
    /// The stage that ran, as its caller names it: `quick/train@resnet18`.
    pub stage: String,
    /// Everything that enters the key.
    pub inputs: StageKey,
    /// Its outs, in declared order.
    pub outs: Vec<RecordedOut>,
    /// When it started: RFC 3339, UTC.
    pub started: String,
    /// How long it took, in wall time.
    pub seconds: f64,
    /// Its peak memory in bytes, if that was measured.
    pub peak_memory: Option<u64>,
    /// The machine that ran it.
    pub host: String,
    /// Paths that it wrote without declaring them.
    pub undeclared: Vec<String>,
    /// Different outs that earlier runs of the same key wrote, oldest first.
    pub variants: Vec<Vec<RecordedOut>>,
    /// Whether two runs of this key wrote different bytes.
    pub nondeterministic: bool,
    /// Set if nothing ran: somebody said that files which were there are the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Adoption>,
    /// Whether a variant was adopted: no run can make it again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted_variant: bool,
    /// How the run was kept apart; adopted results, and records from before this was noted, do not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<KeptApart>,
}

/// How a run was kept apart from the rest of its machine (docs/adr/0017).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptApart {
    /// It saw what it declares and nothing else of the workspace, at the workspace's own path.
    pub files: bool,
    /// Its processes were in a namespace of their own.
    pub processes: bool,
    /// Why not both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl KeptApart {
    /// Whether nothing was lacking.
    pub fn is_full(&self) -> bool {
        self.files && self.processes
    }
}

impl std::fmt::Display for KeptApart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.files, self.processes) {
            (true, true) => "in namespaces",
            (true, false) => "without a PID namespace",
            (false, true) => "without a view of its own files",
            (false, false) => "without isolation",
        })?;
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

/// Who declared files to be a result, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// The user's name.
    pub by: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// The file that named them as the result, such as another tool's `dvc.lock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl std::fmt::Display for Adoption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { by, at, from } = self;
        match from {
            Some(from) => write!(f, "adopted from {from} by {by} at {at}"),
            None => write!(f, "adopted by {by} at {at}"),
        }
    }
}

/// An out and its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedOut {
    /// Relative to the pipeline's folder.
    pub path: String,
    /// Whether its bytes enter no key.
    pub volatile: bool,
    /// What was written.
    pub content: PathDigest,
    /// Whether its bytes were given up on purpose: a temporary out that was read by all (docs/adr/0030).
    /// Another result may still hold them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub freed: bool,
}

impl Record {
    /// The format that is written now; records in another one are not read.
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
            host: host_name(),
            undeclared,
            variants: Vec::new(),
            nondeterministic: false,
            adopted: None,
            adopted_variant: false,
            isolation: None,
        }
    }

    /// Whether it has exactly the outs that a key declares.
    pub fn has_outs_of(&self, key: &StageKey) -> bool {
        let declared: BTreeSet<_> = key
            .outs
            .iter()
            .map(|out| (out.path.as_str(), out.volatile))
            .collect();
        let recorded: BTreeSet<_> = self
            .outs
            .iter()
            .map(|out| (out.path.as_str(), out.volatile))
            .collect();
        declared == recorded && recorded.len() == self.outs.len()
    }

    /// Whether no run can make all of it again.
    pub(super) fn holds_adopted(&self) -> bool {
        self.adopted.is_some() || self.adopted_variant
    }

    /// Its outs and those of its variants.
    pub fn all_outs(&self) -> impl Iterator<Item = &RecordedOut> {
        self.outs.iter().chain(self.variants.iter().flatten())
    }

    /// The same, without those whose bytes were given up.
    pub fn kept_outs(&self) -> impl Iterator<Item = &RecordedOut> {
        self.all_outs().filter(|out| !out.freed)
    }

    /// The two lines of the record's file.
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
        // Its outs are put into the workspace: none may lead out of it.
        let inside = |out: &&RecordedOut| {
            RelPath::new(&out.path).is_ok_and(|path| path.as_str() == out.path)
        };
        if let Some(out) = record.all_outs().find(|out| !inside(out)) {
            return Err(format!("`{}` is no path inside a workspace", out.path));
        }
        Ok(record)
    }
}
