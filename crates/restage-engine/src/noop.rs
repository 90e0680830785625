//! Answers a request that has nothing to do without reading the pipeline: see docs/adr/0005.
//!
//! A plan is a function of the request (the pipeline's name and text, profile, overrides, targets)
//! and of facts: files, folders that patterns look into, code, environment, cards, tools, records.
//! When a plan found every stage fresh, a snapshot of all these is kept, with what a run without
//! work would write: history and `pipeline.lock`. While nothing in it has changed, the plan would
//! be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::copied_params::edited_since_copied;
use super::event::Summary;
use super::facts::{Facts, FactsError};
use super::kept::is_temporary;
use super::scheduler::Results;
use super::tools::{Question, all_unchanged};
use super::workspace::{TOOLCHAIN, Workspace, code_digests};
use restage_core::clock::{Instant, WallTime};
use restage_core::digest::{Digest, Frame, StageKey, StatSnapshot};
use restage_core::files::LOCAL_FILE;
use restage_core::fs::{self, FsError};
use restage_core::ignored;
use restage_core::rel_path::RelPath;
use restage_core::whereabouts::host_name;
use restage_pipeline::graph::{Graph, Input, StageId};
use restage_pipeline::{Action, Gpus};
use restage_store::lockfile::LockFile;
use restage_store::{Location, Record, Store, StoreError, noop};
use restage_worker::Card;
use restage_worker::HostEnv;

/// What was asked for, and where.
#[derive(Debug, Clone)]
pub struct NoopRequest<'a> {
    /// The pipeline's folder.
    pub root: &'a Path,
    /// Its store.
    pub location: &'a Location,
    /// The caller's environment.
    pub env: &'a HostEnv,
    /// The name of the pipeline file in its folder: another with the same text has its own lock file.
    pub name: &'a str,
    /// Its text.
    pub pipeline: &'a str,
    /// `--profile`.
    pub profile: Option<&'a str>,
    /// `-S`, in order.
    pub overrides: &'a [String],
    /// Stages, groups and outs, in order.
    pub targets: &'a [String],
    /// Whether what depends on them is meant too.
    pub downstream: bool,
}

impl NoopRequest<'_> {
    /// Equal for equal requests to the same restage.
    pub fn digest(&self) -> Digest {
        let mut frame = Frame::new("request");
        frame.text(env!("CARGO_PKG_VERSION"));
        frame.number(u64::from(StageKey::VERSION));
        // What `stat` says counts only on the machine that read the bytes.
        frame.text(&host_name());
        let store = self.location.shared().unwrap_or(Path::new("")).as_os_str();
        frame.digest(&Digest::of(store.as_encoded_bytes()));
        frame.text(self.name);
        frame.text(self.pipeline);
        frame.number(u64::from(self.profile.is_some()));
        frame.text(self.profile.unwrap_or_default());
        for list in [self.overrides, self.targets] {
            frame.number(list.len() as u64);
            list.iter().for_each(|text| frame.text(text));
        }
        frame.number(u64::from(self.downstream));
        frame.finish()
    }
}

/// That all stages were fresh, and everything that depended on.
#[derive(Debug, Serialize, Deserialize)]
struct NoopSnapshot {
    /// When it was taken, in seconds since 1970.
    #[serde(default)]
    taken: i64,
    stages: usize,
    env: BTreeMap<String, Option<String>>,
    code: BTreeMap<String, Digest>,
    /// Which of the files that choose a toolchain were there.
    #[serde(default)]
    toolchain: Vec<String>,
    /// The folder of the cargo workspace that `code` is about.
    #[serde(default)]
    programs: String,
    files: StatSnapshot,
    /// Of the file with rules for what to pass over, if there is one.
    #[serde(default)]
    ignored: Option<Digest>,
    /// Of what this machine says of data, if any is read and it says something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    local: Option<Digest>,
    /// Whether that counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    reads_data: bool,
    /// The params files whose values were copied: an edit of one is warned of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    copied_params: BTreeMap<String, String>,
    /// Each tool's answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tools: Vec<(Question, String)>,
    /// Files that would change an environment if they were there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    absent: BTreeSet<String>,
    /// The graphics cards, if a stage asks for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cards: Option<Vec<Card>>,
}

