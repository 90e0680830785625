//! Reads what the workspace has at the paths of outs. An edited out is not damage, and an intact
//! one can restore an object.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::check::{Check, Placed, Sound};
use super::report::{Problem, Remedy};
use crate::store::Store;
use restage_core::digest::{
    Digest, Kind, PathDigest, copy_and_digest, is_executable, nothing, tree,
};
use restage_core::fs::{self, FsError};
use restage_core::rel_path::RelPath;

/// Reads files, except hard links to objects that were read.
struct Reader<'a> {
    store: &'a Store,
    sound: &'a Sound,
    /// Files that the stat cache was wrong about.
    refuted: Mutex<Vec<PathBuf>>,
}

impl Reader<'_> {
    fn file(&self, path: &Path, found: &Metadata) -> Result<Digest, FsError> {
        if let Some(digest) = self.sound.inode((found.dev(), found.ino())) {
            return Ok(digest);
        }
        let (digest, _) = copy_and_digest(path, &mut io::sink(), path)?;
        if self.store.stat_cache().refute(found, Some(digest)) {
            let mut refuted = self.refuted.lock().unwrap_or_else(PoisonError::into_inner);
            refuted.push(path.to_owned());
        }
        Ok(digest)
    }

    fn place(&self, path: &Path) -> Result<Placed, FsError> {
        let Some(found) = fs::metadata_if_exists(path)? else {
            return Ok(Placed::Nothing);
        };
        if found.is_dir() {
            let found = tree(path, &nothing, &|file, found| self.file(file, found))?;
            return Ok(Placed::Folder(found.content, found.manifest));
        }
        if !found.is_file() {
            return Ok(Placed::Unreadable);
        }
        let kind = Kind::File {
            executable: is_executable(&found),
        };
        Ok(Placed::File(PathDigest {
            digest: self.file(path, &found)?,
            kind,
            size: found.len(),
            files: 1,
        }))
    }
}

impl Check<'_> {
    /// Reads what is at every path that a record or a lock file names.
    pub(super) fn read_worktree(&mut self) {
        self.placed = self.placed_in(self.root);
        let there = |placed: &&Placed| placed.content().is_some();
        self.report.checked.outs = self.placed.values().filter(there).count();
    }

    /// The same in any workspace.
    pub(super) fn placed_in(&mut self, root: &Path) -> BTreeMap<String, Placed> {
        let mut paths = BTreeSet::new();
        for record in self.records.values() {
            paths.extend(record.all_outs().map(|out| out.path.clone()));
        }
        for entry in self.lock_entries() {
            paths.extend(entry.outs.keys().cloned());
        }
        let reader = Reader {
            store: self.store,
            sound: &self.sound,
            refuted: Mutex::default(),
        };
        let placed = paths
            .into_par_iter()
            .map(|path| {
                let placed = match RelPath::new(&path) {
                    Ok(inside) => reader.place(&inside.under(root)),
                    Err(_) => Ok(Placed::Nothing),
                };
                (path, placed.unwrap_or(Placed::Unreadable))
            })
            .collect();
        let refuted = reader.refuted.into_inner();
        for path in refuted.unwrap_or_else(PoisonError::into_inner) {
            let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
            self.found(Problem::WrongStatCache { path }, Remedy::Removed);
        }
        placed
    }
}
