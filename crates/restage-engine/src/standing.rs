//! What stands where outs go, and must not be lost (docs/adr/0021).
//!
//! Content decides, not names or times: what the store has can be put back, so it may be replaced.
//! Everything else is the user's. Where no run has ever written, it stops the run before it starts;
//! where one has, it is set aside, unless git has it as it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::committed;
use super::error::{Foreign, RunError};
use super::plan::{Decision, Plan};
use super::workspace::Workspace;
use restage_core::clock::WallTime;
use restage_core::digest::PathDigest;
use restage_core::files::SET_ASIDE;
use restage_core::fs;
use restage_pipeline::graph::Graph;
use restage_store::lockfile::LockFile;
use restage_store::{Store, StoreError};

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

/// What is known to be restage's at a path.
#[derive(Debug, Clone)]
pub(super) struct Known {
    store: Store,
    lock: Arc<LockFile>,
}

impl Known {
    /// From the store and `pipeline.lock`. A lock file that can't be read says nothing.
    pub(super) fn of(ws: &Workspace) -> Self {
        let lock = LockFile::read(&ws.lock_file());
        Self {
            store: ws.store.clone(),
            lock: Arc::new(lock.unwrap_or_default()),
        }
    }

    /// The files at and below `at`, the place of the out `out`, whose content nobody else has.
    fn strangers(&self, out: &str, at: &Path) -> Result<Vec<PathBuf>, RunError> {
        let mut found = Vec::new();
        if !fs::exists(at)? {
            return Ok(found);
        }
        // What can't be digested (a pipe, a strange name, no right to read) is the user's.
        let cache = self.store.stat_cache();
        if let Ok(Some(content)) = cache.digest_at(at)
            && (self.named(out, &content) || self.store.objects().has(&content)?)
        {
            return Ok(found);
        }
        let linked = fs::symlink_metadata(at)?.is_symlink();
        if linked && fs::metadata_if_exists(at)?.is_some_and(|target| target.is_dir()) {
            for name in fs::read_dir(at)? {
                self.below(&at.join(name), &mut found)?;
            }
        } else {
            self.below(at, &mut found)?;
        }
        Ok(found)
    }

    fn below(&self, at: &Path, found: &mut Vec<PathBuf>) -> Result<(), RunError> {
        for (path, there) in fs::leaves(at)? {
            let content = match there.is_file() {
                true => self.store.stat_cache().digest_at(&path).ok().flatten(),
                false => None,
            };
            let ours = match content {
                Some(content) => self.store.objects().has(&content)?,
                None => false,
            };
            if !ours {
                found.push(path);
            }
        }
        Ok(())
    }

    /// Whether `pipeline.lock` says that a run wrote this at the path: then git has it.
    fn named(&self, out: &str, content: &PathDigest) -> bool {
        let outs = self
            .lock
            .entries()
            .filter_map(|(_, _, entry)| entry.outs.get(out));
        outs.flatten().any(|digest| *digest == content.content_id())
    }

    /// The paths that some run of this workspace wrote, or of the one that wrote `pipeline.lock`.
    fn written(&self) -> Result<BTreeSet<String>, StoreError> {
        let mut paths = BTreeSet::new();
        for record in self.store.records().known()? {
            paths.extend(record.outs.iter().map(|out| out.path.clone()));
        }
        let entries = self.lock.entries();
        paths.extend(entries.flat_map(|(_, _, entry)| entry.outs.keys().cloned()));
        Ok(paths)
    }
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
    let known = Known::of(ws);
    let mut written = None;
    let mut foreign = Vec::new();
    for (id, planned) in &plan.stages {
        if matches!(planned.decision, Decision::Fresh(_)) {
            continue;
        }
        let stage = graph.stage(*id);
        for out in &stage.outs {
            let at = out.path.under(&ws.root);
            let (name, path) = (stage.name.clone(), out.path.to_string());
            if stays(&at)? {
                if !fs::may_write(&at) {
                    return Err(RunError::OutPlace { stage: name, path });
                }
            } else if fs::is_mount_point(&at)? {
                return Err(RunError::OutMount { stage: name, path });
            }
            if foreigners != Foreigners::Refuse {
                continue;
            }
            let strangers = known.strangers(out.path.as_str(), &at)?;
            if strangers.is_empty() {
                continue;
            }
            let written: &BTreeSet<String> = match &mut written {
                Some(written) => written,
                written => written.insert(known.written()?),
            };
            if !written.contains(out.path.as_str()) {
                foreign.push(Foreign {
                    stage: stage.name.clone(),
                    out: out.path.to_string(),
                    files: shown(&strangers, &ws.root),
                });
            }
        }
    }
    match foreign.is_empty() {
        true => Ok(()),
        false => Err(RunError::Foreign(foreign)),
    }
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
    foreigners: Foreigners,
    known: Known,
    moved: Arc<Mutex<Vec<(String, String)>>>,
}

impl Aside {
    pub(super) fn new(ws: &Workspace, foreigners: Foreigners) -> Self {
        Self {
            root: ws.root.clone(),
            foreigners,
            known: Known::of(ws),
            moved: Arc::default(),
        }
    }

    /// Moves away what stands at `at`, where the out `out` goes, and nobody else has.
    pub(super) fn make_way(&self, out: &str, at: &Path) -> Result<(), RunError> {
        if self.foreigners == Foreigners::Replace {
            return Ok(());
        }
        let mut strangers = self.known.strangers(out, at)?;
        if !strangers.is_empty() {
            // A clone has the volatile outs of whoever committed them: measured times, say.
            let held = committed::among(&self.root, &strangers);
            strangers.retain(|stranger| !held.contains(stranger));
        }
        self.take(out, at, &strangers)
    }

    /// Moves `strangers`, which are at `at` or below it.
    pub(super) fn take(&self, out: &str, at: &Path, strangers: &[PathBuf]) -> Result<(), RunError> {
        if strangers.is_empty() {
            return Ok(());
        }
        let folder = self.folder(out)?;
        for stranger in strangers {
            let inside = stranger.strip_prefix(at).unwrap_or(Path::new(""));
            // Joined with nothing, a path would end in a slash.
            let to = match inside.as_os_str().is_empty() {
                true => folder.join(out),
                false => folder.join(out).join(inside),
            };
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::move_to(stranger, &to)?;
        }
        let text = format!(
            "what neither the store nor git has was moved to `{}`: {}",
            folder.strip_prefix(&self.root).unwrap_or(&folder).display(),
            shown(strangers, &self.root)
        );
        self.moved().push((out.to_owned(), text));
        Ok(())
    }

    /// A folder that has nothing of this out yet.
    fn folder(&self, out: &str) -> Result<PathBuf, RunError> {
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

fn shown(paths: &[PathBuf], root: &Path) -> String {
    let names = paths.iter().take(NAMED).map(|path| {
        let path = path.strip_prefix(root).unwrap_or(path);
        format!("`{}`", path.to_string_lossy().escape_debug())
    });
    let names: Vec<String> = names.collect();
    let names = names.join(", ");
    match paths.len().saturating_sub(NAMED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}