/// The summary of a request that would find every stage fresh, because it did and nothing has
/// changed since. An error is for the plan to find and explain.
pub fn nothing_to_do(request: &NoopRequest<'_>) -> Option<Summary> {
    let started = Instant::now();
    let stages = unchanged(request).ok().flatten()?;
    Some(Summary {
        fresh: stages,
        seconds: started.elapsed().as_secs_f64(),
        ..Summary::default()
    })
}

/// Whether a snapshot is of the last day. It reads no bytes, so that it may not stand for the plan
/// for ever: the plan reads what has not been read for a month (docs/adr/0019).
fn is_recent(taken: i64, now: i64) -> bool {
    (0..24 * 60 * 60).contains(&now.saturating_sub(taken))
}

/// How many stages the request is about, if its snapshot still holds.
fn unchanged(request: &NoopRequest<'_>) -> Result<Option<usize>, StoreError> {
    let (root, location, env) = (request.root, request.location, request.env);
    let Some(text) = noop::read(location.own(), &request.digest())? else {
        return Ok(None);
    };
    let Ok(found) = serde_json::from_str::<NoopSnapshot>(&text) else {
        return Ok(None);
    };
    if !is_recent(found.taken, WallTime::now().seconds) {
        return Ok(None);
    }
    let same_env = |(name, value): (&String, &Option<String>)| env.text(name) == *value;
    if !found.env.iter().all(same_env) || !found.files.holds(root) {
        return Ok(None);
    }
    if ignore_file(root)? != found.ignored || found.toolchain != toolchain(root) {
        return Ok(None);
    }
    if found.reads_data && local_file(root)? != found.local {
        return Ok(None);
    }
    if !edited_since_copied(root, &found.copied_params)?.is_empty() {
        return Ok(None);
    }
    for path in &found.absent {
        if fs::exists(&root.join(path))? {
            return Ok(None);
        }
    }
    if found.cards.is_some_and(|cards| cards != env.cards()) {
        return Ok(None);
    }
    if !found.code.is_empty() {
        let store = Store::open_patiently(location, &|| {})?;
        let Ok(code) = code_digests(root, &found.programs, &store, env) else {
            return Ok(None);
        };
        let same = |(package, digest): (&String, &Digest)| {
            code.of(package).is_ok_and(|code| code.digest == *digest)
        };
        if !found.code.iter().all(same) {
            return Ok(None);
        }
    }
    // The `stat` of a program says nothing about the libraries that make up its version, or about
    // links and wrappers on the way to it: tools are asked again.
    if !all_unchanged(&found.tools, root, env) {
        return Ok(None);
    }
    Ok(Some(found.stages))
}

/// Digest of the file with rules for what to pass over.
fn ignore_file(root: &Path) -> Result<Option<Digest>, FsError> {
    Ok(ignored::text(root)?.map(|text| Digest::of(text.as_bytes())))
}

/// Digest of what this machine says of the pipeline.
fn local_file(root: &Path) -> Result<Option<Digest>, FsError> {
    Ok(fs::read_if_exists(&root.join(LOCAL_FILE))?.map(|bytes| Digest::of(&bytes)))
}

/// A run that brought stages up to date.
#[derive(Debug, Clone, Copy)]
pub struct UpToDate<'a> {
    /// What it was about.
    pub selected: &'a BTreeSet<StageId>,
    /// The results that it found or made.
    pub results: &'a Results,
    /// How its stages ended.
    pub summary: &'a Summary,
    /// It planned after this, on [`WallTime::file_clock`].
    pub since: WallTime,
    /// restage itself: another build may see things differently.
    pub program: &'a Path,
}

impl<'a> UpToDate<'a> {
    /// When all that the run wrote was in place, so that a change after it shows in a file's times.
    /// `None`: not all is, or to find out costs more than the plan that it saves.
    fn in_place_at(&self, ws: &Workspace, graph: &Graph) -> Result<Option<WallTime>, FactsError> {
        if self.summary.fresh == self.selected.len() {
            return Ok(Some(self.since));
        }
        let of = |(id, record): (&StageId, &'a Arc<Record>)| {
            let stage = graph.stage(*id);
            let placed = record.outs.iter().filter(|out| !is_temporary(stage, out));
            placed.collect::<Vec<_>>()
        };
        let outs = || self.results.iter().flat_map(of);
        let bytes: u64 = outs().map(|out| out.content.size).sum();
        if self.selected.len() < WORTH_WAITING || bytes > MOST_READ_AGAIN {
            return Ok(None);
        }
        std::thread::sleep(SETTLES);
        let now = WallTime::file_clock();
        for out in outs() {
            if !ws.out_in_place(out)? {
                return Ok(None);
            }
        }
        Ok(Some(now))
    }
}

