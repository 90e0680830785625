//! Where the bytes of a file come from: the runs that led to them, down to the sources.
//!
//! Bytes decide, not names: a file comes from the run whose record has exactly its content, and an
//! input from the run that wrote exactly what was read, whatever the pipeline looks like now. Where
//! no record has these bytes, the lineage says so (docs/adr/0012).

mod order;
mod records;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use restage_core::digest::{Change, DepContent, Digest, PathDigest};
use restage_core::rel_path::RelPath;
use restage_store::Record;

pub use walk::lineage;

/// The runs and sources behind some files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lineage {
    /// The requested files, in that order.
    pub files: Vec<Traced>,
    /// Every run that the files depend on, each after those whose outs it read.
    pub runs: Vec<Run>,
    /// Every source that the runs read, and the requested ones, by path.
    pub sources: Vec<Source>,
}

/// A file or folder, and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced {
    /// As requested.
    pub path: RelPath,
    /// Its content now; `None` where nothing is. For a path inside an out, that of the whole out.
    pub now: Option<PathDigest>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where the bytes at a path come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// From a run.
    Run {
        /// Its place in [`Lineage::runs`].
        run: usize,
        /// The declared out: the path, or a folder around it.
        out: String,
        /// How the content now compares with the record.
        bytes: Bytes,
    },
    /// No stage writes it: its place in [`Lineage::sources`].
    Source(usize),
    /// This stage writes it, but no record of the stage is here.
    Unrecorded {
        /// The stage's name.
        stage: String,
        /// What it wrote according to `pipeline.lock`, if that is what is there now.
        locked: Option<Digest>,
    },
}

/// How an out compares with the record of the run that wrote it.
#[derive(Debug, Clone, PartialEq)]
pub enum Bytes {
    /// The recorded ones.
    Recorded,
    /// Those of another run of the same key, which wrote different ones: the stage is not
    /// deterministic.
    OfAnotherRun,
    /// Others: the file was edited, or restored from elsewhere.
    Edited {
        /// What the run wrote.
        recorded: PathDigest,
    },
    /// The out is missing.
    Missing {
        /// What the run wrote.
        recorded: PathDigest,
        /// Whether it is never put into the workspace.
        temporary: bool,
    },
}

/// One run of one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The stage's name in the pipeline, or else in the record.
    pub stage: String,
    /// What is known about it: key, command, arguments, parameters, machine, times.
    pub record: Arc<Record>,
    /// Whether the pipeline would do the same now.
    pub standing: Standing,
    /// Whether it ran on another machine.
    pub elsewhere: bool,
    /// What it read, by path.
    pub reads: Vec<Read>,
}

/// How a run relates to the pipeline as it is now.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Its key is the stage's.
    Current,
    /// The stage's key has changed: it would run again, or has.
    Stale(Vec<Change>),
    /// These stages run first; the stage may run again after them.
    Waits(Vec<String>),
    /// The pipeline has no such stage.
    Gone,
    /// There is no plan to compare it with.
    Unknown,
}

/// Something that a run read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// Where.
    pub path: String,
    /// What, as the run's key has it.
    pub content: DepContent,
    /// Where that came from.
    pub from: From,
}

/// Where something that was read came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// A run: its place in [`Lineage::runs`].
    Run(usize),
    /// No stage: its place in [`Lineage::sources`].
    Source(usize),
    /// A stage of which no record has these bytes.
    Unrecorded,
    /// There was nothing.
    Nothing,
}

/// A file or folder that no stage writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Where it is.
    pub path: String,
    /// What runs read there ([`PathDigest::content_id`]); `None` where none did.
    pub read: Option<Digest>,
    /// What is there now, likewise.
    pub now: Option<Digest>,
}

impl Lineage {
    /// Whether each file is a source or has the bytes that some run of its stage wrote.
    pub fn is_sound(&self) -> bool {
        let sound = |file: &Traced| match &file.origin {
            Origin::Run { bytes, .. } => matches!(bytes, Bytes::Recorded | Bytes::OfAnotherRun),
            Origin::Source(_) => true,
            Origin::Unrecorded { .. } => false,
        };
        self.files.iter().all(sound)
    }
}
