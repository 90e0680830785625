//! Where images came from, in a small file beside the batches.
//! It must not decide what the origin is called; whoever fetched or made the images does.

use std::path::{Path, PathBuf};

use contract::files::{self, FileError};

/// The origin of the images in a folder of batches.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What tables and figures call the data, such as `CIFAR-10`.
    pub label: String,
    /// How it was made: `cifar10` or `synthetic`.
    pub kind: String,
    /// SHA-256 of the archive, in hexadecimal; none for images that were generated.
    pub sha256: Option<String>,
}

/// A note on the origin that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file's text is not what it should be.
    #[error("`{}` does not describe an origin: {problem}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: serde_json::Error,
    },
}

impl Source {
    /// The file's name in the folder of batches.
    pub const FILE: &str = "SOURCE.json";

    /// Reads the note from a folder of batches.
    ///
    /// # Errors
    /// A file that is not there, not readable or not of this form.
    pub fn read(folder: &Path) -> Result<Self, SourceError> {
        let path = folder.join(Self::FILE);
        let text = files::read_to_string(&path)?;
        serde_json::from_str(&text).map_err(|problem| SourceError::Text { path, problem })
    }

    /// Writes the note into a folder of batches.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), SourceError> {
        files::write_atomic(folder.join(Self::FILE), |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            out.write_all(b"\n")
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source {
            label: "CIFAR-10 \"copy\"".to_owned(),
            kind: "cifar10".to_owned(),
            sha256: Some("00ff".to_owned()),
        };
        source.write(folder.path()).unwrap();
        assert_eq!(Source::read(folder.path()).unwrap(), source);
    }

    #[test]
    fn another_text_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(Source::FILE), "{\"label\":1}").unwrap();
        let error = Source::read(folder.path()).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "`{}/SOURCE.json` does not",
                folder.path().display()
            )),
            "{error}"
        );
    }
}
