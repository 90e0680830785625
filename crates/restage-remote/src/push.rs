//! Puts results into a remote: first objects that are not there, then the record. Whoever sees a record
//! finds its objects, whenever we are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::each::{all_of, each, telling};
use super::error::RemoteError;
use super::layout::{self, OBJECTS};
use super::remote::{Remote, moved};
use super::sign::{Signer, without_variants};
use super::transport::Body;
use super::uploads::{self, LARGE, Uploads};
use restage_core::digest::{Digest, Kind};
use restage_core::fs;
use restage_store::{Record, Store, StoreError};

/// From so many names on, one listing is cheaper than a question for each.
pub(crate) const LIST_FROM: usize = 200;

/// Objects on their way at once.
pub(crate) const AT_ONCE: usize = 16;

/// Results are sent by so many objects, or bytes, at least: then their records follow.
pub(crate) const CHUNK_OBJECTS: usize = 512;
pub(crate) const CHUNK_BYTES: u64 = 1 << 30;

/// Results on their way to a remote.
#[derive(Debug)]
pub struct Push<'a> {
    /// Where to.
    pub remote: &'a Remote,
    /// Where from.
    pub store: &'a Store,
    /// Who says that they are right.
    pub signer: &'a Signer,
    /// Where it is noted what was sent of large files.
    pub notes: PathBuf,
    /// Puts what is there again: it may be damaged.
    pub repair: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Pushed {
    /// Results that were put.
    pub put: usize,
    /// Results that were there.
    pub were_there: usize,
    /// Objects that were sent.
    pub objects: usize,
    /// Objects that were there.
    pub objects_there: usize,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Results that could not be put, by their stage, and why.
    pub failed: Vec<(String, RemoteError)>,
    /// What ended it early.
    pub ended: Option<RemoteError>,
}

/// A result and what it is made of.
struct Parcel<'a> {
    record: &'a Arc<Record>,
    objects: Vec<(Digest, u64)>,
}

