//! The pipeline's folder with its store and caches: facts for plans, from the disk.

mod data;
mod kills;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data::DataSets;
use super::environments::{Environments, Unnamed};
use super::facts::{Facts, FactsError, InFolder};
use super::former::Former;
use super::gate;
use super::stands::Stands;
use super::tools::{Answers, Question};
use restage_core::digest::{
    Digest, Found, KeyEnvironment, Kind, Manifest, PathDigest, StageKey, check_link, nothing,
};
use restage_core::files::{Below, HIDDEN, matching};
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::ignored::Ignored;
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::{Graph, StageId};
use restage_pipeline::{OtherSeeds, Stage, Tool};
use restage_programs::CodeDigests;
use restage_store::lockfile::{LeftOver, LockFile};
use restage_store::{Record, RecordedOut, Store, StoreError, lockfile};
use restage_worker::Card;
use restage_worker::HostEnv;

/// Files in the workspace's folder by which pyenv, uv, asdf, mise and rustup choose the program that they
/// run: where one is, every command depends on it.
pub(super) const TOOLCHAIN: [&str; 4] = [
    ".python-version",
    ".tool-versions",
    "rust-toolchain",
    "rust-toolchain.toml",
];

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
    pub(crate) outs: BTreeSet<RelPath>,
    pub(crate) other_seeds: OtherSeeds,
    /// What lies outside and is read all the same.
    pub(crate) data: DataSets,
    profiles: Vec<String>,
    /// Read when a pattern first matches anything.
    former: OnceCell<Arc<Former>>,
    /// What patterns of stages passed over, with its content: no stage declares it.
    passed_over: RefCell<BTreeMap<RelPath, (String, Digest)>>,
    /// Read once, for what runs wrote here.
    known: OnceCell<Vec<Arc<Record>>>,
    code: OnceCell<CodeDigests>,
    tools: Answers,
    pub(super) environments: Environments,
    /// How many processes had been killed for lack of memory when a run began.
    kills_before: OnceCell<Option<u64>>,
    /// Folders of which stages read parts: many may read parts of one.
    folders: RefCell<BTreeMap<Digest, Arc<Manifest>>>,
    /// What is passed over in folders that are read.
    ignored: OnceCell<Ignored>,
    /// Where folders with sources really are.
    real_folders: RefCell<BTreeMap<String, PathBuf>>,
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
            data: DataSets::new(&graph.pipeline().data),
            profiles: graph.pipeline().profiles.clone(),
            former: OnceCell::new(),
            passed_over: RefCell::default(),
            known: OnceCell::new(),
            code: OnceCell::new(),
            tools: Answers::default(),
            environments: Environments::default(),
            kills_before: OnceCell::new(),
            folders: RefCell::default(),
            ignored: OnceCell::new(),
            real_folders: RefCell::default(),
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
            data: self.data.unseen(),
            profiles: self.profiles.clone(),
            former: OnceCell::new(),
            passed_over: RefCell::default(),
            known: OnceCell::new(),
            code: OnceCell::new(),
            tools: Answers::default(),
            environments: Environments::default(),
            kills_before: OnceCell::new(),
            folders: RefCell::default(),
            ignored: OnceCell::new(),
            real_folders: RefCell::default(),
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
                let path = self.root.join(&out.path);
                self.store.stat_cache().tree(&path)?.manifest
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

    /// The records of this workspace's results, as they were when this was first asked.
    pub(super) fn known_records(&self) -> Result<&[Arc<Record>], StoreError> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let known = self.store.records().known()?;
        Ok(self.known.get_or_init(|| known))
    }

    /// What runs wrote that no stage here declares: no pattern matches it.
    pub(crate) fn former(&self) -> Result<&Arc<Former>, StoreError> {
        if let Some(former) = self.former.get() {
            return Ok(former);
        }
        let former = Former::of(self, &self.profiles)?;
        Ok(self.former.get_or_init(|| Arc::new(former)))
    }

    /// What a lock file has to name so that patterns pass it over in a clone too: what they passed over
    /// here, or that it names already, that is still there and is neither declared nor an out that `lock` names.
    pub(super) fn left_over(&self, lock: &LockFile) -> Result<LeftOver, StoreError> {
        let mut files = BTreeMap::new();
        for (stage, path, content) in lock.files_left_over() {
            if let Ok(path) = RelPath::new(path) {
                files.insert(path, (stage.to_owned(), content));
            }
        }
        files.extend(self.passed_over.borrow().clone());
        let outs = lock.entries().flat_map(|(_, _, entry)| entry.outs.keys());
        let outs: BTreeSet<RelPath> = outs.filter_map(|path| RelPath::new(path).ok()).collect();
        let mut left_over = LeftOver::new();
        for (path, (stage, content)) in files {
            if self.is_written(&path) || path.is_within_any(&outs) {
                continue;
            }
            // What can't be read is something else.
            let there = self.store.stat_cache().digest_at(&path.under(&self.root));
            if there.is_ok_and(|there| there.is_some_and(|now| now.content_id() == content)) {
                let files = left_over.entry(stage).or_default();
                files.insert(path.to_string(), content);
            }
        }
        Ok(left_over)
    }

    /// Files below the root that match a pattern and that no stage writes, or would with another
    /// seed; and the folders that were searched.
    pub(super) fn matches(&self, pattern: &str) -> Result<Below, FactsError> {
        let glob = Glob::new(pattern).map_err(|error| FactsError::Glob {
            pattern: pattern.to_owned(),
            reason: error.to_string(),
        })?;
        if let Some(files) = self.data.matches(&self.around(), pattern)? {
            let folders = Vec::new();
            return Ok(Below { files, folders });
        }
        // A shared store may lie below the workspace: CI systems cache only what does.
        let store = self.store.location().shared();
        let store = store.and_then(|dir| dir.strip_prefix(&self.root).ok());
        let ignored = self.ignored()?;
        let skip = |path: &Path, is_folder: bool| {
            let named = path.to_str().and_then(|text| RelPath::new(text).ok());
            let written = |path: RelPath| {
                HIDDEN.contains(&path.as_str())
                    || self.data.is_place(&path)
                    || self.outs.contains(&path)
                    || self.other_seeds.wrote(&path)
            };
            named.is_some_and(written)
                || store.is_some_and(|store| store == path)
                || ignored.matches(path, is_folder)
        };
        Ok(matching(&self.root, &glob, &skip)?)
    }

    /// What is passed over in folders that are read.
    pub(super) fn ignored(&self) -> Result<&Ignored, FactsError> {
        if let Some(ignored) = self.ignored.get() {
            return Ok(ignored);
        }
        let ignored = Ignored::load(&self.root)?;
        Ok(self.ignored.get_or_init(|| ignored))
    }

    /// What lies at a path as stages read it: a source without what is passed over, an out with all
    /// that is in it.
    ///
    /// # Errors
    /// It can't be read, is or holds a bad link, or leads to what a stage writes.
    pub fn found(&self, path: &RelPath) -> Result<Option<Found>, FactsError> {
        if let Some(set) = self.data.at(path) {
            return self.data.found(&self.around(), set, path);
        }
        let full = path.under(&self.root);
        if self.is_written(path) {
            return Ok(self.store.stat_cache().found_at(&full, &nothing)?);
        }
        let skip = self.ignored()?.inside(path);
        let found = self.store.stat_cache().found_at(&full, &skip)?;
        match &found {
            None => check_link(&full)?,
            Some(Found::File(_)) => {}
            Some(Found::Folder(tree)) => {
                for real in &tree.followed {
                    self.check_target(path, real)?;
                }
            }
        }
        if found.is_some()
            && let Some(real) = self.behind_link(path)?
        {
            self.check_target(path, &real)?;
        }
        Ok(found)
    }

    /// The content of what lies at a path, as [`Workspace::found`] finds it.
    pub fn content(&self, path: &RelPath) -> Result<Option<PathDigest>, FactsError> {
        match self.data.at(path) {
            Some(set) => self.data.content(&self.around(), set, path),
            None => Ok(self.found(path)?.map(|found| found.content())),
        }
    }

    /// Whether the path is an out, or lies in one.
    fn is_written(&self, path: &RelPath) -> bool {
        path.is_within_any(&self.outs)
    }

    /// Where a path really is, if the way to it is through a link.
    fn behind_link(&self, path: &RelPath) -> Result<Option<PathBuf>, FactsError> {
        let real = |folder: &str| -> Result<PathBuf, FactsError> {
            if let Some(known) = self.real_folders.borrow().get(folder) {
                return Ok(known.clone());
            }
            let real = fs::canonicalize(&self.root.join(folder))?;
            let mut known = self.real_folders.borrow_mut();
            Ok(known.entry(folder.to_owned()).or_insert(real).clone())
        };
        let full = path.under(&self.root);
        if fs::symlink_metadata(&full)?.is_symlink() {
            return Ok(Some(fs::canonicalize(&full)?));
        }
        let (folder, name) = path
            .as_str()
            .rsplit_once('/')
            .unwrap_or(("", path.as_str()));
        let there = real(folder)?;
        Ok((there != real("")?.join(folder)).then(|| there.join(name)))
    }

    /// Refuses a source that a link leads to what a stage writes: no stage would wait for it.
    fn check_target(&self, path: &RelPath, real: &Path) -> Result<(), FactsError> {
        let root = fs::canonicalize(&self.root)?;
        let inside = real.strip_prefix(&root).ok().and_then(Path::to_str);
        let Some(there) = inside.and_then(|text| RelPath::new(text).ok()) else {
            return Ok(());
        };
        if there.holds_any(&self.outs) || self.is_written(&there) {
            return Err(FactsError::LinkToOut {
                path: path.to_string(),
                out: there.to_string(),
            });
        }
        Ok(())
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
        Ok(self.content(path)?.map(|found| found.content_id()))
    }

    fn glob(&self, pattern: &str) -> Result<Vec<(RelPath, Digest)>, FactsError> {
        let mut found = Vec::new();
        for path in self.matches(pattern)?.files {
            if let Some((passed, content)) = self.former()?.passed_over(&path)? {
                let mut passed_over = self.passed_over.borrow_mut();
                if let Some(content) = content {
                    passed_over.insert(path, (passed.stage, content));
                }
                continue;
            }
            if let Some(digest) = self.source(&path)? {
                found.push((path, digest));
            }
        }
        Ok(found)
    }

    fn toolchain(&self) -> Result<Vec<(RelPath, Digest)>, FactsError> {
        let mut found = Vec::new();
        for path in TOOLCHAIN.iter().filter_map(|name| RelPath::new(name).ok()) {
            if let Some(content) = self.source(&path)? {
                found.push((path, content));
            }
        }
        Ok(found)
    }

    fn notebook(&self, path: &RelPath) -> Result<Option<Digest>, FactsError> {
        let text = self.notebook_text(path)?;
        Ok(text.map(|text| Digest::of(text.as_bytes())))
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

    fn environment(&self, stage: &Stage) -> Result<Option<KeyEnvironment>, Unnamed> {
        let environment = stage.environment.as_deref();
        let named = environment
            .map(|it| Workspace::environment(self, it))
            .transpose()?;
        Ok(named.map(|named| named.key.clone()))
    }

    fn ask_tools(&self, graph: &Graph, stages: &BTreeSet<StageId>) {
        let stages = stages.iter().map(|id| graph.stage(*id));
        let questions =
            stages.flat_map(|stage| stage.tools.iter().map(|tool| Question::of(stage, tool)));
        self.tools.ask_all(questions, &self.root, &self.env);
    }

    fn lacks(&self, stage: &Stage) -> Vec<String> {
        match self.rerun {
            // What was asked for by name says itself what it lacks.
            Some(_) => Vec::new(),
            None => gate::lacks(&self.root, &self.env, stage),
        }
    }

    fn stands(&self, stage: &Stage, key: &StageKey) -> Result<Option<Stands>, FactsError> {
        // A damaged file names nothing; others say so.
        let lock = LockFile::read(&self.lock_file()).unwrap_or_default();
        let Some(entry) = lock.get(&self.profile, &stage.name) else {
            return Ok(None);
        };
        let name = self.qualified(&stage.name);
        let known = self.record(&entry.key)?;
        gate::stands(stage, key, name, entry, known.as_deref(), &|path| {
            self.content(path)
        })
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
        // What can't be digested or read (a pipe, a bad sector, a bad link) is something else.
        let (cache, full) = (self.store.stat_cache(), path.under(&self.root));
        let there = cache.digest_at(&full);
        if there.is_ok_and(|there| there.as_ref() == Some(&out.content)) {
            return Ok(true);
        }
        let recorded = match out.content.kind {
            Kind::Tree => self.store.objects().manifest(&out.content.digest).ok(),
            Kind::File { .. } => None,
        };
        let Some(recorded) = recorded else {
            return Ok(false);
        };
        // Junk that came after the stage is no edit, junk that the stage wrote is part of its result.
        let ignored = self.ignored()?.inside(&path);
        let skip = |inside: &Path, is_folder: bool| {
            ignored(inside, is_folder)
                && !inside.to_str().is_some_and(|inside| recorded.has(inside))
        };
        let there = cache.found_at(&full, &skip).ok().flatten();
        Ok(there.is_some_and(|there| there.content() == out.content))
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
