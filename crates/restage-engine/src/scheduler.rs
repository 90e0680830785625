//! Carries a plan out: which stage is decided, started and settled when. See docs/adr/0014.
//!
//! How a stage starts is in `dispatch`, what its end means in `accept`; both return values,
//! and only the scheduler acts on them.

mod committed;
mod gated;
mod inquiry;
mod losses;
mod options;
mod reports;
mod states;
mod temporary;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use self::inquiry::Inquiry;
pub use self::options::{FromElsewhere, RunOptions};
use self::states::{Settled, State, States};
use super::accept::{self, Ended, Success};
use super::attempt::{self, Attempt, Held, Parts};
use super::dispatch::{self, Reserved, Running};
use super::environment_builds::{self, Built};
use super::error::RunError;
use super::event::{Event, Failure, Observer, StageOutcome, Summary};
use super::facts::Facts;
use super::flusher::{Commit, Flusher};
use super::isolation::Apart;
use super::pipeline_lock;
use super::plan::{Decision, Must, Plan, Planned, decide_what, plan, plan_rerun};
use super::preflight;
use super::programs::{self, Programs};
use super::publish::Publisher;
use super::shared_inputs::SharedInputs;
use super::tokens::Tokens;
use super::unkeyed;
use super::workspace::Workspace;
use restage_core::clock::Instant;
use restage_exec::{Executor, Finished, Outcome};
use restage_pipeline::graph::{Graph, StageId};
use restage_store::{Record, Unflushed, Uses};

/// How long one wait lasts at most: progress is read and interrupts are seen this often.
const TICK: Duration = Duration::from_millis(100);
/// How often we try again to start a stage that another restage runs.
const BUSY_TICK: Duration = Duration::from_millis(250);

/// The records of stages that have a result.
pub type Results = BTreeMap<StageId, Arc<Record>>;

/// Brings the selected stages up to date. `interrupted` is asked often.
pub fn run(
    ws: &Workspace,
    graph: &Graph,
    options: &RunOptions,
    executor: &mut dyn Executor,
    observer: &mut dyn Observer,
    interrupted: &dyn Fn() -> bool,
) -> Result<(Summary, Results), RunError> {
    let started = Instant::now();
    let plan = match &ws.rerun {
        Some(rerun) => plan_rerun(graph, &options.selected, &rerun.inputs, ws)?,
        None => plan(graph, &options.selected, &options.forced, ws)?,
    };
    ws.run_begins();
    let (capacity, audit) = (&options.capacity, options.audit.as_ref());
    preflight::check(ws, graph, &plan, capacity, audit, options.foreigners)?;
    let launcher = options.launcher.as_deref();
    let apart = Apart::prepare(ws, graph, &plan, launcher, observer)?;
    observer.event(&Event::Planned { graph, plan: &plan });
    unkeyed::warn(graph, &plan, observer);
    let programs = programs::build(ws, graph, &plan, observer)?;
    let built = environment_builds::build(ws, graph, &plan, executor, observer, interrupted)?;
    let mut scheduler = Scheduler::new(
        ws,
        graph,
        options,
        executor,
        observer,
        (programs, built, apart),
        plan,
    )?;
    let result = scheduler.carry_out(interrupted);
    if result.is_err() {
        scheduler.stop_everything();
    }
    let flushed = scheduler.flush_all();
    scheduler.free_all();
    let moved = scheduler.publisher.take_moved();
    let (mut summary, records) = (scheduler.summary, scheduler.states.records());
    let mut made = records.clone();
    made.retain(|id, _| !scheduler.gated.contains(id));
    for (stage, text) in &moved {
        observer.event(&Event::Warning { stage, text });
    }
    ws.run_store().workdirs().empty_trash();
    let locked = match ws.rerun {
        Some(_) => Ok(()),
        // What others committed stays as they wrote it.
        None => pipeline_lock::write(ws, graph, &made, observer),
    };
    if let Some(FromElsewhere { elsewhere, .. }) = &options.elsewhere {
        for text in elsewhere.take_warnings() {
            let stage = elsewhere.name();
            observer.event(&Event::Warning { stage, text: &text });
        }
    }
    let mut warnings = ws.store.take_warnings();
    warnings.extend(ws.run_store().take_warnings());
    for text in warnings {
        observer.event(&Event::Warning {
            stage: ".restage",
            text: &text,
        });
    }
    summary.seconds = started.elapsed().as_secs_f64();
    result?;
    flushed?;
    locked?;
    Ok((summary, records))
}

