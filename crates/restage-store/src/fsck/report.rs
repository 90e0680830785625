//! What a check found and what was done about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use restage_core::digest::Digest;

/// Everything that a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// What is not as restage wrote it.
    pub findings: Vec<Finding>,
    /// Outs in the workspace that are not what was last reproduced. People may edit them, so
    /// this is not damage.
    pub outs: BTreeMap<String, OutState>,
    /// What was read.
    pub checked: Checked,
    /// How many things may be removed, by kind: objects that no record needs, what dead processes
    /// left, the quarantine.
    pub removable: BTreeMap<&'static str, usize>,
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Files in `objects/`.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files in `records/`.
    pub records: usize,
    /// Outs in the workspace.
    pub outs: usize,
}

/// An out in the workspace that is not what was last reproduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutState {
    /// It has different bytes.
    Edited,
    /// It is missing.
    Missing,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub problem: Problem,
    /// The outs that need it.
    pub needed_by: BTreeSet<Need>,
    /// What was done.
    pub remedy: Remedy,
}

/// An out that needs an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The stage, with its profile.
    pub stage: String,
    /// The out's path.
    pub out: String,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// An object's bytes don't match its name, or can't be read.
    DamagedObject {
        /// Its name.
        digest: Digest,
        /// How.
        reason: String,
    },
    /// An object that a record needs is not there.
    MissingObject {
        /// Its name.
        digest: Digest,
    },
    /// An object with the wrong permissions.
    ObjectMode {
        /// Its name.
        digest: Digest,
        /// Its permission bits.
        mode: u32,
    },
    /// A software environment that is not as it was made.
    DamagedEnvironment {
        /// Where.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A record that was cut or altered.
    DamagedRecord {
        /// Its name.
        key: Digest,
        /// How.
        reason: String,
    },
    /// A record that the history names is missing.
    MissingRecord {
        /// Its name.
        key: Digest,
        /// Its stage, with its profile.
        stage: String,
    },
    /// A record whose outs are lost.
    IncompleteRecord {
        /// Its name.
        key: Digest,
        /// Its stage, with its profile.
        stage: String,
        /// Paths of the outs that are lost.
        outs: Vec<String>,
    },
    /// Something that restage did not put where it is.
    Stray {
        /// Where.
        path: PathBuf,
    },
    /// The stat cache was cut or altered.
    DamagedStatCache,
    /// The stat cache has a wrong digest for a file.
    WrongStatCache {
        /// The file.
        path: PathBuf,
    },
    /// The history has lines that can't be read.
    DamagedHistory {
        /// How many.
        lines: usize,
    },
    /// A lock file can't be read.
    DamagedLockFile {
        /// Its name, `pipeline.lock`.
        file: String,
        /// Why.
        reason: String,
    },
    /// A lock file disagrees with a record about a stage's outs.
    WrongLockFile {
        /// Its name.
        file: String,
        /// The stage, with its profile.
        stage: String,
    },
}

/// What was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// It was restored from this copy in the workspace.
    Healed(String),
    /// It is read-only again.
    MadeReadOnly,
    /// It was moved here and is no longer used.
    SetAside(PathBuf),
    /// It was removed; it is rebuilt when it is needed.
    Removed,
    /// Nothing could be done: it is lost until its stage runs again.
    Lost,
    /// Nothing: the next run rewrites the file.
    Rewritten,
}

impl Problem {
    /// A name for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DamagedObject { .. } => "damaged-object",
            Self::MissingObject { .. } => "missing-object",
            Self::ObjectMode { .. } => "object-mode",
            Self::DamagedEnvironment { .. } => "damaged-environment",
            Self::DamagedRecord { .. } => "damaged-record",
            Self::MissingRecord { .. } => "missing-record",
            Self::IncompleteRecord { .. } => "incomplete-record",
            Self::Stray { .. } => "stray",
            Self::DamagedStatCache => "damaged-stat-cache",
            Self::WrongStatCache { .. } => "wrong-stat-cache",
            Self::DamagedHistory { .. } => "damaged-history",
            Self::DamagedLockFile { .. } => "damaged-lock-file",
            Self::WrongLockFile { .. } => "wrong-lock-file",
        }
    }

    /// The object or key that it is about.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::DamagedObject { digest, .. }
            | Self::MissingObject { digest }
            | Self::ObjectMode { digest, .. } => Some(digest),
            Self::DamagedRecord { key, .. }
            | Self::MissingRecord { key, .. }
            | Self::IncompleteRecord { key, .. } => Some(key),
            _ => None,
        }
    }
}

impl Remedy {
    /// A name for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Healed(_) => "healed",
            Self::MadeReadOnly => "made-read-only",
            Self::SetAside(_) => "set-aside",
            Self::Removed => "removed",
            Self::Lost => "lost",
            Self::Rewritten => "rewritten-by-next-run",
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healed(from) => write!(f, "healed from `{from}`"),
            Self::MadeReadOnly => f.write_str("made read-only again"),
            Self::SetAside(_) => f.write_str("moved to the quarantine"),
            Self::Removed => f.write_str("dropped, which costs time but no result"),
            Self::Lost => f.write_str("lost until its stage runs again"),
            Self::Rewritten => f.write_str("the next run rewrites it"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DamagedObject { digest, reason } => {
                write!(f, "object {} is damaged: {reason}", digest.short())
            }
            Self::MissingObject { digest } => write!(f, "object {} is missing", digest.short()),
            Self::ObjectMode { digest, mode } => {
                write!(
                    f,
                    "object {} has mode {mode:03o}, and must be read-only",
                    digest.short()
                )
            }
            Self::DamagedEnvironment { path, reason } => {
                write!(f, "environment `{}` is damaged: {reason}", path.display())
            }
            Self::DamagedRecord { key, reason } => {
                write!(f, "record {} is damaged: {reason}", key.short())
            }
            Self::MissingRecord { key, stage } => {
                write!(f, "record {} of `{stage}` is missing", key.short())
            }
            Self::IncompleteRecord { key, stage, outs } => {
                let outs = outs.join("`, `");
                write!(f, "record {} of `{stage}` has lost `{outs}`", key.short())
            }
            Self::Stray { path } => write!(f, "`{}` does not belong there", path.display()),
            Self::DamagedStatCache => f.write_str("the stat cache is damaged"),
            Self::WrongStatCache { path } => {
                let path = path.display();
                write!(f, "the stat cache has a wrong digest for `{path}`")
            }
            Self::DamagedHistory { lines: 1 } => f.write_str("a line of the history is damaged"),
            Self::DamagedHistory { lines } => {
                write!(f, "{lines} lines of the history are damaged")
            }
            Self::DamagedLockFile { file, reason } => {
                write!(f, "`{file}` can't be read: {reason}")
            }
            Self::WrongLockFile { file, stage } => {
                write!(f, "`{file}` differs from the record of `{stage}`")
            }
        }
    }
}
