//! What a plan needs of the machine before anything starts: cards, secrets, tracing, free places
//! for outs.

use super::audit::Audit;
use super::error::RunError;
use super::plan::Plan;
use super::secrets;
use super::standing::{self, Foreigners};
use super::tokens::Capacity;
use super::workspace::Workspace;
use restage_exec::check_tracing;
use restage_pipeline::Gpus;
use restage_pipeline::graph::Graph;

/// The first thing that is missing, as an error.
pub(super) fn check(
    ws: &Workspace,
    graph: &Graph,
    plan: &Plan,
    capacity: &Capacity,
    audit: Option<&Audit>,
    foreigners: Foreigners,
) -> Result<(), RunError> {
    check_gpus(graph, plan, capacity)?;
    secrets::check(&ws.env, graph, plan)?;
    standing::check(ws, graph, plan, foreigners)?;
    standing::check_rights(ws, graph, plan)?;
    if let Some(audit) = audit {
        check_tracing(&audit.helper).map_err(RunError::CannotTrace)?;
    }
    Ok(())
}

fn check_gpus(graph: &Graph, plan: &Plan, capacity: &Capacity) -> Result<(), RunError> {
    for id in plan.pending() {
        let stage = graph.stage(id);
        let (gpus, have) = (stage.resources.gpu, capacity.gpus.len());
        if gpus.needed(have) > have {
            return Err(RunError::NoGpu {
                stage: stage.name.clone(),
                wanted: match gpus {
                    Gpus::Card(number) => format!("GPU {number}"),
                    gpus => format!("{} GPU(s)", gpus.needed(have)),
                },
                have,
            });
        }
    }
    Ok(())
}
