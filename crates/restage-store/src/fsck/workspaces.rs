//! What other workspaces that share the store can contribute, and which records they name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::check::{Check, Placed};
use crate::error::StoreError;
use crate::lockfile::LockFile;
use crate::registry::{Member, Presence};
use restage_core::digest::Digest;

impl Check<'_> {
    /// Keys that other workspaces' `pipeline.lock` may name; `None` if one can't be read.
    pub(super) fn named_elsewhere(&self) -> Result<Option<BTreeSet<Digest>>, StoreError> {
        let mut named = BTreeSet::new();
        for member in &self.members {
            match member.presence {
                Presence::Gone => {}
                Presence::Here => match LockFile::read(&member.root.join("pipeline.lock")) {
                    Ok(lock) => named.extend(lock.entries().map(|(_, _, entry)| entry.key)),
                    Err(_) => return Ok(None),
                },
                Presence::Unseen => {
                    let (mentions, _) = self.store.seen_by(member).records().mentions()?;
                    named.extend(mentions.into_iter().map(|(_, key)| key));
                }
            }
        }
        Ok(Some(named))
    }

    /// What the other workspaces have at the paths of outs, by workspace.
    pub(super) fn placed_elsewhere(&mut self) -> Vec<(PathBuf, BTreeMap<String, Placed>)> {
        let here = |member: &&Member| member.presence == Presence::Here;
        let roots = self.members.iter().filter(here);
        let roots: Vec<PathBuf> = roots.map(|member| member.root.clone()).collect();
        let read = |root: PathBuf| {
            let placed = self.placed_in(&root);
            (root, placed)
        };
        roots.into_iter().map(read).collect()
    }
}
