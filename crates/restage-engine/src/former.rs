//! What runs wrote into the workspace and no stage here declares: of stages, items, names and profiles
//! that are gone, and of other profiles and pipeline files (docs/adr/0021). It is no source of a
//! pattern; what nobody declares is no result either, nor the user's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::workspace::Workspace;
use restage_core::digest::{Digest, Manifest, Node, PathDigest};
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_store::lockfile::{self, LockFile};
use restage_store::{Store, StoreError};

/// What is known of what runs wrote: by the records, and by lock files where records are gone, as in a
/// clone.
#[derive(Debug)]
pub(crate) struct Former {
    store: Store,
    root: PathBuf,
    /// The outs of this profile: whatever lies there is theirs.
    declared: BTreeSet<RelPath>,
    /// By path, what this pipeline's stages wrote before what others did; the last first.
    outs: BTreeMap<RelPath, Vec<Written>>,
    /// Outs that lock files of other pipeline files name.
    other_pipelines: BTreeSet<RelPath>,
    /// The names of all lock files.
    locks: Vec<String>,
    folders: Mutex<BTreeMap<Digest, Option<Arc<Manifest>>>>,
}

/// What a run wrote at a path.
#[derive(Debug)]
struct Written {
    /// The stage, with its profile: `default/part@c`.
    stage: String,
    /// Whether that is of another profile that there is, or of another pipeline file.
    elsewhere: bool,
    /// What it was, where that is known.
    content: Option<Digest>,
    /// Whether only a lock file says so.
    locked: bool,
}

/// What a pattern passes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The stage that wrote it, with its profile: `default/part@c`.
    pub stage: String,
    /// Whether that is a stage of another profile that there is, or of another pipeline file; else no
    /// stage declares it any more.
    pub elsewhere: bool,
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