/// A run that is under way.
struct Scheduler<'a> {
    ws: &'a Workspace,
    graph: &'a Graph,
    options: &'a RunOptions,
    executor: &'a mut dyn Executor,
    observer: &'a mut dyn Observer,
    programs: Programs,
    built: Built,
    apart: Apart,
    plan: Plan,
    states: States<'a, Box<Running>>,
    tokens: Tokens,
    flusher: Flusher,
    publisher: Publisher,
    /// Objects that running stages can write to.
    shared: SharedInputs,
    /// Outs that were restored and are yet to reach the disk.
    restored: Unflushed,
    /// It was said that cores bound what runs at once.
    said_cores: bool,
    /// Results that are asked for elsewhere.
    inquiry: Option<Inquiry>,
    /// How stages with a result got it.
    concluded: BTreeMap<StageId, StageOutcome>,
    /// Stages whose committed outs stand, because they can't run here.
    gated: BTreeSet<StageId>,
    /// What records need of the store, once something was freed.
    uses: Option<Uses>,
    /// Stages whose lost outs were made again in this run.
    healed: BTreeSet<StageId>,
    /// Nothing new may start.
    halted: bool,
    summary: Summary,
}

impl<'a> Scheduler<'a> {
    fn new(
        ws: &'a Workspace,
        graph: &'a Graph,
        options: &'a RunOptions,
        executor: &'a mut dyn Executor,
        observer: &'a mut dyn Observer,
        (programs, built, apart): (Programs, Built, Apart),
        plan: Plan,
    ) -> Result<Self, RunError> {
        let stages = plan.stages.keys().copied();
        let seconds = |id: StageId| ws.last_seconds(&graph.stage(id).name);
        let publisher = Publisher::new(ws, graph, options.foreigners)?;
        Ok(Self {
            states: States::new(graph, stages, ws.rerun.is_some(), &seconds),
            tokens: Tokens::new(options.capacity.clone()),
            flusher: Flusher::new(ws, &publisher),
            publisher,
            shared: SharedInputs::default(),
            restored: Unflushed::default(),
            said_cores: false,
            inquiry: (options.elsewhere.as_ref())
                .map(|from| Inquiry::new(&from.elsewhere, &from.asked)),
            concluded: BTreeMap::new(),
            gated: BTreeSet::new(),
            uses: None,
            healed: BTreeSet::new(),
            halted: false,
            summary: Summary::default(),
            ws,
            graph,
            options,
            executor,
            observer,
            programs,
            built,
            apart,
            plan,
        })
    }

    fn carry_out(&mut self, interrupted: &dyn Fn() -> bool) -> Result<(), RunError> {
        self.decide_due()?;
        while self.states.any_open() || self.flusher.is_busy() {
            if interrupted() && !self.summary.interrupted {
                self.summary.interrupted = true;
                self.halted = true;
                self.observer.event(&Event::Interrupted);
                self.cancel_jobs();
            }
            // A result that could not be kept may halt the run.
            self.take_committed(false);
            if self.halted && !self.states.is_running() {
                self.cancel_rest();
                break;
            }
            if !self.halted {
                self.start_ready()?;
            }
            if !self.states.is_running() && self.flusher.is_busy() {
                self.take_committed(true);
                continue;
            }
            if !self.states.any_open() {
                break;
            }
            for finished in self.executor.poll(TICK) {
                self.report_progress(finished.id);
                self.finished(&finished)?;
            }
            for job in self.states.jobs() {
                self.report_progress(job);
            }
        }
        Ok(())
    }

