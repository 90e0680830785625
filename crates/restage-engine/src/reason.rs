//! Why a stage runs, or can't.

use super::data_error::DataError;
use super::environments::Unnamed;
use restage_core::digest::Change;
use restage_pipeline::suggest;

/// Most files of a folder that a hint names.
const SHOWN_FILES: usize = 5;

/// Why a stage runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Nothing is known of it.
    NeverRan,
    /// This differs from its last run.
    Changed(Change),
    /// The user forced it.
    Forced,
    /// Its record is there, but the store has lost this out.
    Lost(String),
    /// Its record is there; this out was not kept, and a stage that runs reads it.
    NotKept(String),
    /// What should be its record is about other outs than it declares.
    OtherOuts,
    /// It can't run: this is not there to be read.
    Lacks(Lack),
    /// It can't run: a source of it can't be read.
    Unreadable(Unreadable),
    /// It can't run: data that it reads is not there, or is not what it is pinned to.
    Data(DataError),
    /// It can't run: what it would run in is not known.
    NoEnvironment(Unnamed),
}

/// Why a source can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What was tried, with the path, and what the system said.
    pub error: String,
    /// What may help.
    pub hint: Option<&'static str>,
}

/// A dep inside an out of another stage that the stage did not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The dep.
    pub path: String,
    /// The stage that writes the folder.
    pub writer: String,
    /// The folder.
    pub out: String,
    /// The files that it has instead; none if the out is not a folder.
    pub files: Vec<String>,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NeverRan => f.write_str("never ran"),
            Self::Changed(change) => write!(f, "{change}"),
            Self::Forced => f.write_str("forced"),
            Self::OtherOuts => f.write_str("its record names other outs than it declares"),
            Self::Lost(out) => write!(f, "the store has lost `{out}`"),
            Self::NotKept(out) => write!(f, "`{out}` was not kept, and is read again"),
            Self::Lacks(lack) => write!(f, "{lack}"),
            Self::Unreadable(source) => write!(f, "can't read its input: {}", source.error),
            Self::Data(error) => write!(f, "can't run: {error}"),
            Self::NoEnvironment(Unnamed {
                environment, error, ..
            }) => {
                write!(f, "has no environment `{environment}`: {error}")
            }
        }
    }
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path, writer, out, ..
        } = self;
        write!(
            f,
            "reads `{path}`, which `{writer}` did not write in `{out}`"
        )
    }
}

impl Reason {
    /// What to do about a stage that can't run.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Lacks(lack) => Some(lack.hint()),
            Self::Unreadable(source) => source.hint.map(str::to_owned),
            Self::Data(error) => error.hint(),
            Self::NoEnvironment(unnamed) => unnamed.hint.clone(),
            _ => None,
        }
    }
}

impl Lack {
    fn hint(&self) -> String {
        let Self {
            writer, out, files, ..
        } = self;
        let has = match files.is_empty() {
            true => "is not a folder, or is empty".to_owned(),
            false => format!("has {}", suggest::list_up_to(SHOWN_FILES, files)),
        };
        format!("`{out}` {has}; fix the name in `deps`, or what `{writer}` writes")
    }
}
