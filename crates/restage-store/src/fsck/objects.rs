//! Reads every object.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::check::{Check, CheckStep};
use super::report::{Problem, Remedy};
use crate::error::StoreError;
use crate::store::Store;
use restage_core::digest::{Digest, copy_and_digest};
use restage_core::fs;

/// What reading an object showed.
struct Seen {
    digest: Digest,
    inode: (u64, u64),
    size: u64,
    /// Its permission bits, if they were wrong.
    mode: Option<u32>,
    /// What is wrong with its bytes, and where it is now.
    damage: Option<(String, PathBuf)>,
}

impl Check<'_> {
    pub(super) fn read_objects(&mut self) -> Result<(), StoreError> {
        let listing = self.store.objects().list()?;
        let mut objects = Vec::new();
        let mut strays = listing.strays;
        let mut bytes = 0;
        for (digest, path) in listing.named {
            let found = fs::symlink_metadata(&path)?;
            if found.is_file() {
                bytes += found.len();
                objects.push((digest, path));
            } else {
                strays.push(path);
            }
        }
        for path in strays {
            self.stray(path)?;
        }
        (self.watch)(CheckStep::Begin(bytes));
        let (store, watch) = (self.store, self.watch);
        let seen: Vec<Seen> = objects
            .into_par_iter()
            .map(|(digest, path)| read(store, digest, &path, &mut Counted(watch)))
            .collect::<Result<_, StoreError>>()?;
        self.report.checked.objects = seen.len();
        for object in seen {
            let digest = object.digest;
            self.report.checked.bytes += object.size;
            if let Some(mode) = object.mode {
                let problem = Problem::ObjectMode { digest, mode };
                self.found(problem, Remedy::MadeReadOnly);
            }
            match object.damage {
                None => self.sound.add(object.inode, digest),
                Some((reason, aside)) => {
                    let problem = Problem::DamagedObject { digest, reason };
                    self.found(problem, Remedy::SetAside(aside));
                }
            }
        }
        Ok(())
    }
}

/// Counts what is written to it, and drops it.
struct Counted<'a>(&'a (dyn Fn(CheckStep) + Sync));

impl io::Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(CheckStep::Read(bytes.len() as u64));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read(
    store: &Store,
    digest: Digest,
    path: &Path,
    counted: &mut Counted<'_>,
) -> Result<Seen, StoreError> {
    let found = fs::symlink_metadata(path)?;
    let mode = found.permissions().mode() & 0o7777;
    let right = mode & 0o444 | 0o400;
    if mode != right {
        fs::set_mode(path, right)?;
    }
    let actual = copy_and_digest(path, counted, path);
    // With its mode corrected, so that only its bytes are in doubt.
    let now = fs::symlink_metadata(path)?;
    let known = actual.as_ref().ok().map(|(digest, _)| *digest);
    store.stat_cache().refute(&now, known);
    let reason = match actual {
        Ok((actual, _)) if actual == digest => None,
        Ok(_) => Some("its bytes have a different digest".to_owned()),
        // Another user's, made for that user alone.
        Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => None,
        Err(error) => Some(error.to_string()),
    };
    let damage = match reason {
        None => None,
        Some(reason) => Some((reason, store.objects().set_aside(path)?)),
    };
    Ok(Seen {
        digest,
        inode: (found.dev(), found.ino()),
        size: found.len(),
        mode: (mode != right).then_some(mode),
        damage,
    })
}
