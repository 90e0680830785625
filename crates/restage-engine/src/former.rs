//! Outs that stages wrote once and that the pipeline no longer declares: of stages, items, names
//! and profiles that are gone (docs/adr/0021). They are neither sources nor results nor the user's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::workspace::Workspace;
use restage_core::digest::{Kind, Manifest, Node, PathDigest};
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::Graph;
use restage_store::lockfile::{self, LockFile};
use restage_store::{Store, StoreError};

/// What runs wrote into a workspace that is no longer declared.
#[derive(Debug)]
pub(crate) struct Former {
    store: Store,
    root: PathBuf,
    /// By path, the stage that wrote there last, and what runs wrote.
    outs: BTreeMap<RelPath, (String, Vec<PathDigest>)>,
}

/// Something that is still there of a former out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerOut {
    /// The out.
    pub path: RelPath,
    /// The stage that wrote it, with its profile: `default/part@c`.
    pub stage: String,
    /// Its files that are as they were written, relative to the pipeline's folder.
    pub files: Vec<PathBuf>,
}

impl Former {
    /// From the records of this profile, and of profiles that are not among `profiles` any more.
    pub(crate) fn of(
        ws: &Workspace,
        profiles: &[String],
        declared: &BTreeSet<RelPath>,
    ) -> Result<Self, StoreError> {
        let profile = &ws.profile;
        let mut declared = declared.clone();
        declared.extend(outs_of_other_pipelines(ws)?);
        let mut outs: BTreeMap<RelPath, (String, Vec<PathDigest>)> = BTreeMap::new();
        for record in ws.known_records()? {
            let of = record.stage.split_once('/').map_or("", |(of, _)| of);
            let other = of != profile.as_str() && profiles.iter().any(|declared| declared == of);
            if other {
                continue;
            }
            for out in record.outs.iter().chain(record.variants.iter().flatten()) {
                let Ok(path) = RelPath::new(&out.path) else {
                    continue;
                };
                // What lies in a declared out, or has one in it, is that out's matter.
                if !path.is_within_any(&declared) && !path.holds_any(&declared) {
                    let stage = record.stage.clone();
                    let (_, contents) = outs.entry(path).or_insert((stage, Vec::new()));
                    contents.push(out.content);
                }
            }
        }
        Ok(Self {
            store: ws.store.clone(),
            root: ws.root.clone(),
            outs,
        })
    }

    /// The stage of which a run wrote exactly what the file at `path` is now.
    pub(crate) fn writer(&self, path: &RelPath) -> Result<Option<&str>, StoreError> {
        for at in path.and_folders() {
            if let Some((out, (stage, contents))) = self.outs.get_key_value(at)
                && self.is_recorded(out, Path::new(path.as_str()), contents)?
            {
                return Ok(Some(stage));
            }
        }
        Ok(None)
    }

    /// What is there of all of them.
    fn standing(&self) -> Result<Vec<FormerOut>, StoreError> {
        let mut all = Vec::new();
        for (path, (stage, contents)) in &self.outs {
            let mut files = Vec::new();
            for file in files_at(&self.root, Path::new(path.as_str()))? {
                if self.is_recorded(path, &file, contents)? {
                    files.push(file);
                }
            }
            if !files.is_empty() {
                all.push(FormerOut {
                    path: path.clone(),
                    stage: stage.clone(),
                    files,
                });
            }
        }
        Ok(all)
    }

    /// Whether the file has what one of `contents`, of the out `out`, has there.
    fn is_recorded(
        &self,
        out: &RelPath,
        file: &Path,
        contents: &[PathDigest],
    ) -> Result<bool, StoreError> {
        // What can't be read was not written by a run.
        let Ok(Some(now)) = self.store.stat_cache().digest_at(&self.root.join(file)) else {
            return Ok(false);
        };
        let inside = file.strip_prefix(out.as_str()).unwrap_or(Path::new(""));
        for content in contents {
            let same = match content.kind {
                Kind::File { .. } => inside.as_os_str().is_empty() && content.digest == now.digest,
                Kind::Tree => match self.store.objects().manifest(&content.digest) {
                    Ok(manifest) => has(&manifest, inside, &now),
                    // gc removed it.
                    Err(_) => false,
                },
            };
            if same {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What runs wrote into the workspace, is still there unchanged, and is declared neither by `graph`
/// nor among `declared`, the outs of other profiles.
pub fn former_outs(
    ws: &Workspace,
    graph: &Graph,
    declared: &BTreeSet<RelPath>,
) -> Result<Vec<FormerOut>, StoreError> {
    let outs = graph.stages().iter().flat_map(|stage| &stage.outs);
    let mut all: BTreeSet<RelPath> = outs.map(|out| out.path.clone()).collect();
    all.extend(declared.iter().cloned());
    let profiles = &graph.pipeline().profiles;
    Former::of(ws, profiles, &all)?.standing()
}

/// Removes files of former outs, if they are still what was recorded, and folders that become empty
/// by that. Links on the way are not followed.
pub fn clean(ws: &Workspace, outs: &[FormerOut]) -> Result<(), StoreError> {
    for out in outs {
        for file in &out.files {
            fs::remove_all(&ws.root.join(file))?;
            let mut folder = file.parent();
            while let Some(empty) = folder.filter(|folder| folder.starts_with(out.path.as_str())) {
                if fs::remove_dir(&ws.root.join(empty)).is_err() {
                    break;
                }
                folder = empty.parent();
            }
        }
    }
    Ok(())
}

/// What other pipeline files of the folder have made: their lock files name it.
fn outs_of_other_pipelines(ws: &Workspace) -> Result<Vec<RelPath>, StoreError> {
    let mut outs = Vec::new();
    for (name, bytes) in lockfile::all_in(&ws.root)? {
        if name == ws.lock_name {
            continue;
        }
        if let Ok(lock) = LockFile::parse(&bytes) {
            let paths = lock.entries().flat_map(|(_, _, entry)| entry.outs.keys());
            outs.extend(paths.filter_map(|path| RelPath::new(path).ok()));
        }
    }
    Ok(outs)
}

/// Files at or below a path, relative to the root. No link is followed: what lies behind one is not
/// what a stage put here.
fn files_at(root: &Path, path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    for folder in path.ancestors().skip(1) {
        let there = fs::symlink_metadata_if_exists(&root.join(folder))?;
        if !folder.as_os_str().is_empty() && there.is_some_and(|there| there.is_symlink()) {
            return Ok(Vec::new());
        }
    }
    let at = root.join(path);
    if !fs::exists(&at)? {
        return Ok(Vec::new());
    }
    let files = fs::leaves(&at)?.into_iter();
    let files = files.filter(|(_, there)| there.is_file());
    Ok(files
        .filter_map(|(file, _)| Some(file.strip_prefix(root).ok()?.to_owned()))
        .collect())
}

fn has(manifest: &Manifest, inside: &Path, now: &PathDigest) -> bool {
    let entries = manifest.entries().iter();
    let mut there = entries.filter(|entry| Path::new(&entry.path) == inside);
    there.any(|entry| matches!(&entry.node, Node::File { digest, .. } if *digest == now.digest))
}