    /// Decides about every due stage, and about those that become due by that. A loop, not
    /// recursion: a chain may have ten thousand links.
    fn decide_due(&mut self) -> Result<(), RunError> {
        while let Some(id) = self.states.next_due() {
            if let Some(blame) = self.states.blame(id) {
                let outcome = match self.summary.interrupted {
                    true => StageOutcome::Cancelled,
                    false => StageOutcome::Blocked {
                        by: self.graph.stage(blame).name.clone(),
                    },
                };
                self.settle_without(id, &outcome, blame);
                continue;
            }
            let planned = match self.plan.stages.get(&id) {
                Some(planned) if !matches!(planned.decision, Decision::Waits(_)) => planned.clone(),
                _ => match decide_now(self.ws, self.graph, self.must(id), &self.states, id) {
                    Ok(planned) if self.healed.contains(&id) => match self.allow(id, planned) {
                        Ok(planned) => planned,
                        Err(error) => {
                            self.not_started(id, 1, &error);
                            continue;
                        }
                    },
                    Ok(planned) => planned,
                    Err(error) => {
                        self.not_started(id, 1, &error);
                        continue;
                    }
                },
            };
            if !self.makes_inputs_first(id, &planned)? {
                self.follow(id, planned)?;
            }
        }
        Ok(())
    }

    /// Does what was decided about a stage, or lets it start when there is room.
    fn follow(&mut self, id: StageId, planned: Planned) -> Result<(), RunError> {
        let (record, outcome) = match planned.decision {
            Decision::Fresh(record) => (record, StageOutcome::Fresh),
            Decision::Restore(record, outs) => {
                for out in record.outs.iter().filter(|out| outs.contains(&out.path)) {
                    match self.publisher.publish(out, &mut self.restored) {
                        Ok(()) => {}
                        Err(error) if error.is_loss() => return self.run_instead(id, &error),
                        Err(error) => {
                            let stage = self.graph.stage(id);
                            let failure = accept::not_restored(stage, &error);
                            self.settle_without(id, &StageOutcome::Failed(failure), id);
                            return Ok(());
                        }
                    }
                }
                (record, StageOutcome::Restored { outs: outs.len() })
            }
            Decision::Gated(gate) => {
                self.pass_by(id, *gate);
                return Ok(());
            }
            Decision::Blocked(obstacle) => {
                let failure = accept::blocked(&obstacle);
                self.settle_without(id, &StageOutcome::Failed(failure), id);
                return Ok(());
            }
            Decision::Run(_) | Decision::Waits(_) => {
                let key = planned.key.expect("its inputs are known");
                self.states.set(id, State::Ready(key));
                return Ok(());
            }
        };
        self.ws.store.records().mark_current(&record)?;
        self.conclude(id, &outcome);
        let settled = State::Settled(Settled::Result(record));
        self.states.set(id, settled);
        Ok(())
    }

    fn start_ready(&mut self) -> Result<(), RunError> {
        for id in self.states.ready() {
            if self.halted || self.flusher.is_full() {
                break;
            }
            let (key, tried) = match self.states.get(id) {
                State::Ready(key) => (Arc::clone(key), None),
                State::Busy { key, tried } => (Arc::clone(key), Some(*tried)),
                _ => continue,
            };
            if tried.is_some_and(|tried| tried.elapsed() < BUSY_TICK) {
                continue;
            }
            // The result of a stage that it reads could not be kept after it was handed over.
            if let Some(blame) = self.states.blame(id) {
                let by = self.graph.stage(blame).name.clone();
                self.settle_without(id, &StageOutcome::Blocked { by }, blame);
                self.decide_due()?;
                continue;
            }
            let asks = |inquiry: &Inquiry| inquiry.is_open(&key.digest());
            if !self.options.forced.contains(&id) && self.inquiry.as_ref().is_some_and(asks) {
                continue;
            }
            let (stage, must) = (self.graph.stage(id), self.must(id));
            let (states, tokens) = (&self.states, &mut self.tokens);
            let decide_again = || decide_now(self.ws, self.graph, must, states, id);
            let reserved = dispatch::reserve(self.ws, tokens, stage.resources, &key, decide_again);
            let reserved = match reserved {
                Ok(reserved) => reserved,
                Err(error) => {
                    self.not_started(id, 1, &error);
                    self.decide_due()?;
                    continue;
                }
            };
            match reserved {
                Reserved::NoRoom => self.say_cores(id),
                Reserved::Busy => {
                    if tried.is_none() {
                        let stage = &stage.name;
                        self.observer.event(&Event::WaitingForOther { stage });
                    }
                    let tried = Instant::now();
                    self.states.set(id, State::Busy { key, tried });
                }
                Reserved::Changed(planned) => {
                    self.follow(id, planned)?;
                    self.decide_due()?;
                }
                Reserved::Held(held, told) => {
                    if let Some(text) = told {
                        self.warn(id, &text);
                    }
                    self.start(id, *held, 1)?;
                    self.decide_due()?;
                }
            }
        }
        Ok(())
    }

