//! Takes results out of a remote: records that somebody who is trusted signed, and bytes that are those of their
//! names. Objects are on the disk before their record is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::each::{all_of, each, telling};
use super::error::RemoteError;
use super::layout::{self, RECORDS};
use super::push::{AT_ONCE, LIST_FROM, chunks};
use super::remote::{Remote, moved};
use super::sign::{self, Trusted};
use super::uploads::{AT_ONCE as PARTS_AT_ONCE, LARGE, PART};
use restage_core::digest::{Digest, Kind, PathDigest, digest_file};
use restage_core::fs::Context;
use restage_store::{Arrival, Record, Store, Unflushed};

/// Keys that are asked for at once.
const KEYS_AT_ONCE: usize = 32;

/// The most that a record has.
const RECORD: u64 = 64 << 20;

/// The most that a folder's manifest has.
const MANIFEST: u64 = 1 << 30;

/// Results on their way from a remote.
#[derive(Debug)]
pub struct Pull<'a> {
    /// Where from.
    pub remote: &'a Remote,
    /// Where to.
    pub store: &'a Store,
    /// Whose records are used.
    pub trusted: &'a Trusted,
}

/// What a remote has of a key.
#[derive(Debug)]
pub struct Found {
    /// The key.
    pub key: Digest,
    /// What there is.
    pub what: Wanted,
}

/// What a remote has of one key.
#[derive(Debug)]
pub enum Wanted {
    /// A record that can be used.
    Record(Arc<Record>),
    /// Nothing.
    NotThere,
    /// Records that nobody trusted signed, by the signers that their names say.
    Strangers(Vec<String>),
    /// A record that is not what its name says, and why.
    Refused(String),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Pulled {
    /// Keys that have a record in the store now.
    pub keys: BTreeSet<Digest>,
    /// Objects that came.
    pub objects: usize,
    /// Bytes that came.
    pub bytes: u64,
    /// Results that could not be had, by their stage, and why.
    pub failed: Vec<(String, RemoteError)>,
    /// What ended it early.
    pub ended: Option<RemoteError>,
}

/// An object that is wanted. Of a manifest the size is not known.
#[derive(Debug, Clone, Copy)]
struct Want {
    digest: Digest,
    size: Option<u64>,
}

/// A result, and how much it is worth, as far as that is known before manifests are here.
struct Piece<'a> {
    record: &'a Record,
    sizes: Vec<(Digest, u64)>,
}

/// What came of a round.
struct Round<'a> {
    pulled: &'a mut Pulled,
    unflushed: Unflushed,
    lost: BTreeMap<Digest, RemoteError>,
}

