//! How much there is of something, and how much of the disk it takes.
//! It must not know what it counts.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::base::fs::{self, FsError};

/// What goes and what stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Things that go.
    pub removed: usize,
    /// Bytes of the disk that come free.
    pub bytes: u64,
    /// Things that stay.
    pub kept: usize,
}

/// Bytes that come free. A file with several names takes its bytes until the last one goes:
/// a work folder's inputs are names of objects, and so are outs in the workspace.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// Names that go, of files with several.
    going: BTreeMap<(u64, u64), u64>,
}

impl Sizes {
    /// Bytes that come free when this goes after all that was asked about before.
    pub(super) fn freed_by(&mut self, path: &Path) -> Result<u64, FsError> {
        let found = fs::symlink_metadata(path)?;
        if !found.is_dir() {
            return Ok(self.file(&found));
        }
        let entries = fs::walk(path)?;
        let files = entries.iter().filter(|entry| !entry.metadata.is_dir());
        Ok(files.map(|entry| self.file(&entry.metadata)).sum())
    }

    fn file(&mut self, found: &Metadata) -> u64 {
        let going = self.going.entry((found.dev(), found.ino())).or_default();
        *going += 1;
        if *going == found.nlink() {
            found.len()
        } else {
            0
        }
    }
}
