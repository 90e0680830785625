//! The archive while it is being fetched: its bytes so far, and a note on what they belong to.
//! It must not know HTTP beyond the names of two headers.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use contract::files::{self, FileError};
use serde::{Deserialize, Serialize};

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
            path: scratch.join("archive.partial"),
            note: scratch.join("archive.partial.json"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are there.
    pub(crate) fn len(&self) -> Result<u64, FileError> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(FileError::new("read", &self.path)(error)),
        }
    }

    /// The note, if there is one for this address; a damaged one counts as none.
    pub(crate) fn note(&self, url: &str) -> Result<Option<Note>, FileError> {
        match fs::read_to_string(&self.note) {
            Ok(text) => {
                let note: Option<Note> = serde_json::from_str(&text).ok();
                Ok(note.filter(|note| note.url == url))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::new("read", &self.note)(error)),
        }
    }

    /// Begins anew: drops old bytes before the new note, so that no note is ever above
    /// bytes of another version.
    pub(crate) fn restart(&self, note: &Note) -> Result<File, FileError> {
        self.remove()?;
        files::write_atomic(&self.note, |out| {
            serde_json::to_writer(&mut *out, note)?;
            out.write_all(b"\n")
        })?;
        File::create(&self.path).map_err(FileError::new("write", &self.path))
    }

    /// Opens the bytes for more.
    pub(crate) fn append(&self) -> Result<File, FileError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path);
        file.map_err(FileError::new("write", &self.path))
    }

    /// Removes bytes and note.
    pub(crate) fn remove(&self) -> Result<(), FileError> {
        for path in [&self.path, &self.note] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(FileError::new("remove", path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
