//! What stands where outs go, and must not be lost (docs/adr/0021).
//!
//! Where no run has ever written, everything is the user's and stops the run before it starts. Where
//! one has, content decides, not names or times: what the store or git has may be replaced, and
//! everything else is set aside.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{Foreign, RunError};
use super::git;
use super::one_place;
use super::plan::{Decision, Plan};
use super::workspace::Workspace;
use restage_core::clock::WallTime;
use restage_core::digest::{Digest, Kind, Manifest, Node, StatCache};
use restage_core::files::SET_ASIDE;
use restage_core::fs::{self, FsError};
use restage_core::rel_path::RelPath;
use restage_core::suggest;
use restage_pipeline::graph::Graph;
use restage_pipeline::{Out, Stage};
use restage_store::lockfile::LockFile;
use restage_store::{Record, RecordedOut, Store, StoreError};

/// What becomes of files that no run wrote and that stand where a stage's outs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Foreigners {
    /// Nothing runs.
    #[default]
    Refuse,
    /// They are moved to the folder for that.
    SetAside,
    /// They are removed.
    Replace,
}

/// The paths that a message names at most.
const NAMED: usize = 5;

/// A file, link or folder that nobody else has.
#[derive(Debug)]
pub(super) struct Stranger {
    /// Where it stands or stood, relative to the pipeline's folder.
    pub(super) name: PathBuf,
    /// Where it is now.
    pub(super) at: PathBuf,
}

/// What is at and below `at`, the place `inside` the out `out`, and is not in the store.
fn strangers(
    store: &Store,
    out: &str,
    inside: &Path,
    at: &Path,
) -> Result<Vec<Stranger>, StoreError> {
    // What can't be digested (a pipe, a strange name, no right to read) is the user's.
    let cache = store.stat_cache();
    if let Ok(Some(content)) = cache.digest_at(at)
        && store.objects().has(&content)?
    {
        return Ok(Vec::new());
    }
    let mut recorded = None;
    let mut found = Vec::new();
    for (below, path, there) in files(at)? {
        let inside = joined(inside, &below);
        let ours = if there.is_symlink() {
            // The store has no object of a link: a stage made it if a record has it.
            let recorded = match &recorded {
                Some(recorded) => recorded,
                None => recorded.insert(folders(store, out, &store.records().known()?)),
            };
            recorded
                .iter()
                .any(|one| has(one, &inside, &path, &there, cache))
        } else {
            match there.is_file().then(|| cache.digest_at(&path)) {
                Some(Ok(Some(content))) => store.objects().has(&content)?,
                _ => false,
            }
        };
        if !ours {
            let name = joined(Path::new(out), &inside);
            found.push(Stranger { name, at: path });
        }
    }
    Ok(found)
}

/// The folders that runs wrote as this out and that the store still lists.
fn folders(store: &Store, out: &str, records: &[Arc<Record>]) -> Vec<Manifest> {
    let outs = records.iter().flat_map(|record| record.all_outs());
    let trees = outs.filter(|one| one.path == out && one.content.kind == Kind::Tree);
    let digests: BTreeSet<_> = trees.map(|one| one.content.digest).collect();
    let manifests = digests.iter().map(|one| store.objects().manifest(one));
    manifests.filter_map(Result::ok).collect()
}

/// What runs of a workspace, or of the one that wrote `pipeline.lock`, are known to have written.
struct Written<'a> {
    ws: &'a Workspace,
    /// By path, what the lock file names; nothing if it can't be read.
    locked: BTreeMap<String, Vec<Option<Digest>>>,
    /// What records name.
    recorded: OnceCell<BTreeSet<RelPath>>,
    /// Whether there are damaged records.
    damaged: OnceCell<bool>,
}

impl<'a> Written<'a> {
    fn into(ws: &'a Workspace) -> Self {
        let lock = LockFile::read(&ws.lock_file()).unwrap_or_default();
        let mut locked: BTreeMap<String, Vec<Option<Digest>>> = BTreeMap::new();
        for (path, digest) in lock.entries().flat_map(|(_, _, entry)| &entry.outs) {
            locked.entry(path.clone()).or_default().push(*digest);
        }
        Self {
            ws,
            locked,
            recorded: OnceCell::new(),
            damaged: OnceCell::new(),
        }
    }

    fn recorded(&self) -> Result<&BTreeSet<RelPath>, StoreError> {
        if let Some(recorded) = self.recorded.get() {
            return Ok(recorded);
        }
        let records = self.ws.known_records()?.iter();
        let outs = records.flat_map(|record| &record.outs);
        let recorded = outs
            .filter_map(|out| RelPath::new(&out.path).ok())
            .collect();
        Ok(self.recorded.get_or_init(|| recorded))
    }

