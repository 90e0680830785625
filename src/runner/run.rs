//! A run from plan to summary.
//! It must not know how a stage is run or where output goes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::audit::Audit;
use super::committer::Committer;
use super::drive::Run;
use super::error::RunError;
use super::event::{Event, Observer};
use super::facts::Facts;
use super::plan::{Plan, plan, plan_rerun};
use super::programs;
use super::queue::ReadyQueue;
use super::secrets;
use super::tokens::{Capacity, Tokens};
use super::workspace::Workspace;
use crate::base::clock::Instant;
use crate::exec::{Executor, check_tracing};
use crate::graph::{Graph, StageId};
use crate::spec::{Action, Gpus};
use crate::store::Record;

/// What to run and with what.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// What may be used at once.
    pub capacity: Capacity,
    /// Go on after a failure with what does not depend on it.
    pub keep_going: bool,
    /// Stages to bring up to date.
    pub selected: BTreeSet<StageId>,
    /// Stages to run whatever is recorded.
    pub forced: BTreeSet<StageId>,
    /// Trace the stages that run, and report what they do not declare.
    pub audit: Option<Audit>,
}

/// How a run went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Stages that ran and succeeded.
    pub ran: usize,
    /// Stages whose outs were put back.
    pub restored: usize,
    /// Stages left alone.
    pub fresh: usize,
    /// Stages that failed.
    pub failed: usize,
    /// Stages whose inputs could not be made.
    pub blocked: usize,
    /// Stages that did not start, or were stopped.
    pub cancelled: usize,
    /// The user stopped it.
    pub interrupted: bool,
    /// A failure was the machine's, not the stage's.
    pub machine_failed: bool,
    /// Wall time.
    pub seconds: f64,
}

/// Brings the selected stages up to date. `interrupted` is asked often.
pub fn run(
    ws: &Workspace,
    graph: &Graph,
    options: &RunOptions,
    executor: &mut dyn Executor,
    observer: &mut dyn Observer,
    interrupted: &dyn Fn() -> bool,
) -> Result<Summary, RunError> {
    let (summary, _) = run_to_records(ws, graph, options, executor, observer, interrupted)?;
    Ok(summary)
}

/// As [`run`]; also gives the records of all stages that have a result.
pub(super) fn run_to_records(
    ws: &Workspace,
    graph: &Graph,
    options: &RunOptions,
    executor: &mut dyn Executor,
    observer: &mut dyn Observer,
    interrupted: &dyn Fn() -> bool,
) -> Result<(Summary, BTreeMap<StageId, Arc<Record>>), RunError> {
    let started = Instant::now();
    let plan = match &ws.rerun {
        Some(rerun) => plan_rerun(graph, &options.selected, &rerun.inputs, ws)?,
        None => plan(graph, &options.selected, &options.forced, ws)?,
    };
    check_gpus(graph, &plan, &options.capacity)?;
    secrets::check(&ws.env, graph, &plan)?;
    if let Some(audit) = &options.audit {
        check_tracing(&audit.helper).map_err(RunError::CannotTrace)?;
    }
    observer.event(&Event::Planned { graph, plan: &plan });
    let programs = programs::build(ws, &packages(graph, &plan), observer)?;
    let seconds = |id: StageId| ws.last_seconds(&graph.stage(id).name);
    let mut run = Run {
        ws,
        graph,
        options,
        executor,
        observer,
        programs,
        queue: ReadyQueue::new(graph, &seconds),
        tokens: Tokens::new(options.capacity.clone()),
        pending: plan.stages.keys().map(|id| (*id, 0)).collect(),
        plan,
        records: BTreeMap::new(),
        without_result: BTreeMap::new(),
        due: VecDeque::new(),
        active: BTreeMap::new(),
        committer: Committer::new(ws),
        keeping: BTreeMap::new(),
        busy: BTreeMap::new(),
        halted: false,
        summary: Summary::default(),
    };
    let result = run.carry_out(interrupted);
    if result.is_err() {
        run.stop_everything();
    }
    let kept = run.keep_all();
    let swept = ws.attempts().sweep();
    let lock = match ws.rerun {
        Some(_) => Ok(()),
        None => run.write_lock(),
    };
    let mut warnings = ws.store.take_warnings();
    warnings.extend(ws.attempts().take_warnings());
    for text in warnings {
        run.observer.event(&Event::Warning {
            stage: ".restage",
            text: &text,
        });
    }
    run.summary.seconds = started.elapsed().as_secs_f64();
    let (summary, records) = (run.summary, run.records);
    result?;
    kept?;
    lock?;
    swept?;
    Ok((summary, records))
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

fn packages(graph: &Graph, plan: &Plan) -> BTreeSet<String> {
    plan.pending()
        .filter_map(|id| match &graph.stage(id).action {
            Action::Program { package, .. } => Some(package.clone()),
            Action::Command(_) => None,
        })
        .collect()
}
