//! The one way for a result to become a record: through the claim on its key.
//! It must not know how the outs were made.

use super::unflushed::Unflushed;
use super::{KeyLock, Record, RecordedOut, Store, StoreError};
use crate::base::fs::StagedFile;

/// What committing a record found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The key had no record.
    New,
    /// It had one with the same outs, volatile ones aside.
    Same,
    /// It had one with other bytes at these paths: both are kept, and the stage is marked
    /// nondeterministic.
    Differs {
        /// The paths.
        outs: Vec<String>,
    },
}

impl KeyLock {
    /// Makes `record` the record of the claimed key: before this call the key is a miss,
    /// after it a hit. Its outs must be in the store. The newest run's outs become the
    /// record's; others' are kept as variants.
    ///
    /// The record is noted in `unflushed`: until it is on the disk, a loss of power can take it
    /// back. Its outs must be on the disk already, lest it outlive them.
    pub fn commit(
        &self,
        record: &Record,
        unflushed: &mut Unflushed,
    ) -> Result<CommitOutcome, StoreError> {
        if record.key != *self.key() {
            return Err(StoreError::WrongKey {
                record: record.key,
                claim: *self.key(),
            });
        }
        for out in &record.outs {
            if !self.store.has_object(&out.content)? {
                return Err(StoreError::MissingObject {
                    digest: out.content.digest,
                });
            }
        }
        let mut record = record.clone();
        let outcome = match self.store.record(self.key())? {
            None => CommitOutcome::New,
            Some(old) => merge(&old, &mut record),
        };
        self.store.write_record(&record, unflushed)?;
        self.store.mark_current(&record)?;
        self.store.retire(&self.scratch_path())?;
        Ok(outcome)
    }

    /// Keeps what another run of the claimed key wrote as a variant of its record, and marks the
    /// stage nondeterministic; the record's own outs stay. These must be in the store. Says
    /// whether the record knows them now: without a record, or with the same outs, there is
    /// nothing to keep.
    pub fn keep_variant(&self, outs: &[RecordedOut]) -> Result<bool, StoreError> {
        let Some(old) = self.store.record(self.key())? else {
            return Ok(false);
        };
        if differing(&old.outs, outs).is_empty() {
            return Ok(false);
        }
        for out in outs {
            if !self.store.has_object(&out.content)? {
                return Err(StoreError::MissingObject {
                    digest: out.content.digest,
                });
            }
        }
        let mut record = Record::clone(&old);
        let known = |variant: &Vec<RecordedOut>| differing(variant, outs).is_empty();
        if !record.variants.iter().any(known) {
            record.variants.push(outs.to_vec());
        }
        record.nondeterministic = true;
        if record != *old {
            let mut unflushed = Unflushed::default();
            self.store.write_record(&record, &mut unflushed)?;
            unflushed.flush()?;
        }
        Ok(true)
    }
}

impl Store {
    /// Writes a record's file, replacing an older one in one step.
    pub(super) fn write_record(
        &self,
        record: &Record,
        unflushed: &mut Unflushed,
    ) -> Result<(), StoreError> {
        let path = self.record_path(&record.key);
        let mut staged = StagedFile::new_in(&self.tmp(), &path)?;
        staged.write(record.to_text().as_bytes())?;
        staged.commit_unflushed()?;
        unflushed.file(path);
        Ok(())
    }
}

/// Takes over what an older record of the same key knows.
fn merge(old: &Record, new: &mut Record) -> CommitOutcome {
    let differing = differing(&old.outs, &new.outs);
    new.nondeterministic |= old.nondeterministic || !differing.is_empty();
    let mut variants = old.variants.clone();
    if !differing.is_empty() {
        variants.push(old.outs.clone());
    }
    // The new bytes may be those of an earlier variant come back.
    variants.retain(|variant| !self::differing(variant, &new.outs).is_empty());
    new.variants = variants;
    if differing.is_empty() {
        CommitOutcome::Same
    } else {
        CommitOutcome::Differs { outs: differing }
    }
}

/// Paths at which two runs of one key wrote different bytes, volatile ones aside.
fn differing(old: &[RecordedOut], new: &[RecordedOut]) -> Vec<String> {
    let same = |out: &&RecordedOut| {
        old.iter().any(|other| {
            other.path == out.path && other.content.content_id() == out.content.content_id()
        })
    };
    new.iter()
        .filter(|out| !out.volatile && !same(out))
        .map(|out| out.path.clone())
        .collect()
}