    /// Whether the out of this stage may be among what no record names: a power cut can leave a record
    /// empty, and the outs that were published right after it.
    fn may_have(&self, stage: &str) -> Result<bool, StoreError> {
        let damaged = match self.damaged.get() {
            Some(damaged) => *damaged,
            None => {
                let damaged = self.ws.store.records().any_is_damaged()?;
                *self.damaged.get_or_init(|| damaged)
            }
        };
        Ok(damaged && self.ws.last_logs(stage)?.is_some())
    }

    /// Whether some run wrote what is at `at`, where the out `out` goes. A folder that a link leads to, or
    /// that is a mount point, may be another one than then: it has to have something of what was written.
    fn has(&self, stage: &str, out: &RelPath, at: &Path) -> Result<bool, RunError> {
        let store = &self.ws.store;
        let locked = self.locked.get(out.as_str());
        if !stays(at)? {
            if locked.is_some() || self.recorded()?.contains(out) || self.may_have(stage)? {
                return Ok(true);
            }
            // Runs wrote the folder that holds it, or what is in it: as long as it is all theirs.
            let recorded = self.recorded()?;
            let related = out.is_within_any(recorded) || out.holds_any(recorded);
            return Ok(related && strangers(store, out.as_str(), Path::new(""), at)?.is_empty());
        }
        let cache = store.stat_cache();
        if let Ok(Some(now)) = cache.digest_at(at)
            && locked.is_some_and(|locked| locked.contains(&Some(now.content_id())))
        {
            return Ok(true);
        }
        let recorded = folders(store, out.as_str(), self.ws.known_records()?);
        let mut files = files(at)?.into_iter();
        Ok(files.any(|(inside, path, there)| {
            let mut recorded = recorded.iter();
            recorded.any(|one| has(one, &inside, &path, &there, cache))
        }))
    }
}

/// The files and links at and below a path, each with its path inside. A link at the path itself is
/// followed if it leads to a folder, those below are not.
fn files(at: &Path) -> Result<Vec<(PathBuf, PathBuf, Metadata)>, FsError> {
    let linked = fs::symlink_metadata(at)?.is_symlink()
        && fs::metadata_if_exists(at)?.is_some_and(|target| target.is_dir());
    let mut found = Vec::new();
    match linked {
        true => {
            for name in fs::read_dir(at)? {
                found.extend(fs::leaves(&at.join(name))?);
            }
        }
        false => found = fs::leaves(at)?,
    }
    let inside = |path: &Path| path.strip_prefix(at).unwrap_or(Path::new("")).to_owned();
    let found = found.into_iter();
    Ok(found
        .map(|(path, there)| (inside(&path), path, there))
        .collect())
}

/// Whether a recorded folder has, at `inside`, the file or link that is at `path`.
fn has(
    recorded: &Manifest,
    inside: &Path,
    path: &Path,
    there: &Metadata,
    cache: &StatCache,
) -> bool {
    match inside.to_str().and_then(|inside| recorded.node(inside)) {
        Some(Node::File { digest, .. }) if there.is_file() => {
            let now = cache.digest_at(path);
            now.is_ok_and(|now| now.is_some_and(|now| now.digest == *digest))
        }
        Some(Node::Link(target)) if there.is_symlink() => {
            fs::read_link(path).is_ok_and(|now| now == Path::new(target))
        }
        _ => false,
    }
}

/// Joined with nothing, a path would end in a slash.
fn joined(path: &Path, inside: &Path) -> PathBuf {
    match inside.as_os_str().is_empty() {
        true => path.to_owned(),
        false => path.join(inside),
    }
}

/// The outs of the stages that are not up to date.
fn due<'a>(
    graph: &'a Graph,
    plan: &'a Plan,
) -> impl Iterator<Item = (&'a Decision, &'a Stage, &'a Out)> {
    let stages = plan.stages.iter();
    let due = stages.filter(|(_, planned)| {
        planned.may_run() || matches!(planned.decision, Decision::Restore(..))
    });
    due.flat_map(|(id, planned)| {
        let stage = graph.stage(*id);
        // A temporary one is put nowhere.
        let outs = stage.outs.iter().filter(|out| !out.temporary);
        outs.map(move |out| (&planned.decision, stage, out))
    })
}

