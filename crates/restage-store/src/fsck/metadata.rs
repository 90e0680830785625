//! Checks what is written about results outside the records: stat cache, history, lock files of
//! the folder's pipelines, and whether the workspace has what they say.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Check, Placed};
use super::report::{OutState, Problem, Remedy};
use crate::error::StoreError;
use crate::key_lock::Left;
use crate::lockfile::{self, LockEntry, LockFile};
use crate::store::Store;
use restage_core::digest::Digest;
use restage_core::fs;

impl Check<'_> {
    pub(super) fn stat_cache(&mut self) -> Result<(), StoreError> {
        if self.store.stat_cache().warning().is_some() {
            fs::remove_all(&self.store.location().own().join("stat-cache"))?;
            self.found(Problem::DamagedStatCache, Remedy::Removed);
        }
        Ok(())
    }

    pub(super) fn read_locks(&mut self) -> Result<(), StoreError> {
        for (file, bytes) in lockfile::all_in(self.root)? {
            match LockFile::parse(&bytes) {
                Ok(lock) => self.locks.push((file, lock)),
                Err(reason) => {
                    self.found(Problem::DamagedLockFile { file, reason }, Remedy::Rewritten);
                }
            }
        }
        Ok(())
    }

    /// Each key in the history must have a record: gc forgets a key before it removes the record.
    pub(super) fn histories(&mut self) -> Result<(), StoreError> {
        self.history(&self.store.clone())?;
        for member in self.members.clone() {
            self.history(&self.store.seen_by(&member))?;
        }
        Ok(())
    }

    fn history(&mut self, store: &Store) -> Result<(), StoreError> {
        let (mentions, unreadable) = store.records().mentions()?;
        let stages: BTreeMap<Digest, String> = mentions
            .into_iter()
            .filter(|(_, key)| !self.records.contains_key(key))
            .map(|(stage, key)| (key, stage))
            .collect();
        let found: BTreeSet<Digest> = self
            .report
            .findings
            .iter()
            .filter_map(|finding| finding.problem.digest().copied())
            .collect();
        for (key, stage) in &stages {
            if !found.contains(key) {
                let (key, stage) = (*key, stage.clone());
                self.found(Problem::MissingRecord { key, stage }, Remedy::Lost);
            }
        }
        if unreadable > 0 {
            let problem = Problem::DamagedHistory { lines: unreadable };
            self.found(problem, Remedy::Removed);
        }
        if unreadable > 0 || !stages.is_empty() {
            store.records().forget(&stages.into_keys().collect())?;
        }
        Ok(())
    }

    pub(super) fn lock_files(&mut self) {
        let mut wrong = Vec::new();
        for (file, lock) in &self.locks {
            for (profile, stage, entry) in lock.entries() {
                let record = self.records.get(&entry.key);
                if record.is_some_and(|record| LockEntry::of(record) != *entry) {
                    let (file, stage) = (file.clone(), format!("{profile}/{stage}"));
                    wrong.push(Problem::WrongLockFile { file, stage });
                }
            }
        }
        for problem in wrong {
            self.found(problem, Remedy::Rewritten);
        }
    }

    /// What the lock files name; without those that can't be read.
    pub(super) fn lock_entries(&self) -> impl Iterator<Item = &LockEntry> {
        let entries = self.locks.iter().flat_map(|(_, lock)| lock.entries());
        entries.map(|(_, _, entry)| entry)
    }

    /// Compares the workspace with what was last reproduced. Profiles may share a path: an out of
    /// any of them will do.
    pub(super) fn outs(&mut self) {
        let mut expected: BTreeMap<&str, BTreeSet<Digest>> = BTreeMap::new();
        let mut here = BTreeSet::new();
        for entry in self.lock_entries() {
            let record = self.records.get(&entry.key);
            for (path, digest) in &entry.outs {
                let recorded = record
                    .and_then(|record| record.outs.iter().find(|out| out.path == *path))
                    .map(|out| out.content.content_id());
                if record.is_some() {
                    here.insert(path.as_str());
                }
                if let Some(digest) = recorded.or(*digest) {
                    expected.entry(path).or_default().insert(digest);
                }
            }
        }
        let states = expected.iter().filter_map(|(path, digests)| {
            let state = match self.placed.get(*path) {
                // A stage that never ran here need not have its outs here.
                None | Some(Placed::Nothing) => here.contains(path).then_some(OutState::Missing)?,
                Some(placed) => {
                    let content = placed.content().map(|content| content.content_id());
                    if content.is_some_and(|content| digests.contains(&content)) {
                        return None;
                    }
                    OutState::Edited
                }
            };
            Some(((*path).to_owned(), state))
        });
        self.report.outs = states.collect();
    }

    pub(super) fn leftovers(&mut self) -> Result<(), StoreError> {
        let mut left = self.store.workdirs().leftovers()?.len();
        for (key, _) in self.store.locks().list()?.named {
            left += usize::from(self.store.locks().left(&key)? == Left::Nothing);
        }
        let aside = self.store.objects().quarantined()?.len();
        let removable = &mut self.report.removable;
        removable.insert("leftovers of processes that were killed", left);
        removable.insert("damaged files in the quarantine", aside);
        removable.retain(|_, count| *count > 0);
        Ok(())
    }
}
