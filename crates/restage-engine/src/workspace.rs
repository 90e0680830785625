//! The pipeline's folder with its store and caches: facts for plans, from the disk.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cards::Card;
use super::facts::{Facts, FactsError, InFolder};
use super::host::HostEnv;
use super::tools::{Answers, Question};
use restage_core::digest::{Digest, Kind, Manifest, StageKey};
use restage_core::files::{Below, HIDDEN, files_below};
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::{Graph, StageId};
use restage_pipeline::{OtherSeeds, Stage, Tool};
use restage_programs::CodeDigests;
use restage_store::{LogPaths, Record, RecordedOut, Store, StoreError, lockfile, members};

/// What a rerun has for itself, so that its results do not count.
#[derive(Debug)]
pub(crate) struct Rerun {
    /// Where its stages run and its results go.
    pub(crate) store: Store,
    /// The records whose outs its stages read.
    pub(crate) inputs: BTreeMap<StageId, Arc<Record>>,
}

/// The pipeline's folder under one profile.
#[derive(Debug)]
pub struct Workspace {
    /// The folder of the pipeline file.
    pub root: PathBuf,
    pub(crate) profile: String,
    /// Its store.
    pub store: Store,
    pub(crate) env: HostEnv,
    /// The name of the pipeline's lock file.
    pub(crate) lock_name: String,
    /// Set where stages rerun to be compared with their records.
    pub(crate) rerun: Option<Rerun>,
    /// The folder of the cargo workspace that programs are built in, relative to `root`.
    pub(crate) programs: String,
    outs: BTreeSet<RelPath>,
    other_seeds: OtherSeeds,
    code: OnceCell<CodeDigests>,
    tools: Answers,
    /// What [`out_of_memory_kills`] was when a run began.
    kills_before: OnceCell<Option<u64>>,
    /// Folders of which stages read parts: many may read parts of one.
    folders: RefCell<BTreeMap<Digest, Arc<Manifest>>>,
}

impl Workspace {
    /// Opens `.restage` below `root`; it is created if missing.
    pub fn open(
        root: &Path,
        profile: &str,
        graph: &Graph,
        env: HostEnv,
    ) -> Result<Self, StoreError> {
        let store = Store::open(&root.join(".restage"))?;
        Ok(Self::over(store, root, profile, graph, env))
    }

    /// The folder with an open store.
    pub fn over(store: Store, root: &Path, profile: &str, graph: &Graph, env: HostEnv) -> Self {
        let outs = graph
            .stages()
            .iter()
            .flat_map(|stage| stage.outs.iter().map(|out| out.path.clone()))
            .collect();
        Self {
            root: root.to_owned(),
            profile: profile.to_owned(),
            store,
            env,
            lock_name: lockfile::NAME.to_owned(),
            rerun: None,
            programs: graph.pipeline().programs.clone(),
            outs,
            other_seeds: OtherSeeds::than(graph.stages()),
            code: OnceCell::new(),
            tools: Answers::default(),
            kills_before: OnceCell::new(),
            folders: RefCell::default(),
        }
    }

    /// The folder as the pipeline file of this name has it, whose lock file is its own.
    pub fn of_file(mut self, name: &str) -> Self {
        self.lock_name = lockfile::name(name);
        self
    }