    /// Starts an attempt; the first is number 1.
    fn start(&mut self, id: StageId, held: Held, number: u32) -> Result<(), RunError> {
        let environment = self.graph.stage(id).environment.as_deref();
        let ready = match self.built.get(environment) {
            Ok(ready) => ready.cloned(),
            Err(failure) => {
                self.failed(id, held, *failure);
                return self.decide_due();
            }
        };
        let parts = Parts {
            ws: self.ws,
            graph: self.graph,
            id,
            inputs: &|up| input(self.ws, &self.states, up),
            programs: &self.programs,
            ready: ready.as_ref(),
            number,
            audit: self.options.audit.as_ref(),
            apart: &self.apart,
        };
        let objects = self.ws.store.objects();
        self.shared.look(objects)?;
        let attempt = match attempt::prepare(&parts, &held) {
            Ok(attempt) => attempt,
            Err(error) if error.is_loss() => return self.input_lost(id, held, number, &error),
            Err(error) => {
                self.failed(
                    id,
                    held,
                    accept::not_started(self.graph.stage(id), number, &error),
                );
                return self.decide_due();
            }
        };
        self.shared.begin(id, &attempt.inputs.shared, objects)?;
        let (job, running) = dispatch::start(&parts, held, attempt, self.executor, self.observer)?;
        self.states.set(id, State::Running(job, Box::new(running)));
        Ok(())
    }

    /// Settles a stage whose job has ended, or starts another attempt.
    fn finished(&mut self, finished: &Finished) -> Result<(), RunError> {
        let Some((id, running)) = self.states.end(finished.id) else {
            return Ok(());
        };
        let Running { held, attempt, .. } = *running;
        let stage = self.graph.stage(id);
        let (objects, shared) = (self.ws.store.objects(), &attempt.inputs.shared);
        self.shared.look(objects)?;
        let succeeded = finished.outcome.is_success();
        let ended = Ended {
            ws: self.ws,
            graph: self.graph,
            id,
            key: &held.key,
            attempt: &attempt,
            finished,
            audit: self.options.audit.as_ref(),
            spoiled: self.shared.end(id, shared, succeeded, objects)?,
        };
        let ended = ended.complete();
        if let Some(audited) = &ended.audited {
            let stage = &stage.name;
            self.observer.event(&Event::Audited { stage, audited });
        }
        let tries_left = attempt.number <= stage.retries && ended.may_retry && !self.halted;
        match ended.result {
            Ok(success) => self.succeeded(id, held, attempt, success, finished.seconds)?,
            Err(_) if finished.outcome == Outcome::Cancelled => {
                self.tokens.give_back(held.lease);
                self.settle_without(id, &StageOutcome::Cancelled, id);
            }
            Err(failure) if tries_left => self.retry(id, held, &attempt, &failure)?,
            Err(failure) => self.failed(id, held, *failure),
        }
        self.decide_due()
    }