/// Refuses a plan that would replace what no run wrote, or that can't put an out where it goes.
pub fn check(
    ws: &Workspace,
    graph: &Graph,
    plan: &Plan,
    foreigners: Foreigners,
) -> Result<(), RunError> {
    if ws.rerun.is_some() {
        return Ok(());
    }
    if due(graph, plan).next().is_some() {
        one_place::check(ws, graph)?;
    }
    let mounts = mounts_in(&ws.root)?;
    let mut written = None;
    let mut foreign = Vec::new();
    for (decision, stage, out) in due(graph, plan) {
        let at = out.path.under(&ws.root);
        let (name, path) = (stage.name.clone(), out.path.to_string());
        if let Some(file) = file_on_the_way(&ws.root, &out.path)? {
            return Err(RunError::OutBelowFile {
                stage: name,
                path,
                file,
            });
        }
        let stays = stays(&at)?;
        // What stays is filled, with what is mounted in it.
        let mount = mounts.iter().find(|mount| !stays && mount.starts_with(&at));
        if let Some(mount) = mount {
            return Err(RunError::OutMount {
                stage: name,
                path,
                mount: shown_path(mount, &ws.root),
            });
        }
        if foreigners != Foreigners::Refuse || !fs::exists(&at)? {
            continue;
        }
        let written = written.get_or_insert_with(|| Written::into(ws));
        if written.has(&name, &out.path, &at)? {
            continue;
        }
        let restored = match decision {
            Decision::Restore(record, _) => record.outs.as_slice(),
            _ => &[],
        };
        let now = ws.store.stat_cache().digest_at(&at).ok().flatten();
        let same = |one: &RecordedOut| one.path == path && now == Some(one.content);
        let files = files(&at)?;
        if !files.is_empty() && !restored.iter().any(same) {
            let names = files.iter();
            let names = names.map(|(inside, ..)| joined(Path::new(&path), inside));
            foreign.push(Foreign {
                stage: name,
                files: shown(names),
                out: path,
            });
        }
    }
    match foreign.is_empty() {
        true => Ok(()),
        false => Err(RunError::Foreign(foreign)),
    }
}

/// Refuses a plan of which an out goes where this user may not write. Looking needs no such right.
pub(super) fn check_rights(ws: &Workspace, graph: &Graph, plan: &Plan) -> Result<(), RunError> {
    if ws.rerun.is_some() {
        return Ok(());
    }
    for (_, stage, out) in due(graph, plan) {
        let at = out.path.under(&ws.root);
        let folder = match stays(&at)? {
            true => &at,
            false => folder_of(&at, &ws.root)?,
        };
        if !fs::may_write(folder) {
            return Err(RunError::OutPlace {
                stage: stage.name.clone(),
                path: out.path.to_string(),
                folder: shown_path(folder, &ws.root),
            });
        }
    }
    Ok(())
}

/// What has to be a folder for something to be written at `path`, and is something else.
fn file_on_the_way(root: &Path, path: &RelPath) -> Result<Option<String>, RunError> {
    for folder in Path::new(path.as_str()).ancestors().skip(1) {
        let at = root.join(folder);
        // A link that leads nowhere is in the way, too.
        if fs::exists(&at)? && !fs::metadata_if_exists(&at)?.is_some_and(|found| found.is_dir()) {
            return Ok(Some(folder.display().to_string()));
        }
    }
    Ok(None)
}

/// The folder that is there and in which an out, or its folders, have to be made.
fn folder_of<'a>(at: &'a Path, root: &'a Path) -> Result<&'a Path, RunError> {
    let above = at.ancestors().skip(1);
    for folder in above.take_while(|folder| *folder != root) {
        if fs::metadata_if_exists(folder)?.is_some() {
            return Ok(folder);
        }
    }
    Ok(root)
}

/// Where something is mounted below a folder. Links above it count for nothing.
fn mounts_in(root: &Path) -> Result<Vec<PathBuf>, RunError> {
    let real = fs::canonicalize(root)?;
    let mounts = fs::mount_points()?.into_iter();
    let below = mounts.filter_map(|mount| Some(root.join(mount.strip_prefix(&real).ok()?)));
    Ok(below.collect())
}

/// Whether what is at a path is a folder that has to stay what it is: a link leads to it, or
/// something is mounted there.
pub(super) fn stays(at: &Path) -> Result<bool, RunError> {
    let Some(found) = fs::symlink_metadata_if_exists(at)? else {
        return Ok(false);
    };
    let is_folder = match found.is_symlink() {
        true => fs::metadata_if_exists(at)?.is_some_and(|target| target.is_dir()),
        false => found.is_dir() && fs::is_mount_point(at)?,
    };
    Ok(is_folder)
}

