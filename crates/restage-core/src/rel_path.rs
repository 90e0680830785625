//! A path below the pipeline's folder: relative, UTF-8, normalised, never leaving it.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A normalised path such as `data/quick/cifar10.bin`; `/` separates, no `.`, no `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

/// Why a text is not a path below the pipeline's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RelPathError {
    /// Nothing, or nothing but `.`.
    #[error("path is empty")]
    Empty,
    /// Starts with `/`.
    #[error("path is absolute")]
    Absolute,
    /// `..` climbs out of the folder.
    #[error("path leaves the pipeline's folder")]
    Outside,
    /// Has a control character (a NUL or a line break).
    #[error("path has a control character")]
    Control,
}

impl TryFrom<String> for RelPath {
    type Error = RelPathError;

    fn try_from(text: String) -> Result<Self, RelPathError> {
        Self::new(&text)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

impl RelPath {
    /// Normalises `a//b/./c/../d` to `a/b/d`.
    pub fn new(text: &str) -> Result<Self, RelPathError> {
        if text.chars().any(char::is_control) {
            return Err(RelPathError::Control);
        }
        if text.starts_with('/') {
            return Err(RelPathError::Absolute);
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or(RelPathError::Outside)?;
                }
                part => parts.push(part),
            }
        }
        if parts.is_empty() {
            return Err(RelPathError::Empty);
        }
        Ok(Self(parts.join("/")))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path below `root`.
    pub fn under(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }

    /// The path below `folder`, if it lies in there.
    pub fn inside(&self, folder: &RelPath) -> Option<&str> {
        self.0.strip_prefix(&folder.0)?.strip_prefix('/')
    }

    /// Whether `self` is `other` or lies inside it.
    pub fn is_within(&self, other: &RelPath) -> bool {
        self.0
            .strip_prefix(&other.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The folders that it lies in, and itself: `a`, `a/b`, `a/b/c`.
    pub fn and_folders(&self) -> impl Iterator<Item = &str> {
        let folders = self.0.match_indices('/').map(|(at, _)| &self.0[..at]);
        folders.chain([self.as_str()])
    }

    /// Whether it is one of `paths`, or lies inside one.
    pub fn is_within_any(&self, paths: &BTreeSet<RelPath>) -> bool {
        self.and_folders().any(|path| paths.contains(path))
    }

    /// Whether one of `paths` is it, or lies inside it.
    pub fn holds_any(&self, paths: &BTreeSet<RelPath>) -> bool {
        let inside = format!("{}/", self.0);
        let from = (Bound::Included(inside.as_str()), Bound::Unbounded);
        let mut after = paths.range::<str, _>(from);
        paths.contains(self.as_str()) || after.next().is_some_and(|path| path.is_within(self))
    }
}

/// Equal, and in the same order, as its text.
impl Borrow<str> for RelPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        assert_eq!(RelPath::new("./a//b/../c/").unwrap().as_str(), "a/c");
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        assert_eq!(RelPath::new("a/../../b"), Err(RelPathError::Outside));
        assert_eq!(RelPath::new("/a"), Err(RelPathError::Absolute));
        assert_eq!(RelPath::new("a/.."), Err(RelPathError::Empty));
        assert_eq!(RelPath::new("a\nb"), Err(RelPathError::Control));
    }

    #[test]
    fn a_path_is_within_itself_and_its_folders_only() {
        let p = |s| RelPath::new(s).unwrap();
        assert!(p("a/b").is_within(&p("a")));
        assert!(p("a").is_within(&p("a")));
        assert!(!p("ab").is_within(&p("a")));
        assert_eq!(p("a/b/c").inside(&p("a")), Some("b/c"));
        assert_eq!(p("a").inside(&p("a")), None);
        assert_eq!(p("ab").inside(&p("a")), None);
    }

    #[test]
    fn among_many_paths_those_that_hold_one_or_lie_in_it_are_found() {
        let p = |s| RelPath::new(s).unwrap();
        let paths = ["a-b", "a/b", "a/b/c", "a0", "d"].map(p).into();
        for (path, within, holds) in [
            ("a", false, true),
            ("a/b", true, true),
            ("a/b/x/y", true, false),
            ("a/c", false, false),
            ("a-b", true, true),
            ("a-b/x", true, false),
            ("d", true, true),
            ("da", false, false),
            ("b", false, false),
        ] {
            assert_eq!(p(path).is_within_any(&paths), within, "{path}");
            assert_eq!(p(path).holds_any(&paths), holds, "{path}");
        }
    }
}
