//! What a check has found out so far; each step adds to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::report::{Finding, Problem, Remedy, Report};
use crate::error::StoreError;
use crate::lockfile::LockFile;
use crate::record::Record;
use crate::registry::Member;
use crate::store::Store;
use restage_core::digest::{Digest, Manifest, PathDigest};

/// The progress of a check.
#[derive(Debug, Clone, Copy)]
pub enum CheckStep {
    /// This many bytes will be read.
    Begin(u64),
    /// This many of them were read now.
    Read(u64),
}

pub(super) struct Check<'a> {
    pub(super) store: &'a Store,
    pub(super) root: &'a Path,
    pub(super) watch: &'a (dyn Fn(CheckStep) + Sync),
    pub(super) report: Report,
    /// Records that read as they were written.
    pub(super) records: BTreeMap<Digest, Arc<Record>>,
    /// Objects whose bytes match their names.
    pub(super) sound: Sound,
    /// The other workspaces that share the store.
    pub(super) members: Vec<Member>,
    /// The workspace's lock files that can be read.
    pub(super) locks: Vec<(String, LockFile)>,
    /// What the workspace has at the paths of outs.
    pub(super) placed: BTreeMap<String, Placed>,
}

impl Check<'_> {
    /// Notes a problem that affects no out by itself.
    pub(super) fn found(&mut self, problem: Problem, remedy: Remedy) {
        self.report.findings.push(Finding {
            problem,
            needed_by: BTreeSet::new(),
            remedy,
        });
    }

    /// Moves something away that restage did not put where it is.
    pub(super) fn stray(&mut self, path: PathBuf) -> Result<(), StoreError> {
        let aside = self.store.objects().set_aside(&path)?;
        self.found(Problem::Stray { path }, Remedy::SetAside(aside));
        Ok(())
    }
}

/// What a workspace has at a path.
pub(super) enum Placed {
    Nothing,
    File(PathDigest),
    Folder(PathDigest, Manifest),
    /// A pipe, something that may not be read.
    Unreadable,
}

impl Placed {
    pub(super) fn content(&self) -> Option<&PathDigest> {
        match self {
            Self::File(content) | Self::Folder(content, _) => Some(content),
            Self::Nothing | Self::Unreadable => None,
        }
    }
}

/// Objects that were read and are intact, also by device and inode: the workspace may have hard
/// links to them.
#[derive(Debug, Default)]
pub(super) struct Sound {
    by_inode: BTreeMap<(u64, u64), Digest>,
    digests: BTreeSet<Digest>,
}

impl Sound {
    pub(super) fn add(&mut self, inode: (u64, u64), digest: Digest) {
        self.by_inode.insert(inode, digest);
        self.digests.insert(digest);
    }

    pub(super) fn add_digest(&mut self, digest: Digest) {
        self.digests.insert(digest);
    }

    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.digests.contains(digest)
    }

    pub(super) fn inode(&self, inode: (u64, u64)) -> Option<Digest> {
        self.by_inode.get(&inode).copied()
    }

    pub(super) fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.digests.iter()
    }
}
