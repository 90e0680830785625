//! Scratch folders: what the attempts of a key share. Each owner who can't know whether the one before still
//! writes, on a machine that can't be seen from here, gets another folder.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::StoreError;
use super::listing::Listing;
use super::location::Location;
use restage_core::digest::Digest;
use restage_core::fs::{self, FsError};

/// How often a copy is tried of a folder that somebody writes in.
const TRIES: u32 = 3;
/// Longer than file systems need between two writes for their times to differ.
const TICK: Duration = Duration::from_millis(50);

/// The scratch folders of a key.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    folder: PathBuf,
    key: Digest,
}

impl Scratch {
    pub(super) fn of(location: &Location, key: &Digest) -> Self {
        Self {
            folder: folder(location),
            key: *key,
        }
    }

    /// The `n`th folder, from 1. It need not exist.
    pub(super) fn path(&self, n: u32) -> PathBuf {
        match n {
            0 | 1 => self.folder.join(self.key.to_string()),
            n => self.folder.join(format!("{}.{n}", self.key)),
        }
    }

    /// Makes the folder after the `n`th, with what that holds if nobody writes there: a checkpoint that
    /// was replaced while others were copied would not fit them. Returns whether it holds anything.
    pub(super) fn follow(&self, n: u32) -> Result<bool, StoreError> {
        let (from, to) = (self.path(n), self.path(n + 1));
        for _ in 0..TRIES {
            // Of an owner who died while copying.
            fs::remove_all(&to)?;
            let before = state(&from)?;
            if before.is_empty() {
                break;
            }
            std::thread::sleep(TICK);
            let copied = copy(&from, &to);
            if copied.is_ok() && state(&from)? == before {
                return Ok(true);
            }
        }
        fs::remove_all(&to)?;
        fs::create_dir_all(&to)?;
        Ok(false)
    }
}

/// The folder of all.
fn folder(location: &Location) -> PathBuf {
    location.dir().join("scratch")
}

/// All scratch folders, those of a key in any order.
pub(super) fn list(location: &Location) -> Result<Listing, StoreError> {
    let folder = folder(location);
    let mut listing = Listing::default();
    for name in fs::read_dir_if_exists(&folder)? {
        let text = name.to_str().unwrap_or_default();
        let key = match text.split_once('.') {
            Some((key, n)) => n.parse::<u32>().ok().and(key.parse().ok()),
            None => text.parse().ok(),
        };
        listing.add(folder.join(&name), key);
    }
    Ok(listing)
}

/// Everything in a folder, and what of it changes when it is written. Files are opened: on a network file
/// system that, and not `stat`, asks the server.
fn state(folder: &Path) -> Result<Vec<(PathBuf, [i64; 5])>, FsError> {
    if !fs::symlink_metadata_if_exists(folder)?.is_some_and(|found| found.is_dir()) {
        return Ok(Vec::new());
    }
    let entries = fs::walk(folder)?.into_iter();
    let states = entries.map(|entry| {
        let metadata = match entry.metadata.is_file() {
            true => fs::open(&folder.join(&entry.path))?
                .metadata()
                .unwrap_or(entry.metadata),
            false => entry.metadata,
        };
        let inode = i64::from_ne_bytes(metadata.ino().to_ne_bytes());
        let size = i64::from_ne_bytes(metadata.size().to_ne_bytes());
        let mode = i64::from(metadata.mode());
        let written = [metadata.mtime(), metadata.mtime_nsec()];
        Ok((entry.path, [inode, size, mode, written[0], written[1]]))
    });
    states.collect()
}

/// Copies files, links and folders, with their modes and times.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(to)?;
    for entry in fs::walk(from)? {
        let (source, target) = (from.join(&entry.path), to.join(&entry.path));
        let metadata = &entry.metadata;
        if metadata.is_dir() {
            fs::create_dir(&target)?;
        } else if metadata.is_symlink() {
            fs::symlink(&fs::read_link(&source)?, &target)?;
        } else if metadata.is_file() {
            fs::copy(&source, &target)?;
            // By their times, programs find the latest of several checkpoints.
            fs::set_modified(&target, metadata)?;
            fs::set_mode(&target, metadata.permissions().mode())?;
        }
    }
    Ok(())
}
