//! Why a stage can't run, where that is not for what it requires of the machine.

use super::data_error::DataError;
use super::environments::Unnamed;
use restage_core::suggest;

/// Most files of a folder that a hint names.
const SHOWN_FILES: usize = 5;

/// Why a stage can't run.
#[derive(Debug, Clone, PartialEq)]
pub enum Obstacle {
    /// This is not there to be read.
    Lacks(Lack),
    /// This was not kept, and can't be made again here.
    Gone(Gone),
    /// A source of it can't be read.
    Unreadable(Unreadable),
    /// Data that it reads is not there, or is not what it is pinned to.
    Data(DataError),
    /// What it would run in is not known.
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

/// A temporary out that was not kept and that this machine can't make again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The dep.
    pub path: String,
    /// The stage that writes it.
    pub writer: String,
    /// The stage that can't run: the same, or one that it reads such an out of.
    pub gated: String,
    /// What that one lacks.
    pub lacks: Vec<String>,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lacks(lack) => write!(f, "{lack}"),
            Self::Gone(gone) => write!(f, "{gone}"),
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

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path,
            writer,
            gated,
            lacks,
        } = self;
        let lacks = lacks.join(", ");
        write!(
            f,
            "reads `{path}`, a temporary out of `{writer}` that was not kept, and `{gated}` can't run here: {lacks}"
        )
    }
}

impl Obstacle {
    /// What to do about a stage that can't run.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Lacks(lack) => Some(lack.hint()),
            Self::Gone(gone) => Some(format!(
                "run it where `{}` can run; what needs neither is not affected",
                gone.gated
            )),
            Self::Unreadable(source) => source.hint.map(str::to_owned),
            Self::Data(error) => error.hint(),
            Self::NoEnvironment(unnamed) => unnamed.hint.clone(),
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
