//! Gives up the bytes of temporary outs that all stages have read. Their record stays, and says so.

use std::collections::{BTreeMap, BTreeSet};

use super::error::StoreError;
use super::record::{Record, RecordedOut};
use super::store::Store;
use super::unflushed::Unflushed;
use restage_core::digest::{Digest, Kind};

/// How many outs of records need each object that holds a file.
#[derive(Debug, Default)]
pub struct Uses {
    counts: BTreeMap<Digest, usize>,
    /// What was counted, by the key of the record.
    by_key: BTreeMap<Digest, Vec<Digest>>,
}

impl Uses {
    /// By all records of a store.
    pub fn of(store: &Store) -> Result<Self, StoreError> {
        let mut uses = Self::default();
        for record in store.records().all()? {
            uses.add(store, &record)?;
        }
        Ok(uses)
    }

    /// Counts those of a record, in place of what its key had before.
    pub fn add(&mut self, store: &Store, record: &Record) -> Result<(), StoreError> {
        let mut used = Vec::new();
        for out in record.kept_outs() {
            used.extend(files(store, out)?);
        }
        for digest in &used {
            *self.counts.entry(*digest).or_default() += 1;
        }
        for digest in self.by_key.insert(record.key, used).unwrap_or_default() {
            self.end(&digest);
        }
        Ok(())
    }

    fn end(&mut self, digest: &Digest) {
        if let Some(uses) = self.counts.get_mut(digest) {
            *uses -= 1;
            if *uses == 0 {
                self.counts.remove(digest);
            }
        }
    }

    fn has(&self, digest: &Digest) -> bool {
        self.counts.contains_key(digest)
    }
}

impl Store {
    /// Gives up the bytes of these outs of a key's record, as far as neither another record needs them nor
    /// a result that is yet to be `committed`. The list of what is in a folder stays. Whether it was
    /// done: not while another restage works on the key.
    ///
    /// The record says so before anything goes, so that nothing that is missing was ever promised.
    pub fn free(
        &self,
        key: &Digest,
        paths: &[String],
        uses: &mut Uses,
        committing: &Uses,
    ) -> Result<bool, StoreError> {
        let Some(_lock) = self.locks().try_lock(key)? else {
            return Ok(false);
        };
        let Some(record) = self.records().get(key)? else {
            return Ok(false);
        };
        let mut record = Record::clone(&record);
        let mut gone = BTreeSet::new();
        let outs = record.outs.iter_mut();
        for out in outs.filter(|out| !out.freed && paths.contains(&out.path)) {
            gone.extend(files(self, out)?);
            out.freed = true;
        }
        let mut unflushed = Unflushed::default();
        self.records().put(&record, &mut unflushed)?;
        self.objects().flush(&unflushed)?;
        uses.add(self, &record)?;
        for digest in gone {
            if !uses.has(&digest) && !committing.has(&digest) {
                self.objects().remove(&self.objects().path(&digest))?;
            }
        }
        Ok(true)
    }
}

/// The objects that hold the files of an out; none if the folder's list is lost.
fn files(store: &Store, out: &RecordedOut) -> Result<Vec<Digest>, StoreError> {
    if out.content.kind != Kind::Tree {
        return Ok(vec![out.content.digest]);
    }
    match store.objects().manifest(&out.content.digest) {
        Ok(manifest) => Ok(manifest.files().map(|(digest, _)| *digest).collect()),
        Err(StoreError::Fs(error)) => Err(error.into()),
        Err(_) => Ok(Vec::new()),
    }
}