/// From this many stages on a plan takes longer than [`SETTLES`].
const WORTH_WAITING: usize = 400;
/// Until a later change of a file shows in its times, on any file system that keeps parts of
/// seconds: two ticks of the slowest kernel clock and a bit.
const SETTLES: Duration = Duration::from_millis(21);
/// Bytes of outs. What was written within a tick of the clock is read again.
const MOST_READ_AGAIN: u64 = 256 << 20;

/// Keeps a snapshot for [`nothing_to_do`], if a run left all that it was about up to date. Does
/// nothing where a change since it planned could have gone unseen, or where a plan warns of what the
/// pipeline says: it must do so each time.
pub fn remember_noop(
    ws: &Workspace,
    graph: &Graph,
    done: &UpToDate<'_>,
    request: &Digest,
) -> Result<(), FactsError> {
    let selected = done.selected;
    let pipeline = graph.pipeline();
    let warns = !pipeline.other_readings.is_empty()
        || !pipeline.edited_copies.is_empty()
        || !edited_since_copied(&ws.root, &pipeline.copied_params)?.is_empty();
    // What lets a gated stage run is not watched.
    if warns || done.summary.gated > 0 || selected.iter().any(|id| !done.results.contains_key(id)) {
        return Ok(());
    }
    let Some(program) = done.program.to_str() else {
        return Ok(());
    };
    let Some([mut written, records]) = results(ws, graph, selected)? else {
        return Ok(());
    };
    let Some(in_place) = done.in_place_at(ws, graph)? else {
        return Ok(());
    };
    written.insert(ws.lock_name.clone());
    let mut paths = BTreeSet::from([program.to_owned()]);
    paths.extend(
        pipeline
            .sources
            .iter()
            .map(|source| source.path.to_string()),
    );
    let mut folders = BTreeSet::new();
    let mut env = BTreeMap::new();
    let mut code = BTreeMap::new();
    let mut tools = BTreeMap::new();
    let mut cards = None;
    let mut reads_data = false;
    let mut absent = BTreeSet::new();
    for &id in selected {
        let stage = graph.stage(id);
        for data in graph.data_of(id) {
            // All of it: it is pinned as a whole.
            let Some(Ok(now)) = ws.data_now(&data.name) else {
                return Ok(());
            };
            let Some(real) = now.real.to_str() else {
                return Ok(());
            };
            reads_data = true;
            // A link on the way to it may lead elsewhere later.
            folders.extend(ws.data_path(data)?.to_str().map(str::to_owned));
            paths.insert(real.to_owned());
            let variables = data.path.variables();
            env.extend(variables.map(|name| (name.to_owned(), ws.env.text(name))));
        }
        let placed = stage.outs.iter().filter(|out| !out.temporary);
        written.extend(placed.map(|out| out.path.to_string()));
        for input in graph.inputs(id) {
            match input {
                Input::Source { path } if graph.data_at(path).is_some() => {}
                Input::SourceGlob { pattern, .. }
                    if graph
                        .pipeline()
                        .data
                        .iter()
                        .any(|data| data.holds_pattern(pattern)) => {}
                Input::Source { path } | Input::Notebook { path } => {
                    paths.insert(path.to_string());
                }
                Input::SourceGlob { pattern, .. } => {
                    let below = ws.matches(pattern)?;
                    paths.extend(below.files.iter().map(ToString::to_string));
                    folders.extend(below.folders);
                    // What other pipeline files have written is passed over.
                    paths.extend(ws.former()?.locks().iter().cloned());
                }
                // An out of a stage that is selected too.
                Input::Produced { .. } => {}
            }
        }
        let from_host = stage.env.iter().filter(|(_, value)| value.is_none());
        env.extend(from_host.map(|(name, _)| (name.clone(), ws.env.text(name))));
        if !matches!(stage.resources.gpu, Gpus::Unstated | Gpus::Count(0)) {
            cards = Some(ws.env.cards().to_vec());
        }
        if let Some(environment) = &stage.environment {
            let Ok(named) = ws.environment(environment) else {
                return Ok(());
            };
            paths.extend(named.files.iter().cloned());
            absent.extend(named.absent.iter().cloned());
            folders.extend(named.folders.iter().cloned());
        }
        for tool in &stage.tools {
            tools.insert(Question::of(stage, tool), ws.tool(stage, tool)?);
        }
        if let Action::Program { package, .. } = &stage.action {
            code.insert(package.clone(), ws.code_digests()?.of(package)?.digest);
        }
    }
    let toolchain = toolchain(&ws.root);
    paths.extend(toolchain.iter().cloned());
    let (rules, outs) = (ws.ignored()?, &ws.outs);
    let is_in_out = |path: &Path| {
        let path = path.to_str().and_then(|text| RelPath::new(text).ok());
        path.is_some_and(|path| path.is_within_any(outs))
    };
    let skip = |path: &Path, is_folder: bool| {
        // Of data everything counts.
        !path.is_absolute() && !is_in_out(path) && rules.matches(path, is_folder)
    };
    let take = |paths, folders, since| {
        let taken = StatSnapshot::take(&ws.root, paths, &skip, folders, since);
        // What was left in a published folder may be a link that leads nowhere.
        taken.or_else(|error| error.is_bad_link().then_some(None).ok_or(error))
    };
    let read = take(paths, folders, done.since)?;
    let wrote = take(written, records, in_place)?;
    if let (Some(mut files), Some(wrote)) = (read, wrote) {
        files.add(wrote);
        let found = NoopSnapshot {
            taken: WallTime::now().seconds,
            stages: selected.len(),
            env,
            code,
            toolchain,
            programs: ws.programs.clone(),
            files,
            ignored: ignore_file(&ws.root)?,
            local: if reads_data {
                local_file(&ws.root)?
            } else {
                None
            },
            reads_data,
            copied_params: pipeline.copied_params.clone(),
            tools: tools.into_iter().collect(),
            absent,
            cards,
        };
        let text = serde_json::to_string(&found).expect("texts, numbers and maps by text alone");
        noop::write(ws.store.location().own(), request, &text)?;
    }
    Ok(())
}

