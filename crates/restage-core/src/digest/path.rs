//! The digest of a file or folder.

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::hash::Digest;

/// The content of a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PathDigest {
    /// Of a file's bytes, or of a folder's [manifest](super::Manifest).
    pub digest: Digest,
    /// File or folder.
    pub kind: Kind,
    /// Bytes in the file, or in all files of the folder.
    pub size: u64,
    /// 1, or the number of files in the folder.
    pub files: u64,
}

/// File or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file; whether its owner may execute it is its only permission that counts.
    File {
        /// The owner's execute bit.
        executable: bool,
    },
    /// A folder.
    Tree,
}

impl PathDigest {
    /// One digest that covers the execute bit too: equal exactly when a stage that reads the path
    /// reads the same. It is `digest` itself, except for an executable file.
    pub fn content_id(&self) -> Digest {
        match self.kind {
            Kind::File { executable: true } => {
                let mut frame = Frame::new("restage executable file");
                frame.digest(&self.digest);
                frame.finish()
            }
            Kind::File { executable: false } | Kind::Tree => self.digest,
        }
    }
}