    /// Where the pipeline's lock file is.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.root.join(&self.lock_name)
    }

    /// The same folder for a rerun.
    pub(crate) fn for_rerun(&self, rerun: Rerun) -> Self {
        Self {
            root: self.root.clone(),
            profile: self.profile.clone(),
            store: self.store.clone(),
            env: self.env.clone(),
            lock_name: self.lock_name.clone(),
            rerun: Some(rerun),
            programs: self.programs.clone(),
            outs: self.outs.clone(),
            other_seeds: self.other_seeds.clone(),
            code: OnceCell::new(),
            tools: Answers::default(),
            kills_before: OnceCell::new(),
            folders: RefCell::default(),
        }
    }

    /// Where stages run and results go: the store, or the temporary one of a rerun.
    pub(crate) fn run_store(&self) -> &Store {
        self.rerun
            .as_ref()
            .map_or(&self.store, |rerun| &rerun.store)
    }

    /// Saves the stat cache for the next call. Losing it costs only time.
    pub fn save_cache(&self) {
        let _ = self.store.stat_cache().save();
    }

    /// A stage's name in the store, where all profiles meet.
    pub(crate) fn qualified(&self, stage: &str) -> String {
        format!("{}/{stage}", self.profile)
    }

    /// Remembers that a run begins, for [`Self::killed_for_memory`].
    pub(crate) fn run_begins(&self) {
        self.kills_before.get_or_init(out_of_memory_kills);
    }

    /// How many processes of the machine the kernel has killed for lack of memory since the run
    /// began, also at the limit of a container; `None` where it doesn't say.
    pub(crate) fn killed_for_memory(&self) -> Option<u64> {
        let before = self.kills_before.get().copied().flatten()?;
        Some(out_of_memory_kills()?.saturating_sub(before))
    }

    /// Logs of the stage's last attempt.
    pub fn last_logs(&self, stage: &str) -> Result<Option<LogPaths>, StoreError> {
        self.store.workdirs().last_logs(&self.qualified(stage))
    }

    /// The stage's different results in the store, the current one first.
    pub fn results(&self, stage: &str) -> Result<Vec<Arc<Record>>, StoreError> {
        self.store.records().results(&self.qualified(stage))
    }

    /// The folder of another workspace that made this result and has its logs.
    pub fn ran_in(&self, record: &Record) -> Result<Option<PathBuf>, StoreError> {
        for member in members(self.store.location())? {
            let store = self.store.seen_by(&member);
            let last = store.records().last(&record.stage);
            if last.is_some_and(|last| last.key == record.key)
                && store.workdirs().last_logs(&record.stage)?.is_some()
            {
                return Ok(Some(member.root));
            }
        }
        Ok(None)
    }

    /// The record of the stage's last success.
    pub fn last_record(&self, stage: &str) -> Option<Arc<Record>> {
        let last = self.store.records().last(&self.qualified(stage))?;
        self.store.records().get(&last.key).ok().flatten()
    }

    /// The entries of a folder that a stage wrote. Where the store has lost them, the workspace may
    /// still have the folder.
    fn folder(&self, out: &RecordedOut) -> Result<Arc<Manifest>, FactsError> {
        let digest = out.content.digest;
        if let Some(known) = self.folders.borrow().get(&digest) {
            return Ok(Arc::clone(known));
        }
        let manifest = match self.store.objects().manifest(&digest) {
            Err(StoreError::MissingObject { .. } | StoreError::CorruptObject { .. })
                if self.out_in_place(out)? =>
            {
                self.store.stat_cache().tree(&self.root.join(&out.path))?.0
            }
            found => found?,
        };
        let manifest = Arc::new(manifest);
        let mut folders = self.folders.borrow_mut();
        folders.insert(digest, Arc::clone(&manifest));
        Ok(manifest)
    }

    /// The code closures of all workspace packages.
    pub(crate) fn code_digests(&self) -> Result<&CodeDigests, FactsError> {
        if let Some(code) = self.code.get() {
            return Ok(code);
        }
        let code = self.fresh_code_digests()?;
        Ok(self.code.get_or_init(|| code))
    }

    /// The code closures as the sources are now.
    pub(crate) fn fresh_code_digests(&self) -> Result<CodeDigests, FactsError> {
        code_digests(&self.root, &self.programs, &self.store, &self.env)
    }

    /// Files below the root that match a pattern and that no stage writes, or would with another
    /// seed; and the folders that were searched.
    pub(super) fn matches(&self, pattern: &str) -> Result<Below, FactsError> {
        let glob = Glob::new(pattern).map_err(|error| FactsError::Glob {
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        })?;
        // A shared store may lie below the workspace: CI systems cache only what does.
        let store = self.store.location().shared();
        let store = store.and_then(|dir| dir.strip_prefix(&self.root).ok());
        let skip = |path: &RelPath| {
            HIDDEN.contains(&path.as_str())
                || self.outs.contains(path)
                || self.other_seeds.wrote(path)
                || store.is_some_and(|store| store == Path::new(path.as_str()))
        };
        let mut found = files_below(&self.root, glob.base_folder(), &skip)?;
        found.files.retain(|path| glob.matches(path));
        Ok(found)
    }
}

