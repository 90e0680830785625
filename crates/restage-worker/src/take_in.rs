//! What has become of a batch. A worker records what it made; where it ended before it had, that is done here.

use std::collections::{BTreeMap, BTreeSet};

use super::task::{CameTo, Task, read_result};
use restage_core::digest::Digest;
use restage_store::{Batch, Store, StoreError, Unflushed};

/// What has become of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// Its stage, as records name it.
    pub stage: String,
    /// Its key.
    pub key: Digest,
    /// What it came to; `None`: no worker has said so yet.
    pub came_to: Option<CameTo>,
}

/// Makes a record of each result of a batch that has none, and closes the batch if all its tasks have come
/// to an end. A result whose key somebody works on is left for the next time.
pub fn take_in(store: &Store, batch: &Batch) -> Result<Vec<Taken>, StoreError> {
    let mut came_to: BTreeMap<Digest, CameTo> = BTreeMap::new();
    for line in batch.results()? {
        let Some(now) = read_result(&line) else {
            continue;
        };
        let is_first = came_to
            .get(&line.key)
            .is_none_or(|before| !before.is_final() && now.is_final());
        if is_first {
            came_to.insert(line.key, now);
        }
    }
    let mut taken = Vec::new();
    let mut open = BTreeSet::new();
    let mut unflushed = Unflushed::default();
    for line in batch.tasks()? {
        let key = line.key;
        let Ok(task) = Task::read(&line) else {
            open.insert(key);
            continue;
        };
        let came_to = came_to.get(&key).cloned();
        if !came_to.as_ref().is_some_and(CameTo::is_final) {
            open.insert(key);
        }
        if let Some(CameTo::Made { made, kept }) = &came_to
            && !record(store, &task, made, kept, &mut unflushed)?
        {
            open.insert(key);
        }
        taken.push(Taken {
            stage: task.qualified,
            key,
            came_to,
        });
    }
    store.objects().flush(&unflushed)?;
    if open.is_empty() {
        batch.close()?;
    }
    Ok(taken)
}

/// Whether what was made is a record now.
fn record(
    store: &Store,
    task: &Task,
    made: &super::Made,
    kept: &restage_store::KeptApart,
    unflushed: &mut Unflushed,
) -> Result<bool, StoreError> {
    let key = task.key.digest();
    let (key_is_known, outs) = (store.records().get(&key)?.is_some(), &task.spec.outs);
    if key_is_known {
        return Ok(true);
    }
    let declared = outs.iter().map(|out| (out.path.as_str(), out.volatile));
    let wrote = made
        .outs
        .iter()
        .map(|out| (out.path.as_str(), out.volatile));
    if !declared.eq(wrote) {
        return Ok(false);
    }
    let Some(lock) = store.locks().try_lock(&key)? else {
        return Ok(false);
    };
    // A worker that was killed after it had said what it made may have left something running.
    lock.settle()?;
    let record = made
        .clone()
        .into_record(task.key.clone(), task.qualified.clone(), kept.clone());
    store.commit(&lock, &record, Unflushed::default(), unflushed)?;
    Ok(true)
}
