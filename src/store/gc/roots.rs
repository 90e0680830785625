//! Which records are kept, and the objects that they need.
//! It must not remove anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::Needs;
use crate::base::fs;
use crate::base::rel_path::RelPath;
use crate::digest::{Digest, Kind, Manifest, PathDigest};
use crate::store::lockfile::LockFile;
use crate::store::{Member, Presence, Record, RecordedOut, Store, StoreError};

impl Store {
    /// Keys of records that are kept.
    pub(super) fn kept_records(
        &self,
        root: &Path,
        records: &[Arc<Record>],
        lock: &LockFile,
        needs: &Needs,
    ) -> Result<BTreeSet<Digest>, StoreError> {
        let mut kept = needs.keys.clone();
        kept.extend(lock.entries().map(|(_, _, entry)| entry.key));
        kept.extend(self.last_of_each_stage(records, needs.runs)?);
        let mut workspace = InPlace {
            store: self,
            root,
            seen: BTreeMap::new(),
        };
        for record in records {
            if !kept.contains(&record.key) && workspace.holds_all(&record.outs) {
                kept.insert(record.key);
            }
        }
        Ok(kept)
    }

    /// Keys of records that are kept for another workspace that shares the store.
    pub(super) fn kept_for(
        &self,
        member: &Member,
        records: &[Arc<Record>],
        runs: usize,
    ) -> Result<BTreeSet<Digest>, StoreError> {
        let store = self.seen_by(member);
        match member.presence {
            Presence::Gone => Ok(BTreeSet::new()),
            // Its `pipeline.lock` may name any of its results.
            Presence::Unseen => {
                let (mentions, _) = store.mentions()?;
                Ok(mentions.into_iter().map(|(_, key)| key).collect())
            }
            Presence::Here => {
                let lock = LockFile::read(&member.root.join("pipeline.lock"))?;
                let needs = Needs {
                    runs,
                    ..Needs::default()
                };
                store.kept_records(&member.root, records, &lock, &needs)
            }
        }
    }

    /// Those of these records that this workspace had: all, unless the store is shared.
    pub(super) fn own_of(&self, records: &[Arc<Record>]) -> Result<Vec<Arc<Record>>, StoreError> {
        if self.location().shared().is_none() {
            return Ok(records.to_vec());
        }
        let (mentions, _) = self.mentions()?;
        let keys: BTreeSet<Digest> = mentions.into_iter().map(|(_, key)| key).collect();
        let own = records.iter().filter(|record| keys.contains(&record.key));
        Ok(own.cloned().collect())
    }

    /// The last `runs` keys that each stage finished with: by the history, and those that it
    /// does not name before them, by their start.
    fn last_of_each_stage(
        &self,
        records: &[Arc<Record>],
        runs: usize,
    ) -> Result<Vec<Digest>, StoreError> {
        let (mentions, _) = self.mentions()?;
        let named = mentions.iter().enumerate();
        let last: BTreeMap<Digest, usize> = named.map(|(at, (_, key))| (*key, at + 1)).collect();
        let mut stages: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in records {
            stages.entry(&record.stage).or_default().push(record);
        }
        let mut kept = Vec::new();
        for mut of_stage in stages.into_values() {
            of_stage.sort_by_key(|record| (last.get(&record.key), &record.started, record.key));
            kept.extend(of_stage.iter().rev().take(runs).map(|record| record.key));
        }
        Ok(kept)
    }

    /// Digests of every object that these records need.
    pub(super) fn kept_objects(
        &self,
        records: &[&Arc<Record>],
    ) -> Result<BTreeSet<Digest>, StoreError> {
        let mut kept = BTreeSet::new();
        for record in records {
            for out in record.outs.iter().chain(record.variants.iter().flatten()) {
                let new = kept.insert(out.content.digest);
                if !new || out.content.kind != Kind::Tree {
                    continue;
                }
                // A folder that is lost or damaged needs nothing: its stage runs again.
                let bytes = fs::read_if_exists(&self.object_path(&out.content.digest))?;
                if let Some(manifest) = bytes.and_then(|b| Manifest::from_bytes(&b).ok()) {
                    kept.extend(manifest.files().map(|(digest, _)| *digest));
                }
            }
        }
        Ok(kept)
    }
}

/// What stands in the workspace, each path digested once.
struct InPlace<'a> {
    store: &'a Store,
    root: &'a Path,
    seen: BTreeMap<String, Option<PathDigest>>,
}

impl InPlace<'_> {
    fn holds_all(&mut self, outs: &[RecordedOut]) -> bool {
        outs.iter().all(|out| {
            let seen = self.seen.entry(out.path.clone()).or_insert_with(|| {
                let path = RelPath::new(&out.path).ok()?;
                let found = self.store.stat_cache().path_digest(self.root, &path);
                // What can't be digested is no out.
                found.ok().flatten()
            });
            seen.as_ref() == Some(&out.content)
        })
    }
}
