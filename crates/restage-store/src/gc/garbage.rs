//! What gc found, by category: how much there is, and how much of the disk it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::listing::Listing;
use crate::registry::Member;
use restage_core::digest::Digest;
use restage_core::fs::{self, FsError};

/// Kinds of things that are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Results of old keys.
    Records,
    /// Outs of records that are removed, and of runs that were never recorded.
    Objects,
    /// Binaries of sources that nothing depends on.
    Programs,
    /// Software environments that no result and no stage names.
    Environments,
    /// Work folders of old failed attempts.
    Work,
    /// Checkpoints of keys that will not run.
    Scratch,
    /// Logs of old attempts.
    Logs,
    /// Notes of dead processes that they work on a key.
    Claims,
    /// Damaged files that were set aside.
    Quarantine,
    /// What dead processes left half-written or half-removed.
    Leftovers,
}

impl Category {
    /// Every category, in order.
    pub const ALL: [Category; 10] = [
        Self::Records,
        Self::Objects,
        Self::Programs,
        Self::Environments,
        Self::Work,
        Self::Scratch,
        Self::Logs,
        Self::Claims,
        Self::Quarantine,
        Self::Leftovers,
    ];

    /// Its name for people and machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Objects => "objects",
            Self::Programs => "programs",
            Self::Environments => "environments",
            Self::Work => "work folders",
            Self::Scratch => "scratch folders",
            Self::Logs => "logs",
            Self::Claims => "dead claims",
            Self::Quarantine => "quarantine",
            Self::Leftovers => "leftovers",
        }
    }
}

/// How much is removed and how much is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Things to remove.
    pub removed: usize,
    /// Bytes that this frees on the disk.
    pub bytes: u64,
    /// Things to keep.
    pub kept: usize,
}

/// What nothing needs.
#[derive(Debug, Default)]
pub struct Garbage {
    tallies: BTreeMap<Category, Tally>,
    items: Vec<(Category, PathBuf)>,
    sizes: Sizes,
    /// Keys of the records.
    pub(super) forgotten: BTreeSet<Digest>,
    pub(super) members: Vec<Member>,
    pub(super) adopted: BTreeSet<String>,
}

impl Garbage {
    /// The other workspaces that share the store; those that are gone are forgotten.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The stages, with their profiles, that adopted results which are kept only because no run can
    /// make them again.
    pub fn adopted(&self) -> &BTreeSet<String> {
        &self.adopted
    }

    /// What is removed and kept of a category.
    pub fn tally(&self, category: Category) -> Tally {
        self.tallies.get(&category).copied().unwrap_or_default()
    }

    /// What is removed and kept of all categories.
    pub fn total(&self) -> Tally {
        let all = Category::ALL.map(|category| self.tally(category));
        all.iter().fold(Tally::default(), |sum, part| Tally {
            removed: sum.removed + part.removed,
            bytes: sum.bytes + part.bytes,
            kept: sum.kept + part.kept,
        })
    }

    /// What is removed, each with its category.
    pub(super) fn items(&self) -> &[(Category, PathBuf)] {
        &self.items
    }

    /// What is removed of a category.
    pub(super) fn of(&self, category: Category) -> impl Iterator<Item = &Path> {
        let items = self.items.iter();
        items.filter_map(move |(of, path)| (*of == category).then_some(&**path))
    }

    pub(super) fn settle(
        &mut self,
        category: Category,
        path: PathBuf,
        kept: bool,
    ) -> Result<(), StoreError> {
        let tally = self.tallies.entry(category).or_default();
        if kept {
            tally.kept += 1;
        } else {
            tally.removed += 1;
            tally.bytes += self.sizes.freed_by(&path)?;
            self.items.push((category, path));
        }
        Ok(())
    }

    /// Settles everything in a folder: what `kept` has is kept.
    pub(super) fn settle_listed(
        &mut self,
        category: Category,
        listing: Listing,
        kept: &BTreeSet<Digest>,
    ) -> Result<(), StoreError> {
        for (digest, path) in listing.named {
            self.settle(category, path, kept.contains(&digest))?;
        }
        Ok(())
    }

    pub(super) fn remove_all_of(
        &mut self,
        category: Category,
        paths: Vec<PathBuf>,
    ) -> Result<(), StoreError> {
        for path in paths {
            self.settle(category, path, false)?;
        }
        Ok(())
    }
}

/// Bytes that are freed. A file with several names takes its bytes until the last one is removed:
/// a work folder's inputs are hard links to objects, and so are outs in the workspace.
#[derive(Debug, Default)]
struct Sizes {
    /// How many names are removed, of files with several.
    removed: BTreeMap<(u64, u64), u64>,
}

impl Sizes {
    /// Bytes that are freed by removing this after everything that was asked about before.
    fn freed_by(&mut self, path: &Path) -> Result<u64, FsError> {
        let found = fs::symlink_metadata(path)?;
        if !found.is_dir() {
            return Ok(self.file(&found));
        }
        let entries = fs::walk_reachable(path, &|_, _| false)?;
        let files = entries.iter().filter(|entry| !entry.metadata.is_dir());
        Ok(files.map(|entry| self.file(&entry.metadata)).sum())
    }

    fn file(&mut self, found: &Metadata) -> u64 {
        let removed = self.removed.entry((found.dev(), found.ino())).or_default();
        *removed += 1;
        if *removed == found.nlink() {
            found.len()
        } else {
            0
        }
    }
}