impl Push<'_> {
    /// Pushes these results.
    pub fn push(&self, records: &[Arc<Record>]) -> Pushed {
        let mut pushed = Pushed::default();
        if let Err(error) = self.push_all(records, &mut pushed) {
            pushed.ended = Some(error);
        }
        pushed
    }

    fn push_all(&self, records: &[Arc<Record>], pushed: &mut Pushed) -> Result<(), RemoteError> {
        self.remote.prepare()?;
        let mut parcels = Vec::new();
        for record in records {
            match self.contents(record) {
                Ok(objects) => parcels.push(Parcel { record, objects }),
                Err(error) => pushed.failed.push((record.stage.clone(), error.into())),
            }
        }
        let all: BTreeMap<Digest, u64> = parcels
            .iter()
            .flat_map(|parcel| parcel.objects.iter().copied())
            .collect();
        let mut there = self.listed(&all)?;
        for chunk in chunks(&parcels, |parcel| &parcel.objects) {
            self.push_chunk(chunk, &mut there, pushed)?;
        }
        Ok(())
    }

    /// The objects of a record, but for outs that were given up.
    fn contents(&self, record: &Record) -> Result<Vec<(Digest, u64)>, StoreError> {
        let mut objects = Vec::new();
        for out in record.outs.iter().filter(|out| !out.freed) {
            let content = &out.content;
            match content.kind {
                Kind::File { .. } => objects.push((content.digest, content.size)),
                Kind::Tree => {
                    let manifest = self.store.objects().manifest(&content.digest)?;
                    let files = manifest.files().map(|(digest, size)| (*digest, size));
                    objects.extend(files);
                    // After its files, though nothing depends on it.
                    objects.push((content.digest, manifest.to_bytes().len() as u64));
                }
            }
        }
        Ok(objects)
    }

    /// What is there, if one listing says it: `None` if each is to be asked for.
    fn listed(&self, all: &BTreeMap<Digest, u64>) -> Result<Option<BTreeSet<Digest>>, RemoteError> {
        if self.repair {
            return Ok(Some(BTreeSet::new()));
        }
        if all.len() < LIST_FROM {
            return Ok(None);
        }
        let known = |name: &str| layout::object_of(name).filter(|digest| all.contains_key(digest));
        let listed = match self.remote.list(OBJECTS, &known) {
            // Who may read and write need not be allowed to list.
            Err(RemoteError::Refused { .. }) => None,
            listed => listed?,
        };
        let sound = |found: Vec<(Digest, u64)>| {
            let found = found
                .into_iter()
                .filter(|(digest, size)| all.get(digest) == Some(size));
            found.map(|(digest, _)| digest).collect()
        };
        Ok(listed.map(sound))
    }

    fn push_chunk(
        &self,
        chunk: &[Parcel<'_>],
        there: &mut Option<BTreeSet<Digest>>,
        pushed: &mut Pushed,
    ) -> Result<(), RemoteError> {
        let objects: BTreeMap<Digest, u64> = chunk
            .iter()
            .flat_map(|parcel| parcel.objects.iter().copied())
            .collect();
        let (small, large): (Vec<_>, Vec<_>) =
            objects.into_iter().partition(|(_, size)| *size < LARGE);
        let known = &*there;
        let one = |(digest, size): &(Digest, u64)| {
            let sent = self.bring(digest, *size, known.as_ref());
            (*digest, *size, sent)
        };
        let mut done = each(&small, AT_ONCE, &one);
        // Large ones have threads for their parts.
        done.extend(large.iter().map(one));
        let mut lost: BTreeMap<Digest, RemoteError> = BTreeMap::new();
        let mut ended = Vec::new();
        for (digest, size, sent) in done {
            match sent {
                Ok(true) => {
                    pushed.objects += 1;
                    pushed.bytes += size;
                }
                Ok(false) => pushed.objects_there += 1,
                Err(error) if error.is_remote() => {
                    ended.push(error);
                    continue;
                }
                Err(error) => {
                    lost.insert(digest, error);
                    continue;
                }
            }
            if let Some(there) = there {
                there.insert(digest);
            }
        }
        if let Some(error) = telling(ended) {
            return Err(error);
        }
        let mut whole = Vec::new();
        for parcel in chunk {
            let missing = parcel.objects.iter().map(|(digest, _)| digest);
            match missing.clone().find(|digest| lost.contains_key(digest)) {
                None => whole.push(parcel.record),
                Some(digest) => {
                    let error = lost.remove(digest);
                    let error = error.unwrap_or_else(|| RemoteError::NotThere {
                        what: format!("object {}", digest.short()),
                    });
                    pushed.failed.push((parcel.record.stage.clone(), error));
                }
            }
        }
        let put = each(&whole, AT_ONCE, &|record| self.put_record(record));
        for put in all_of(put)? {
            match put {
                true => pushed.put += 1,
                false => pushed.were_there += 1,
            }
        }
        Ok(())
    }

    /// Sends an object unless it is there. Returns whether it was sent.
    fn bring(
        &self,
        digest: &Digest,
        size: u64,
        there: Option<&BTreeSet<Digest>>,
    ) -> Result<bool, RemoteError> {
        let name = layout::object(digest);
        let is_there = match there {
            Some(there) => there.contains(digest),
            // One that does not say its size is believed: the next push with `repair` is not.
            None => {
                matches!(self.remote.size(&name)?, Some(found) if found == size || found == u64::MAX)
            }
        };
        if is_there {
            return Ok(false);
        }
        let objects = self.store.objects();
        let path = objects.file(digest, size)?;
        if size < LARGE {
            let bytes = fs::read(&path)?;
            if Digest::of(&bytes) != *digest {
                // It is damaged, unless it was replaced a moment ago.
                objects.verify_object(digest)?;
                return Err(StoreError::SourceChanged { path }.into());
            }
            self.remote.put(&name, Body::Bytes(&bytes))?;
            moved(size);
            return Ok(true);
        }
        objects.verify_object(digest)?;
        match self.remote.transport().parts() {
            Some(parts) => {
                let notes = Uploads(self.notes.clone());
                uploads::send(self.remote, parts, &name, (&path, digest, size), &notes)?;
            }
            None => {
                self.remote.put(&name, Body::File(&path))?;
                moved(size);
            }
        }
        Ok(true)
    }

    /// Puts a record under our name, unless it is there. Returns whether it was put.
    fn put_record(&self, record: &Record) -> Result<bool, RemoteError> {
        let mut plain = record.clone();
        without_variants(&mut plain);
        let text = self.signer.signed(&plain);
        let name = layout::record(&record.key, &self.signer.public().signer());
        let there = self.remote.small(&name, text.len() as u64 + 1);
        match there {
            Ok(Some(there)) if there == text.as_bytes() => return Ok(false),
            Ok(_) | Err(RemoteError::TooLong { .. }) => {}
            Err(error) => return Err(error),
        }
        self.remote.put(&name, Body::Bytes(text.as_bytes()))?;
        Ok(true)
    }
}

/// Cuts a list into pieces, each of which is worth its own round.
pub(crate) fn chunks<T>(items: &[T], objects: impl Fn(&T) -> &[(Digest, u64)]) -> Vec<&[T]> {
    let mut chunks = Vec::new();
    let (mut start, mut count, mut bytes) = (0, 0, 0_u64);
    for (at, item) in items.iter().enumerate() {
        count += objects(item).len();
        let sizes = objects(item).iter().map(|(_, size)| *size);
        bytes = sizes.fold(bytes, u64::saturating_add);
        if count >= CHUNK_OBJECTS || bytes >= CHUNK_BYTES {
            chunks.push(&items[start..=at]);
            (start, count, bytes) = (at + 1, 0, 0);
        }
    }
    if start < items.len() {
        chunks.push(&items[start..]);
    }
    chunks
}
