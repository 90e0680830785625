//! What old attempts left: work folders, logs, programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::garbage::{Category, Garbage};
use crate::error::StoreError;
use crate::listing::{self, Listing};
use crate::record::Record;
use crate::store::Store;
use crate::workdirs::{attempts, split_number, work_name};
use restage_core::digest::Digest;
use restage_core::fs::{self, Context, FsError};

/// Keeps each stage's last work folder, for reading, unless the stage succeeded since.
pub(super) fn work(
    garbage: &mut Garbage,
    store: &Store,
    records: &[Arc<Record>],
) -> Result<(), StoreError> {
    let mut succeeded: BTreeMap<String, SystemTime> = BTreeMap::new();
    for record in records {
        let Some((_profile, stage)) = record.stage.split_once('/') else {
            continue;
        };
        let at = modified(&store.records().path(&record.key))?;
        let last = succeeded.entry(work_name(stage)).or_insert(at);
        *last = at.max(*last);
    }
    let mut stages: BTreeMap<String, Vec<(u64, PathBuf)>> = BTreeMap::new();
    for path in listing::of_any(&store.workdirs().work())? {
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some((stage, number)) = name.and_then(split_number) {
            let stage = stages.entry(stage.to_owned()).or_default();
            stage.push((number, path));
        }
    }
    for (stage, mut folders) in stages {
        folders.sort();
        let last = folders.pop();
        for (_, path) in folders {
            garbage.settle(Category::Work, path, false)?;
        }
        if let Some((_, path)) = last {
            let at = modified(&path)?;
            let over = succeeded.get(&stage).is_some_and(|success| *success >= at);
            garbage.settle(Category::Work, path, !over)?;
        }
    }
    Ok(())
}

/// Keeps the logs of each stage's last attempts: as many as runs, and at least one.
pub(super) fn logs(garbage: &mut Garbage, store: &Store, runs: usize) -> Result<(), StoreError> {
    let mut folders = vec![store.workdirs().all_logs()];
    while let Some(folder) = folders.pop() {
        let mut logs = Vec::new();
        for number in attempts(&folder)? {
            let path = folder.join(format!("{number:04}"));
            // A stage may be named like an attempt; it holds folders.
            if fs::exists(&path)? && subfolders(&path)?.is_empty() {
                logs.push(path);
            }
        }
        for path in subfolders(&folder)? {
            if !logs.contains(&path) {
                folders.push(path);
            }
        }
        let old = logs.len().saturating_sub(runs.max(1));
        for (at, path) in logs.into_iter().enumerate() {
            garbage.settle(Category::Logs, path, at >= old)?;
        }
    }
    Ok(())
}

/// Folders of programs, by the digest of their code.
pub(super) fn programs(store: &Store) -> Result<Listing, StoreError> {
    listing::of_digests(&store.location().dir().join("programs"), "")
}

/// Code whose programs are kept: those that a kept record was made by (`recorded`), and those of
/// the present sources, or the newest of each program if the sources are unknown.
pub(super) fn live_programs(
    store: &Store,
    recorded: BTreeSet<Digest>,
    present: Option<&BTreeSet<Digest>>,
) -> Result<BTreeSet<Digest>, StoreError> {
    let mut live = recorded;
    if let Some(present) = present {
        live.extend(present);
        return Ok(live);
    }
    let mut newest = BTreeMap::new();
    for (code, folder) in programs(store)?.named {
        for name in fs::read_dir(&folder)? {
            let at = modified(&folder.join(&name))?;
            let best = newest.entry(name).or_insert((at, code));
            *best = (at, code).max(*best);
        }
    }
    live.extend(newest.into_values().map(|(_, code)| code));
    Ok(live)
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, FsError> {
    let mut found = Vec::new();
    for name in fs::read_dir(folder)? {
        let path = folder.join(name);
        if fs::symlink_metadata(&path)?.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

fn modified(path: &Path) -> Result<SystemTime, FsError> {
    fs::symlink_metadata(path)?.modified().at("look at", path)
}
