//! Carries a plan out: decides about each stage once its upstream is settled, and settles it.
//! It must not know how a stage is started or what becomes of an attempt; see `launch`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::Attempt;
use super::committer::Committer;
use super::error::RunError;
use super::event::{Event, Observer, StageOutcome};
use super::finish;
use super::plan::{Decision, Plan, Planned, decide, plan};
use super::programs::Programs;
use super::progress::Tail;
use super::queue::ReadyQueue;
use super::run::{RunOptions, Summary};
use super::tokens::{Lease, Tokens};
use super::workspace::Workspace;
use crate::base::clock::Instant;
use crate::base::fs;
use crate::digest::StageKey;
use crate::exec::{Executor, JobId};
use crate::graph::{Graph, StageId};
use crate::store::{KeyLock, Record, StoreError, lockfile};

/// How long one wait lasts at most: progress is read and interrupts are seen this often.
const TICK: Duration = Duration::from_millis(100);

/// Results by profile and stage.
type KnownResults = BTreeMap<(String, String), Arc<Record>>;

/// A stage that runs now.
pub(super) struct Active {
    pub(super) id: StageId,
    pub(super) key: Arc<StageKey>,
    pub(super) claim: KeyLock,
    pub(super) lease: Lease,
    pub(super) attempt: Attempt,
    pub(super) tail: Tail,
}

/// A run that is under way.
pub(super) struct Run<'a> {
    pub(super) ws: &'a Workspace,
    pub(super) graph: &'a Graph,
    pub(super) options: &'a RunOptions,
    pub(super) executor: &'a mut dyn Executor,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) programs: Programs,
    pub(super) plan: Plan,
    pub(super) queue: ReadyQueue,
    pub(super) tokens: Tokens,
    /// Stages that are not settled, with the number of failed attempts.
    pub(super) pending: BTreeMap<StageId, u32>,
    /// Stages that have a result.
    pub(super) records: BTreeMap<StageId, Arc<Record>>,
    /// Stages that will have none, and which stage is to blame.
    pub(super) without_result: BTreeMap<StageId, StageId>,
    /// Stages whose upstream has just been settled.
    pub(super) due: VecDeque<StageId>,
    pub(super) active: BTreeMap<JobId, Active>,
    pub(super) committer: Committer,
    /// Attempts whose results are being committed.
    pub(super) keeping: BTreeMap<StageId, Attempt>,
    /// Ready stages that another `restage` runs, and when that was last seen.
    pub(super) busy: BTreeMap<StageId, Instant>,
    /// Nothing new may start.
    pub(super) halted: bool,
    pub(super) summary: Summary,
}

