//! A file while it is being fetched: its bytes so far, and a note on what they belong to.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use restage_core::fs::{self, FsError};

/// A partly fetched file in the scratch folder.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
    note: PathBuf,
}

/// What the bytes belong to: without it they cannot be continued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) url: String,
    /// The server's name for this version of the file: a strong `ETag` or `Last-Modified`.
    pub(crate) validator: Option<String>,
    /// The whole file's length, if the server told.
    pub(crate) total: Option<u64>,
}

impl Partial {
    pub(crate) fn new(scratch: &Path) -> Self {
        Self {
            path: scratch.join("fetched.partial"),
            note: scratch.join("fetched.json"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are there.
    pub(crate) fn len(&self) -> Result<u64, FsError> {
        Ok(fs::metadata_if_exists(&self.path)?.map_or(0, |found| found.len()))
    }

    /// The note, if there is one for this address; a damaged one counts as none.
    pub(crate) fn note(&self, url: &str) -> Result<Option<Note>, FsError> {
        let bytes = fs::read_if_exists(&self.note)?.unwrap_or_default();
        let note: Option<Note> = serde_json::from_slice(&bytes).ok();
        Ok(note.filter(|note| note.url == url))
    }

    /// Begins with nothing: drops old bytes before the new note, so that no note is ever above bytes of
    /// another version.
    pub(crate) fn restart(&self, note: &Note) -> Result<File, FsError> {
        self.remove()?;
        let text = serde_json::to_string(note).expect("texts and numbers");
        fs::write_atomic(&self.note, text.as_bytes())?;
        fs::create(&self.path)
    }

    /// Opens the bytes for more.
    pub(crate) fn append(&self) -> Result<File, FsError> {
        fs::append(&self.path)
    }

    /// Removes bytes and note.
    pub(crate) fn remove(&self) -> Result<(), FsError> {
        fs::remove_all(&self.path)?;
        fs::remove_all(&self.note)
    }
}
