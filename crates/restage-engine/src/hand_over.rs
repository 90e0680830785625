//! Hands stages over to be run where only the store is known: tasks that name no place of this workspace,
//! with all that they read in the store (docs/adr/0037).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::RunError;
use super::event::Observer;
use super::inputs::{Sought, in_store};
use super::plan::{Decision, plan};
use super::programs;
use super::spec;
use super::workspace::Workspace;
use restage_core::digest::StageKey;
use restage_pipeline::graph::{Graph, StageId};
use restage_pipeline::{Gpus, IsolationRule};
use restage_store::{Batch, Record, Unflushed};
use restage_worker::Task;

/// Why a stage can only run where its pipeline is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CantMove {
    /// What it reads is not in the pipeline's folder, and not in the store.
    #[error("it reads `{0}`, which is data from outside of the pipeline's folder")]
    Data(String),
    /// Restage makes or runs its environment.
    #[error("it runs in the environment `{0}`, which is made on this machine")]
    Environment(String),
    /// It names one of this machine's cards.
    #[error("it asks for a certain graphics card of this machine")]
    Card,
    /// A worker can't keep it apart as it must be.
    #[error("it has `isolation: required`, and a worker does not know the workspace's folder")]
    Apart,
    /// A variable that it is given can't be written down.
    #[error("its variable `{0}` is not UTF-8")]
    Variable(String),
}

/// What was handed over.
#[derive(Debug)]
pub struct HandedOver {
    /// A job for each task; `None` if there is no task.
    pub batch: Option<Batch>,
    /// The stages, in the order of their jobs.
    pub stages: Vec<String>,
    /// Stages that have to run here, and why.
    pub stay: BTreeMap<String, CantMove>,
}

/// Hands over all of these stages that are to run and whose inputs are known. `of` says whose they are.
pub fn hand_over(
    ws: &Workspace,
    graph: &Graph,
    selected: &BTreeSet<StageId>,
    of: &str,
    observer: &mut dyn Observer,
) -> Result<HandedOver, RunError> {
    let plan = plan(graph, selected, &BTreeSet::new(), ws)?;
    programs::build(ws, graph, &plan, observer)?;
    let records = |id: StageId| plan.stages.get(&id)?.record().cloned();
    let mut unflushed = Unflushed::default();
    let (mut tasks, mut stages, mut stay) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (&id, planned) in &plan.stages {
        let (Decision::Run(_), Some(key)) = (&planned.decision, &planned.key) else {
            continue;
        };
        let name = &graph.stage(id).name;
        match task(ws, graph, id, key, &records, &mut unflushed)? {
            Ok(task) => {
                let job = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
                tasks.push(task.of_batch(job));
                stages.push(name.clone());
            }
            Err(why) => drop(stay.insert(name.clone(), why)),
        }
    }
    let batch = match tasks.is_empty() {
        true => None,
        false => {
            // No task is known before all that it reads is on the disk.
            ws.store.objects().flush(&unflushed)?;
            Some(ws.store.batches().make(of, &tasks)?)
        }
    };
    Ok(HandedOver {
        batch,
        stages,
        stay,
    })
}

/// A stage as a task, if it can run elsewhere.
fn task(
    ws: &Workspace,
    graph: &Graph,
    id: StageId,
    key: &Arc<StageKey>,
    records: &dyn Fn(StageId) -> Option<Arc<Record>>,
    unflushed: &mut Unflushed,
) -> Result<Result<Task, CantMove>, RunError> {
    let stage = graph.stage(id);
    let rule = stage.isolation.unwrap_or(graph.pipeline().isolation);
    if let Some(environment) = &stage.environment {
        return Ok(Err(CantMove::Environment(environment.name.clone())));
    }
    if matches!(stage.resources.gpu, Gpus::Card(_)) {
        return Ok(Err(CantMove::Card));
    }
    if rule == IsolationRule::Required {
        return Ok(Err(CantMove::Apart));
    }
    let cards = stage.resources.gpu.needed(ws.env.cards().len());
    let mut spec = spec::of(stage, cards);
    for (name, value) in &mut spec.env {
        let of_caller = match value {
            Some(_) => continue,
            None => ws.env.get(name).map(|text| text.to_str()),
        };
        match of_caller {
            None => {}
            Some(Some(text)) => *value = Some(text.to_owned()),
            Some(None) => return Ok(Err(CantMove::Variable(name.clone()))),
        }
    }
    let sought = Sought {
        ws,
        graph,
        id,
        key,
        records,
        binds: false,
    };
    let inputs = match in_store(&sought, unflushed)? {
        Ok(inputs) => inputs,
        Err(path) => return Ok(Err(CantMove::Data(path.to_string()))),
    };
    Ok(Ok(Task {
        qualified: ws.qualified(&stage.name),
        key: key.as_ref().clone(),
        spec,
        inputs,
        is_apart: rule != IsolationRule::None,
        is_offline: stage.offline,
    }))
}