impl Run<'_> {
    pub(super) fn carry_out(&mut self, interrupted: &dyn Fn() -> bool) -> Result<(), RunError> {
        let first = self.graph.topological().iter().copied();
        self.due = first.filter(|id| self.is_due(*id)).collect();
        self.advance_due()?;
        while !self.pending.is_empty() || self.committer.is_busy() {
            if interrupted() && !self.summary.interrupted {
                self.summary.interrupted = true;
                self.halted = true;
                self.observer.event(&Event::Interrupted);
                let jobs: Vec<JobId> = self.active.keys().copied().collect();
                jobs.into_iter().for_each(|job| self.executor.cancel(job));
            }
            // What could not be kept may halt the run.
            self.take_committed(false);
            if self.halted && self.active.is_empty() {
                self.cancel_rest();
                break;
            }
            if !self.halted {
                self.start_ready()?;
            }
            if self.active.is_empty() && self.committer.is_busy() {
                self.take_committed(true);
                continue;
            }
            if self.pending.is_empty() && self.active.is_empty() {
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

    fn take_committed(&mut self, wait: bool) {
        let committed = self.committer.take(wait);
        committed.into_iter().for_each(|done| self.committed(done));
    }

    /// Waits until every result is kept that was handed over.
    pub(super) fn keep_all(&mut self) -> Result<(), RunError> {
        while self.committer.is_busy() {
            self.take_committed(true);
        }
        self.committer.close()
    }

    /// Whether a stage is not settled, but all that it reads from is.
    fn is_due(&self, id: StageId) -> bool {
        let settled = |up: &StageId| !self.pending.contains_key(up);
        !settled(&id) && self.before(id).iter().all(settled)
    }

    /// Stages that must be settled first: none in a rerun, whose inputs are given.
    fn before(&self, id: StageId) -> &[StageId] {
        match self.ws.rerun {
            Some(_) => &[],
            None => self.graph.dependencies(id),
        }
    }

    /// Records whose outs stages read.
    pub(super) fn inputs(&self) -> &BTreeMap<StageId, Arc<Record>> {
        match &self.ws.rerun {
            Some(rerun) => &rerun.inputs,
            None => &self.records,
        }
    }

    /// Decides about every stage whose upstream has been settled, and about those that this
    /// settles in turn. A list, not recursion: a chain may have ten thousand links.
    pub(super) fn advance_due(&mut self) -> Result<(), RunError> {
        while let Some(id) = self.due.pop_front() {
            self.advance(id)?;
        }
        Ok(())
    }

    /// Decides about a stage whose upstream is settled.
    fn advance(&mut self, id: StageId) -> Result<(), RunError> {
        let blame = self
            .before(id)
            .iter()
            .find_map(|up| self.without_result.get(up));
        if let Some(&by) = blame {
            let outcome = match self.summary.interrupted {
                true => StageOutcome::Cancelled,
                false => StageOutcome::Blocked {
                    by: self.graph.stage(by).name.clone(),
                },
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

    pub(super) fn decide(&self, id: StageId) -> Result<Planned, RunError> {
        let upstream = |up: StageId| self.inputs().get(&up).cloned();
        let forced = self.options.forced.contains(&id);
        Ok(decide(self.graph, id, forced, &upstream, self.ws)?)
    }

    pub(super) fn follow(&mut self, id: StageId, planned: Planned) -> Result<(), RunError> {
        match &planned.decision {
            Decision::Fresh(record) => {
                self.ws.store.mark_current(record)?;
                let record = Arc::clone(record);
                self.settle(id, StageOutcome::Fresh, Some(record), None);
            }
            Decision::Restore(record, outs) => {
                for out in record.outs.iter().filter(|out| outs.contains(&out.path)) {
                    finish::publish(&self.ws.store, &self.ws.root, out)?;
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

    /// Ends a stage. Those that read it may start, though its result is yet to be committed.
    pub(super) fn settle(
        &mut self,
        id: StageId,
        outcome: StageOutcome,
        record: Option<Arc<Record>>,
        blame: Option<StageId>,
    ) {
        self.pending.remove(&id);
        self.queue.remove(id);
        self.busy.remove(&id);
        self.conclude(id, &outcome);
        match record {
            Some(record) => self.records.insert(id, record).map(|_| ()),
            None => self
                .without_result
                .insert(id, blame.unwrap_or(id))
                .map(|_| ()),
        };
        let next = self.graph.dependents(id).iter().copied();
        let waited = |next: &StageId| self.before(*next).contains(&id) && self.is_due(*next);
        let due: Vec<StageId> = next.filter(waited).collect();
        self.due.extend(due);
    }

    /// The one place where a stage's end is counted and told.
    pub(super) fn conclude(&mut self, id: StageId, outcome: &StageOutcome) {
        let count = match outcome {
            StageOutcome::Fresh => &mut self.summary.fresh,
            StageOutcome::Restored { .. } => &mut self.summary.restored,
            StageOutcome::Ran { .. } => &mut self.summary.ran,
            StageOutcome::Failed(_) => &mut self.summary.failed,
            StageOutcome::Blocked { .. } => &mut self.summary.blocked,
            StageOutcome::Cancelled => &mut self.summary.cancelled,
        };
        *count += 1;
        if let StageOutcome::Failed(failure) = outcome {
            self.summary.machine_failed |= failure.machine;
            self.halted |= !self.options.keep_going;
        }
        self.observer.event(&Event::Finished {
            stage: &self.graph.stage(id).name,
            outcome,
        });
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
    pub(super) fn stop_everything(&mut self) {
        let jobs: Vec<JobId> = self.active.keys().copied().collect();
        jobs.into_iter().for_each(|job| self.executor.cancel(job));
        while self.executor.running() > 0 {
            self.executor.poll(TICK);
        }
    }

    /// Writes what is reproduced now into `pipeline.lock`. A damaged one is set aside and made
    /// anew: it decides nothing, and the records know what it knew.
    pub(super) fn write_lock(&mut self) -> Result<(), RunError> {
        let path = self.ws.root.join("pipeline.lock");
        let _turn = lockfile::Turn::wait(self.ws.store.dir())?;
        match self.update_lock(&path) {
            Err(StoreError::LockFile { reason, .. }) => {
                let aside = self.ws.root.join(".restage/pipeline.lock.damaged");
                fs::rename(&path, &aside)?;
                let text = format!(
                    "could not be read ({reason}); it was moved to `{}` and made anew from the \
                     records of this store",
                    aside.display()
                );
                self.observer.event(&Event::Warning {
                    stage: "pipeline.lock",
                    text: &text,
                });
                let known = self.known_results()?;
                lockfile::rebuild(&self.ws.store.own_tmp(), &path, known)?;
                Ok(self.update_lock(&path)?)
            }
            result => Ok(result?),
        }
    }

    /// What the store knows of every profile, and what stands here, by profile and stage. A
    /// record that two profiles share names one of them; so the plan is asked too.
    fn known_results(&self) -> Result<KnownResults, StoreError> {
        let mut known = KnownResults::new();
        for (name, record) in self.ws.store.current()? {
            if let Some((profile, stage)) = name.split_once('/') {
                known.insert((profile.to_owned(), stage.to_owned()), record);
            }
        }
        let all = self.graph.topological().iter().copied().collect();
        // Stages that were not asked for may have no inputs: then nothing stands here for them.
        let plan = plan(self.graph, &all, &BTreeSet::new(), self.ws).unwrap_or_default();
        for (id, planned) in plan.stages {
            if let Decision::Fresh(record) = planned.decision {
                let stage = self.graph.stage(id).name.clone();
                known.insert((self.ws.profile.clone(), stage), record);
            }
        }
        Ok(known)
    }

    fn update_lock(&self, path: &Path) -> Result<(), StoreError> {
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
        lockfile::update(
            &self.ws.store.own_tmp(),
            path,
            &self.ws.profile,
            entries,
            &known,
        )
    }
}
