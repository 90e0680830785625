//! What old attempts left: work folders, logs, programs.
//! It must not know records beyond when they were made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::{Category, Finder};
use crate::base::fs::{self, Context, FsError};
use crate::digest::Digest;
use crate::store::listing::list_any;
use crate::store::work::{attempts, split_number, work_name};
use crate::store::{Record, StoreError};

impl Finder<'_> {
    /// Keeps each stage's last work folder, for reading, unless the stage succeeded since.
    pub(super) fn work(&mut self, records: &[Arc<Record>]) -> Result<(), StoreError> {
        let mut succeeded: BTreeMap<String, SystemTime> = BTreeMap::new();
        for record in records {
            let Some((_profile, stage)) = record.stage.split_once('/') else {
                continue;
            };
            let at = modified(&self.store.record_path(&record.key))?;
            let last = succeeded.entry(work_name(stage)).or_insert(at);
            *last = at.max(*last);
        }
        let mut stages: BTreeMap<String, Vec<(u64, PathBuf)>> = BTreeMap::new();
        for path in list_any(&self.store.own().join("work"))? {
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
                self.settle(Category::Work, path, false)?;
            }
            if let Some((_, path)) = last {
                let at = modified(&path)?;
                let over = succeeded.get(&stage).is_some_and(|success| *success >= at);
                self.settle(Category::Work, path, !over)?;
            }
        }
        Ok(())
    }

    /// Keeps the logs of each stage's last attempts: as many as runs, and at least one.
    pub(super) fn logs(&mut self, runs: usize) -> Result<(), StoreError> {
        let mut folders = vec![self.store.own().join("logs")];
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
                self.settle(Category::Logs, path, at >= old)?;
            }
        }
        Ok(())
    }

    /// Keeps programs that a kept record was made by, and those of the present sources.
    pub(super) fn programs(
        &mut self,
        mut kept: BTreeSet<Digest>,
        present: Option<&BTreeSet<Digest>>,
    ) -> Result<(), StoreError> {
        let built = self.store.list("programs", "")?.named;
        match present {
            Some(present) => kept.extend(present),
            None => {
                let mut newest = BTreeMap::new();
                for (code, folder) in &built {
                    for name in fs::read_dir(folder)? {
                        let at = modified(&folder.join(&name))?;
                        let best = newest.entry(name).or_insert((at, *code));
                        *best = (at, *code).max(*best);
                    }
                }
                kept.extend(newest.into_values().map(|(_, code)| code));
            }
        }
        for (code, folder) in built {
            self.settle(Category::Programs, folder, kept.contains(&code))?;
        }
        Ok(())
    }
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
