//! What a plan asks about the world. [`super::Workspace`] finds the answers; tests invent them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::data_error::DataError;
use super::environments::Unnamed;
use super::stands::Stands;
use restage_core::digest::{Digest, KeyEnvironment, StageKey};
use restage_core::fs::FsError;
use restage_core::ignored::IgnoredError;
use restage_core::rel_path::RelPath;
use restage_core::span::Location;
use restage_exec::CaptureError;
use restage_pipeline::graph::{Graph, StageId};
use restage_pipeline::{Stage, Tool};
use restage_programs::CodeError;
use restage_store::{Record, RecordedOut, StoreError};
use restage_worker::Card;

/// Answers about files, code, records and the environment.
pub trait Facts {
    /// Content of a file or folder that no stage writes; `None` where there is none.
    fn source(&self, path: &RelPath) -> Result<Option<Digest>, FactsError>;
    /// Files that a pattern matches and no stage writes, sorted by path, with their contents.
    fn glob(&self, pattern: &str) -> Result<Vec<(RelPath, Digest)>, FactsError>;
    /// The small files in the workspace's folder that choose the version of a program that a command
    /// runs, with their contents.
    fn toolchain(&self) -> Result<Vec<(RelPath, Digest)>, FactsError> {
        Ok(Vec::new())
    }
    /// Of a notebook's cells and kernel; `None` where there is no file.
    fn notebook(&self, _path: &RelPath) -> Result<Option<Digest>, FactsError> {
        Ok(None)
    }
    /// Digest of the sources that a package's program is built from.
    fn code(&self, package: &str) -> Result<Digest, FactsError>;
    /// A variable of the caller's environment.
    fn host_env(&self, name: &str) -> Option<String>;
    /// Graphics cards that stages may use.
    fn cards(&self) -> &[Card];
    /// The software that a stage runs in, if it names an environment.
    fn environment(&self, _stage: &Stage) -> Result<Option<KeyEnvironment>, Unnamed> {
        Ok(None)
    }
    /// Announces that the tools of these stages will be asked, so that they can run in parallel.
    fn ask_tools(&self, _graph: &Graph, _stages: &BTreeSet<StageId>) {}
    /// What the stage requires and this machine lacks, for people.
    fn lacks(&self, _stage: &Stage) -> Vec<String> {
        Vec::new()
    }
    /// The outs that `pipeline.lock` names for the stage, if they are in place.
    fn stands(&self, _stage: &Stage, _key: &StageKey) -> Result<Option<Stands>, FactsError> {
        Ok(None)
    }
    /// The answer of one of the stage's tools; the same each time.
    fn tool(&self, stage: &Stage, tool: &Tool) -> Result<String, FactsError>;
    /// The record of a key.
    fn record(&self, key: &Digest) -> Result<Option<Arc<Record>>, FactsError>;
    /// Whether the workspace holds exactly this out.
    fn out_in_place(&self, out: &RecordedOut) -> Result<bool, FactsError>;
    /// Whether the store holds this out.
    fn out_in_store(&self, out: &RecordedOut) -> Result<bool, FactsError>;
    /// What a recorded folder has at a path inside it.
    fn part(&self, out: &RecordedOut, inside: &str) -> Result<InFolder, FactsError>;
    /// The key of the stage's last success.
    fn last_key(&self, stage: &str) -> Option<Arc<StageKey>>;
    /// Wall time of the stage's last success.
    fn last_seconds(&self, stage: &str) -> Option<f64>;
}

/// What a folder that a stage wrote has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InFolder {
    /// A file or folder of this content.
    There(Digest),
    /// Nothing: these are the folder's files.
    NotThere(Vec<String>),
}

/// Why a plan can't be made.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// A declared input is not there, and no stage writes it.
    #[error("stage `{stage}` reads `{path}`, which does not exist and which no stage writes")]
    MissingInput {
        /// The stage's name.
        stage: String,
        /// The input.
        path: String,
        /// Where it is declared.
        location: Location,
    },
    /// A file could not be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A program's sources could not be found or read.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// A tool did not report its version.
    #[error("`{line}`, a tool of stage `{stage}`, {reason}")]
    Tool {
        /// The stage's name.
        stage: String,
        /// The command.
        line: String,
        /// Where it is declared.
        location: Location,
        /// What happened.
        reason: CaptureError,
    },
    /// A file is not a notebook.
    #[error("`{path}` is not a notebook that can be run: {reason}")]
    Notebook {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A pattern matches nothing.
    #[error("stage `{stage}` reads `{pattern}`, a pattern that matches nothing")]
    NoMatch {
        /// The stage's name.
        stage: String,
        /// The pattern.
        pattern: String,
        /// Where it is declared.
        location: Location,
    },
    /// A source is, or holds, a link to what a stage writes.
    #[error("`{path}` is a source, and a link in it leads to `{out}`, which a stage writes")]
    LinkToOut {
        /// The source.
        path: String,
        /// The out, or a folder that holds some.
        out: String,
    },
    /// Data from outside the pipeline's folder can't be read, or is not what it is pinned to.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The rules for what to pass over can't be read.
    #[error(transparent)]
    Ignored(#[from] IgnoredError),
    /// A glob is malformed.
    #[error("`{pattern}` is not a valid pattern: {reason}")]
    Glob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What a stage would run on is unknown.
    #[error("stage `{stage}` {reason}")]
    NoKey {
        /// The stage's name.
        stage: String,
        /// Why.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A stage's input has no record: its result could not be kept.
    #[error("stage `{0}`, from which it reads, has no result")]
    Unsettled(String),
}
