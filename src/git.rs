//! What git knows: which files are committed as they are, and what a revision holds.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::process::{Command, Output};

/// Paths passed to git at once: the length of a command line is limited.
const AT_ONCE: usize = 500;

/// Files and folders that are in the checked-out commit, byte for byte.
#[derive(Debug)]
pub(crate) struct CommittedFiles {
    /// Those that are not; `None` if there is no repository, commit or git.
    others: Option<BTreeSet<String>>,
}

impl CommittedFiles {
    /// Asks git about these paths below `root`.
    pub(crate) fn among<'a>(root: &Path, paths: impl IntoIterator<Item = &'a str>) -> Self {
        let paths: Vec<&str> = paths.into_iter().collect();
        let mut others = BTreeSet::new();
        for some in paths.chunks(AT_ONCE) {
            let changed = [
                "diff",
                "--name-only",
                "--relative",
                "--no-ext-diff",
                "-z",
                "HEAD",
            ];
            for question in [&changed[..], &["ls-files", "--others", "-z"]] {
                match names(root, question, some) {
                    Some(names) => others.extend(names),
                    None => return Self { others: None },
                }
            }
        }
        Self {
            others: Some(others),
        }
    }

    /// Whether the file or folder at a path is committed as it is; `None` if git can't tell.
    pub(crate) fn is_clean(&self, path: &str) -> Option<bool> {
        let others = self.others.as_ref()?;
        let inside = format!("{path}/");
        let first_inside = others.range(inside.clone()..).next();
        Some(
            !others.contains(path) && !first_inside.is_some_and(|other| other.starts_with(&inside)),
        )
    }
}

fn names(root: &Path, question: &[&str], paths: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new("git");
    command.arg("--literal-pathspecs").arg("-C").arg(root);
    let output = command.args(question).arg("--").args(paths).output().ok()?;
    output.status.success().then(|| zero_separated(&output))
}

fn zero_separated(output: &Output) -> Vec<String> {
    let names = String::from_utf8_lossy(&output.stdout);
    let names = names.split('\0').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Why git gave no answer.
#[derive(Debug)]
pub(crate) enum GitError {
    /// It could not be started.
    NotRun(io::Error),
    /// What it printed to stderr.
    Refused(String),
}

/// The id of the commit that a word names.
pub(crate) fn commit(root: &Path, word: &str) -> Result<String, GitError> {
    let commit = format!("{word}^{{commit}}");
    let args = ["--verify", "--quiet", "--end-of-options", &commit];
    let output = run(root, "rev-parse", &args).map_err(|error| match error {
        GitError::Refused(reason) if reason.is_empty() => {
            GitError::Refused("no such commit".to_owned())
        }
        error => error,
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Every file of a commit below `root`.
pub(crate) fn files(root: &Path, commit: &str) -> Result<Vec<String>, GitError> {
    let output = run(root, "ls-tree", &["-r", "-z", "--name-only", commit])?;
    Ok(zero_separated(&output))
}

/// The bytes of a file of a commit.
pub(crate) fn blob(root: &Path, commit: &str, path: &str) -> Result<Vec<u8>, GitError> {
    let object = format!("{commit}:./{path}");
    Ok(run(root, "cat-file", &["blob", &object])?.stdout)
}

fn run(root: &Path, what: &str, args: &[&str]) -> Result<Output, GitError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).arg(what).args(args);
    let output = command.output().map_err(GitError::NotRun)?;
    match output.status.success() {
        true => Ok(output),
        false => {
            let reason = String::from_utf8_lossy(&output.stderr);
            Err(GitError::Refused(reason.trim().to_owned()))
        }
    }
}
