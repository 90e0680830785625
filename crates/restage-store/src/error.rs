//! What can go wrong in the store.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use restage_core::digest::{Digest, ManifestError};
use restage_core::fs::FsError;
use restage_core::process::ProcessRef;

/// The store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A newer restage made the store.
    #[error("`{}` has format {found}, and this restage knows formats up to {known}", dir.display())]
    NewerFormat {
        /// The store's folder.
        dir: PathBuf,
        /// Its format.
        found: String,
        /// The newest that can be read.
        known: u32,
    },
    /// A shared store can't be written to.
    #[error("the shared store `{}` can't be used: {source}", dir.display())]
    ReadOnly {
        /// The store's folder.
        dir: PathBuf,
        /// What failed.
        source: FsError,
    },
    /// The folder given as the shared store belongs to one workspace.
    #[error("`{}` belongs to another workspace", dir.display())]
    NotShared {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder given for a store has something else in it.
    #[error("`{}` is not a store: it has `{found}`, which restage did not make", dir.display())]
    NotAStore {
        /// The folder.
        dir: PathBuf,
        /// The first name in it that is not ours.
        found: String,
    },
    /// Something else is where a folder of the store belongs.
    #[error("`{}` is a folder of restage's own, and a link or file is there", path.display())]
    NotAFolder {
        /// Its place.
        path: PathBuf,
    },
    /// Another process has the store open, and the operation needs it alone.
    #[error("another restage has `{}` open; nothing was changed", dir.display())]
    InUse {
        /// The store's folder.
        dir: PathBuf,
    },
    /// An object's bytes don't match its name. It was moved aside, so the stage that writes it
    /// counts as not run.
    #[error("object {} is damaged: its bytes have a different digest", digest.short())]
    CorruptObject {
        /// The digest in its name.
        digest: Digest,
        /// Where it was moved to.
        moved_to: PathBuf,
    },
    /// An object is not there.
    #[error("object {} is missing from the store", digest.short())]
    MissingObject {
        /// Its digest.
        digest: Digest,
    },
    /// A folder's manifest has the right digest but describes no folder.
    #[error("object {} is not a folder: {source}", digest.short())]
    NoManifest {
        /// Its digest.
        digest: Digest,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A folder's object has nothing at this path.
    #[error("object {} does not contain `{path}`", digest.short())]
    NotInTree {
        /// The folder's digest.
        digest: Digest,
        /// The path inside it.
        path: String,
    },
    /// `pipeline.lock` can't be read.
    #[error("`{}` can't be read: {reason}", path.display())]
    LockFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else took the lease of a key at the same moment.
    #[error("another restage took over key {} at the same moment", key.short())]
    LeaseTaken {
        /// The key.
        key: Digest,
    },
    /// A batch of tasks can't be read.
    #[error("the batch `{}` can't be read: {reason}", dir.display())]
    Batch {
        /// Its folder.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file changed after it was digested.
    #[error("`{}` changed after it was read", path.display())]
    SourceChanged {
        /// The file.
        path: PathBuf,
    },
    /// A record that is not about the locked key.
    #[error("a record of key {} can't be committed by the lock on key {}", record.short(), lock.short())]
    WrongKey {
        /// The record's.
        record: Digest,
        /// The lock's.
        lock: Digest,
    },
    /// A stage that a dead restage started is still running and can't be stopped.
    #[error("process {} still runs for a restage that is gone, and can't be stopped", process.pid)]
    Orphan {
        /// The stage's process.
        process: ProcessRef,
    },
}

impl StoreError {
    /// The error of whoever wanted an object's file.
    pub(super) fn of_object(error: FsError) -> Self {
        match object_gone(&error) {
            Some(digest) => Self::MissingObject { digest },
            None => Self::Fs(error),
        }
    }

    /// The object that is missing or damaged, if that is what is wrong.
    pub fn lost_object(&self) -> Option<Digest> {
        match self {
            Self::MissingObject { digest } | Self::CorruptObject { digest, .. } => Some(*digest),
            Self::Fs(error) => object_gone(error),
            _ => None,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::LeaseTaken { .. } => "run again: it waits for that one",
            Self::Batch { .. } => {
                "it may have been copied or edited; if none of its jobs is left, remove the folder: what it was to \
                 make runs again"
            }
            Self::Fs(error) => error.hint()?,
            Self::NewerFormat { .. } => {
                "update restage, or move the folder away: every stage then runs again"
            }
            Self::ReadOnly { .. } => {
                "nothing was changed; give your group write permission (`chmod -R g+rwX`, and umask \
                 002 for everyone who uses it), or go on without `--store` and RESTAGE_STORE"
            }
            Self::NotShared { .. } => {
                "nothing was changed; name a folder, or let the link `.restage` lead to one, that does \
                 not belong to a workspace"
            }
            Self::NotAStore { dir, .. } => {
                let dir = dir.display();
                return Some(format!(
                    "nothing was changed; restage would have put its objects and records into `{dir}`, \
                     emptied `tmp` in it, and told backups to skip all of it: name a folder that \
                     is empty or missing (`--store DIR` or RESTAGE_STORE), such as `{dir}/restage`"
                ));
            }
            Self::NotAFolder { .. } => {
                "nothing was changed; move it away. To keep results on another disk, use \
                 `--store DIR`"
            }
            Self::InUse { .. } => "wait until it ends, or run this again later",
            Self::CorruptObject { .. }
            | Self::MissingObject { .. }
            | Self::NoManifest { .. }
            | Self::NotInTree { .. } => {
                "run `restage reproduce` again: the stage that writes it will run"
            }
            Self::LockFile { .. } => {
                "run `restage reproduce`: it sets the file aside and writes a new one; no result is lost"
            }
            Self::SourceChanged { .. } => {
                "nothing was recorded: leave the file alone and run again"
            }
            Self::Orphan { .. } => "stop that process, then run again",
            Self::WrongKey { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// The object whose file was not there: another thread may set it aside at any moment.
pub fn object_gone(error: &FsError) -> Option<Digest> {
    if error.source.kind() != io::ErrorKind::NotFound {
        return None;
    }
    let mut parts = error.path.iter().rev();
    let (file, folder) = (parts.next()?, parts.next()?.to_str()?);
    let digest = digest_named(folder, file)?;
    (parts.next()? == "objects").then_some(digest)
}

/// The digest of an object, by the names of its folder and its file.
pub(super) fn digest_named(folder: &str, file: &OsStr) -> Option<Digest> {
    format!("{folder}{}", file.to_str()?).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objects_file_that_is_gone_is_a_lost_object_and_no_other_file_is() {
        let digest = Digest::of(b"x");
        let hex = digest.to_string();
        let gone = |path: String, kind: io::ErrorKind| {
            let error = FsError {
                op: "look at",
                path: path.into(),
                source: kind.into(),
            };
            StoreError::Fs(error).lost_object()
        };
        let object = |folder: &str| format!("/w/.restage/{folder}/{}/{}", &hex[..2], &hex[2..]);
        assert_eq!(
            gone(object("objects"), io::ErrorKind::NotFound),
            Some(digest)
        );
        assert_eq!(
            gone(object("objects"), io::ErrorKind::PermissionDenied),
            None
        );
        assert_eq!(gone(object("records"), io::ErrorKind::NotFound), None);
        assert_eq!(gone("/w/objects".into(), io::ErrorKind::NotFound), None);
    }
}
