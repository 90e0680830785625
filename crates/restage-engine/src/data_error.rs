//! Why data from outside the pipeline's folder can't be read, and how it differs from what it is pinned to.

use std::path::PathBuf;

use super::local::LocalError;
use restage_core::files::LOCAL_FILE;

/// Why data can't be read by stages. Stages that don't read it are not concerned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// A variable that its path is made up from has no value.
    #[error("nothing says where data `{name}` is: `{variable}` is not set")]
    NotSet {
        /// Its name.
        name: String,
        /// The variable.
        variable: String,
    },
    /// Nothing is where it should be.
    #[error("data `{name}` is not at `{}`", path.display())]
    Missing {
        /// Its name.
        name: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// What this machine says of the pipeline can't be read.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// It can't be read, or holds what no stage can read.
    #[error("data `{name}` can't be read: {reason}")]
    Unreadable {
        /// Its name.
        name: String,
        /// What was tried, and what the system said.
        reason: String,
    },
    /// It is, or holds, what restage or stages write.
    #[error("data `{name}` at `{}` {does}", path.display())]
    InTheWay {
        /// Its name.
        name: String,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with that.
        does: &'static str,
    },
    /// Something else stands where stages would see it.
    #[error("data `{name}` is placed at `{place}`, and something else is there")]
    Covered {
        /// Its name.
        name: String,
        /// Its place.
        place: String,
    },
    /// What it is pinned to can't be read.
    #[error("`{lock}` can't be read, and it says what data `{name}` is pinned to: {reason}")]
    NoPins {
        /// Its name.
        name: String,
        /// The lock file.
        lock: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is not what it is pinned to.
    #[error("data `{name}` has changed: {difference}")]
    Changed {
        /// Its name.
        name: String,
        /// How.
        difference: Difference,
    },
}

impl DataError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotSet { name, variable } => format!(
                "set `{variable}`, or write `{name} = \"/where/it/is\"` under `[data]` into {LOCAL_FILE}, which is \
                 for this machine alone"
            ),
            Self::Missing { name, .. } => format!(
                "put it there, or write `{name} = \"/where/it/is\"` under `[data]` into {LOCAL_FILE}, which is for \
                 this machine alone"
            ),
            Self::InTheWay { .. } => {
                "name a folder that no stage writes to and that does not hold the pipeline's"
                    .to_owned()
            }
            Self::Covered { .. } => {
                "move that away, or choose another `place`; a link to the data itself may stay"
                    .to_owned()
            }
            Self::NoPins { lock, .. } => format!(
                "put it back from git (`git checkout {lock}`); or delete it, and data counts as what it is now"
            ),
            Self::Changed { name, .. } => format!(
                "if that is meant, `restage data update {name}` accepts it, and the stages that read it run again; \
                 else put the old data back"
            ),
            Self::Local(_) => return None,
            Self::Unreadable { .. } => {
                "nothing ran on it; make all of it readable, or give `path` a folder without what isn't"
                    .to_owned()
            }
        })
    }
}

/// How data differs from what it is pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// So many files are new, gone or different, of which this is the first.
    Files(usize, String),
    /// It is one file, with other bytes.
    Bytes,
    /// Which files it had is not known here.
    Unknown,
}

/// A name without what moves a terminal's cursor.
fn on_a_line(name: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    name.chars().map(shown).collect()
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files(1, file) => write!(f, "1 file differs (`{}`)", on_a_line(file)),
            Self::Files(count, file) => {
                write!(f, "{count} files differ (first: `{}`)", on_a_line(file))
            }
            Self::Bytes => f.write_str("its bytes differ"),
            Self::Unknown => f.write_str(
                "it is not what pipeline.lock says; which files differ is not known in this folder",
            ),
        }
    }
}
