//! Finds what nothing needs any more, and removes it.
//! It must not know the pipeline: what that needs is told as [`Needs`].
//!
//! A record goes before the objects that it needs, and the history forgets it before that, so
//! that a crash at any moment leaves a store without a record that lacks an object.

mod attempts;
mod roots;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lockfile::LockFile;
use super::work::remove_leftover;
use super::{Member, Presence, Record, Store, StoreError};
use crate::base::fs;
use crate::digest::{Digest, KeyAction};

use tally::Sizes;
pub use tally::Tally;

/// What is kept besides what `pipeline.lock` names and what stands in the workspace.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// Different successes of each stage, the last ones.
    pub runs: usize,
    /// Keys whose records are needed.
    pub keys: BTreeSet<Digest>,
    /// Keys whose scratch folders are needed; `None` if that is not known: all stay.
    pub scratch: Option<BTreeSet<Digest>>,
    /// Code whose programs are needed; `None` if that is not known: the newest of each
    /// program stays.
    pub programs: Option<BTreeSet<Digest>>,
    /// Whether workspaces that share the store and can't be seen from here need nothing.
    pub forget_unseen: bool,
}

/// Kinds of things that are removed, in the order in which they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// What old keys gave.
    Records,
    /// Outs of records that go, and of runs that were never recorded.
    Objects,
    /// Binaries of sources that nothing rests on.
    Programs,
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
    /// What dead processes left half-made or half-removed.
    Leftovers,
}

impl Category {
    /// Every category, in order.
    pub const ALL: [Category; 9] = [
        Self::Records,
        Self::Objects,
        Self::Programs,
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
            Self::Work => "work folders",
            Self::Scratch => "scratch folders",
            Self::Logs => "logs",
            Self::Claims => "dead claims",
            Self::Quarantine => "quarantine",
            Self::Leftovers => "leftovers",
        }
    }
}

/// What nothing needs.
#[derive(Debug, Default)]
pub struct Garbage {
    tallies: BTreeMap<Category, Tally>,
    items: Vec<(Category, PathBuf)>,
    forgotten: BTreeSet<Digest>,
    members: Vec<Member>,
}

impl Garbage {
    /// The other workspaces that share the store; those that are gone are forgotten.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What goes and what stays of a category.
    pub fn tally(&self, category: Category) -> Tally {
        self.tallies.get(&category).copied().unwrap_or_default()
    }

    /// What goes of all categories.
    pub fn total(&self) -> Tally {
        let all = Category::ALL.map(|category| self.tally(category));
        all.iter().fold(Tally::default(), |sum, part| Tally {
            removed: sum.removed + part.removed,
            bytes: sum.bytes + part.bytes,
            kept: sum.kept + part.kept,
        })
    }
}

/// Collects garbage category by category.
struct Finder<'a> {
    store: &'a Store,
    garbage: Garbage,
    sizes: Sizes,
}

impl Finder<'_> {
    fn settle(&mut self, category: Category, path: PathBuf, kept: bool) -> Result<(), StoreError> {
        let tally = self.garbage.tallies.entry(category).or_default();
        if kept {
            tally.kept += 1;
        } else {
            tally.removed += 1;
            tally.bytes += self.sizes.freed_by(&path)?;
            self.garbage.items.push((category, path));
        }
        Ok(())
    }

    fn records(&mut self, kept: &BTreeSet<Digest>) -> Result<(), StoreError> {
        for (key, path) in self.store.list("records", ".json")?.named {
            let keep = kept.contains(&key);
            if !keep {
                self.garbage.forgotten.insert(key);
            }
            self.settle(Category::Records, path, keep)?;
        }
        Ok(())
    }

    fn objects(&mut self, kept: &BTreeSet<Digest>) -> Result<(), StoreError> {
        for (digest, path) in self.store.list_objects()?.named {
            self.settle(Category::Objects, path, kept.contains(&digest))?;
        }
        Ok(())
    }

    fn scratch(&mut self, needed: Option<&BTreeSet<Digest>>) -> Result<(), StoreError> {
        for (key, path) in self.store.list("scratch", "")?.named {
            let needed = needed.is_none_or(|keys| keys.contains(&key));
            let keep = needed || self.store.has_orphan(&key)?;
            self.settle(Category::Scratch, path, keep)?;
        }
        // We are alone: who claimed a key is dead, but what it started may live.
        for (key, path) in self.store.list("claims", ".lock")?.named {
            let keep = self.store.has_orphan(&key)?;
            self.settle(Category::Claims, path, keep)?;
        }
        Ok(())
    }

    fn all_of(&mut self, category: Category, paths: Vec<PathBuf>) -> Result<(), StoreError> {
        for path in paths {
            self.settle(category, path, false)?;
        }
        Ok(())
    }
}

