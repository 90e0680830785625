//! What other workspaces that share the store can contribute, and which records lock files name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::check::{Check, Placed};
use crate::error::StoreError;
use crate::lockfile::{self, LockFile};
use crate::registry::{Member, Presence};
use restage_core::digest::Digest;

impl Check<'_> {
    /// Keys that this and other workspaces' lock files may name; `None` if one can't be read.
    pub(super) fn named(&self) -> Result<Option<BTreeSet<Digest>>, StoreError> {
        let Some(mut named) = named_in(self.root) else {
            return Ok(None);
        };
        for member in &self.members {
            match member.presence {
                Presence::Gone => {}
                Presence::Here => match named_in(&member.root) {
                    Some(keys) => named.extend(keys),
                    None => return Ok(None),
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

/// Keys that the lock files of a workspace's pipelines name; `None` if one can't be read.
fn named_in(root: &Path) -> Option<BTreeSet<Digest>> {
    let mut named = BTreeSet::new();
    for (_, bytes) in lockfile::all_in(root).ok()? {
        let lock = LockFile::parse(&bytes).ok()?;
        named.extend(lock.entries().map(|(_, _, entry)| entry.key));
    }
    Some(named)
}
