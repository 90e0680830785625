//! Reads all that the store holds, says what is not as it was written, and mends what it can.
//! It must not know the pipeline, nor run anything.
//!
//! Nothing is believed that can be read: neither modes nor sizes nor the stat cache. What is
//! damaged goes to the quarantine, so that it is never served, and is made anew from an intact
//! copy in the workspace, or in another one that shares the store, if there is one; else the
//! stage that writes it runs again.

mod ledger;
mod members;
mod mend;
mod objects;
mod placed;
mod records;
mod report;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::lockfile::LockFile;
use super::{Member, Record, Store, StoreError, noop};
use crate::digest::Digest;

use placed::Placed;
use report::Known;
pub use report::{Checked, Finding, Need, OutState, Problem, Remedy, Report};

/// How far a check is.
#[derive(Debug, Clone, Copy)]
pub enum CheckStep {
    /// So many bytes will be read.
    Begin(u64),
    /// So many of them were read now.
    Read(u64),
}

/// What a check knows so far.
struct Check<'a> {
    store: &'a Store,
    root: &'a Path,
    watch: &'a (dyn Fn(CheckStep) + Sync),
    report: Report,
    /// Records that read as they were written.
    records: BTreeMap<Digest, Arc<Record>>,
    /// Objects whose bytes are those that their names promise.
    sound: Known,
    /// The other workspaces that share the store.
    members: Vec<Member>,
    /// `None` if it can't be read.
    lock: Option<LockFile>,
    /// What stands at the paths of outs.
    placed: BTreeMap<String, Placed>,
}

impl Store {
    /// Checks everything, in the workspace at `root`, and mends what can be mended. The store
    /// must be open alone. `watch` is told of progress, by several threads.
    pub fn check(
        &self,
        root: &Path,
        watch: &(dyn Fn(CheckStep) + Sync),
    ) -> Result<Report, StoreError> {
        let mut check = Check {
            store: self,
            root,
            watch,
            report: Report::default(),
            records: BTreeMap::new(),
            sound: Known::default(),
            members: self.members()?,
            lock: None,
            placed: BTreeMap::new(),
        };
        check.stat_cache()?;
        check.read_lock()?;
        check.read_records()?;
        check.read_objects()?;
        check.read_placed();
        check.mend()?;
        check.histories()?;
        check.lock_file();
        check.outs();
        check.leftovers()?;
        if !check.report.findings.is_empty() {
            // They rest on what `stat` said, which the damage may not have changed.
            noop::forget(self.own())?;
        }
        self.save()?;
        // What they say is in the report.
        self.take_warnings();
        Ok(check.report)
    }
}