/// Which of the files that choose a toolchain are there.
fn toolchain(root: &Path) -> Vec<String> {
    let there = |name: &&str| fs::exists(&root.join(name)).unwrap_or(true);
    let there = TOOLCHAIN.into_iter().filter(there);
    there.map(str::to_owned).collect()
}

/// Paths and folders that show a change of the history or of the stages' records; `None` where
/// they can't be named.
fn results(
    ws: &Workspace,
    graph: &Graph,
    selected: &BTreeSet<StageId>,
) -> Result<Option<[BTreeSet<String>; 2]>, FactsError> {
    let text = |path: &Path| path.to_str().map(str::to_owned);
    if ws.store.location().shared().is_none() {
        let history = ".restage/history.jsonl".to_owned();
        let records = ".restage/records".to_owned();
        return Ok(Some([[history].into(), [records].into()]));
    }
    // Others add records to a shared folder all the time: only our own count.
    let lock = LockFile::read(&ws.lock_file())?;
    let mut paths = BTreeSet::new();
    for &id in selected {
        let entry = lock.get(&ws.profile, &graph.stage(id).name);
        let Some(record) = entry.and_then(|entry| text(&ws.store.records().path(&entry.key)))
        else {
            return Ok(None);
        };
        paths.insert(record);
    }
    let Some(history) = text(ws.store.records().history_path()) else {
        return Ok(None);
    };
    paths.insert(history);
    Ok(Some([paths, BTreeSet::new()]))
}

#[cfg(test)]
mod tests {
    use super::is_recent;

    #[test]
    fn a_snapshot_of_yesterday_or_of_a_wrong_clock_decides_nothing() {
        let day = 24 * 60 * 60;
        assert!(is_recent(5, 5) && is_recent(5, 4 + day));
        assert!(!is_recent(5, 5 + day) && !is_recent(6, 5));
        assert!(!is_recent(i64::MIN, i64::MAX));
    }
}
