//! `restage.local.toml`: where this machine has what the pipeline needs. It is not committed, and nothing
//! that it says enters a key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use restage_core::files::LOCAL_FILE;
use restage_core::fs;

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
        let unreadable = |reason: String| LocalError { line: None, reason };
        let bytes = fs::read_if_exists(&root.join(LOCAL_FILE));
        let Some(bytes) = bytes.map_err(|error| unreadable(error.to_string()))? else {
            return Ok(Self::default());
        };
        let text =
            String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
        Self::parse(&text)
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
