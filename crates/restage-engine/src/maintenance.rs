//! What `gc` must keep and what `fsck` says of the next run: both follow from the pipeline's plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::facts::{Facts, FactsError};
use super::plan::{Decision, Obstacle, Plan, decide, no_key, plan};
use super::workspace::Workspace;
use restage_core::digest::Digest;
use restage_pipeline::Action;
use restage_pipeline::graph::{Graph, StageId};
use restage_store::Record;
use restage_store::lockfile::LockFile;

/// What the next run of a pipeline would use: the roots of garbage collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveKeys {
    /// Keys whose records are the results of stages.
    pub records: BTreeSet<Digest>,
    /// Keys that would run: their stages resume from their scratch folders.
    pub runs: BTreeSet<Digest>,
    /// Code of the programs.
    pub programs: BTreeSet<Digest>,
    /// Software that stages run in.
    pub environments: BTreeSet<Digest>,
}

/// What the next run would use, whatever its targets.
pub fn live_keys(ws: &Workspace, graph: &Graph) -> Result<LiveKeys, FactsError> {
    let plan = whole_plan(ws, graph)?;
    let mut live = LiveKeys::default();
    for (id, planned) in &plan.stages {
        let stage = graph.stage(*id);
        if let Action::Program { package, .. } = &stage.action {
            live.programs.insert(ws.code(package)?);
        }
        let named = stage.environment.as_deref().map(|it| ws.environment(it));
        if let Some(Ok(named)) = named {
            live.environments.insert(named.digest);
        }
        match (&planned.decision, &planned.key) {
            (Decision::Fresh(record) | Decision::Restore(record, _), _) => {
                live.records.insert(record.key);
            }
            (Decision::Run(_) | Decision::Gated(_), Some(key)) => {
                live.runs.insert(key.digest());
            }
            (Decision::Gated(_), None) => {}
            (Decision::Waits(_) | Decision::Run(_) | Decision::Blocked(_), _) => {
                live.runs.extend(likely_key(ws, graph, *id, &plan)?);
            }
        }
    }
    Ok(live)
}

/// The key of a waiting stage, assuming that those before it write what they wrote last.
fn likely_key(
    ws: &Workspace,
    graph: &Graph,
    id: StageId,
    plan: &Plan,
) -> Result<Option<Digest>, FactsError> {
    let upstream = |up: StageId| -> Option<Arc<Record>> {
        let planned = plan.stages.get(&up).and_then(|planned| planned.record());
        planned
            .cloned()
            .or_else(|| ws.last_record(&graph.stage(up).name))
    };
    let planned = match decide(graph, id, false, &upstream, ws) {
        Err(FactsError::Unsettled(_)) => return Ok(None),
        planned => planned?,
    };
    match &planned.decision {
        // It has the same key again once its source can be read.
        Decision::Blocked(obstacle)
            if matches!(
                **obstacle,
                Obstacle::Unreadable(_) | Obstacle::NoEnvironment(_)
            ) =>
        {
            Err(no_key(graph.stage(id), obstacle))
        }
        _ => Ok(planned.key.map(|key| key.digest())),
    }
}

/// What the next run would do to stages that were reproduced before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NextRun {
    /// Stages that run.
    pub runs: Vec<String>,
    /// Stages whose outs are put back.
    pub restores: Vec<String>,
    /// Stages that run if the outs they read change.
    pub waits: Vec<String>,
}

/// What the next run would do to stages that were reproduced before.
pub fn next_run(ws: &Workspace, graph: &Graph) -> Result<NextRun, FactsError> {
    // A damaged one counts as empty.
    let lock = LockFile::read(&ws.lock_file()).unwrap_or_default();
    let mut next = NextRun::default();
    for (id, planned) in whole_plan(ws, graph)?.stages {
        let name = &graph.stage(id).name;
        if lock.get(&ws.profile, name).is_none() && ws.last_seconds(name).is_none() {
            continue;
        }
        let stages = match planned.decision {
            Decision::Fresh(_) | Decision::Blocked(_) | Decision::Gated(_) => continue,
            Decision::Restore(..) => &mut next.restores,
            Decision::Run(_) => &mut next.runs,
            Decision::Waits(_) => &mut next.waits,
        };
        stages.push(name.clone());
    }
    Ok(next)
}

fn whole_plan(ws: &Workspace, graph: &Graph) -> Result<Plan, FactsError> {
    let all = graph.topological().iter().copied().collect();
    plan(graph, &all, &BTreeSet::new(), ws)
}
