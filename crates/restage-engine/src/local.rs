//! `restage.local.toml`: where this machine has what the pipeline needs. It is not committed, and nothing
//! that it says enters a key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use restage_core::files::LOCAL_FILE;
use restage_core::fs;

/// The names under `[data]` that are not among `known`, each with its line. A file that can't be used has
/// none: whoever reads data from it says why.
pub fn unknown_local_data(root: &Path, known: &[&str]) -> Vec<(String, usize)> {
    let Ok(Some(text)) = text(root) else {
        return Vec::new();
    };
    unknown(&text, known)
}

fn unknown(text: &str, known: &[&str]) -> Vec<(String, usize)> {
    let table = DeTable::parse(text).ok();
    let data = table.as_ref().and_then(|table| table.get_ref().get("data"));
    let Some(DeValue::Table(data)) = data.map(Spanned::get_ref) else {
        return Vec::new();
    };
    let line = |at: usize| {
        text.as_bytes()[..at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    };
    let names = data
        .keys()
        .map(|key| (key.get_ref().to_string(), line(key.span().start)));
    let unknown = names.filter(|(name, _)| !known.contains(&name.as_str()));
    let mut unknown: Vec<(String, usize)> = unknown.collect();
    unknown.sort_by_key(|(_, line)| *line);
    unknown
}

/// The file's text.
fn text(root: &Path) -> Result<Option<String>, LocalError> {
    let unreadable = |reason: String| LocalError { line: None, reason };
    let bytes = fs::read_if_exists(&root.join(LOCAL_FILE));
    let Some(bytes) = bytes.map_err(|error| unreadable(error.to_string()))? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    Ok(Some(text))
}

/// What the file says; nothing where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Local {
    /// Where data is, by its name.
    #[serde(default)]
    data: BTreeMap<String, PathBuf>,
}

/// Why the file can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{LOCAL_FILE}{}: {reason}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct LocalError {
    /// Where, from 1.
    line: Option<usize>,
    reason: String,
}

impl Local {
    /// Reads the file in a pipeline's folder.
    pub(crate) fn read(root: &Path) -> Result<Self, LocalError> {
        match text(root)? {
            Some(text) => Self::parse(&text),
            None => Ok(Self::default()),
        }
    }

    fn parse(text: &str) -> Result<Self, LocalError> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            LocalError {
                line: before.map(|before| before.matches('\n').count() + 1),
                reason: error.message().to_owned(),
            }
        })
    }

    /// Where data of this name is, if the file says so.
    pub(crate) fn data(&self, name: &str) -> Option<&Path> {
        self.data.get(name).map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_says_of_data_is_found_by_its_name() {
        let local = Local::parse("[data]\nimagenet = \"/mnt/x\"\n").expect("a sound file");
        assert_eq!(local.data("imagenet"), Some(Path::new("/mnt/x")));
        assert_eq!(local.data("other"), None);
        assert_eq!(Local::parse(""), Ok(Local::default()));
    }

    #[test]
    fn names_that_no_data_has_are_found_with_their_lines() {
        let text = "# here\n[data]\nb = \"/b\"\na = \"/a\"\n'odd name' = \"/c\"\n";
        let found = |known: &[&str]| unknown(text, known);
        assert_eq!(found(&["a", "b", "odd name"]), []);
        let two = [("b".to_owned(), 3), ("odd name".to_owned(), 5)];
        assert_eq!(found(&["a"]), two);
        assert_eq!(unknown("[data\n", &[]), []);
        assert_eq!(unknown("data.x = 1\n", &[]), [("x".to_owned(), 1)]);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, line) in [
            ("[data]\n\nx = 1\n", 3),
            ("[dta]\nx = \"y\"\n", 1),
            ("[data\n", 1),
        ] {
            let error = Local::parse(text).expect_err("a mistake").to_string();
            let start = format!("{LOCAL_FILE}:{line}: ");
            assert!(error.starts_with(&start), "{error}");
        }
    }
}
