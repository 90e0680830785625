//! Finds the record of given bytes at a path.

use std::collections::BTreeMap;
use std::sync::Arc;

use restage_core::digest::{Digest, PathDigest};
use restage_store::{Record, RecordedOut};

/// Records by what they wrote where.
#[derive(Debug, Default)]
pub(super) struct Records {
    by_out: BTreeMap<String, Vec<Arc<Record>>>,
    by_key: BTreeMap<Digest, Arc<Record>>,
}

impl Records {
    /// Earlier ones are preferred where several fit.
    pub(super) fn new(records: impl IntoIterator<Item = Arc<Record>>) -> Self {
        let mut all = Self::default();
        for record in records {
            if all.by_key.insert(record.key, Arc::clone(&record)).is_some() {
                continue;
            }
            for out in &record.outs {
                let writers = all.by_out.entry(out.path.clone()).or_default();
                writers.push(Arc::clone(&record));
            }
        }
        all
    }

    pub(super) fn of_key(&self, key: &Digest) -> Option<&Arc<Record>> {
        self.by_key.get(key)
    }

    /// The preferred record of those that wrote this out, whatever its bytes.
    pub(super) fn writer(&self, out: &str) -> Option<&Arc<Record>> {
        self.by_out.get(out)?.first()
    }

    /// The record whose run left exactly this at an out, and whether it still is the record's
    /// own and not what an earlier run of the same key wrote.
    pub(super) fn that_wrote(
        &self,
        out: &str,
        content: &PathDigest,
    ) -> Option<(&Arc<Record>, bool)> {
        self.find(out, &|recorded| recorded.content == *content)
    }

    /// The record that wrote what a run read at a path: an out, or a path inside one, whose content
    /// `part` knows.
    pub(super) fn that_gave(
        &self,
        path: &str,
        content: &Digest,
        part: &dyn Fn(&RecordedOut, &str) -> Option<Digest>,
    ) -> Option<&Arc<Record>> {
        let whole = |recorded: &RecordedOut| recorded.content.content_id() == *content;
        let mut around = path.rmatch_indices('/');
        let found = self.find(path, &whole).or_else(|| {
            around.find_map(|(at, _)| {
                let gave =
                    |recorded: &RecordedOut| part(recorded, &path[at + 1..]) == Some(*content);
                self.find(&path[..at], &gave)
            })
        });
        found.map(|(record, _)| record)
    }

    fn find(&self, out: &str, fits: &dyn Fn(&RecordedOut) -> bool) -> Option<(&Arc<Record>, bool)> {
        let fits = |recorded: &RecordedOut| recorded.path == out && fits(recorded);
        let writers = self.by_out.get(out)?;
        let own = writers.iter().find(|record| record.outs.iter().any(fits));
        let earlier = || {
            let wrote = |record: &&Arc<Record>| record.variants.iter().flatten().any(fits);
            writers.iter().find(wrote)
        };
        let own = own.map(|record| (record, true));
        own.or_else(|| earlier().map(|record| (record, false)))
    }
}
