//! Which files git has exactly as they are.
//! It must not know what the files are for.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Paths given to git at once: a command line has its limit.
const AT_ONCE: usize = 500;

/// Files and folders that are in the checked-out commit, byte for byte.
#[derive(Debug)]
pub(crate) struct Committed {
    /// `None` where there is no repository, commit or git.
    others: Option<BTreeSet<String>>,
}

impl Committed {
    /// Asks git about these paths below `root`.
    pub(crate) fn look<'a>(root: &Path, paths: impl IntoIterator<Item = &'a str>) -> Self {
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
                match git(root, question, some) {
                    Some(names) => others.extend(names),
                    None => return Self { others: None },
                }
            }
        }
        Self {
            others: Some(others),
        }
    }

    /// Whether what stands at a path is committed; `None` if git can't tell.
    pub(crate) fn has(&self, path: &str) -> Option<bool> {
        let others = self.others.as_ref()?;
        let inside = format!("{path}/");
        let first_inside = others.range(inside.clone()..).next();
        Some(
            !others.contains(path) && !first_inside.is_some_and(|other| other.starts_with(&inside)),
        )
    }
}

fn git(root: &Path, question: &[&str], paths: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new("git");
    command.arg("--literal-pathspecs").arg("-C").arg(root);
    let output = command.args(question).arg("--").args(paths).output().ok()?;
    let names = String::from_utf8_lossy(&output.stdout);
    let names = names.split('\0').filter(|name| !name.is_empty());
    output
        .status
        .success()
        .then(|| names.map(str::to_owned).collect())
}
