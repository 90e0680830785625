//! Puts what a stage reads into its work folder (docs/adr/0018).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::data::DataSet;
use super::error::RunError;
use super::facts::FactsError;
use super::notebook;
use super::workspace::{TOOLCHAIN, Workspace};
use restage_core::digest::{DepContent, Digest, Found, StageKey, Touch, Witness};
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::{Graph, Input as Reads, StageId};
use restage_store::{Placement, Record, RecordedOut, SharedFile, StoreError, Unflushed};
use restage_worker::Input;

/// Up to this size a file or folder is copied, which costs less than a millisecond: whatever
/// happens to a copy, and to the original meanwhile, concerns nobody else.
const COPY_UP_TO: u64 = 1 << 20;
/// Most files of a folder that is copied.
const COPY_FILES: u64 = 100;
/// Up to how many outs of other stages are bound one by one, whatever their size.
const BIND_ALL_UP_TO: usize = 200;

/// What an attempt reads, and how it lies in its work folder.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// Paths at which something was put.
    pub(super) placed: Vec<RelPath>,
    /// Paths at which something else is seen that is not the stage's own.
    pub(super) kept: Vec<RelPath>,
    /// Second names of objects that the stage can write to.
    pub(super) shared: Vec<SharedFile>,
    /// What is to be bound read-only before the stage starts, and where.
    pub(super) bound: Vec<(PathBuf, RelPath)>,
    /// Bound sources, as they were before.
    sources: Vec<(RelPath, Witness)>,
}

/// What the inputs of an attempt are found by.
pub(super) struct Sought<'a> {
    pub(super) ws: &'a Workspace,
    pub(super) graph: &'a Graph,
    pub(super) id: StageId,
    pub(super) key: &'a StageKey,
    /// The records whose outs it reads.
    pub(super) records: &'a dyn Fn(StageId) -> Option<std::sync::Arc<Record>>,
    /// Whether inputs can be bound read-only.
    pub(super) binds: bool,
}

/// What lies at a path that a stage reads.
enum What {
    /// A file or folder that no stage writes, with this content.
    Source(Digest),
    /// A notebook whose cells and kernel are these.
    Notebook(Digest),
    /// A stage's out, or what lies at this path inside it.
    Out(RecordedOut, String),
}

impl Inputs {
    /// Puts all inputs into `dir`.
    pub(super) fn place(sought: &Sought<'_>, dir: &Path) -> Result<Self, RunError> {
        let Sought { ws, graph, id, .. } = *sought;
        let found = find(sought)?;
        let outs = &graph.stage(id).outs;
        let made = found.values().filter(|what| matches!(what, What::Out(..)));
        let bind_all = made.count() <= BIND_ALL_UP_TO;
        let mut inputs = Self::default();
        for (path, what) in &found {
            let dest = path.under(dir);
            let within = |folder: &&RelPath| path.is_within(folder) && path != *folder;
            // A folder that was placed before contains it already.
            if inputs.bound.iter().any(|(_, folder)| within(&folder))
                || fs::symlink_metadata_if_exists(&dest)?.is_some()
            {
                continue;
            }
            // Nothing can be put below what is bound read-only.
            let below = |other: &RelPath| other.is_within(path) && other != path;
            let made_below =
                |(other, what): (&RelPath, &What)| below(other) && matches!(what, What::Out(..));
            let may_bind = sought.binds
                && !outs.iter().any(|out| out.path == *path || below(&out.path))
                && !found.iter().any(made_below);
            match what {
                What::Source(content) => inputs.place_source(ws, path, content, &dest, may_bind)?,
                What::Notebook(content) => {
                    if !notebook::place(ws, path, content, &dest)? {
                        let path = path.under(&ws.root);
                        return Err(StoreError::SourceChanged { path }.into());
                    }
                }
                What::Out(out, inside) => {
                    let bind = may_bind && (bind_all || out.content.size > COPY_UP_TO);
                    inputs.place_out(ws, path, out, inside, &dest, bind)?;
                }
            }
            inputs.placed.push(path.clone());
        }
        for (_, witness) in &inputs.sources {
            witness.settle();
        }
        Ok(inputs)
    }

