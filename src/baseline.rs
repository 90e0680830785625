//! What results are compared with: files of a git revision, of a folder, or one file.

use std::path::{Path, PathBuf};

use restage_claims::tables::Content;
use restage_core::files::files_below;
use restage_core::fs::{self, FsError};
use restage_core::rel_path::RelPath;
use restage_engine::git::{self, GitError};

/// Folders that are never searched: those of restage, git and cargo.
const SKIPPED: [&str; 3] = [".restage", ".git", "target"];

/// Files in a folder and below, relative to it, sorted.
pub(crate) fn below(root: &Path) -> Result<Vec<RelPath>, FsError> {
    let skip = |path: &RelPath| SKIPPED.contains(&path.as_str());
    Ok(files_below(root, "", &skip)?.files)
}

/// What results are compared with.
#[derive(Debug)]
pub(crate) enum Baseline {
    /// A folder laid out like the pipeline's.
    Folder(PathBuf),
    /// One file.
    File(PathBuf),
    /// A revision of the repository that holds the pipeline's folder.
    Revision { root: PathBuf, commit: String },
}

/// Why there is no baseline.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BaselineError {
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

impl BaselineError {
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

    /// Whether the command line is wrong, not the machine.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Ambiguous { .. })
    }
}

/// How `--against` was understood.
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

    /// As on the command line.
    pub(crate) fn word(&self) -> &str {
        &self.word
    }

    /// The revision's full id.
    pub(crate) fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }

    /// `revision HEAD (1a2b3c4d5e6f)`, `folder old`, with the name quoted by `quote`.
    pub(crate) fn describe(&self, quote: &dyn Fn(&str) -> String) -> String {
        let commit = self.commit.as_deref().map_or_else(String::new, |commit| {
            let short: String = commit.chars().take(12).collect();
            format!(" ({short})")
        });
        format!("{} {}{commit}", self.kind, quote(&self.word))
    }
}

/// A file as it was.
#[derive(Debug)]
pub(crate) enum Before {
    /// Of a revision.
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl Before {
    pub(crate) fn content(&self) -> Content<'_> {
        match self {
            Self::Bytes(bytes) => Content::Bytes(bytes),
            Self::File(path) => Content::File(path),
        }
    }
}

impl Baseline {
    /// Understands a word as a file or folder, relative to `directory`, or as a revision.
    ///
    /// # Errors
    /// It is neither, or both. A word that starts like a path (`/`, `./`, `../`) is never a revision.
    pub(crate) fn open(
        root: &Path,
        directory: &Path,
        against: &str,
    ) -> Result<(Self, Against), BaselineError> {
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
            // Without git it can only be a path.
            Some(found) => match git::commit(root, against) {
                Ok(_) => Err(BaselineError::Ambiguous {
                    against: against.to_owned(),
                    kind: found.1.kind,
                }),
                _ => Ok(found),
            },
            None => match git::commit(root, against) {
                Ok(commit) => {
                    let against = taken_for("revision", Some(commit.clone()));
                    let root = root.to_owned();
                    Ok((Self::Revision { root, commit }, against))
                }
                Err(GitError::Refused(reason)) => Err(BaselineError::Unknown {
                    against: against.to_owned(),
                    reason,
                }),
                Err(GitError::NotRun(source)) => Err(BaselineError::NoGit {
                    against: against.to_owned(),
                    source,
                }),
            },
        }
    }

    /// Every file, relative to the pipeline's folder, sorted; a single file has no place there.
    pub(crate) fn files(&self) -> Result<Vec<RelPath>, BaselineError> {
        match self {
            Self::Folder(folder) => Ok(below(folder)?),
            Self::File(_) => Ok(Vec::new()),
            Self::Revision { root, commit } => {
                let names = git::files(root, commit).map_err(|error| failed(error, commit, ""))?;
                let mut files: Vec<RelPath> = names
                    .iter()
                    .filter_map(|name| RelPath::new(name).ok())
                    .collect();
                files.sort();
                Ok(files)
            }
        }
    }

    /// The file at `path`, or the single file.
    pub(crate) fn read(&self, path: &RelPath) -> Result<Before, BaselineError> {
        Ok(match self {
            Self::Folder(folder) => Before::File(path.under(folder)),
            Self::File(file) => Before::File(file.clone()),
            Self::Revision { root, commit } => {
                let blob = git::blob(root, commit, path.as_str());
                Before::Bytes(blob.map_err(|error| failed(error, commit, path.as_str()))?)
            }
        })
    }
}

fn failed(error: GitError, commit: &str, path: &str) -> BaselineError {
    match error {
        GitError::NotRun(source) => BaselineError::NoGit {
            against: commit.to_owned(),
            source,
        },
        GitError::Refused(reason) => BaselineError::Git {
            path: path.to_owned(),
            commit: commit.chars().take(12).collect(),
            reason,
        },
    }
}
