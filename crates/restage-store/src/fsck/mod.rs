//! Reads everything that the store holds, reports what is not as it was written, and repairs what
//! it can.
//!
//! It trusts nothing that it can read instead: not modes, sizes or the stat cache. What is damaged
//! goes to the quarantine, so that it is never served, and is restored from an intact copy in the
//! workspace, or in another one that shares the store, if there is one; otherwise the stage that
//! writes it runs again.

mod check;
mod environments;
mod metadata;
mod objects;
mod records;
mod repair;
mod report;
mod workspaces;
mod worktree;

use std::collections::BTreeMap;
use std::path::Path;

use super::error::StoreError;
use super::noop;
use super::registry::members;
use super::store::Store;
use check::{Check, Sound};

pub use check::CheckStep;
pub use report::{Checked, Finding, Need, OutState, Problem, Remedy, Report};

/// Checks everything, in the workspace at `root`, and repairs what can be repaired. The store
/// must be open alone. `watch` is called with the progress, by several threads.
pub fn check(
    store: &Store,
    root: &Path,
    watch: &(dyn Fn(CheckStep) + Sync),
) -> Result<Report, StoreError> {
    let mut check = Check {
        store,
        root,
        watch,
        report: Report::default(),
        records: BTreeMap::new(),
        sound: Sound::default(),
        members: members(store.location())?,
        locks: Vec::new(),
        placed: BTreeMap::new(),
    };
    check.stat_cache()?;
    check.read_locks()?;
    check.read_records()?;
    check.read_objects()?;
    check.environments()?;
    check.read_worktree();
    check.repair()?;
    check.histories()?;
    check.lock_files();
    check.outs();
    check.leftovers()?;
    if !check.report.findings.is_empty() {
        // They depend on what `stat` said, which the damage may not have changed.
        noop::forget(store.location().own())?;
    }
    store.stat_cache().save()?;
    // They are in the report.
    store.take_warnings();
    Ok(check.report)
}
