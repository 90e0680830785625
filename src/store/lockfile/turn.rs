//! Whose turn it is to read `pipeline.lock` and replace it: two at once would lose one's entries.
//! It must not know what is written.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::base::fs::{self, Context, FsError};

/// The right to replace the file; dropped, or when its process dies, it is the next one's.
#[derive(Debug)]
#[must_use = "a turn that is dropped is over"]
pub struct Turn {
    _lock: File,
}

impl Turn {
    /// Waits for the turn. `store` is the store's folder beside the file: a lock on the file
    /// itself would go with each replacement.
    pub fn wait(store: &Path) -> Result<Self, FsError> {
        let path = store.join("pipeline.lock.turn");
        let lock = fs::open_or_create(&path)?;
        loop {
            match flock(&lock, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Self { _lock: lock }),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).at("lock", &path),
            }
        }
    }
}
