//! What restage passes over when it reads a folder or looks for the matches of a pattern: files that
//! editors, interpreters and version control leave there. Rules have gitignore's syntax.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::fs::{self, FsError};
use crate::rel_path::RelPath;

/// The file with the project's own rules, in the pipeline's folder.
pub const IGNORE_FILE: &str = ".restageignore";

/// Rules that hold without any file. The reference page lists them.
pub const DEFAULTS: [&str; 22] = [
    ".restage/",
    ".git",
    ".hg/",
    ".jj/",
    ".svn/",
    "__pycache__/",
    "*.py[co]",
    ".ipynb_checkpoints/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".DS_Store",
    "._*",
    "Thumbs.db",
    "desktop.ini",
    "*~",
    ".*.sw?",
    "*.swp",
    ".#*",
    "\\#*#",
    ".nfs*",
    ".fuse_hidden*",
];

/// Rules, ready to match.
#[derive(Debug)]
pub struct Ignored(Gitignore);

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum IgnoredError {
    /// The file can't be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A line is not a rule.
    #[error("line {line} of `{IGNORE_FILE}` is not a rule: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl Ignored {
    /// The default rules and those of the file below `root`, if it is there: the last rule that
    /// matches decides, and one that begins with `!` takes an earlier one back.
    pub fn load(root: &Path) -> Result<Self, IgnoredError> {
        Self::new(&text(root)?.unwrap_or_default())
    }

    fn new(text: &str) -> Result<Self, IgnoredError> {
        let bad = |line, error: &ignore::Error| IgnoredError::Line {
            line,
            reason: error.to_string(),
        };
        let mut rules = GitignoreBuilder::new("");
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let own = text.lines().zip(1..);
        for (line, number) in DEFAULTS.into_iter().map(|line| (line, 0)).chain(own) {
            rules
                .add_line(None, line)
                .map_err(|error| bad(number, &error))?;
        }
        rules
            .build()
            .map(Self)
            .map_err(|error| bad(text.lines().count(), &error))
    }

    /// Whether to pass over a path below the pipeline's folder, a folder with all that is in it.
    pub fn matches(&self, path: &Path, is_folder: bool) -> bool {
        self.0.matched(path, is_folder).is_ignore()
    }

    /// The same for paths inside a folder that is at `folder`.
    pub fn inside<'a>(&'a self, folder: &'a RelPath) -> impl Fn(&Path, bool) -> bool + 'a {
        |path, is_folder| self.matches(&Path::new(folder.as_str()).join(path), is_folder)
    }
}

/// The text of the file; `None` if there is none.
pub fn text(root: &Path) -> Result<Option<String>, FsError> {
    let bytes = fs::read_if_exists(&root.join(IGNORE_FILE))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_junk_of_editors_interpreters_and_git_is_passed_over() {
        let rules = Ignored::new("").unwrap();
        for (path, is_folder) in [
            ("src/__pycache__", true),
            ("src/m.pyc", false),
            ("a/.DS_Store", false),
            ("a/.m.py.swp", false),
            ("a/m.py~", false),
            ("a/.#m.py", false),
            ("a/#m.py#", false),
            ("a/.ipynb_checkpoints", true),
            ("sub/.git", true),
            ("sub/.git", false),
        ] {
            assert!(rules.matches(Path::new(path), is_folder), "{path}");
        }
        for path in [
            "src/m.py",
            "a/DS_Store",
            "a/data.csv",
            ".gitignore",
            "a/#1.csv",
            "a.sw",
        ] {
            assert!(!rules.matches(Path::new(path), false), "{path}");
        }
    }

    #[test]
    fn own_rules_come_last_and_can_take_others_back() {
        let rules = Ignored::new("# ours\n/data/tmp/\n!*.pyc\n*.log\n!keep.log\n").unwrap();
        assert!(rules.matches(Path::new("data/tmp"), true));
        assert!(!rules.matches(Path::new("a/data/tmp"), true));
        assert!(!rules.matches(Path::new("a/m.pyc"), false));
        assert!(rules.matches(Path::new("a/x.log"), false));
        assert!(!rules.matches(Path::new("a/keep.log"), false));
    }

    #[test]
    fn a_line_that_is_not_a_rule_is_named() {
        let error = Ignored::new("ok\n[z-a]\n").unwrap_err().to_string();
        assert!(
            error.starts_with("line 2 of `.restageignore` is not a rule"),
            "{error}"
        );
    }
}
