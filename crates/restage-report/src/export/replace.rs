//! What an export may replace: what an export made, and nothing else.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use restage_core::fs::{self, FsError};

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Something else is in the export's place.
    #[error("`{path}` is {what}; nothing was written", path = path.display())]
    NotOurs {
        /// The export's place.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The disk failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl PackageError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotOurs { .. } => {
                Some("name another place with `--out`, or move this one away".to_owned())
            }
            Self::Fs(error) => error.hint().map(ToOwned::to_owned),
        }
    }
}

/// Whether `path` may be replaced: nothing is there, or `ours` recognises an export.
pub(super) fn may_replace(
    path: &Path,
    ours: impl FnOnce(&Metadata) -> Result<Result<(), &'static str>, FsError>,
) -> Result<(), PackageError> {
    let Some(found) = fs::symlink_metadata_if_exists(path)? else {
        return Ok(());
    };
    ours(&found)?.map_err(|what| PackageError::NotOurs {
        path: path.to_owned(),
        what,
    })
}
