//! Why the software of an environment is not known, or not the one that was asked for.

use restage_core::fs::FsError;
use restage_core::suggest::hint_among;

/// Why an environment can't be named or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A lock file is not what its tool writes.
    #[error("cannot understand `{file}`: {message}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong, with its line where that is known.
        message: String,
    },
    /// A lock file is missing.
    #[error("`{file}` does not exist")]
    NoLock {
        /// The file.
        file: String,
        /// What makes it.
        hint: String,
    },
    /// The lock file knows no such group or extra.
    #[error("`{file}` has no {what} `{name}`")]
    Unknown {
        /// The file.
        file: String,
        /// `group` or `extra`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// What the lock file names is a folder, whose content it does not say.
    #[error(
        "package `{package}` of `{file}` is the folder `{path}`, whose content no lock file says"
    )]
    Folder {
        /// The lock file.
        file: String,
        /// The package.
        package: String,
        /// The folder.
        path: String,
    },
    /// A line of a requirements file leaves open what is installed.
    #[error("`{file}`, line {line}: `{text}` {problem}")]
    Open {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A line of a lock file can't be used.
    #[error("`{file}`, line {line}: `{text}` {problem}")]
    Line {
        /// The file.
        file: String,
        /// From 1.
        line: usize,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A lock file says what can't be installed here.
    #[error("cannot use `{file}`: {what}")]
    Unsupported {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// There is no such interpreter, or nothing that finds one.
    #[error("there is no {wanted} here")]
    NoInterpreter {
        /// `Python 3.11`, `uv`.
        wanted: String,
        /// What to do.
        hint: String,
    },
    /// An interpreter's answer makes no sense.
    #[error("`{program}` does not say which Python it is: {reason}")]
    Interpreter {
        /// What was asked.
        program: String,
        /// What is wrong.
        reason: String,
    },
    /// What was installed is not what the lock file says.
    #[error("what was installed is not what `{file}` says: {what}")]
    OtherPackages {
        /// The lock file.
        file: String,
        /// What differs.
        what: String,
    },
    /// A file can't be read.
    #[error("{0}")]
    Fs(String),
}

impl From<FsError> for EnvironmentError {
    fn from(error: FsError) -> Self {
        Self::Fs(error.to_string())
    }
}

impl EnvironmentError {
    /// An error if anything is wrong with the packages that were installed by a lock file.
    pub(crate) fn unless_none(file: &str, wrong: &[String]) -> Result<(), Self> {
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(Self::OtherPackages {
                file: file.to_owned(),
                what: wrong.join(", "),
            }),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed { .. } => Some("write it anew with its own tool".to_owned()),
            Self::NoLock { hint, .. }
            | Self::NoInterpreter { hint, .. }
            | Self::Line { hint, .. }
            | Self::Unsupported { hint, .. } => Some(hint.clone()),
            Self::Unknown { name, known, what, .. } => {
                let known = known.iter().map(String::as_str);
                let have = format!("after an edit of the manifest lock again; it has the {what}s");
                let none = || format!("it has no {what}s; add one to the manifest and lock again");
                Some(hint_among(name, &have, known).unwrap_or_else(none))
            }
            Self::Folder { package, path, .. } => Some(format!(
                "declare `{path}` under `deps` of the stages that import `{package}` and set `env: {{PYTHONPATH: ..}}`, and \
                 remove it from the project's dependencies; or depend on a version, a wheel or a commit"
            )),
            Self::Open { .. } => Some(
                "name each package by `name==version`, those that others need too: `pip freeze` and \
                 `uv pip compile --generate-hashes` write such files"
                    .to_owned(),
            ),
            Self::Interpreter { .. } => {
                Some("name a version by `python:`, and look at what `PATH` finds for it".to_owned())
            }
            Self::OtherPackages { .. } => Some(
                "nothing ran in it; settings of the installer may add or leave out packages: look at its configuration files and \
                 at variables such as UV_.., PIP_.., CONDA_.. and RENV_.."
                    .to_owned(),
            ),
            Self::Fs(_) => None,
        }
    }
}
