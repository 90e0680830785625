//! Finds what nothing needs any more, and removes it. What the pipeline needs is given as
//! [`Needs`].
//!
//! A record is removed before the objects that it needs, and the history forgets it before that,
//! so that a crash at any moment leaves no record that lacks an object.

mod attempts;
mod garbage;
mod roots;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::data_lists;
use super::error::StoreError;
use super::key_lock::Left;
use super::lockfile::{self, LockFile};
use super::record::Record;
use super::registry::{Presence, members};
use super::scratch;
use super::store::Store;
use restage_core::digest::{Digest, KeyAction};
use restage_core::fs;

pub use garbage::{Category, Garbage, Tally};
pub use roots::Needs;

/// What nothing needs, in the workspace at `root`. Changes nothing. The store must be open alone:
/// no record names the outs of a run that is going on.
pub fn find(store: &Store, root: &Path, needs: &Needs) -> Result<Garbage, StoreError> {
    let location = store.location();
    LockFile::read(&root.join(lockfile::NAME))?;
    let records = store.records().all()?;
    let mut live = roots::live_keys(store, root, &records, needs)?;
    let mut members = members(location)?;
    for member in &mut members {
        if needs.forget_unseen && member.presence == Presence::Unseen {
            member.presence = Presence::Gone;
        }
        live.extend(roots::live_keys_of(store, member, &records, needs.runs)?);
    }
    let mut garbage = Garbage::default();
    for record in roots::adopted(&records, needs) {
        if live.insert(record.key) {
            garbage.adopted.insert(record.stage.clone());
        }
    }
    let live_records: Vec<&Arc<Record>> = records
        .iter()
        .filter(|record| live.contains(&record.key))
        .collect();
    let listing = store.records().list()?;
    let dead = listing.named.iter().filter(|(key, _)| !live.contains(key));
    garbage.forgotten = dead.map(|(key, _)| *key).collect();
    garbage.members = members;
    garbage.settle_listed(Category::Records, listing, &live)?;
    let handed = store.batches().needed()?;
    let objects = roots::live_objects(store, &live_records, &handed.contents)?;
    garbage.settle_listed(Category::Objects, store.objects().list()?, &objects)?;
    let code = live_records
        .iter()
        .filter_map(|record| match &record.inputs.action {
            KeyAction::Program { code, .. } => Some(*code),
            KeyAction::Command(_) | KeyAction::Script { .. } | KeyAction::Fetch { .. } => None,
        });
    let code = code.chain(handed.code).collect();
    let programs = attempts::live_programs(store, code, needs.programs.as_ref())?;
    garbage.settle_listed(Category::Programs, attempts::programs(store)?, &programs)?;
    environments(&mut garbage, store, &live_records, needs)?;
    attempts::work(&mut garbage, store, &roots::own(store, &records)?)?;
    scratch(&mut garbage, store, needs.scratch.as_ref(), &handed.keys)?;
    attempts::logs(&mut garbage, store, needs.runs)?;
    for (path, is_closed) in store.batches().folders()? {
        garbage.settle(Category::Logs, path, !is_closed)?;
    }
    garbage.remove_all_of(Category::Quarantine, store.objects().quarantined()?)?;
    garbage.remove_all_of(Category::Leftovers, store.workdirs().leftovers()?)?;
    let pinned = roots::locked_digests(root)?;
    for (digest, path) in data_lists::all(location.own())?.named {
        if !pinned.contains(&digest) {
            garbage.settle(Category::Leftovers, path, false)?;
        }
    }
    for (category, name) in [
        (Category::Quarantine, "pipeline.lock.damaged"),
        // The name of `noop/` before it was called so.
        (Category::Leftovers, "standstills"),
    ] {
        let path = location.own().join(name);
        if fs::exists(&path)? {
            garbage.settle(category, path, false)?;
        }
    }
    Ok(garbage)
}

/// Keeps those that a kept record was made in, and those that the pipelines name.
fn environments(
    garbage: &mut Garbage,
    store: &Store,
    records: &[&Arc<Record>],
    needs: &Needs,
) -> Result<(), StoreError> {
    let listing = store.environments().list()?;
    let live: BTreeSet<Digest> = match &needs.environments {
        None => listing.named.iter().map(|(digest, _)| *digest).collect(),
        Some(named) => {
            let made_in = records
                .iter()
                .filter_map(|record| record.inputs.environment.as_ref());
            made_in
                .map(|it| it.digest())
                .chain(named.iter().copied())
                .collect()
        }
    };
    garbage.settle_listed(Category::Environments, listing, &live)
}

fn scratch(
    garbage: &mut Garbage,
    store: &Store,
    needed: Option<&BTreeSet<Digest>>,
    handed: &BTreeSet<Digest>,
) -> Result<(), StoreError> {
    let is_needed =
        |key: &Digest| handed.contains(key) || needed.is_none_or(|keys| keys.contains(key));
    for (key, path) in scratch::list(store.location())?.named {
        let keep = is_needed(&key) || store.locks().left(&key)? == Left::Orphan;
        garbage.settle(Category::Scratch, path, keep)?;
    }
    // We are alone: whoever locked a key is dead, but what it started may live.
    for (key, path) in store.locks().list()?.named {
        let keep = match store.locks().left(&key)? {
            Left::Nothing => false,
            Left::Orphan => true,
            Left::Number => is_needed(&key),
        };
        garbage.settle(Category::Claims, path, keep)?;
    }
    for (key, path) in store.locks().leases()? {
        garbage.settle(Category::Claims, path, is_needed(&key))?;
    }
    Ok(())
}

/// Removes what [`find`] found. The store must have been open alone since.
pub fn remove(store: &Store, garbage: &Garbage) -> Result<(), StoreError> {
    // First what needs no other change: on a full disk the history can't be rewritten before.
    for (category, path) in garbage.items() {
        match category {
            Category::Records | Category::Objects => {}
            Category::Leftovers => store.remove_leftover(path),
            _ => store.workdirs().remove(path),
        }
    }
    store.records().forget(&garbage.forgotten)?;
    for member in garbage.members() {
        match member.presence {
            Presence::Gone => store.workdirs().remove(&member.entry),
            Presence::Here | Presence::Unseen => {
                let theirs = store.seen_by(member);
                theirs.records().forget(&garbage.forgotten)?;
            }
        }
    }
    for path in garbage.of(Category::Records) {
        store.location().remove(path)?;
    }
    // Objects go only once the disk knows that the records are gone.
    store.records().flush_removals()?;
    let mut shards = BTreeSet::new();
    for path in garbage.of(Category::Objects) {
        store.objects().remove(path)?;
        shards.extend(path.parent());
    }
    for shard in shards {
        if fs::read_dir(shard)?.is_empty() {
            fs::remove_dir(shard)?;
        }
    }
    Ok(())
}