/// The folder in which a run puts what it must not replace. Nothing is made before it is needed.
#[derive(Debug, Clone)]
pub(super) struct Aside {
    root: PathBuf,
    store: Store,
    foreigners: Foreigners,
    /// Outs that no run has written, where what stands there is to be moved: all of it.
    unwritten: Arc<BTreeSet<String>>,
    moved: Arc<Mutex<Vec<(String, String)>>>,
}

impl Aside {
    pub(super) fn new(
        ws: &Workspace,
        graph: &Graph,
        foreigners: Foreigners,
    ) -> Result<Self, RunError> {
        let mut unwritten = BTreeSet::new();
        if foreigners == Foreigners::SetAside {
            let written = Written::into(ws);
            for stage in graph.stages() {
                for out in &stage.outs {
                    let at = out.path.under(&ws.root);
                    if fs::exists(&at)? && !written.has(&stage.name, &out.path, &at)? {
                        unwritten.insert(out.path.to_string());
                    }
                }
            }
        }
        Ok(Self {
            root: ws.root.clone(),
            store: ws.store.clone(),
            foreigners,
            unwritten: Arc::new(unwritten),
            moved: Arc::default(),
        })
    }

    /// Moves away what is at `at`, or was there until it was taken out of the way, where `inside` the
    /// out goes, and nobody else has.
    pub(super) fn make_way(
        &self,
        out: &RecordedOut,
        inside: &Path,
        at: &Path,
    ) -> Result<(), StoreError> {
        if self.foreigners == Foreigners::Replace || !fs::exists(at)? {
            return Ok(());
        }
        let (out, content) = (&out.path, &out.content);
        if self.unwritten.contains(out) {
            let now = self.store.stat_cache().digest_at(at);
            if now.is_ok_and(|now| now == Some(*content)) {
                return Ok(());
            }
            let name = |below: &Path| joined(Path::new(out), &joined(inside, below));
            let all = files(at)?.into_iter();
            let all = all.map(|(below, at, _)| Stranger {
                name: name(&below),
                at,
            });
            return self.take(out, &all.collect::<Vec<_>>());
        }
        let mut strangers = strangers(&self.store, out, inside, at)?;
        if !strangers.is_empty() {
            // A clone has the results, and the measured times, of whoever committed them.
            let names = strangers.iter();
            let names: Vec<_> = names
                .map(|one| (one.name.as_path(), one.at.as_path()))
                .collect();
            let held = git::held(&self.root, &names);
            strangers.retain(|stranger| !held.contains(&stranger.name));
        }
        self.take(out, &strangers)
    }

    /// Moves `strangers`, which stood where the out goes.
    pub(super) fn take(&self, out: &str, strangers: &[Stranger]) -> Result<(), StoreError> {
        if strangers.is_empty() {
            return Ok(());
        }
        let folder = self.folder(out)?;
        for stranger in strangers {
            let to = folder.join(&stranger.name);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::move_to(&stranger.at, &to)?;
        }
        let names = strangers.iter().map(|stranger| stranger.name.as_path());
        let text = format!(
            "what neither the store nor git has was moved to `{}`: {}",
            folder.strip_prefix(&self.root).unwrap_or(&folder).display(),
            shown(names)
        );
        self.moved().push((out.to_owned(), text));
        Ok(())
    }

    /// A folder that has nothing of this out yet.
    fn folder(&self, out: &str) -> Result<PathBuf, StoreError> {
        let top = self.root.join(SET_ASIDE);
        if !fs::exists(&top)? {
            fs::create_dir_all(&top)?;
            fs::write_atomic(&top.join(".gitignore"), b"*\n")?;
        }
        let now = WallTime::now().to_string();
        let name: String = now.chars().take(19).map(plain).collect();
        let mut folder = top.join(&name);
        let mut number = 1;
        while fs::exists(&folder.join(out))? {
            number += 1;
            folder = top.join(format!("{name}-{number}"));
        }
        Ok(folder)
    }

    /// The outs in whose way something stood since the last call, and what became of it.
    pub(super) fn take_moved(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.moved())
    }

    fn moved(&self) -> std::sync::MutexGuard<'_, Vec<(String, String)>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Colons are not allowed in names on some file systems.
fn plain(char: char) -> char {
    match char {
        ':' => '-',
        char => char,
    }
}

/// A path as the pipeline names it.
fn shown_path(path: &Path, root: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    match below.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => below.to_string_lossy().escape_debug().to_string(),
    }
}

fn shown(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> String {
    let paths = paths.into_iter();
    let names = paths.map(|path| path.as_ref().to_string_lossy().escape_debug().to_string());
    suggest::list_up_to(NAMED, names)
}