impl Store {
    /// What nothing needs, in the workspace at `root`. Changes nothing. The store must be
    /// open alone: the outs of a run that goes on belong to no record yet.
    pub fn garbage(&self, root: &Path, needs: &Needs) -> Result<Garbage, StoreError> {
        let lock = LockFile::read(&root.join("pipeline.lock"))?;
        let records = self.records()?;
        let mut kept = self.kept_records(root, &records, &lock, needs)?;
        let mut members = self.members()?;
        for member in &mut members {
            if needs.forget_unseen && member.presence == Presence::Unseen {
                member.presence = Presence::Gone;
            }
            kept.extend(self.kept_for(member, &records, needs.runs)?);
        }
        let kept_records: Vec<&Arc<Record>> = records
            .iter()
            .filter(|record| kept.contains(&record.key))
            .collect();
        let mut finder = Finder {
            store: self,
            garbage: Garbage {
                members,
                ..Garbage::default()
            },
            sizes: Sizes::default(),
        };
        finder.records(&kept)?;
        finder.objects(&self.kept_objects(&kept_records)?)?;
        let code = kept_records
            .iter()
            .filter_map(|record| match &record.inputs.action {
                KeyAction::Program { code, .. } => Some(*code),
                KeyAction::Command(_) => None,
            });
        finder.programs(code.collect(), needs.programs.as_ref())?;
        finder.work(&self.own_of(&records)?)?;
        finder.scratch(needs.scratch.as_ref())?;
        finder.logs(needs.runs)?;
        finder.all_of(Category::Quarantine, self.quarantined()?)?;
        finder.all_of(Category::Leftovers, self.leftovers()?)?;
        let damaged_lock = self.own().join("pipeline.lock.damaged");
        if fs::exists(&damaged_lock)? {
            finder.settle(Category::Quarantine, damaged_lock, false)?;
        }
        Ok(finder.garbage)
    }

    /// Removes what [`Store::garbage`] found. The store must have been open alone since.
    pub fn remove_garbage(&self, garbage: &Garbage) -> Result<(), StoreError> {
        self.forget(&garbage.forgotten)?;
        for member in &garbage.members {
            match member.presence {
                Presence::Gone => self.discard(&member.entry)?,
                Presence::Here | Presence::Unseen => {
                    self.seen_by(member).forget(&garbage.forgotten)?;
                }
            }
        }
        let of = |wanted: Category| {
            let items = garbage.items.iter();
            items.filter(move |(category, _)| *category == wanted)
        };
        for (_, path) in of(Category::Records) {
            fs::remove_file(path)?;
        }
        // Not before the disk knows that the records are gone.
        fs::sync_dir(&self.dir().join("records"))?;
        let mut shards = BTreeSet::new();
        for (_, path) in of(Category::Objects) {
            fs::remove_all(path)?;
            shards.extend(path.parent());
        }
        for shard in shards {
            if fs::read_dir(shard)?.is_empty() {
                fs::remove_dir(shard)?;
            }
        }
        for (category, path) in &garbage.items {
            match category {
                Category::Records | Category::Objects => {}
                Category::Leftovers => remove_leftover(path)?,
                _ => self.discard(path)?,
            }
        }
        Ok(())
    }
}
