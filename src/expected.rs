//! Files as they should be: from a git revision, a folder, or one file.
//! It must not know what is done with them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::found::below;
use restage_core::fs::{self, FsError};
use restage_core::rel_path::RelPath;

/// Where the expected files come from.
#[derive(Debug)]
pub(crate) enum Expected {
    /// A folder laid out like the pipeline's.
    Folder(PathBuf),
    /// One file.
    File(PathBuf),
    /// A revision of the repository that holds the pipeline's folder.
    Revision { root: PathBuf, commit: String },
}

/// Why there are no expected files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExpectedError {
    #[error("cannot run git to read `{against}`")]
    NoGit {
        against: String,
        source: std::io::Error,
    },
    #[error("`{against}` is neither a file or folder nor a git revision: {reason}")]
    Unknown { against: String, reason: String },
    #[error("`{against}` is both a {kind} and a git revision")]
    Ambiguous { against: String, kind: &'static str },
    #[error("git could not read `{path}` of {commit}: {reason}")]
    Git {
        path: String,
        commit: String,
        reason: String,
    },
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl ExpectedError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some(
                "`--against` takes a revision such as `HEAD` or `v1.0`, a folder or a file; a shallow \
                 clone lacks most revisions (`git fetch --unshallow`, or `fetch-depth: 0` in a workflow)"
                    .to_owned(),
            ),
            Self::Ambiguous { against, kind } => Some(format!(
                "write `./{against}` for the {kind}, `{against}^0` for the revision"
            )),
            Self::Fs(error) => error.hint().map(ToOwned::to_owned),
            _ => None,
        }
    }

    /// Whether the command line is to blame.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Ambiguous { .. })
    }
}

/// What `--against` was taken for.
#[derive(Debug, Clone)]
pub(crate) struct Against {
    kind: &'static str,
    word: String,
    commit: Option<String>,
}

impl Against {
    #[cfg(test)]
    pub(crate) fn folder(word: &str) -> Self {
        Self {
            kind: "folder",
            word: word.to_owned(),
            commit: None,
        }
    }

    /// `revision`, `folder` or `file`.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// What stands on the command line.
    pub(crate) fn word(&self) -> &str {
        &self.word
    }

    /// The revision's whole id.
    pub(crate) fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// `revision HEAD (1a2b3c4d5e6f)`, `folder old`, its names marked by `quote`.
    pub(crate) fn said(&self, quote: &dyn Fn(&str) -> String) -> String {
        let commit = self.commit.as_deref().map_or_else(String::new, |commit| {
            let short: String = commit.chars().take(12).collect();
            format!(" ({short})")
        });
        format!("{} {}{commit}", self.kind, quote(&self.word))
    }
}

fn git(root: &Path, args: &[&str]) -> std::io::Result<Output> {
    Command::new("git").arg("-C").arg(root).args(args).output()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// The commit that a word names, or why it names none.
fn revision(root: &Path, word: &str) -> std::io::Result<Result<String, String>> {
    let commit = format!("{word}^{{commit}}");
    let args = [
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &commit,
    ];
    let output = git(root, &args)?;
    if output.status.success() {
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        return Ok(Ok(id));
    }
    let said = words(&output);
    Ok(Err(match said.is_empty() {
        true => "no such commit".to_owned(),
        false => said,
    }))
}

impl Expected {
    /// Takes a word for a file or folder, from `directory`, or for a revision.
    ///
    /// # Errors
    /// It is neither, or both. A word that starts like a path (`/`, `./`, `../`) is never a revision.
    pub(crate) fn open(
        root: &Path,
        directory: &Path,
        against: &str,
    ) -> Result<(Self, Against), ExpectedError> {
        let place = directory.join(against);
        let found = match against {
            "" => None,
            _ => fs::metadata_if_exists(&place)?,
        };
        let taken_for = |kind, commit| Against {
            kind,
            word: against.to_owned(),
            commit,
        };
        let found = found.map(|metadata| match metadata.is_dir() {
            true => (Self::Folder(place.clone()), taken_for("folder", None)),
            false => (Self::File(place.clone()), taken_for("file", None)),
        });
        let is_path = against.starts_with(['/', '.']);
        match found {
            Some(found) if is_path => Ok(found),
            // Without git there are no revisions to take it for.
            Some(found) => match revision(root, against) {
                Ok(Ok(_)) => Err(ExpectedError::Ambiguous {
                    against: against.to_owned(),
                    kind: found.1.kind,
                }),
                _ => Ok(found),
            },
            None => match revision(root, against) {
                Ok(Ok(commit)) => {
                    let against = taken_for("revision", Some(commit.clone()));
                    let root = root.to_owned();
                    Ok((Self::Revision { root, commit }, against))
                }
                Ok(Err(reason)) => Err(ExpectedError::Unknown {
                    against: against.to_owned(),
                    reason,
                }),
                Err(source) => Err(ExpectedError::NoGit {
                    against: against.to_owned(),
                    source,
                }),
            },
        }
    }

    /// Every file, relative to the pipeline's folder, sorted; a single file has no place there.
    pub(crate) fn files(&self) -> Result<Vec<RelPath>, ExpectedError> {
        match self {
            Self::Folder(folder) => Ok(below(folder, "")?),
            Self::File(_) => Ok(Vec::new()),
            Self::Revision { root, commit } => {
                let output = self.git(
                    root,
                    commit,
                    "",
                    &["ls-tree", "-r", "-z", "--name-only", commit],
                )?;
                let names = String::from_utf8_lossy(&output);
                let mut files: Vec<RelPath> = names
                    .split('\0')
                    .filter_map(|name| RelPath::new(name).ok())
                    .collect();
                files.sort();
                Ok(files)
            }
        }
    }

    /// The bytes of the file at `path`, or of the single file.
    pub(crate) fn read(&self, path: &RelPath) -> Result<Vec<u8>, ExpectedError> {
        match self {
            Self::Folder(folder) => Ok(fs::read(&path.under(folder))?),
            Self::File(file) => Ok(fs::read(file)?),
            Self::Revision { root, commit } => {
                let object = format!("{commit}:./{path}");
                self.git(root, commit, path.as_str(), &["cat-file", "blob", &object])
            }
        }
    }

    fn git(
        &self,
        root: &Path,
        commit: &str,
        path: &str,
        args: &[&str],
    ) -> Result<Vec<u8>, ExpectedError> {
        let output = git(root, args).map_err(|source| ExpectedError::NoGit {
            against: commit.to_owned(),
            source,
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(ExpectedError::Git {
            path: path.to_owned(),
            commit: commit.chars().take(12).collect(),
            reason: words(&output),
        })
    }
}
