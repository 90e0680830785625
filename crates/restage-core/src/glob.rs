//! Patterns over paths below the pipeline's folder: `*`, `?`, `[..]`, `{a,b}` and `**`.
//!
//! `*` and `?` never match `/`; `**/` matches any number of folders, even none; a final
//! `/**` matches everything below a folder, but not the folder itself. A backslash is an
//! ordinary character: a special one is escaped as `[*]`.

use std::fmt;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{ErrorKind, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::rel_path::{RelPath, RelPathError};

/// A pattern, ready to match.
#[derive(Debug, Clone)]
pub struct Glob {
    pattern: String,
    prefix: String,
    matcher: GlobSet,
    /// For each leading part of the pattern, whether a folder matches up to there; as far as a
    /// part stands for one folder.
    folders: Vec<GlobSet>,
    /// Whether parts follow that may stand for any number of folders.
    any_depth: bool,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// The pattern is not a path below the pipeline's folder.
    #[error(transparent)]
    Path(#[from] RelPathError),
    /// `..` in a pattern: its meaning would depend on the disk.
    #[error("pattern has `..`")]
    Parent,
    /// Unbalanced brackets and the like.
    #[error("{0}")]
    Syntax(String),
}

impl Glob {
    /// Whether `text` has a character that is special in patterns.
    pub fn is_glob(text: &str) -> bool {
        text.contains(['*', '?', '[', '{'])
    }

    /// The pattern that matches this path alone.
    pub fn escape(path: &str) -> String {
        path.chars()
            .map(|c| match c {
                '*' | '?' | '[' | '{' | '}' => format!("[{c}]"),
                c => c.to_string(),
            })
            .collect()
    }

    /// Reads and normalises a pattern (`./a//*.csv` is `a/*.csv`).
    pub fn new(text: &str) -> Result<Self, GlobError> {
        if text.split('/').any(|part| part == "..") {
            return Err(GlobError::Parent);
        }
        let pattern = RelPath::new(text)?.as_str().to_owned();
        let compile = |pattern: &str| {
            let glob = GlobBuilder::new(pattern)
                .literal_separator(true)
                .backslash_escape(false)
                .build();
            // A set of one: a single pattern that is too much for the regex crate panics.
            glob.and_then(|glob| GlobSetBuilder::new().add(glob).build())
        };
        let matcher = compile(&pattern).map_err(|error| {
            GlobError::Syntax(match error.kind() {
                ErrorKind::Regex(_) => "too many alternatives, or nested too deep".to_owned(),
                kind => kind.to_string(),
            })
        })?;
        let above = pattern.match_indices('/').map(|(at, _)| &pattern[..at]);
        let above: Vec<&str> = above.collect();
        let is_plain = |part: &&&str| !part.contains("**") && !part.contains('{');
        let plain: Vec<_> = above.iter().take_while(is_plain).copied().collect();
        let folders: Vec<GlobSet> = plain.iter().map_while(|part| compile(part).ok()).collect();
        let any_depth =
            folders.len() < above.len() || pattern.contains("**") || pattern.contains('{');
        let literal = pattern.find(['*', '?', '[', '{']).unwrap_or(pattern.len());
        let prefix = pattern[..literal].to_owned();
        Ok(Self {
            pattern,
            prefix,
            matcher,
            folders,
            any_depth,
        })
    }

    /// The normalised pattern.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// The text before the first special character: every match begins with it.
    pub fn literal_prefix(&self) -> &str {
        &self.prefix
    }

    /// The folder that contains every match, `""` for the pipeline's own: where a walk begins.
    pub fn base_folder(&self) -> &str {
        self.prefix
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder)
    }

    /// The part of a match that the pattern leaves open: `43` of `run-*/a.csv` and `run-43/a.csv`.
    pub fn open_part<'p>(&self, path: &'p RelPath) -> &'p str {
        let special = |c| matches!(c, '*' | '?' | ']' | '}');
        let end = self.pattern.rfind(special).map_or(0, |last| last + 1);
        let path = path.as_str();
        let path = path.strip_prefix(self.prefix.as_str()).unwrap_or(path);
        path.strip_suffix(&self.pattern[end..]).unwrap_or(path)
    }

    /// Whether the pattern matches this path.
    pub fn matches(&self, path: &RelPath) -> bool {
        self.matches_path(Path::new(path.as_str()))
    }

    /// Like [`Glob::matches`], for a path with any name.
    pub fn matches_path(&self, path: &Path) -> bool {
        let bytes = path.as_os_str().as_bytes();
        bytes.starts_with(self.prefix.as_bytes()) && self.matcher.is_match(path)
    }

    /// Whether a folder may have a match somewhere in it.
    pub fn may_match_in(&self, folder: &Path) -> bool {
        match folder.components().count().checked_sub(1) {
            None => true,
            Some(at) => match self.folders.get(at) {
                Some(matcher) => matcher.is_match(folder),
                None => self.any_depth,
            },
        }
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for Glob {}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::new(pattern)
            .unwrap()
            .matches(&RelPath::new(path).unwrap())
    }

    #[test]
    fn an_escaped_path_is_a_pattern_of_itself_alone() {
        let path = |text: &str| RelPath::new(text).unwrap();
        for text in ["a*b", "d [v1].csv", "{a,b}", "x?", "a]b"] {
            let glob = Glob::new(&Glob::escape(text)).unwrap();
            assert!(glob.matches(&path(text)), "{text}");
            assert!(
                !glob.matches(&path("aab")) && !glob.matches(&path("a")),
                "{text}"
            );
        }
    }

    #[test]
    fn stars_stay_within_a_folder() {
        assert!(matches("a/*.csv", "a/b.csv"));
        assert!(!matches("a/*.csv", "a/b/c.csv"));
        assert!(!matches("a?b", "a/b"));
    }

    #[test]
    fn two_stars_cross_folders() {
        assert!(matches("a/**/c.csv", "a/c.csv"));
        assert!(matches("a/**/c.csv", "a/x/y/c.csv"));
        assert!(matches("a/**", "a/x/y"));
        assert!(!matches("a/**", "a"));
    }

    #[test]
    fn braces_and_classes_list_alternatives() {
        assert!(matches("a/{b,c}.csv", "a/c.csv"));
        assert!(!matches("a/{b,c}.csv", "a/d.csv"));
        assert!(matches("a[0-9]", "a7"));
    }

    #[test]
    fn what_is_too_much_for_one_pattern_is_refused() {
        let deep = format!("{}a{}", "{a,".repeat(300), "}".repeat(300));
        let many: Vec<String> = (0..40_000)
            .map(|n| format!("data/file{n:06}.csv"))
            .collect();
        let many = format!("{{{}}}", many.join(","));
        for pattern in [deep, many] {
            let error = Glob::new(&pattern).unwrap_err();
            assert!(
                error.to_string().contains("too many alternatives"),
                "{error}"
            );
        }
    }

    #[test]
    fn broken_patterns_are_refused() {
        assert_eq!(Glob::new("../*"), Err(GlobError::Parent));
        assert_eq!(Glob::new("a/../*"), Err(GlobError::Parent));
        assert_eq!(
            Glob::new("/*"),
            Err(GlobError::Path(RelPathError::Absolute))
        );
        assert!(matches!(Glob::new("a[b"), Err(GlobError::Syntax(_))));
        assert!(matches!(Glob::new("a{b"), Err(GlobError::Syntax(_))));
    }

    #[test]
    fn the_open_part_tells_matches_apart() {
        let part = |pattern: &str, path: &str| {
            let path = RelPath::new(path).unwrap();
            assert!(Glob::new(pattern).unwrap().matches(&path), "{pattern}");
            Glob::new(pattern).unwrap().open_part(&path).to_owned()
        };
        assert_eq!(part("a/run-*/x.csv", "a/run-43/x.csv"), "43");
        assert_eq!(part("a/*/run-[0-9].csv", "a/b/run-4.csv"), "b/run-4");
        assert_eq!(part("a/{x,y}-?.csv", "a/x-1.csv"), "x-1");
        assert_eq!(part("a/**/x.csv", "a/x.csv"), "x.csv");
        assert_eq!(part("a/**", "a/x/y"), "x/y");
    }

    #[test]
    fn folders_without_a_match_in_them_are_known() {
        let may = |pattern: &str, folder: &str| {
            Glob::new(pattern).unwrap().may_match_in(Path::new(folder))
        };
        assert!(may("a/*/c.csv", "a"));
        assert!(may("a/*/c.csv", "a/x"));
        assert!(!may("a/*/c.csv", "b"));
        assert!(!may("a/*/c.csv", "a/x/y"));
        assert!(!may("*.csv", "a"));
        assert!(may("a/**/c.csv", "a/x/y/z"));
        assert!(!may("a/**/c.csv", "b"));
        assert!(may("{a/b,c}/d", "a/b"));
        assert!(may("a[/]b/c", "a"));
    }

    #[test]
    fn the_base_folder_holds_every_match() {
        assert_eq!(Glob::new("./a//b*/c").unwrap().base_folder(), "a");
        assert_eq!(Glob::new("*.csv").unwrap().base_folder(), "");
        assert_eq!(Glob::new("a/b/**").unwrap().base_folder(), "a/b");
    }
}