    /// Puts a source at its declared place. A stage only gets the bytes that are in its key: an
    /// edit that is undone before the stage ends would leave no other trace.
    fn place_source(
        &mut self,
        ws: &Workspace,
        path: &RelPath,
        content: &Digest,
        dest: &Path,
        may_bind: bool,
    ) -> Result<(), RunError> {
        if let Some(set) = ws.data.at(path) {
            return self.place_data(ws, set, path, content, dest, may_bind);
        }
        let source = path.under(&ws.root);
        let changed = || StoreError::SourceChanged {
            path: source.clone(),
        };
        let skip = ws.ignored()?.inside(path);
        let witness = match may_bind {
            true => Witness::of_any(&source, &skip)?,
            false => None,
        };
        let there = ws.found(path)?;
        // What is passed over, or lies behind links, would not be what the key says.
        let is_whole = match &there {
            Some(Found::Folder(tree)) => tree.is_whole,
            Some(Found::File(_)) | None => true,
        };
        let found = there.map(|found| found.content());
        let found = found.filter(|found| found.content_id() == *content);
        let found = found.ok_or_else(changed)?;
        match witness {
            Some(witness) if is_whole && (found.size > COPY_UP_TO || found.files > COPY_FILES) => {
                make_place(dest, fs::metadata(&source)?.is_dir())?;
                self.bound.push((source, path.clone()));
                self.sources.push((path.clone(), witness));
            }
            _ => {
                let objects = ws.store.objects();
                objects.place_source(&source, &skip, &found, dest)?;
            }
        }
        Ok(())
    }

    /// Puts data from outside the pipeline's folder, or a part of it, at the place where the stage reads it:
    /// without a copy, however large it is.
    fn place_data(
        &mut self,
        ws: &Workspace,
        set: &DataSet,
        path: &RelPath,
        content: &Digest,
        dest: &Path,
        may_bind: bool,
    ) -> Result<(), RunError> {
        let real = ws.data.real(&ws.around(), set, path)?;
        let changed = || StoreError::SourceChanged { path: real.clone() };
        let witness = ws
            .data
            .witness(&ws.around(), set, path, content)?
            .ok_or_else(changed)?;
        // A link that leads out may be relative, and the data has another place there.
        let may_bind =
            may_bind && (!witness.has_links() || ws.data.is_whole(&ws.around(), set, path)?);
        if may_bind {
            make_place(dest, fs::metadata(&real)?.is_dir())?;
            self.bound.push((real, path.clone()));
        } else {
            let found = ws
                .data
                .found(&ws.around(), set, path)?
                .ok_or_else(changed)?;
            let size = found.content();
            let copy = size.size <= COPY_UP_TO && size.files <= COPY_FILES;
            ws.store.objects().place_data(&real, &found, dest, copy)?;
        }
        self.sources.push((path.clone(), witness));
        Ok(())
    }

    /// Puts a stage's out at the place where another one reads it.
    fn place_out(
        &mut self,
        ws: &Workspace,
        path: &RelPath,
        out: &RecordedOut,
        inside: &str,
        dest: &Path,
        bind: bool,
    ) -> Result<(), RunError> {
        let objects = ws.store.objects();
        let link_from = match (bind, &ws.rerun) {
            (true, _) => 0,
            // A rerun has nothing to do with what the recorded run had in its hands.
            (false, Some(_)) => u64::MAX,
            (false, None) => COPY_UP_TO + 1,
        };
        let placement = Placement::Input { link_from };
        match inside {
            "" => objects.materialize(&out.content, dest, placement)?,
            inside => objects.materialize_part(&out.content, inside, dest, placement)?,
        }
        if bind {
            self.bound.push((dest.to_owned(), path.clone()));
        } else if link_from != u64::MAX {
            let shared = objects.shared_files(&out.content, inside, dest, link_from)?;
            self.shared.extend(shared);
        }
        Ok(())
    }

    /// A bound source that somebody wrote to while the stage could read it.
    pub(super) fn written_source(
        &self,
        ws: &Workspace,
        key: &StageKey,
    ) -> Result<Option<String>, RunError> {
        for (path, before) in &self.sources {
            let source = ws.real_place(path)?;
            let now = match ws.data.at(path) {
                Some(_) => Witness::of_all(&source)?,
                None => Witness::of_any(&source, &ws.ignored()?.inside(path))?,
            };
            let touch = match now {
                Some(now) => before.until(&now),
                None => Touch::Written,
            };
            let same = || -> Result<bool, RunError> {
                let now = match ws.data.at(path) {
                    // Not as it was when it was first looked at.
                    Some(set) => ws
                        .data
                        .found(&ws.around(), set, path)?
                        .map(|found| found.content()),
                    None => ws.content(path)?,
                };
                Ok(now.map(|now| now.content_id()) == content(key, path))
            };
            if touch == Touch::Written || (touch == Touch::Perhaps && !same()?) {
                return Ok(Some(path.to_string()));
            }
        }
        Ok(None)
    }
}

