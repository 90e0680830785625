//! Follows files upstream, from record to record.

use std::collections::BTreeMap;
use std::sync::Arc;

use petgraph::graph::{DiGraph, NodeIndex};

use super::order::writers_first;
use super::records::Records;
use super::{Bytes, From, Lineage, Origin, Read, Run, Source, Standing, Traced};
use crate::facts::{Facts, FactsError, InFolder};
use crate::plan::{Decision, Plan};
use crate::workspace::Workspace;
use restage_core::digest::{DepContent, Digest, PathDigest, diff};
use restage_core::rel_path::RelPath;
use restage_core::whereabouts::host_name;
use restage_pipeline::graph::{Graph, StageId};
use restage_store::lockfile::LockFile;
use restage_store::{Record, RecordedOut};

/// Where files come from. The plan says which runs are up to date; without one that is unknown.
///
/// # Errors
/// A file or the store can't be read.
pub fn lineage(
    ws: &Workspace,
    graph: &Graph,
    plan: Option<&Plan>,
    paths: &[RelPath],
) -> Result<Lineage, FactsError> {
    let planned = plan.into_iter().flat_map(|plan| plan.stages.values());
    let standing = planned.filter_map(|planned| planned.record().cloned());
    let records = Records::new(standing.chain(ws.store.records().known()?));
    let mut walk = Walk {
        ws,
        graph,
        plan,
        records,
        found: DiGraph::new(),
        places: BTreeMap::new(),
        sources: BTreeMap::new(),
    };
    let mut starts = Vec::with_capacity(paths.len());
    for path in paths {
        starts.push(walk.start(path)?);
    }
    walk.go_upstream()?;
    Ok(walk.finish(starts, paths))
}

/// A source's path and what was read there.
type SourceId = (String, Option<Digest>);

/// Where something comes from, before runs and sources have their places.
enum Found {
    Run(NodeIndex),
    Source(SourceId),
    Unrecorded,
    Nothing,
}

enum Start {
    Run(NodeIndex, String, Bytes),
    Source(SourceId),
    Unrecorded(String, Option<Digest>),
}

struct Node {
    record: Arc<Record>,
    reads: Vec<(String, DepContent, Found)>,
}

struct Walk<'a> {
    ws: &'a Workspace,
    graph: &'a Graph,
    plan: Option<&'a Plan>,
    records: Records,
    /// From reader to writer.
    found: DiGraph<Node, ()>,
    places: BTreeMap<Digest, NodeIndex>,
    /// What is there now.
    sources: BTreeMap<SourceId, Option<Digest>>,
}

