//! Carries a plan out: starts what is ready, waits, settles each stage once.
//! It must not know how a stage is run or where output goes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::attempt::{self, Attempt};
use super::error::RunError;
use super::event::{Event, Observer, StageOutcome};
use super::facts::Facts;
use super::finish;
use super::plan::{Decision, Plan, Planned, decide, plan};
use super::programs::{self, Programs};
use super::progress::Tail;
use super::queue::ReadyQueue;
use super::tokens::{Capacity, Lease, Tokens};
use super::workspace::Workspace;
use crate::base::clock::Instant;
use crate::digest::StageKey;
use crate::exec::{Executor, Finished, JobId, Outcome};
use crate::graph::{Graph, StageId};
use crate::spec::Action;
use crate::store::{Claim, Record};

/// How long one wait lasts at most: progress is read and interrupts are seen this often.
const TICK: Duration = Duration::from_millis(100);
/// How often a stage that another `restage` runs is looked at.
const BUSY_TICK: Duration = Duration::from_millis(250);

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
    let started = Instant::now();
    let plan = plan(graph, &options.selected, &options.forced, ws)?;
    check_gpus(graph, &plan, &options.capacity)?;
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
        busy: BTreeMap::new(),
        halted: false,
        summary: Summary::default(),
    };
    let result = run.carry_out(interrupted);
    if result.is_err() {
        run.stop_everything();
    }
    let lock = run.write_lock();
    run.summary.seconds = started.elapsed().as_secs_f64();
    let summary = run.summary;
    result?;
    lock?;
    Ok(summary)
}