    /// Hands a result to the flusher. Stages that read it need not wait for that.
    fn succeeded(
        &mut self,
        id: StageId,
        held: Held,
        attempt: Attempt,
        success: Success,
        seconds: f64,
    ) -> Result<(), RunError> {
        self.tokens.give_back(held.lease);
        for text in &success.warnings {
            let stage = &self.graph.stage(id).name;
            self.observer.event(&Event::Warning { stage, text });
        }
        self.flusher.submit(Commit {
            id,
            lock: held.lock,
            record: Arc::clone(&success.record),
            unflushed: success.unflushed,
            attempt,
        })?;
        let unchanged = success.unchanged;
        if !unchanged && self.plan.needed.contains(&id) {
            self.decide_readers_again(id);
        }
        self.conclude(id, &StageOutcome::Ran { seconds, unchanged });
        self.states.set(id, State::Committing(success.record));
        Ok(())
    }

    fn retry(
        &mut self,
        id: StageId,
        held: Held,
        attempt: &Attempt,
        failure: &Failure,
    ) -> Result<(), RunError> {
        let stage = &self.graph.stage(id).name;
        self.observer.event(&Event::Retrying { stage, failure });
        match accept::moved(self.ws, self.graph, id, &held.key, attempt) {
            None => self.start(id, held, attempt.number + 1),
            Some(failure) => {
                self.failed(id, held, *failure);
                Ok(())
            }
        }
    }

    /// Settles a stage that could not be started.
    fn not_started(&mut self, id: StageId, number: u32, error: &RunError) {
        let failure = accept::not_started(self.graph.stage(id), number, error);
        self.settle_without(id, &StageOutcome::Failed(failure), id);
    }

    fn failed(&mut self, id: StageId, held: Held, failure: Failure) {
        self.tokens.give_back(held.lease);
        self.settle_without(id, &StageOutcome::Failed(failure), id);
    }

    /// Ends a stage that has no result.
    fn settle_without(&mut self, id: StageId, outcome: &StageOutcome, blame: StageId) {
        self.conclude(id, outcome);
        let settled = State::Settled(Settled::NoResult { blame });
        self.states.set(id, settled);
    }

    /// The one place where a stage's end is counted and reported.
    fn conclude(&mut self, id: StageId, outcome: &StageOutcome) {
        self.summary.count(outcome);
        match outcome {
            StageOutcome::Failed(failure) => {
                self.halted |= !(self.options.keep_going || failure.others_go_on);
            }
            StageOutcome::Gated(gate) if gate.stands.is_none() => {}
            StageOutcome::Blocked { .. } | StageOutcome::Cancelled => {}
            done => drop(self.concluded.insert(id, done.clone())),
        }
        self.observer.event(&Event::Finished {
            stage: &self.graph.stage(id).name,
            outcome,
        });
    }

    /// Cancels what has not started.
    fn cancel_rest(&mut self) {
        for &id in self.graph.topological() {
            if self.states.is_open(id) {
                self.settle_without(id, &StageOutcome::Cancelled, id);
            }
        }
    }

    fn cancel_jobs(&mut self) {
        for job in self.states.jobs() {
            self.executor.cancel(job);
        }
    }

    /// After an error of our own: nothing that we started may run on.
    fn stop_everything(&mut self) {
        self.cancel_jobs();
        while self.executor.running() > 0 {
            self.executor.poll(TICK);
        }
    }
}

/// What becomes of a stage, by the results that there are now.
fn decide_now(
    ws: &Workspace,
    graph: &Graph,
    must: Must,
    states: &States<'_, Box<Running>>,
    id: StageId,
) -> Result<Planned, RunError> {
    let inputs = |up| input(ws, states, up);
    Ok(decide_what(graph, id, must, &inputs, ws)?)
}

/// The record whose outs stages read as those of `up`.
fn input(ws: &Workspace, states: &States<'_, Box<Running>>, up: StageId) -> Option<Arc<Record>> {
    match &ws.rerun {
        Some(rerun) => rerun.inputs.get(&up).cloned(),
        None => states.record(up).cloned(),
    }
}