/// The code closures of all packages of the cargo workspace in the folder `programs`, as the
/// sources are now.
pub(super) fn code_digests(
    root: &Path,
    programs: &str,
    store: &Store,
    env: &HostEnv,
) -> Result<CodeDigests, FactsError> {
    let hash = |path: &RelPath| {
        let found = store.stat_cache().path_digest(root, path)?;
        Ok(found.map(|found| found.content_id()))
    };
    let variable = |name: &str| env.text(name);
    Ok(CodeDigests::load(root, programs, &hash, &variable)?)
}

impl Facts for Workspace {
    fn source(&self, path: &RelPath) -> Result<Option<Digest>, FactsError> {
        let found = self.store.stat_cache().path_digest(&self.root, path)?;
        Ok(found.map(|found| found.content_id()))
    }

    fn glob(&self, pattern: &str) -> Result<Vec<(RelPath, Digest)>, FactsError> {
        let mut found = Vec::new();
        for path in self.matches(pattern)?.files {
            if let Some(digest) = self.source(&path)? {
                found.push((path, digest));
            }
        }
        Ok(found)
    }

    fn code(&self, package: &str) -> Result<Digest, FactsError> {
        Ok(self.code_digests()?.of(package)?.digest)
    }

    fn host_env(&self, name: &str) -> Option<String> {
        self.env.text(name)
    }

    fn cards(&self) -> &[Card] {
        self.env.cards()
    }

    fn ask_tools(&self, graph: &Graph, stages: &BTreeSet<StageId>) {
        let stages = stages.iter().map(|id| graph.stage(*id));
        let questions =
            stages.flat_map(|stage| stage.tools.iter().map(|tool| Question::of(stage, tool)));
        self.tools.ask_all(questions, &self.root, &self.env);
    }

    fn tool(&self, stage: &Stage, tool: &Tool) -> Result<String, FactsError> {
        let question = Question::of(stage, tool);
        let answer = self.tools.get(question, &self.root, &self.env);
        answer.map_err(|reason| FactsError::Tool {
            stage: stage.name.clone(),
            line: tool.line.clone(),
            location: tool.location,
            reason,
        })
    }

    fn record(&self, key: &Digest) -> Result<Option<Arc<Record>>, FactsError> {
        Ok(self.store.records().get(key)?)
    }

    fn out_in_place(&self, out: &RecordedOut) -> Result<bool, FactsError> {
        let Ok(path) = RelPath::new(&out.path) else {
            return Ok(false);
        };
        // What can't be digested or read (a pipe, a bad sector) is something else.
        let there = self.store.stat_cache().path_digest(&self.root, &path);
        Ok(there.is_ok_and(|there| there.as_ref() == Some(&out.content)))
    }

    fn out_in_store(&self, out: &RecordedOut) -> Result<bool, FactsError> {
        Ok(self.store.objects().has(&out.content)?)
    }

    fn part(&self, out: &RecordedOut, inside: &str) -> Result<InFolder, FactsError> {
        if out.content.kind != Kind::Tree {
            return Ok(InFolder::NotThere(Vec::new()));
        }
        let folder = self.folder(out)?;
        let part = folder
            .part(inside)
            .map_err(|source| StoreError::NoManifest {
                digest: out.content.digest,
                source,
            })?;
        Ok(match part {
            Some(part) => InFolder::There(part.content.content_id()),
            None => {
                let paths = folder.entries().iter().map(|entry| entry.path.clone());
                InFolder::NotThere(paths.collect())
            }
        })
    }

    fn last_key(&self, stage: &str) -> Option<Arc<StageKey>> {
        self.last_record(stage)
            .map(|record| Arc::new(record.inputs.clone()))
    }

    fn last_seconds(&self, stage: &str) -> Option<f64> {
        self.store
            .records()
            .last(&self.qualified(stage))
            .map(|last| last.seconds)
    }
}

/// Processes that the kernel has killed for lack of memory since it started.
fn out_of_memory_kills() -> Option<u64> {
    let text = fs::read_to_string(Path::new("/proc/vmstat")).ok()?;
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}