/// What a stage reads, for somebody who knows the store alone: sources are put there, as they are in the key.
/// What is new there must be flushed. `Err` is data from outside, which no store takes in.
pub(super) fn in_store(
    sought: &Sought<'_>,
    unflushed: &mut Unflushed,
) -> Result<Result<Vec<Input>, RelPath>, RunError> {
    let Sought { ws, graph, id, .. } = *sought;
    let workdirs = ws.store.workdirs();
    let dir = workdirs.new_work(&graph.stage(id).name)?;
    let inputs = each_in_store(sought, &dir, unflushed);
    workdirs.discard(&dir);
    inputs
}

fn each_in_store(
    sought: &Sought<'_>,
    dir: &Path,
    unflushed: &mut Unflushed,
) -> Result<Result<Vec<Input>, RelPath>, RunError> {
    let ws = sought.ws;
    let mut inputs = Vec::new();
    for (count, (path, what)) in find(sought)?.into_iter().enumerate() {
        if ws.data.at(&path).is_some() {
            return Ok(Err(path));
        }
        let dest = dir.join(count.to_string());
        let changed = || StoreError::SourceChanged {
            path: path.under(&ws.root),
        };
        let (content, inside) = match what {
            What::Out(out, inside) => (out.content, inside),
            What::Source(content) => {
                Inputs::default().place_source(ws, &path, &content, &dest, false)?;
                let kept = ws.store.objects().ingest_into(&dest, unflushed)?;
                if kept.content_id() != content {
                    return Err(changed().into());
                }
                (kept, String::new())
            }
            What::Notebook(content) => {
                if !notebook::place(ws, &path, &content, &dest)? {
                    return Err(changed().into());
                }
                let kept = ws.store.objects().ingest_into(&dest, unflushed)?;
                (kept, String::new())
            }
        };
        inputs.push(Input {
            path,
            content,
            inside,
        });
    }
    Ok(Ok(inputs))
}

/// What the key says of a path.
fn content(key: &StageKey, path: &RelPath) -> Option<Digest> {
    let by_path = |dep: &restage_core::digest::KeyDep| dep.path.as_str().cmp(path.as_str());
    let at = key.deps.binary_search_by(by_path).ok()?;
    match key.deps[at].content {
        DepContent::Bytes(digest) => Some(digest),
        DepContent::VolatileOf(_) | DepContent::Missing => None,
    }
}

/// All inputs by path: a folder comes before what lies in it.
fn find(sought: &Sought<'_>) -> Result<BTreeMap<RelPath, What>, RunError> {
    let Sought { graph, id, key, .. } = *sought;
    let mut found = BTreeMap::new();
    let mut source = |path: RelPath| {
        if let Some(content) = content(key, &path) {
            found.entry(path).or_insert(What::Source(content));
        }
    };
    for input in graph.inputs(id) {
        match input {
            Reads::Source { path } => source(path.clone()),
            // As they were listed for the key, whatever is there by now.
            Reads::SourceGlob { pattern, .. } => {
                let listed = key.globs.iter().find(|glob| glob.pattern == *pattern);
                let listed = listed.into_iter().flat_map(|glob| &glob.paths);
                listed
                    .filter_map(|path| RelPath::new(path).ok())
                    .for_each(&mut source);
            }
            Reads::Notebook { .. } | Reads::Produced { .. } => {}
        }
    }
    for name in TOOLCHAIN {
        RelPath::new(name).ok().into_iter().for_each(&mut source);
    }
    for input in graph.inputs(id) {
        if let Reads::Notebook { path } = input {
            let content = content(key, path).map(What::Notebook);
            found.extend(content.map(|content| (path.clone(), content)));
        }
        let Reads::Produced { stage, out, path } = input else {
            continue;
        };
        let declared = &graph.stage(*stage).outs[*out].path;
        let record = (sought.records)(*stage);
        let mut outs = record.iter().flat_map(|record| &record.outs);
        let Some(recorded) = outs.find(|out| out.path == declared.as_str()) else {
            return Err(FactsError::Unsettled(graph.stage(*stage).name.clone()).into());
        };
        let inside = path.inside(declared).unwrap_or("").to_owned();
        found.insert(path.clone(), What::Out(recorded.clone(), inside));
    }
    Ok(found)
}

/// An empty file or folder, to be covered by what is bound there.
fn make_place(dest: &Path, folder: bool) -> Result<(), RunError> {
    if let Some(parent) = dest.parent() {
        fs::create_dir_all(parent)?;
    }
    match folder {
        true => fs::create_dir(dest)?,
        false => drop(fs::create_new(dest)?),
    }
    Ok(())
}
