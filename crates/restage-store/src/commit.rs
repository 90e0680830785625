//! The one way for a result to become a record: by the lock on its key.

use super::error::StoreError;
use super::key_lock::KeyLock;
use super::record::{Record, RecordedOut};
use super::store::Store;
use super::unflushed::Unflushed;

/// What committing a record found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The key had no record.
    New,
    /// It had one with the same outs, volatile ones aside.
    Same,
    /// It had one with different bytes at these paths: both are kept, and the stage is marked
    /// nondeterministic.
    Differs {
        /// The paths.
        outs: Vec<String>,
    },
}

impl Store {
    /// Makes `record` the record of the locked key: before this call the key is a miss,
    /// after it a hit. Its outs must be in the store. The newest run's outs become the
    /// record's; different ones are kept as variants.
    ///
    /// `outs` is what must still reach the disk of the outs: it is flushed first, otherwise a
    /// power cut could leave a record without them (docs/adr/0009). The record is noted in
    /// `unflushed`: until that is flushed, a power cut can undo the commit.
    pub fn commit(
        &self,
        lock: &KeyLock,
        record: &Record,
        outs: Unflushed,
        unflushed: &mut Unflushed,
    ) -> Result<CommitOutcome, StoreError> {
        if record.key != *lock.key() {
            return Err(StoreError::WrongKey {
                record: record.key,
                lock: *lock.key(),
            });
        }
        self.check_outs(&record.outs)?;
        let mut record = record.clone();
        let outcome = match self.records().get(lock.key())? {
            None => CommitOutcome::New,
            Some(old) => merge(&old, &mut record),
        };
        self.objects().flush(&outs)?;
        self.records().put(&record, unflushed)?;
        self.records().mark_current(&record)?;
        for scratch in lock.scratch_paths() {
            self.workdirs().discard(&scratch);
        }
        Ok(outcome)
    }

    /// Makes `record`, which another store had, the record of the locked key. Its outs must be in this
    /// store and on the disk, but for those that were given up. A record that the key has already stays. The
    /// record is noted in `unflushed`. Returns whether the key had none.
    pub fn take_in(
        &self,
        lock: &KeyLock,
        record: &Record,
        unflushed: &mut Unflushed,
    ) -> Result<bool, StoreError> {
        if record.key != *lock.key() {
            return Err(StoreError::WrongKey {
                record: record.key,
                lock: *lock.key(),
            });
        }
        if self.records().get(lock.key())?.is_some() {
            return Ok(false);
        }
        self.check_outs(record.kept_outs())?;
        self.records().put(record, unflushed)?;
        Ok(true)
    }

    /// Keeps what another run of the locked key wrote as a variant of its record, and marks the
    /// stage nondeterministic; the record's own outs stay. `outs` must be in the store. Returns
    /// whether the record has the variant now: there is nothing to keep without a record, or if
    /// the outs are the same.
    pub fn keep_variant(&self, lock: &KeyLock, outs: &[RecordedOut]) -> Result<bool, StoreError> {
        let Some(old) = self.records().get(lock.key())? else {
            return Ok(false);
        };
        if differing(&old.outs, outs).is_empty() {
            return Ok(false);
        }
        self.check_outs(outs)?;
        let mut record = Record::clone(&old);
        let known = |variant: &Vec<RecordedOut>| differing(variant, outs).is_empty();
        if !record.variants.iter().any(known) {
            record.variants.push(outs.to_vec());
        }
        record.nondeterministic = true;
        if record != *old {
            let mut unflushed = Unflushed::default();
            self.records().put(&record, &mut unflushed)?;
            self.objects().flush(&unflushed)?;
        }
        Ok(true)
    }

    fn check_outs<'a>(
        &self,
        outs: impl IntoIterator<Item = &'a RecordedOut>,
    ) -> Result<(), StoreError> {
        for out in outs {
            if !self.objects().has(&out.content)? {
                return Err(StoreError::MissingObject {
                    digest: out.content.digest,
                });
            }
        }
        Ok(())
    }
}

/// Adds to a record what an older one of the same key knows.
fn merge(old: &Record, new: &mut Record) -> CommitOutcome {
    let differing = differing(&old.outs, &new.outs);
    new.nondeterministic |= old.nondeterministic || !differing.is_empty();
    let mut variants = old.variants.clone();
    // What was given up can't be compared with.
    if !differing.is_empty() && !old.outs.iter().any(|out| out.freed) {
        variants.push(old.outs.clone());
    }
    // The new bytes may be those of an earlier variant.
    variants.retain(|variant| !self::differing(variant, &new.outs).is_empty());
    // What was adopted and made again by a run is a result like any other.
    new.adopted_variant = old.adopted_variant || (old.adopted.is_some() && !differing.is_empty());
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