/// What a file is, compared with what runs wrote.
enum Is<'a> {
    /// What this one wrote, byte for byte.
    WrittenBy(&'a Written),
    /// At a place of another's out whose content nobody here knows.
    Placed(&'a Written),
    /// Something else.
    Other,
}

impl Former {
    /// As the records and lock files are now.
    pub(crate) fn of(ws: &Workspace, profiles: &[String]) -> Result<Self, StoreError> {
        let mut former = Self {
            store: ws.store.clone(),
            root: ws.root.clone(),
            declared: ws.outs.clone(),
            outs: BTreeMap::new(),
            other_pipelines: BTreeSet::new(),
            locks: Vec::new(),
            folders: Mutex::default(),
        };
        let is_other = |profile: &str| {
            profile != ws.profile && profiles.iter().any(|declared| declared == profile)
        };
        for record in ws.known_records()? {
            let profile = record.stage.split_once('/').map_or("", |(of, _)| of);
            let elsewhere = is_other(profile);
            for out in record.outs.iter().chain(record.variants.iter().flatten()) {
                former.add(&out.path, || Written {
                    stage: record.stage.clone(),
                    elsewhere,
                    content: Some(out.content.content_id()),
                    locked: false,
                });
            }
        }
        for (name, bytes) in lockfile::all_in(&ws.root)? {
            // One that can't be read says nothing; `status` and `fsck` name it.
            if let Ok(lock) = LockFile::parse(&bytes) {
                former.add_lock(&lock, name != ws.lock_name, &is_other);
            }
            former.locks.push(name);
        }
        for written in former.outs.values_mut() {
            written.sort_by_key(|written| written.elsewhere);
        }
        Ok(former)
    }

    fn add_lock(&mut self, lock: &LockFile, other: bool, is_other: &dyn Fn(&str) -> bool) {
        for (profile, stage, entry) in lock.entries() {
            for (path, content) in &entry.outs {
                self.add(path, || Written {
                    stage: format!("{profile}/{stage}"),
                    elsewhere: other || is_other(profile),
                    content: *content,
                    locked: true,
                });
                if other {
                    self.other_pipelines.extend(RelPath::new(path).ok());
                }
            }
        }
        for (stage, path, content) in lock.files_left_over() {
            self.add(path, || Written {
                stage: stage.to_owned(),
                elsewhere: false,
                content: Some(content),
                locked: true,
            });
        }
    }

    /// What lies in a declared out is that out's matter.
    fn add(&mut self, path: &str, written: impl FnOnce() -> Written) {
        if let Ok(path) = RelPath::new(path)
            && !path.is_within_any(&self.declared)
        {
            self.outs.entry(path).or_default().push(written());
        }
    }

    /// The names of the lock files that this was read from.
    pub(crate) fn locks(&self) -> &[String] {
        &self.locks
    }

    /// Whether the file at `path` is passed over, and its content if a run wrote exactly that.
    pub(crate) fn passed_over(
        &self,
        path: &RelPath,
    ) -> Result<Option<(PassedOver, Option<Digest>)>, StoreError> {
        if path.is_within_any(&self.declared) {
            return Ok(None);
        }
        for at in path.and_folders() {
            let Some((out, written)) = self.outs.get_key_value(at) else {
                continue;
            };
            let file = Path::new(path.as_str());
            // What can't be read was not written by a run.
            let Ok(Some(now)) = self.store.stat_cache().digest_at(&self.root.join(file)) else {
                return Ok(None);
            };
            let (written, content) = match self.compare(out, file, &now, written)? {
                Is::WrittenBy(written) => (written, Some(now.content_id())),
                Is::Placed(written) => (written, None),
                Is::Other => continue,
            };
            let passed = PassedOver {
                stage: written.stage.clone(),
                elsewhere: written.elsewhere,
            };
            return Ok(Some((passed, content)));
        }
        Ok(None)
    }

    /// What is there of all that no stage declares, except at and below the paths in `keep`.
    fn standing(&self, keep: &BTreeSet<RelPath>) -> Result<Vec<FormerOut>, StoreError> {
        let is_kept = |file: &Path| {
            let path = file.to_str().and_then(|text| RelPath::new(text).ok());
            let kept = [keep, &self.declared, &self.other_pipelines];
            path.is_some_and(|path| kept.iter().any(|kept| path.is_within_any(kept)))
        };
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        for (path, written) in &self.outs {
            let mut by_stage: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::new();
            for file in files_at(&self.root, Path::new(path.as_str()))? {
                if is_kept(&file) || seen.contains(&file) {
                    continue;
                }
                let Ok(Some(now)) = self.store.stat_cache().digest_at(&self.root.join(&file))
                else {
                    continue;
                };
                if let Is::WrittenBy(written) = self.compare(path, &file, &now, written)?
                    && !written.elsewhere
                {
                    seen.insert(file.clone());
                    by_stage.entry(&written.stage).or_default().push(file);
                }
            }
            all.extend(by_stage.into_iter().map(|(stage, files)| FormerOut {
                path: path.clone(),
                stage: stage.to_owned(),
                files,
            }));
        }
        Ok(all)
    }

    /// Compares the file, which is `now`, with what runs wrote there as the out `out` or in it.
    fn compare<'a>(
        &self,
        out: &RelPath,
        file: &Path,
        now: &PathDigest,
        written: &'a [Written],
    ) -> Result<Is<'a>, StoreError> {
        let inside = file.strip_prefix(out.as_str()).unwrap_or(Path::new(""));
        let mut placed = Is::Other;
        for one in written {
            let same = match one.content {
                Some(content) if inside.as_os_str().is_empty() => Some(content == now.content_id()),
                Some(content) => self
                    .folder(out, &content)
                    .map(|folder| has(&folder, inside, now)),
                None => None,
            };
            match same {
                Some(true) => return Ok(Is::WrittenBy(one)),
                // Their place decides, as it does for declared outs.
                None if one.elsewhere && one.locked => placed = Is::Placed(one),
                Some(false) | None => {}
            }
        }
        Ok(placed)
    }

    /// The entries of a folder that was written at `out`: where the store has lost them, or never had
    /// them, the workspace may still have the folder.
    fn folder(&self, out: &RelPath, content: &Digest) -> Option<Arc<Manifest>> {
        let mut known = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.entry(*content).or_insert_with(|| {
            let stored = self.store.objects().manifest(content).ok();
            let there = || {
                let tree = self.store.stat_cache().tree(&out.under(&self.root)).ok()?;
                (tree.content.digest == *content).then_some(tree.manifest)
            };
            stored.or_else(there).map(Arc::new)
        });
        found.clone()
    }
}

/// What runs wrote into the workspace, is still there unchanged, and no stage declares. What other
/// profiles declare, and what the pipeline reads, is in `keep`.
pub fn former_outs(ws: &Workspace, keep: &BTreeSet<RelPath>) -> Result<Vec<FormerOut>, StoreError> {
    ws.former()?.standing(keep)
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
    let there = inside.to_str().and_then(|inside| manifest.node(inside));
    matches!(there, Some(Node::File { digest, .. }) if *digest == now.digest)
}