impl Pull<'_> {
    /// Asks for the records of keys.
    pub fn find(&self, keys: &[Digest]) -> Result<Vec<Found>, RemoteError> {
        let nothing = |key: &Digest| Found {
            key: *key,
            what: Wanted::NotThere,
        };
        if !self.remote.check()? {
            return Ok(keys.iter().map(nothing).collect());
        }
        let listed = match keys.len() >= LIST_FROM {
            true => self.list(keys)?,
            false => None,
        };
        let found = each(keys, KEYS_AT_ONCE, &|key| {
            let signers = listed.as_ref().map(|listed| {
                let signers = listed.get(key);
                signers.map_or(&[] as &[String], Vec::as_slice)
            });
            let what = self.find_one(key, signers)?;
            Ok(Found { key: *key, what })
        });
        all_of(found)
    }

    /// Who signed records of these keys, by one listing.
    fn list(&self, keys: &[Digest]) -> Result<Option<BTreeMap<Digest, Vec<String>>>, RemoteError> {
        let wanted: BTreeSet<&Digest> = keys.iter().collect();
        let known = |name: &str| {
            let (key, signer) = layout::record_of(name)?;
            wanted.contains(&key).then(|| (key, signer.to_owned()))
        };
        let listed = match self.remote.list(RECORDS, &known) {
            // Who may read need not be allowed to list.
            Err(RemoteError::Refused { .. }) => None,
            listed => listed?,
        };
        Ok(listed.map(|listed| {
            let mut signers: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
            for ((key, signer), _) in listed {
                signers.entry(key).or_default().push(signer);
            }
            signers
        }))
    }

    /// `signers`: those that a listing named.
    fn find_one(&self, key: &Digest, signers: Option<&[String]>) -> Result<Wanted, RemoteError> {
        let mut refused = None;
        for by in self.trusted.keys() {
            let signer = by.signer();
            if signers.is_some_and(|signers| !signers.contains(&signer)) {
                continue;
            }
            let name = layout::record(key, &signer);
            let text = match self.remote.small(&name, RECORD) {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(error @ RemoteError::TooLong { .. }) => {
                    refused = Some(error.to_string());
                    continue;
                }
                Err(error) => return Err(error),
            };
            match sign::read(&text, key, by) {
                Ok(record) => return Ok(Wanted::Record(record)),
                Err(problem) => {
                    refused = Some(format!(
                        "record {} of `{}` is not used: {problem}",
                        key.short(),
                        by.name
                    ));
                }
            }
        }
        if let Some(refused) = refused {
            return Ok(Wanted::Refused(refused));
        }
        let others = match signers {
            Some(signers) => signers.to_vec(),
            None => self.strangers(key),
        };
        Ok(match others.is_empty() {
            true => Wanted::NotThere,
            false => Wanted::Strangers(others),
        })
    }

    /// Who else signed records of a key. It is said, and decides nothing: where it can't be asked, nobody did.
    fn strangers(&self, key: &Digest) -> Vec<String> {
        let known = |name: &str| {
            let (found, signer) = layout::record_of(name)?;
            (found == *key).then(|| signer.to_owned())
        };
        let listed = self.remote.list(&layout::records_of(key), &known);
        let listed = listed.ok().flatten().unwrap_or_default();
        listed.into_iter().map(|(signer, _)| signer).collect()
    }

    /// Brings these results into the store. Those that it has already stay as they are.
    pub fn bring(&self, records: &[Arc<Record>]) -> Pulled {
        let mut pulled = Pulled::default();
        if let Err(error) = self.bring_all(records, &mut pulled) {
            pulled.ended = Some(error);
        }
        pulled
    }

    fn bring_all(&self, records: &[Arc<Record>], pulled: &mut Pulled) -> Result<(), RemoteError> {
        let pieces = records.iter().map(|record| {
            let outs = record.kept_outs();
            let sizes = outs.map(|out| (out.content.digest, out.content.size));
            Piece {
                record,
                sizes: sizes.collect(),
            }
        });
        let pieces: Vec<Piece<'_>> = pieces.collect();
        for chunk in chunks(&pieces, |piece| &piece.sizes) {
            self.bring_chunk(chunk, pulled)?;
        }
        Ok(())
    }

    fn bring_chunk(&self, chunk: &[Piece<'_>], pulled: &mut Pulled) -> Result<(), RemoteError> {
        let mut round = Round {
            pulled,
            unflushed: Unflushed::default(),
            lost: BTreeMap::new(),
        };
        let outs = || chunk.iter().flat_map(|piece| piece.record.kept_outs());
        let first = outs().map(|out| Want {
            digest: out.content.digest,
            size: match out.content.kind {
                Kind::File { .. } => Some(out.content.size),
                Kind::Tree => None,
            },
        });
        self.bring_objects(first, &mut round)?;
        let mut files = Vec::new();
        for out in outs().filter(|out| out.content.kind == Kind::Tree) {
            files.extend(self.files_of(&out.content, &mut round)?);
        }
        self.bring_objects(files.into_iter(), &mut round)?;
        let Round {
            pulled,
            unflushed,
            mut lost,
        } = round;
        self.store.objects().flush(&unflushed)?;
        let mut written = Unflushed::default();
        for Piece { record, .. } in chunk {
            match self.keep(record, &mut lost, &mut written) {
                Ok(()) => drop(pulled.keys.insert(record.key)),
                Err(error) => pulled.failed.push((record.stage.clone(), error)),
            }
        }
        Ok(self.store.objects().flush(&written)?)
    }

    /// Writes the record of a result, if all of it is here.
    fn keep(
        &self,
        record: &Record,
        lost: &mut BTreeMap<Digest, RemoteError>,
        written: &mut Unflushed,
    ) -> Result<(), RemoteError> {
        for out in record.kept_outs() {
            if let Some(error) = lost.remove(&out.content.digest) {
                return Err(error);
            }
            if self.store.objects().has(&out.content)? {
                continue;
            }
            let manifest = self.store.objects().manifest(&out.content.digest)?;
            let mut files = manifest.files();
            let cause = files.find_map(|(digest, _)| lost.remove(digest));
            return Err(cause.unwrap_or_else(|| RemoteError::NotThere {
                what: format!("`{}` of {}", out.path, record.stage),
            }));
        }
        // Another restage runs it: it will have the same, and says so itself.
        if let Some(lock) = self.store.locks().try_lock(&record.key)? {
            self.store.take_in(&lock, record, written)?;
        }
        Ok(())
    }

    /// The files of a folder whose manifest is here.
    fn files_of(
        &self,
        folder: &PathDigest,
        round: &mut Round<'_>,
    ) -> Result<Vec<Want>, RemoteError> {
        if round.lost.contains_key(&folder.digest) {
            return Ok(Vec::new());
        }
        let manifest = match self.store.objects().manifest(&folder.digest) {
            // Its bytes have the right digest and describe no folder, or other ones than the record says.
            Ok(manifest) if manifest.content() == *folder => manifest,
            Ok(_) | Err(restage_store::StoreError::NoManifest { .. }) => {
                let what = self.remote.shown(&layout::object(&folder.digest));
                let problem = "it is not the folder that the record says".to_owned();
                let error = RemoteError::Nonsense { what, problem };
                round.lost.insert(folder.digest, error);
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let files = manifest.files().map(|(digest, size)| Want {
            digest: *digest,
            size: Some(size),
        });
        Ok(files.collect())
    }

    /// Fetches all bytes of these results and looks whether they are right. Manifests of folders are kept, and nothing
    /// else.
    pub fn check(&self, records: &[Arc<Record>]) -> Pulled {
        let mut checked = Pulled::default();
        for record in records {
            match self.check_one(record) {
                Ok((objects, bytes)) => {
                    checked.keys.insert(record.key);
                    checked.objects += objects;
                    checked.bytes += bytes;
                }
                Err(error) if error.is_remote() => {
                    checked.ended = Some(error);
                    break;
                }
                Err(error) => checked.failed.push((record.stage.clone(), error)),
            }
        }
        checked
    }

    fn check_one(&self, record: &Record) -> Result<(usize, u64), RemoteError> {
        let mut wants: BTreeMap<Digest, Want> = BTreeMap::new();
        let mut want = |digest: &Digest, size| {
            let digest = *digest;
            wants.insert(digest, Want { digest, size });
        };
        for out in record.kept_outs() {
            let content = &out.content;
            match content.kind {
                Kind::File { .. } => want(&content.digest, Some(content.size)),
                Kind::Tree => {
                    want(&content.digest, None);
                    self.bring_manifest(&content.digest)?;
                    let manifest = self.store.objects().manifest(&content.digest)?;
                    for (digest, size) in manifest.files() {
                        want(digest, Some(size));
                    }
                }
            }
        }
        let wants: Vec<Want> = wants.into_values().collect();
        let fetched = each(&wants, AT_ONCE, &|want| {
            let (arrival, bytes) = self.fetch(want)?;
            match digest_file(arrival.path())? == want.digest {
                true => Ok(bytes),
                false => Err(RemoteError::Damaged {
                    what: self.remote.shown(&layout::object(&want.digest)),
                }),
            }
        });
        Ok((wants.len(), all_of(fetched)?.into_iter().sum()))
    }

    /// Brings the manifest of a folder, to look into the folder.
    pub fn bring_manifest(&self, digest: &Digest) -> Result<(), RemoteError> {
        let unflushed = Mutex::default();
        self.bring_one(
            &Want {
                digest: *digest,
                size: None,
            },
            &unflushed,
        )?;
        let unflushed = unflushed
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(self.store.objects().flush(&unflushed)?)
    }

    fn bring_objects(
        &self,
        wants: impl Iterator<Item = Want>,
        round: &mut Round<'_>,
    ) -> Result<(), RemoteError> {
        let wants: BTreeMap<Digest, Want> = wants.map(|want| (want.digest, want)).collect();
        let is_large = |want: &Want| want.size.is_some_and(|size| size >= LARGE);
        let (large, small): (Vec<Want>, Vec<Want>) = wants.into_values().partition(is_large);
        let unflushed = Mutex::new(std::mem::take(&mut round.unflushed));
        let one = |want: &Want| (want.digest, self.bring_one(want, &unflushed));
        let mut done = each(&small, AT_ONCE, &one);
        // Large ones have threads for their parts.
        done.extend(large.iter().map(one));
        round.unflushed = unflushed
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        for (digest, brought) in done {
            match brought {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    round.pulled.objects += 1;
                    round.pulled.bytes += bytes;
                }
                Err(error) if error.is_remote() => ended.push(error),
                Err(error) => drop(round.lost.insert(digest, error)),
            }
        }
        telling(ended).map_or(Ok(()), Err)
    }

    /// Brings an object, unless it is here. Returns how many bytes came.
    fn bring_one(
        &self,
        want: &Want,
        unflushed: &Mutex<Unflushed>,
    ) -> Result<Option<u64>, RemoteError> {
        let (objects, digest) = (self.store.objects(), &want.digest);
        let note = || unflushed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_here = match want.size {
            Some(size) => objects.has_object(digest, size, &mut note())?,
            None => objects.manifest_if_there(digest, &mut note())?.is_some(),
        };
        if is_here {
            return Ok(None);
        }
        let (arrival, bytes) = self.fetch(want)?;
        let mut arrived = Unflushed::default();
        if !objects.keep_arrival(arrival, &mut arrived)? {
            let what = self.remote.shown(&layout::object(digest));
            return Err(RemoteError::Damaged { what });
        }
        note().add(arrived);
        Ok(Some(bytes))
    }

    /// Fetches an object, unchecked. Returns how many bytes it has, too.
    fn fetch(&self, want: &Want) -> Result<(Arrival, u64), RemoteError> {
        let name = layout::object(&want.digest);
        let mut arrival = self.store.objects().arrive(&want.digest)?;
        let path = arrival.path().to_owned();
        let bytes = match want.size {
            Some(size) if size >= LARGE => {
                match self.in_parts(&name, size, (arrival.file(), &path)) {
                    Err(RemoteError::NoParts { .. }) => {
                        self.whole(&name, want.size, (arrival.file(), &path))?
                    }
                    done => {
                        done?;
                        size
                    }
                }
            }
            size => self.whole(&name, size, (arrival.file(), &path))?,
        };
        arrival.file().flush().at("write", &path)?;
        Ok((arrival, bytes))
    }

    /// Fetches all of an object into a file.
    fn whole(
        &self,
        name: &str,
        size: Option<u64>,
        (file, local): (&mut File, &Path),
    ) -> Result<u64, RemoteError> {
        let what = || self.remote.shown(name);
        let most = size.unwrap_or(MANIFEST);
        self.remote.patiently(|| {
            file.seek(SeekFrom::Start(0)).at("write", local)?;
            file.set_len(0).at("write", local)?;
            let mut got = 0;
            let there = self.remote.transport().get(name, None, &mut |some| {
                got += some.len() as u64;
                if got > most {
                    return Err(RemoteError::TooLong { what: what(), most });
                }
                moved(some.len() as u64);
                Ok(file.write_all(some).at("write", local)?)
            })?;
            match size {
                _ if !there => Err(RemoteError::NotThere { what: what() }),
                Some(expected) if got != expected => Err(RemoteError::Cut {
                    what: what(),
                    got,
                    expected,
                }),
                _ => Ok(got),
            }
        })
    }

    /// Fetches the parts of an object into a file.
    fn in_parts(
        &self,
        name: &str,
        size: u64,
        (file, local): (&File, &Path),
    ) -> Result<(), RemoteError> {
        file.set_len(size).at("write", local)?;
        let parts: Vec<Range<u64>> = (0..size.div_ceil(PART))
            .map(|number| number * PART..((number + 1) * PART).min(size))
            .collect();
        let done = each(&parts, PARTS_AT_ONCE, &|part| {
            self.remote.patiently(|| {
                let mut at = part.start;
                let there = self.remote.transport().get(name, Some(part), &mut |some| {
                    if at + some.len() as u64 > part.end {
                        let (what, most) = (self.remote.shown(name), part.end - part.start);
                        return Err(RemoteError::TooLong { what, most });
                    }
                    file.write_all_at(some, at).at("write", local)?;
                    at += some.len() as u64;
                    moved(some.len() as u64);
                    Ok(())
                })?;
                match there {
                    true => Ok(()),
                    false => Err(RemoteError::NotThere {
                        what: self.remote.shown(name),
                    }),
                }
            })
        });
        all_of(done).map(drop)
    }
}
