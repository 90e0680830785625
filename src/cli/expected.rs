//! Files as they should be: from a git revision, or from a folder.
//! It must not know what is done with them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::base::files::files_below;
use crate::base::fs::{self, FsError};
use crate::base::rel_path::RelPath;

/// Where the expected files come from.
#[derive(Debug)]
pub(crate) enum Expected {
    /// A folder laid out like the pipeline's.
    Folder(PathBuf),
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
    #[error("`{against}` is neither a folder nor a git revision: {reason}")]
    Unknown { against: String, reason: String },
    #[error("git could not read `{path}` of {commit}: {reason}")]
    Git {
        path: String,
        commit: String,
        reason: String,
    },
    #[error(transparent)]
    Fs(#[from] FsError),
}

fn git(root: &Path, args: &[&str]) -> std::io::Result<Output> {
    Command::new("git").arg("-C").arg(root).args(args).output()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

impl Expected {
    /// Takes a folder where there is one, else a revision.
    pub(crate) fn open(
        root: &Path,
        directory: &Path,
        against: &str,
    ) -> Result<Self, ExpectedError> {
        let folder = directory.join(against);
        if fs::metadata_if_exists(&folder)?.is_some_and(|m| m.is_dir()) {
            return Ok(Self::Folder(folder));
        }
        let commit = format!("{against}^{{commit}}");
        let args = [
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &commit,
        ];
        let output = git(root, &args).map_err(|source| ExpectedError::NoGit {
            against: against.to_owned(),
            source,
        })?;
        if !output.status.success() {
            let said = words(&output);
            let reason = if said.is_empty() {
                "git knows no such commit".to_owned()
            } else {
                said
            };
            return Err(ExpectedError::Unknown {
                against: against.to_owned(),
                reason,
            });
        }
        let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Self::Revision {
            root: root.to_owned(),
            commit,
        })
    }

    /// Every file, relative to the pipeline's folder, sorted.
    pub(crate) fn files(&self) -> Result<Vec<RelPath>, ExpectedError> {
        match self {
            Self::Folder(folder) => Ok(below(folder)?),
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

    /// A file's bytes.
    pub(crate) fn read(&self, path: &RelPath) -> Result<Vec<u8>, ExpectedError> {
        match self {
            Self::Folder(folder) => Ok(fs::read(&path.under(folder))?),
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

/// Files below a folder, without restage's, git's and cargo's own, sorted.
pub(crate) fn below(folder: &Path) -> Result<Vec<RelPath>, FsError> {
    let skip = |path: &RelPath| [".restage", ".git", "target"].contains(&path.as_str());
    Ok(files_below(folder, "", &skip)?.files)
}
