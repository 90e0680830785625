//! Which records are kept (gc roots), and the objects that they need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::error::StoreError;
use crate::lockfile::{self, LockFile};
use crate::record::{Record, RecordedOut};
use crate::registry::{Member, Presence};
use crate::store::Store;
use restage_core::digest::{Digest, Kind, Manifest, PathDigest};
use restage_core::fs;
use restage_core::rel_path::RelPath;

/// What is kept besides what `pipeline.lock` names and what is in the workspace.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// How many of each stage's last different results.
    pub runs: usize,
    /// Keys whose records are needed.
    pub keys: BTreeSet<Digest>,
    /// Whether every record is needed: which ones are not can't be known.
    pub all_records: bool,
    /// Keys whose scratch folders are needed; `None` if unknown: all are kept.
    pub scratch: Option<BTreeSet<Digest>>,
    /// Code whose programs are needed; `None` if unknown: the newest of each program is kept.
    pub programs: Option<BTreeSet<Digest>>,
    /// Environments that the pipelines name; `None` if unknown: all are kept.
    pub environments: Option<BTreeSet<Digest>>,
    /// Stages, with their profiles, whose adopted results are not needed just because no run can make
    /// them again.
    pub drop_adopted: BTreeSet<String>,
    /// Whether workspaces that share the store and can't be seen from here need nothing.
    pub forget_unseen: bool,
}

/// Keys of records that are kept for the workspace at `root`.
pub(super) fn live_keys(
    store: &Store,
    root: &Path,
    records: &[Arc<Record>],
    needs: &Needs,
) -> Result<BTreeSet<Digest>, StoreError> {
    let mut live = needs.keys.clone();
    if needs.all_records {
        live.extend(records.iter().map(|record| record.key));
        return Ok(live);
    }
    live.extend(locked_digests(root)?);
    live.extend(last_of_each_stage(store, records, needs.runs)?);
    let mut workspace = InPlace {
        store,
        root,
        seen: BTreeMap::new(),
    };
    for record in records {
        if !live.contains(&record.key) && workspace.holds_all(&record.outs) {
            live.insert(record.key);
        }
    }
    Ok(live)
}

/// Adopted results: unlike everything else, no run makes them again.
pub(super) fn adopted<'a>(
    records: &'a [Arc<Record>],
    needs: &'a Needs,
) -> impl Iterator<Item = &'a Arc<Record>> {
    records.iter().filter(|record| {
        let dropped = needs.drop_adopted.contains(&record.stage);
        record.holds_adopted() && !dropped
    })
}

/// The digests that the lock files of a workspace's pipelines name: of keys, outs and data.
pub(super) fn locked_digests(root: &Path) -> Result<BTreeSet<Digest>, StoreError> {
    let locks = lockfile::all_in(root)?.into_iter();
    Ok(locks
        .flat_map(|(_, bytes)| LockFile::keys_in(&bytes))
        .collect())
}

/// Keys of records that are kept for another workspace that shares the store.
pub(super) fn live_keys_of(
    store: &Store,
    member: &Member,
    records: &[Arc<Record>],
    runs: usize,
) -> Result<BTreeSet<Digest>, StoreError> {
    let store = store.seen_by(member);
    match member.presence {
        Presence::Gone => Ok(BTreeSet::new()),
        // Its `pipeline.lock` may name any of its results.
        Presence::Unseen => {
            let (mentions, _) = store.records().mentions()?;
            Ok(mentions.into_iter().map(|(_, key)| key).collect())
        }
        Presence::Here => {
            LockFile::read(&member.root.join(lockfile::NAME))?;
            let needs = Needs {
                runs,
                ..Needs::default()
            };
            live_keys(&store, &member.root, records, &needs)
        }
    }
}

/// The records that this workspace made or used: all, unless the store is shared.
pub(super) fn own(store: &Store, records: &[Arc<Record>]) -> Result<Vec<Arc<Record>>, StoreError> {
    if store.location().shared().is_none() {
        return Ok(records.to_vec());
    }
    let (mentions, _) = store.records().mentions()?;
    let keys: BTreeSet<Digest> = mentions.into_iter().map(|(_, key)| key).collect();
    let own = records.iter().filter(|record| keys.contains(&record.key));
    Ok(own.cloned().collect())
}

/// The last `runs` keys that each stage finished with: ordered by the history, and before those
/// the ones that it does not mention, by their start.
fn last_of_each_stage(
    store: &Store,
    records: &[Arc<Record>],
    runs: usize,
) -> Result<Vec<Digest>, StoreError> {
    let (mentions, _) = store.records().mentions()?;
    let named = mentions.iter().enumerate();
    let last: BTreeMap<Digest, usize> = named.map(|(at, (_, key))| (*key, at + 1)).collect();
    let mut stages: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        stages.entry(&record.stage).or_default().push(record);
    }
    let mut live = Vec::new();
    for mut of_stage in stages.into_values() {
        of_stage.sort_by_key(|record| (last.get(&record.key), &record.started, record.key));
        live.extend(of_stage.iter().rev().take(runs).map(|record| record.key));
    }
    Ok(live)
}

/// Digests of all objects that these records need, and these files and folders.
pub(super) fn live_objects(
    store: &Store,
    records: &[&Arc<Record>],
    contents: &[PathDigest],
) -> Result<BTreeSet<Digest>, StoreError> {
    let mut live = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let outs = records.iter().flat_map(|record| record.all_outs());
    let outs = outs.map(|out| (&out.content, out.freed));
    for (content, freed) in outs.chain(contents.iter().map(|content| (content, false))) {
        if content.kind != Kind::Tree {
            if !freed {
                live.insert(content.digest);
            }
            continue;
        }
        // What a folder holds is known even where its files were given up.
        live.insert(content.digest);
        if freed || !seen.insert(content.digest) {
            continue;
        }
        // A folder that is lost or damaged needs nothing: its stage runs again.
        let bytes = fs::read_if_exists(&store.objects().path(&content.digest))?;
        if let Some(manifest) = bytes.and_then(|b| Manifest::from_bytes(&b).ok()) {
            live.extend(manifest.files().map(|(digest, _)| *digest));
        }
    }
    Ok(live)
}

/// Outs in the workspace; each path is digested once.
struct InPlace<'a> {
    store: &'a Store,
    root: &'a Path,
    seen: BTreeMap<String, Option<PathDigest>>,
}

impl InPlace<'_> {
    fn holds_all(&mut self, outs: &[RecordedOut]) -> bool {
        outs.iter().filter(|out| !out.freed).all(|out| {
            let seen = self.seen.entry(out.path.clone()).or_insert_with(|| {
                let path = RelPath::new(&out.path).ok()?;
                let found = self.store.stat_cache().path_digest(self.root, &path);
                // What can't be digested is not an out.
                found.ok().flatten()
            });
            seen.as_ref() == Some(&out.content)
        })
    }
}