impl Walk<'_> {
    fn start(&mut self, path: &RelPath) -> Result<(Start, Option<PathDigest>), FactsError> {
        let owner = self.graph.owner_of(path);
        let out = owner.map(|(id, out)| (id, self.graph.stage(id).outs[out].path.clone()));
        let whole = out.as_ref().map_or(path, |(_, out)| out);
        let now = self.ws.content(whole)?;
        let Some((id, out)) = out else {
            let read = now.map(|now| now.content_id());
            self.sources.insert((path.to_string(), read), read);
            return Ok((Start::Source((path.to_string(), read)), now));
        };
        let wrote = now.and_then(|now| self.records.that_wrote(out.as_str(), &now));
        let (record, bytes) = match (wrote, self.records.writer(out.as_str()), now) {
            (Some((record, true)), ..) => (record, Bytes::Recorded),
            (Some((record, false)), ..) => (record, Bytes::OfAnotherRun),
            (None, Some(record), now) => {
                let written = record.outs.iter().find(|o| o.path == out.as_str());
                // The writer of an out has it.
                let Some(recorded) = written.map(|out| out.content) else {
                    return Err(FactsError::Unsettled(self.graph.stage(id).name.clone()));
                };
                let bytes = match now {
                    Some(_) => Bytes::Edited { recorded },
                    None => {
                        let declared = &self.graph.stage(id).outs;
                        let mut declared = declared.iter().filter(|one| one.path == out);
                        let temporary = declared.any(|one| one.temporary);
                        Bytes::Missing {
                            recorded,
                            temporary,
                        }
                    }
                };
                (record, bytes)
            }
            (None, None, _) => {
                let stage = self.graph.stage(id).name.clone();
                let lock = LockFile::read(&self.ws.lock_file()).unwrap_or_default();
                let locked = lock.get(&self.ws.profile, &stage);
                let locked = locked.and_then(|entry| *entry.outs.get(out.as_str())?);
                let stands = now.map(|now| now.content_id());
                let locked = locked.filter(|locked| stands == Some(*locked));
                return Ok((Start::Unrecorded(stage, locked), now));
            }
        };
        let record = Arc::clone(record);
        Ok((Start::Run(self.add(record), out.to_string(), bytes), now))
    }

    fn add(&mut self, record: Arc<Record>) -> NodeIndex {
        if let Some(place) = self.places.get(&record.key) {
            return *place;
        }
        let key = record.key;
        let reads = Vec::new();
        let place = self.found.add_node(Node { record, reads });
        self.places.insert(key, place);
        place
    }

    /// Finds what each run read; runs found on the way are added at the end, and come too.
    fn go_upstream(&mut self) -> Result<(), FactsError> {
        let mut at = 0;
        while at < self.found.node_count() {
            let reader = NodeIndex::new(at);
            let record = Arc::clone(&self.found[reader].record);
            let mut reads = Vec::with_capacity(record.inputs.deps.len());
            for dep in &record.inputs.deps {
                let found = self.gave(&dep.path, dep.content)?;
                if let Found::Run(writer) = found {
                    self.found.update_edge(reader, writer, ());
                }
                reads.push((dep.path.clone(), dep.content, found));
            }
            self.found[reader].reads = reads;
            at += 1;
        }
        Ok(())
    }

    /// What gave a run what it read at a path.
    fn gave(&mut self, path: &str, content: DepContent) -> Result<Found, FactsError> {
        let digest = match content {
            DepContent::Missing => return Ok(Found::Nothing),
            DepContent::VolatileOf(key) => {
                let known = self.records.of_key(&key).cloned();
                let record = match known {
                    Some(record) => Some(record),
                    None => self.ws.store.records().get(&key)?,
                };
                return Ok(match record {
                    Some(record) => Found::Run(self.add(record)),
                    None => Found::Unrecorded,
                });
            }
            DepContent::Bytes(digest) => digest,
        };
        // A folder that the store has lost is the folder of no known run.
        let part = |out: &RecordedOut, inside: &str| match self.ws.part(out, inside) {
            Ok(InFolder::There(content)) => Some(content),
            Ok(InFolder::NotThere(_)) | Err(_) => None,
        };
        if let Some(record) = self.records.that_gave(path, &digest, &part).cloned() {
            return Ok(Found::Run(self.add(record)));
        }
        let path = match RelPath::new(path) {
            Ok(path) if self.graph.owner_of(&path).is_none() => path,
            _ => return Ok(Found::Unrecorded),
        };
        let id = (path.to_string(), Some(digest));
        if !self.sources.contains_key(&id) {
            let stages = self.graph.stages().iter();
            let mut notebooks = stages.filter_map(|stage| stage.notebook.as_ref());
            let now = match notebooks.any(|notebook| notebook.path == path) {
                true => self.ws.notebook(&path)?,
                false => self.ws.source(&path)?,
            };
            self.sources.insert(id.clone(), now);
        }
        Ok(Found::Source(id))
    }

    /// Writers before readers, and as the pipeline has the stages where that leaves a choice.
    fn order(&self) -> Vec<NodeIndex> {
        let topological = self.graph.topological().iter();
        let places: BTreeMap<StageId, usize> = topological.copied().zip(0..).collect();
        writers_first(&self.found, &|node| {
            let name = stage_name(self.graph, &self.found[node].record);
            places.get(&self.graph.id(&name)?).copied()
        })
    }

    fn finish(mut self, starts: Vec<(Start, Option<PathDigest>)>, paths: &[RelPath]) -> Lineage {
        let order = self.order();
        let at: BTreeMap<NodeIndex, usize> = order.iter().copied().zip(0..).collect();
        let sources: BTreeMap<SourceId, usize> = self.sources.keys().cloned().zip(0..).collect();
        let runs = order.iter().map(|place| {
            let node = &mut self.found[*place];
            let record = Arc::clone(&node.record);
            let reads = std::mem::take(&mut node.reads).into_iter();
            let reads = reads.map(|(path, content, found)| Read {
                path,
                content,
                from: match found {
                    Found::Run(place) => From::Run(at[&place]),
                    Found::Source(id) => From::Source(sources[&id]),
                    Found::Unrecorded => From::Unrecorded,
                    Found::Nothing => From::Nothing,
                },
            });
            Run {
                stage: stage_name(self.graph, &record),
                standing: standing(self.graph, self.plan, &record),
                elsewhere: record.host != host_name(),
                reads: reads.collect(),
                record,
            }
        });
        let runs = runs.collect();
        let files = starts
            .into_iter()
            .zip(paths)
            .map(|((start, now), path)| Traced {
                path: path.clone(),
                now,
                origin: match start {
                    Start::Run(place, out, bytes) => Origin::Run {
                        run: at[&place],
                        out,
                        bytes,
                    },
                    Start::Source(id) => Origin::Source(sources[&id]),
                    Start::Unrecorded(stage, locked) => Origin::Unrecorded { stage, locked },
                },
            });
        Lineage {
            files: files.collect(),
            runs,
            sources: self
                .sources
                .into_iter()
                .map(|((path, read), now)| Source { path, read, now })
                .collect(),
        }
    }
}

/// As the pipeline calls the stage that writes there: a shared record has another workspace's word.
fn stage_name(graph: &Graph, record: &Record) -> String {
    let mut paths = record
        .outs
        .iter()
        .filter_map(|out| RelPath::new(&out.path).ok());
    let owner = paths.find_map(|path| graph.owner_of(&path));
    owner.map_or_else(
        || record.stage.clone(),
        |(id, _)| graph.stage(id).name.clone(),
    )
}

fn standing(graph: &Graph, plan: Option<&Plan>, record: &Record) -> Standing {
    let Some(plan) = plan else {
        return Standing::Unknown;
    };
    let name = stage_name(graph, record);
    let Some(id) = graph.id(&name) else {
        return Standing::Gone;
    };
    let Some(planned) = plan.stages.get(&id) else {
        return Standing::Unknown;
    };
    match (&planned.key, &planned.decision) {
        (Some(key), _) if key.digest() == record.key => Standing::Current,
        (Some(key), _) => Standing::Stale(diff(&record.inputs, key)),
        (None, Decision::Waits(on)) => {
            let names = on.iter().map(|up| graph.stage(*up).name.clone());
            Standing::Waits(names.collect())
        }
        (None, _) => Standing::Unknown,
    }
}
