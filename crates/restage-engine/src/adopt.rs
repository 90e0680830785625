//! Makes files that are there the results of stages that did not run (docs/adr/0021).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::RunError;
use super::event::Observer;
use super::pipeline_lock;
use super::plan::{Decision, decide, no_key};
use super::workspace::Workspace;
use restage_core::clock::WallTime;
use restage_core::fs;
use restage_pipeline::graph::{Graph, StageId};
use restage_store::{Adoption, Record, RecordedOut, Unflushed};

/// Why files don't become a stage's result.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Outs are not there.
    #[error("stage `{stage}` can't adopt what is not there: {}", .missing.join(", "))]
    Missing {
        /// The stage's name.
        stage: String,
        /// Its outs that are not there.
        missing: Vec<String>,
    },
    /// A stage that it reads has no result, so that its key is unknown.
    #[error("stage `{stage}` reads what stage `{reads}` writes, which has no result yet")]
    NoInput {
        /// The stage's name.
        stage: String,
        /// The other stage's.
        reads: String,
    },
    /// It has a result, and what is there is something else.
    #[error("stage `{stage}` has a result already, and {} is not it", .edited.join(", "))]
    HasResult {
        /// The stage's name.
        stage: String,
        /// Outs that are not those of the result.
        edited: Vec<String>,
    },
    /// Another restage runs it.
    #[error("stage `{0}` is being run by another restage")]
    Busy(String),
    /// The files or the store could not be read or written.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl AdoptError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } => {
                Some("nothing was recorded; a result is all of a stage's outs".to_owned())
            }
            Self::NoInput { reads, .. } => Some(format!(
                "run it, or adopt its outs with the same command: `restage adopt {reads} ..`"
            )),
            Self::HasResult { .. } => Some(
                "`restage reproduce` sets them aside and restores the result; \
                 `restage why` shows where it comes from"
                    .to_owned(),
            ),
            Self::Busy(_) => Some("wait until it has ended".to_owned()),
            Self::Run(error) => error.hint(),
        }
    }
}

/// On whose word files become results.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    /// The user's name.
    pub by: &'a str,
    /// The file that named them as the result, if one did.
    pub from: Option<&'a str>,
}

/// What adopting a stage came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The stage's name.
    pub stage: String,
    /// How many outs became its result; 0 if it had this result already.
    pub outs: usize,
}

/// Records the outs that are in the workspace as the results of `stages`, under the keys that
/// these have now. The files stay as they are. A stage that fails leaves those before it, in the order of the
/// graph, adopted.
pub fn adopt(
    ws: &Workspace,
    graph: &Graph,
    stages: &BTreeSet<StageId>,
    word: &Word<'_>,
    observer: &mut dyn Observer,
) -> Result<Vec<Adopted>, AdoptError> {
    let mut records: BTreeMap<StageId, Arc<Record>> = BTreeMap::new();
    let mut adopted = Vec::new();
    let mut result = Ok(());
    let needed = graph.topological().iter();
    for &id in needed {
        let mut upstream = graph.dependencies(id).iter();
        if let Some(up) = upstream.find(|up| !records.contains_key(up)) {
            if stages.contains(&id) {
                result = Err(AdoptError::NoInput {
                    stage: graph.stage(id).name.clone(),
                    reads: graph.stage(*up).name.clone(),
                });
                break;
            }
            continue;
        }
        match adopt_one(ws, graph, id, stages.contains(&id), &records, word) {
            Ok(Some((record, outs))) => {
                if stages.contains(&id) {
                    let stage = graph.stage(id).name.clone();
                    adopted.push(Adopted { stage, outs });
                }
                records.insert(id, record);
            }
            Ok(None) => {}
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    records.retain(|id, _| stages.contains(id));
    pipeline_lock::write(ws, graph, &records, observer)?;
    result.map(|()| adopted)
}

/// The record of a stage, made of its outs if it has none and is to `adopt` them; `None` if it has
/// none. Also how many outs were adopted.
fn adopt_one(
    ws: &Workspace,
    graph: &Graph,
    id: StageId,
    adopt: bool,
    records: &BTreeMap<StageId, Arc<Record>>,
    word: &Word<'_>,
) -> Result<Option<(Arc<Record>, usize)>, AdoptError> {
    let stage = graph.stage(id);
    let upstream = |up: StageId| records.get(&up).cloned();
    let planned = match decide(graph, id, false, &upstream, ws) {
        Ok(planned) => planned,
        // A stage that was not asked for may lack its inputs.
        Err(_) if !adopt => return Ok(None),
        Err(error) => return Err(RunError::Facts(error).into()),
    };
    match planned.decision {
        Decision::Fresh(record) => return Ok(Some((record, 0))),
        Decision::Restore(record, _) if !adopt => return Ok(Some((record, 0))),
        Decision::Restore(_, edited) => {
            let stage = stage.name.clone();
            return Err(AdoptError::HasResult { stage, edited });
        }
        _ if !adopt => return Ok(None),
        Decision::Blocked(obstacle) => {
            return Err(RunError::Facts(no_key(stage, &obstacle)).into());
        }
        Decision::Run(_) | Decision::Waits(_) | Decision::Gated(_) => {}
    }
    let key = planned
        .key
        .expect("the records of all that it reads are there");
    let outs = stage.outs.iter();
    let there = outs.map(|out| Ok((out, fs::metadata_if_exists(&out.path.under(&ws.root))?)));
    let there: Vec<_> = there.collect::<Result<_, RunError>>()?;
    let missing = there.iter().filter(|(_, found)| found.is_none());
    let missing: Vec<String> = missing.map(|(out, _)| format!("`{}`", out.path)).collect();
    if !missing.is_empty() {
        let stage = stage.name.clone();
        return Err(AdoptError::Missing { stage, missing });
    }
    let locks = ws.store.locks();
    let Some(lock) = locks.try_lock(&key.digest()).map_err(RunError::Store)? else {
        return Err(AdoptError::Busy(stage.name.clone()));
    };
    let record = || -> Result<Record, RunError> {
        let mut unflushed = Unflushed::default();
        let objects = ws.store.objects();
        let mut outs = Vec::new();
        for out in &stage.outs {
            let at = out.path.under(&ws.root);
            outs.push(RecordedOut {
                freed: false,
                path: out.path.to_string(),
                volatile: out.volatile,
                content: objects.ingest_copy_into(&at, &mut unflushed)?,
            });
        }
        let (inputs, now) = (key.as_ref().clone(), WallTime::now());
        let name = ws.qualified(&stage.name);
        let mut record = Record::new(inputs, name, outs, now, 0.0, None, Vec::new());
        record.adopted = Some(Adoption {
            by: word.by.to_owned(),
            at: record.started.clone(),
            from: word.from.map(ToOwned::to_owned),
        });
        let mut records = Unflushed::default();
        ws.store.commit(&lock, &record, unflushed, &mut records)?;
        ws.store.objects().flush(&records)?;
        Ok(record)
    };
    let record = record()?;
    let outs = record.outs.len();
    Ok(Some((Arc::new(record), outs)))
}