fn check_gpus(graph: &Graph, plan: &Plan, capacity: &Capacity) -> Result<(), RunError> {
    for id in plan.pending() {
        let stage = graph.stage(id);
        if stage.resources.gpu as usize > capacity.gpus.len() {
            return Err(RunError::NoGpu {
                stage: stage.name.clone(),
                wanted: stage.resources.gpu,
                have: capacity.gpus.len(),
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

/// A stage that runs now.
struct Active {
    id: StageId,
    key: Arc<StageKey>,
    claim: Claim,
    lease: Lease,
    attempt: Attempt,
    number: u32,
    tail: Tail,
}

struct Run<'a> {
    ws: &'a Workspace,
    graph: &'a Graph,
    options: &'a RunOptions,
    executor: &'a mut dyn Executor,
    observer: &'a mut dyn Observer,
    programs: Programs,
    plan: Plan,
    queue: ReadyQueue,
    tokens: Tokens,
    /// Stages that are not settled, with the number of failed attempts.
    pending: BTreeMap<StageId, u32>,
    /// Stages that have a result.
    records: BTreeMap<StageId, Arc<Record>>,
    /// Stages that will have none, and which stage is to blame.
    without_result: BTreeMap<StageId, StageId>,
    /// Stages whose upstream has just been settled.
    due: VecDeque<StageId>,
    active: BTreeMap<JobId, Active>,
    /// Ready stages that another `restage` runs, and when that was last seen.
    busy: BTreeMap<StageId, Instant>,
    /// Nothing new may start.
    halted: bool,
    summary: Summary,
}

impl Run<'_> {
    fn carry_out(&mut self, interrupted: &dyn Fn() -> bool) -> Result<(), RunError> {
        let first = self.graph.topological().iter().copied();
        self.due = first.filter(|id| self.is_due(*id)).collect();
        self.advance_due()?;
        while !self.pending.is_empty() {
            if interrupted() && !self.summary.interrupted {
                self.summary.interrupted = true;
                self.halted = true;
                self.observer.event(&Event::Interrupted);
                let jobs: Vec<JobId> = self.active.keys().copied().collect();
                jobs.into_iter().for_each(|job| self.executor.cancel(job));
            }
            if self.halted && self.active.is_empty() {
                self.cancel_rest();
                break;
            }
            if !self.halted {
                self.start_ready()?;
            }
            if self.pending.is_empty() {
                break;
            }
            for finished in self.executor.poll(TICK) {
                self.read_events(finished.id);
                self.finished(&finished)?;
            }
            let jobs: Vec<JobId> = self.active.keys().copied().collect();
            jobs.into_iter().for_each(|job| self.read_events(job));
        }
        Ok(())
    }

    /// Whether a stage is not settled, but all that it reads from is.
    fn is_due(&self, id: StageId) -> bool {
        let settled = |up: &StageId| !self.pending.contains_key(up);
        !settled(&id) && self.graph.dependencies(id).iter().all(settled)
    }

    /// Decides about every stage whose upstream has been settled, and about those that this
    /// settles in turn. A list, not recursion: a chain may have ten thousand links.
    fn advance_due(&mut self) -> Result<(), RunError> {
        while let Some(id) = self.due.pop_front() {
            self.advance(id)?;
        }
        Ok(())
    }

    /// Decides about a stage whose upstream is settled.
    fn advance(&mut self, id: StageId) -> Result<(), RunError> {
        let blame = self
            .graph
            .dependencies(id)
            .iter()
            .find_map(|up| self.without_result.get(up));
        if let Some(&by) = blame {
            let outcome = StageOutcome::Blocked {
                by: self.graph.stage(by).name.clone(),
            };
            self.settle(id, outcome, None, Some(by));
            return Ok(());
        }
        let planned = match self.plan.stages.get(&id) {
            Some(planned) if !matches!(planned.decision, Decision::Waits(_)) => planned.clone(),
            _ => self.decide(id)?,
        };
        self.follow(id, planned)
    }

    fn decide(&self, id: StageId) -> Result<Planned, RunError> {
        let upstream = |up: StageId| self.records.get(&up).cloned();
        let forced = self.options.forced.contains(&id);
        Ok(decide(self.graph, id, forced, &upstream, self.ws)?)
    }

    fn follow(&mut self, id: StageId, planned: Planned) -> Result<(), RunError> {
        match &planned.decision {
            Decision::Fresh(record) => {
                self.ws.store.mark_current(record)?;
                let record = Arc::clone(record);
                self.settle(id, StageOutcome::Fresh, Some(record), None);
            }
            Decision::Restore(record, outs) => {
                for out in record.outs.iter().filter(|out| outs.contains(&out.path)) {
                    finish::publish(self.ws, out)?;
                }
                self.ws.store.mark_current(record)?;
                let outcome = StageOutcome::Restored { outs: outs.len() };
                let record = Arc::clone(record);
                self.settle(id, outcome, Some(record), None);
            }
            Decision::Run(_) | Decision::Waits(_) => {
                self.plan.stages.insert(id, planned);
                self.queue.push(id);
            }
        }
        Ok(())
    }

    /// The one place where a stage comes to its end.
    fn settle(
        &mut self,
        id: StageId,
        outcome: StageOutcome,
        record: Option<Arc<Record>>,
        blame: Option<StageId>,
    ) {
        self.pending.remove(&id);
        self.queue.remove(id);
        self.busy.remove(&id);
        let count = match &outcome {
            StageOutcome::Fresh => &mut self.summary.fresh,
            StageOutcome::Restored { .. } => &mut self.summary.restored,
            StageOutcome::Ran { .. } => &mut self.summary.ran,
            StageOutcome::Failed(_) => &mut self.summary.failed,
            StageOutcome::Blocked { .. } => &mut self.summary.blocked,
            StageOutcome::Cancelled => &mut self.summary.cancelled,
        };
        *count += 1;
        if let StageOutcome::Failed(failure) = &outcome {
            self.summary.machine_failed |= failure.machine;
            self.halted |= !self.options.keep_going;
        }
        self.observer.event(&Event::Finished {
            stage: &self.graph.stage(id).name,
            outcome: &outcome,
        });
        match record {
            Some(record) => self.records.insert(id, record).map(|_| ()),
            None => self
                .without_result
                .insert(id, blame.unwrap_or(id))
                .map(|_| ()),
        };
        let next = self.graph.dependents(id).iter().copied();
        let due: Vec<StageId> = next.filter(|id| self.is_due(*id)).collect();
        self.due.extend(due);
    }

    fn start_ready(&mut self) -> Result<(), RunError> {
        for id in self.queue.in_order() {
            let asked = self.busy.get(&id);
            if asked.is_some_and(|at| at.elapsed() < BUSY_TICK) {
                continue;
            }
            let Some(lease) = self.tokens.take(self.graph.stage(id).resources) else {
                continue;
            };
            self.start(id, lease)?;
        }
        Ok(())
    }

    fn start(&mut self, id: StageId, lease: Lease) -> Result<(), RunError> {
        let Some(key) = self
            .plan
            .stages
            .get(&id)
            .and_then(|planned| planned.key.clone())
        else {
            self.tokens.give_back(lease);
            return Ok(());
        };
        let Some(claim) = self.ws.store.try_claim(&key.digest())? else {
            self.tokens.give_back(lease);
            let seen_before = self.busy.insert(id, Instant::now()).is_some();
            if !seen_before {
                let stage = &self.graph.stage(id).name;
                self.observer.event(&Event::WaitingForOther { stage });
            }
            return Ok(());
        };
        // Whoever held the claim until now may have made what we want.
        let again = self.decide(id)?;
        if again.record().is_some() || again.key.as_deref() != Some(key.as_ref()) {
            drop(claim);
            self.tokens.give_back(lease);
            self.queue.remove(id);
            self.follow(id, again)?;
            return self.advance_due();
        }
        claim.kill_orphan()?;
        self.queue.remove(id);
        self.submit(id, key, claim, lease)
    }

    fn submit(
        &mut self,
        id: StageId,
        key: Arc<StageKey>,
        claim: Claim,
        lease: Lease,
    ) -> Result<(), RunError> {
        let stage = self.graph.stage(id);
        let scratch = claim.scratch()?;
        let attempt = attempt::prepare(&attempt::Parts {
            ws: self.ws,
            graph: self.graph,
            id,
            records: &self.records,
            programs: &self.programs,
            lease: &lease,
            scratch: &scratch,
        })?;
        let number = self.pending.get(&id).copied().unwrap_or(0) + 1;
        self.observer.event(&Event::Started {
            stage: &stage.name,
            attempt: number,
            attempts: stage.retries + 1,
            expected_seconds: self.ws.last_seconds(&stage.name),
        });
        let job = self.executor.submit(attempt.job.clone())?;
        if let Some(process) = self.executor.process(job) {
            claim.note_process(&process)?;
        }
        let tail = Tail::new(&attempt.events);
        self.active.insert(
            job,
            Active {
                id,
                key,
                claim,
                lease,
                attempt,
                number,
                tail,
            },
        );
        Ok(())
    }

    fn read_events(&mut self, job: JobId) {
        let Some(active) = self.active.get_mut(&job) else {
            return;
        };
        for event in active.tail.read() {
            let stage = &self.graph.stage(active.id).name;
            self.observer.event(&Event::Stage {
                stage,
                event: &event,
            });
        }
    }

    fn finished(&mut self, finished: &Finished) -> Result<(), RunError> {
        let Some(active) = self.active.remove(&finished.id) else {
            return Ok(());
        };
        let Active {
            id,
            key,
            claim,
            lease,
            attempt,
            number,
            ..
        } = active;
        let stage = self.graph.stage(id);
        let result = finish::finish(self.ws, self.graph, id, &key, &claim, &attempt, finished);
        match result {
            Ok(success) => {
                self.tokens.give_back(lease);
                for text in &success.warnings {
                    self.observer.event(&Event::Warning {
                        stage: &stage.name,
                        text,
                    });
                }
                let outcome = StageOutcome::Ran {
                    seconds: finished.seconds,
                    unchanged: success.unchanged,
                };
                self.settle(id, outcome, Some(success.record), None);
            }
            Err(_) if finished.outcome == Outcome::Cancelled => {
                self.tokens.give_back(lease);
                self.settle(id, StageOutcome::Cancelled, None, None);
            }
            Err(failure) if number <= stage.retries && !self.halted => {
                self.observer.event(&Event::Retrying {
                    stage: &stage.name,
                    failure: &failure,
                });
                self.pending.insert(id, number);
                self.submit(id, key, claim, lease)?;
            }
            Err(failure) => {
                self.tokens.give_back(lease);
                self.settle(id, StageOutcome::Failed(failure), None, None);
            }
        }
        self.advance_due()
    }

    /// What never started is cancelled.
    fn cancel_rest(&mut self) {
        for &id in self.graph.topological() {
            if self.pending.remove(&id).is_none() {
                continue;
            }
            self.summary.cancelled += 1;
            self.without_result.insert(id, id);
            self.observer.event(&Event::Finished {
                stage: &self.graph.stage(id).name,
                outcome: &StageOutcome::Cancelled,
            });
        }
    }

    /// After an error of our own: nothing of ours may run on.
    fn stop_everything(&mut self) {
        let jobs: Vec<JobId> = self.active.keys().copied().collect();
        jobs.into_iter().for_each(|job| self.executor.cancel(job));
        while self.executor.running() > 0 {
            self.executor.poll(TICK);
        }
    }

    /// Writes what is reproduced now into `pipeline.lock`.
    fn write_lock(&self) -> Result<(), RunError> {
        let entries = self
            .records
            .iter()
            .map(|(id, record)| (self.graph.stage(*id).name.clone(), Arc::clone(record)));
        let known: BTreeSet<String> = self
            .graph
            .stages()
            .iter()
            .map(|stage| stage.name.clone())
            .collect();
        Ok(crate::store::lockfile::update(
            &self.ws.root.join("pipeline.lock"),
            &self.ws.profile,
            entries,
            &known,
        )?)
    }
}
