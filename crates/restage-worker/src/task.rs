//! A stage with its key and all that it reads, as plain data: what a worker is given, and what it answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::judge::{Ending, Made};
use super::spec::Spec;
use restage_core::digest::{Digest, PathDigest, StageKey};
use restage_core::rel_path::RelPath;
use restage_store::{BatchResult, BatchTask, KeptApart};

/// A stage to run. It names no place of the workspace that it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// As records name it: `quick/train@resnet18`.
    pub qualified: String,
    /// The key of its result.
    pub key: StageKey,
    /// What it does. In its environment, `None` is a variable that is not set.
    pub spec: Spec,
    /// What it reads, folders before what lies in them.
    pub inputs: Vec<Input>,
    /// Whether it is kept apart from other processes.
    pub is_apart: bool,
    /// Whether it shall have no network.
    pub is_offline: bool,
}

/// A file or folder that a stage reads. Its bytes are in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it is put.
    pub path: RelPath,
    /// What is put there, or a folder that it is a part of.
    pub content: PathDigest,
    /// Where in that folder it is; empty for all of it.
    pub inside: String,
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CameTo {
    /// It has a result.
    Made {
        /// What it made.
        made: Made,
        /// How it was kept apart.
        kept: KeptApart,
    },
    /// There was a record already.
    Known,
    /// It failed.
    Failed {
        /// How.
        ending: Ending,
        /// How long it took, in wall time.
        seconds: f64,
        /// Its peak memory in bytes, if that was measured.
        peak_memory: Option<u64>,
        /// What it printed.
        said: Said,
    },
    /// The machine is not one that its key allows.
    Refused(Refusal),
    /// It was stopped with its worker: another goes on from its checkpoints.
    Stopped,
    /// The machine could not run it, or keep what it made.
    NotRun {
        /// Why.
        why: String,
        /// The object that the store has lost, if that is why.
        lost: Option<Digest>,
    },
}

impl CameTo {
    /// Whether another worker has nothing to add.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Stopped | Self::NotRun { .. })
    }
}

impl fmt::Display for CameTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made { made, .. } => write!(f, "done in {:.1} s", made.seconds),
            Self::Known => f.write_str("has a result already"),
            Self::Failed { ending, .. } => ending.fmt(f),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::Stopped => f.write_str("stopped: another worker goes on"),
            Self::NotRun { why, .. } => write!(f, "could not be run: {why}"),
        }
    }
}

/// Which part of a worker's log is one task's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The worker, which is in the log's name.
    pub worker: String,
    /// The first byte.
    pub from: u64,
    /// The byte after the last one.
    pub to: u64,
}

/// Why a machine is not one that a task can run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// A tool answers something else than its key says.
    #[error("`{line}` says `{here}` there, and its key says `{key}`")]
    Tool {
        /// The question.
        line: String,
        /// The answer there, or why there is none.
        here: String,
        /// The answer in the key.
        key: String,
    },
    /// There are other graphics cards, or too few.
    #[error("it has {here} there, and its key says `{key}`")]
    Cards {
        /// What is there.
        here: String,
        /// What the key says.
        key: String,
    },
    /// A secret is not set there.
    #[error("its secret `{0}` is not set there, or is too short to be hidden")]
    Secret(String),
    /// Its program can't be started there.
    #[error("its program can't be started there: {0}")]
    Program(String),
}

impl Task {
    /// A line of a batch, for one of its jobs.
    pub fn of_batch(&self, job: u32) -> BatchTask {
        let code = match &self.key.action {
            restage_core::digest::KeyAction::Program { code, .. } => Some(*code),
            _ => None,
        };
        BatchTask {
            job,
            key: self.key.digest(),
            needs: self.inputs.iter().map(|input| input.content).collect(),
            code,
            task: serde_json::to_value(self).expect("it holds texts, numbers and maps by text"),
        }
    }

    /// The task in a line; `Err` says what is wrong with it.
    pub fn read(line: &BatchTask) -> Result<Self, String> {
        let task: Self = serde_json::from_value(line.task.clone())
            .map_err(|error| format!("it is of another version of restage ({error})"))?;
        match task.key.digest() == line.key {
            true => Ok(task),
            false => Err("its key is another one".to_owned()),
        }
    }
}

/// A line of a worker's results.
pub fn result_line(key: Digest, came_to: &CameTo) -> BatchResult {
    let keeps = match came_to {
        CameTo::Made { made, .. } => made.outs.iter().map(|out| out.content).collect(),
        _ => Vec::new(),
    };
    BatchResult {
        key,
        keeps,
        result: serde_json::to_value(came_to).expect("it holds texts and finite numbers"),
    }
}

/// What a line of a worker's results says; `None` if another version wrote it.
pub fn read_result(line: &BatchResult) -> Option<CameTo> {
    serde_json::from_value(line.result.clone()).ok()
}
