//! Outs of a record: in place, to be put back, lost, or temporary and not kept (docs/adr/0030).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::facts::{Facts, FactsError};
use super::obstacle::Gone;
use super::plan::{Decision, Plan};
use super::reason::Reason;
use restage_pipeline::Stage;
use restage_pipeline::graph::{Graph, Input, StageId};
use restage_store::{Record, RecordedOut};

/// What becomes of a stage that has a record.
pub(super) struct Placed {
    pub(super) decision: Decision,
    /// Temporary outs that the store no longer has, and that nobody needs.
    pub(super) not_kept: Vec<String>,
}

/// Looks for the outs of a record. `needed`: whether those that were not kept are read.
pub(super) fn placed(
    stage: &Stage,
    record: Arc<Record>,
    needed: bool,
    facts: &dyn Facts,
) -> Result<Placed, FactsError> {
    let mut missing = Vec::new();
    let mut not_kept = Vec::new();
    let run = |reason| Placed {
        decision: Decision::Run(vec![reason]),
        not_kept: Vec::new(),
    };
    for out in &record.outs {
        if is_temporary(stage, out) {
            // It is nowhere but in the store, unless it was not always temporary.
            if facts.out_in_store(out)? || facts.out_in_place(out)? {
                continue;
            }
            match (out.freed, needed) {
                (true, false) => not_kept.push(out.path.clone()),
                (true, true) => return Ok(run(Reason::NotKept(out.path.clone()))),
                (false, _) => return Ok(run(Reason::Lost(out.path.clone()))),
            }
            continue;
        }
        if facts.out_in_place(out)? {
            continue;
        }
        if !facts.out_in_store(out)? {
            return Ok(run(Reason::Lost(out.path.clone())));
        }
        missing.push(out.path.clone());
    }
    let decision = match missing.is_empty() {
        true => Decision::Fresh(record),
        false => Decision::Restore(record, missing),
    };
    Ok(Placed { decision, not_kept })
}

/// Whether the stage declares an out of its record as temporary.
pub(super) fn is_temporary(stage: &Stage, out: &RecordedOut) -> bool {
    let mut outs = stage.outs.iter();
    outs.any(|declared| declared.temporary && declared.path.as_str() == out.path)
}

/// The stages whose outs were not kept and are read by a stage that runs, or by one of them.
pub(super) fn needed(graph: &Graph, plan: &Plan) -> BTreeSet<StageId> {
    let runs = plan.stages.iter();
    let runs = runs.filter(|(_, planned)| matches!(planned.decision, Decision::Run(_)));
    let mut open: Vec<StageId> = runs.map(|(id, _)| *id).collect();
    let mut needed = BTreeSet::new();
    while let Some(reader) = open.pop() {
        for (writer, _) in gone_inputs(graph, plan, reader) {
            if needed.insert(writer) {
                open.push(writer);
            }
        }
    }
    needed
}

/// What a stage reads that was not kept, and who writes it.
fn gone_inputs<'a>(
    graph: &'a Graph,
    plan: &'a Plan,
    reader: StageId,
) -> impl Iterator<Item = (StageId, &'a str)> {
    graph.inputs(reader).iter().filter_map(|input| {
        let Input::Produced { stage, out, .. } = input else {
            return None;
        };
        let path = graph.stage(*stage).outs[*out].path.as_str();
        let not_kept = &plan.stages.get(stage)?.not_kept;
        not_kept
            .iter()
            .any(|out| out == path)
            .then_some((*stage, path))
    })
}

/// Whether a stage whose outs were not kept can make them again, by a plan that has all that it
/// reads from.
pub(super) fn can_make(graph: &Graph, plan: &Plan, writer: StageId, facts: &dyn Facts) -> bool {
    facts.lacks(graph.stage(writer)).is_empty() && gone_inputs(graph, plan, writer).next().is_none()
}

/// Why a stage can't run by a plan in which all that was not kept and can be made again is.
pub(super) fn out_of_reach(
    graph: &Graph,
    plan: &Plan,
    reader: StageId,
    facts: &dyn Facts,
) -> Option<Gone> {
    let (first, path) = gone_inputs(graph, plan, reader).next()?;
    let mut writer = first;
    // It lacks something, or reads from one that does.
    loop {
        let stage = graph.stage(writer);
        let lacks = facts.lacks(stage);
        match gone_inputs(graph, plan, writer).next() {
            Some((up, _)) if lacks.is_empty() => writer = up,
            _ => {
                return Some(Gone {
                    path: path.to_owned(),
                    writer: graph.stage(first).name.clone(),
                    gated: stage.name.clone(),
                    lacks,
                });
            }
        }
    }
}

/// Something that a stage reads and that was not kept, and the name of the stage that writes it.
pub(super) fn gone_input<'a>(
    graph: &'a Graph,
    plan: &'a Plan,
    reader: StageId,
) -> Option<(&'a str, &'a str)> {
    let (writer, path) = gone_inputs(graph, plan, reader).next()?;
    Some((path, graph.stage(writer).name.as_str()))
}
