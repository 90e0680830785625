//! Where each stage of a run is, and the one function that moves it.
//!
//! Whatever follows from the states (which stages may start, whose job is whose, how many are still
//! open) is kept here too and changed only by [`States::set`], so that it cannot contradict them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use restage_core::clock::Instant;
use restage_core::digest::StageKey;
use restage_exec::JobId;
use restage_pipeline::graph::{Graph, StageId};
use restage_store::Record;

/// Seconds assumed for a stage that has never run.
const UNKNOWN_SECONDS: f64 = 1.0;

/// Where a stage is. `R` is what a running one holds.
#[derive(Debug)]
pub(super) enum State<R> {
    /// A stage that it reads from is still open.
    Waiting,
    /// All stages that it reads from have ended: it can be decided what becomes of it.
    Due,
    /// It has to run, under this key.
    Ready(Arc<StageKey>),
    /// It has to run, but another restage held the key when we last tried.
    Busy {
        /// Its key.
        key: Arc<StageKey>,
        /// When.
        tried: Instant,
    },
    /// This job is an attempt at it.
    Running(JobId, R),
    /// The attempt has ended, and what it left is being looked at.
    Ended,
    /// Its outs are in the store, but not yet flushed. Stages that read them may start (ADR 9).
    Committing(Arc<Record>),
    /// Nothing more happens to it.
    Settled(Settled),
}

/// How a stage was left.
#[derive(Debug)]
pub(super) enum Settled {
    /// With this result.
    Result(Arc<Record>),
    /// Without one.
    NoResult {
        /// The stage to blame: itself, or one that it depends on.
        blame: StageId,
    },
}

impl<R> State<R> {
    /// Whether stages that read from it have to wait.
    fn is_open(&self) -> bool {
        !matches!(self, Self::Committing(_) | Self::Settled(_))
    }

    fn may_become(&self, next: &Self) -> bool {
        use State::{Busy, Committing, Due, Ended, Ready, Running, Settled, Waiting};
        match self {
            // Settled at once: the run was stopped.
            Waiting => matches!(next, Due | Settled(_)),
            Due => matches!(next, Ready(_) | Settled(_)),
            // Ready again: an input changed, and with it the key.
            Ready(_) | Busy { .. } => {
                matches!(next, Ready(_) | Busy { .. } | Running(..) | Settled(_))
            }
            Running(..) => matches!(next, Ended),
            // Running again: another attempt.
            Ended => matches!(next, Running(..) | Committing(_) | Settled(_)),
            Committing(_) => matches!(next, Settled(_)),
            Settled(_) => false,
        }
    }
}

impl<R> fmt::Display for State<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Due => "due",
            Self::Ready(_) => "ready",
            Self::Busy { .. } => "busy",
            Self::Running(..) => "running",
            Self::Ended => "ended",
            Self::Committing(_) => "committing",
            Self::Settled(_) => "settled",
        })
    }
}

/// The states of all stages of a run.
#[derive(Debug)]
pub(super) struct States<'a, R> {
    graph: &'a Graph,
    /// Whether the stages' inputs are given, so that none waits for another.
    independent: bool,
    states: BTreeMap<StageId, State<R>>,
    /// Due stages, in the order in which they became due.
    due: VecDeque<StageId>,
    /// Ready and busy stages, the one on the longest remaining path first, then in declared order.
    ready: BTreeSet<(u64, StageId)>,
    rank: Vec<u64>,
    /// Running stages.
    jobs: BTreeMap<JobId, StageId>,
    /// Stages for which others would have to wait.
    open: usize,
}

impl<'a, R> States<'a, R> {
    /// All waiting, or due where there is nothing to wait for. `seconds` are their last durations.
    pub(super) fn new(
        graph: &'a Graph,
        stages: impl IntoIterator<Item = StageId>,
        independent: bool,
        seconds: &dyn Fn(StageId) -> Option<f64>,
    ) -> Self {
        let stages = stages.into_iter().map(|id| (id, State::Waiting));
        let states: BTreeMap<StageId, State<R>> = stages.collect();
        let mut all = Self {
            graph,
            independent,
            open: states.len(),
            states,
            due: VecDeque::new(),
            ready: BTreeSet::new(),
            rank: ranks(graph, seconds),
            jobs: BTreeMap::new(),
        };
        for &id in graph.topological() {
            if all.states.contains_key(&id) && !all.has_open_inputs(id) {
                all.set(id, State::Due);
            }
        }
        all
    }

    /// Moves a stage on and returns the state it leaves. Stages for which it was the last to wait
    /// for become due.
    pub(super) fn set(&mut self, id: StageId, next: State<R>) -> State<R> {
        let now = self.get(id);
        debug_assert!(
            now.may_become(&next),
            "stage `{}` is {now} and cannot become {next}",
            self.graph.stage(id).name
        );
        self.replace(id, next)
    }

    /// Takes back that a stage has a result, because the store has lost it, and stops `reader`, whose
    /// attempt could not start for that. Stages that read it and have not started wait for it again;
    /// those that run have read it.
    pub(super) fn reopen(&mut self, id: StageId, reader: StageId) {
        let settled = matches!(self.get(id), State::Settled(Settled::Result(_)));
        debug_assert!(settled, "only what has a result can lose it");
        self.replace(id, State::Waiting);
        for waits in self.graph.dependents(id).iter().copied() {
            let not_started = matches!(
                self.states.get(&waits),
                Some(State::Due | State::Ready(_) | State::Busy { .. })
            );
            if not_started || waits == reader {
                self.replace(waits, State::Waiting);
            }
        }
        if !self.has_open_inputs(id) {
            self.replace(id, State::Due);
        }
    }

    /// Whether a stage is settled with a result.
    pub(super) fn has_result(&self, id: StageId) -> bool {
        let state = self.states.get(&id);
        matches!(state, Some(State::Settled(Settled::Result(_))))
    }

    /// The results that are yet to be recorded.
    pub(super) fn committing(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.states.values().filter_map(|state| match state {
            State::Committing(record) => Some(record),
            _ => None,
        })
    }

    /// Takes back that a stage has a result, because what it reads is made again. It waits until that
    /// is there.
    pub(super) fn wait_again(&mut self, id: StageId) {
        self.replace(id, State::Waiting);
    }

    fn replace(&mut self, id: StageId, next: State<R>) -> State<R> {
        let place = self.states.get_mut(&id).expect("a stage of this run");
        let opens = !place.is_open() && next.is_open();
        let closes = place.is_open() && !next.is_open();
        let rank = (self.rank[id.index()], id);
        let old = std::mem::replace(place, next);
        match &old {
            State::Due if self.due.front() == Some(&id) => drop(self.due.pop_front()),
            State::Due => self.due.retain(|due| *due != id),
            State::Ready(_) | State::Busy { .. } => drop(self.ready.remove(&rank)),
            State::Running(job, _) => drop(self.jobs.remove(job)),
            State::Waiting | State::Ended | State::Committing(_) | State::Settled(_) => {}
        }
        match place {
            State::Due => self.due.push_back(id),
            State::Ready(_) | State::Busy { .. } => drop(self.ready.insert(rank)),
            State::Running(job, _) => drop(self.jobs.insert(*job, id)),
            State::Waiting | State::Ended | State::Committing(_) | State::Settled(_) => {}
        }
        if opens {
            self.open += 1;
        }
        if closes {
            self.open -= 1;
            for &reader in self.graph.dependents(id) {
                let waits = matches!(self.states.get(&reader), Some(State::Waiting));
                if waits && !self.has_open_inputs(reader) {
                    self.set(reader, State::Due);
                }
            }
        }
        old
    }

    /// Notes that a job has ended and returns its stage with what that held. `None` for a job
    /// that is not ours.
    pub(super) fn end(&mut self, job: JobId) -> Option<(StageId, R)> {
        let id = *self.jobs.get(&job)?;
        match self.set(id, State::Ended) {
            State::Running(_, held) => Some((id, held)),
            other => unreachable!("a stage with a job was {other}"),
        }
    }

    pub(super) fn get(&self, id: StageId) -> &State<R> {
        &self.states[&id]
    }

    /// The stage that has waited longest for a decision.
    pub(super) fn next_due(&self) -> Option<StageId> {
        self.due.front().copied()
    }

    /// Ready and busy stages, most urgent first.
    pub(super) fn ready(&self) -> Vec<StageId> {
        self.ready.iter().map(|(_, id)| *id).collect()
    }

    /// Jobs that run.
    pub(super) fn jobs(&self) -> Vec<JobId> {
        self.jobs.keys().copied().collect()
    }

    pub(super) fn is_running(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// The stage of a job that runs, and what it holds.
    pub(super) fn running(&mut self, job: JobId) -> Option<(StageId, &mut R)> {
        let id = *self.jobs.get(&job)?;
        match self.states.get_mut(&id) {
            Some(State::Running(_, held)) => Some((id, held)),
            _ => None,
        }
    }

    /// Whether a stage is yet to get a result or to do without.
    pub(super) fn is_open(&self, id: StageId) -> bool {
        self.states.get(&id).is_some_and(State::is_open)
    }

    pub(super) fn any_open(&self) -> bool {
        self.open > 0
    }

    /// A stage's result, if it has one.
    pub(super) fn record(&self, id: StageId) -> Option<&Arc<Record>> {
        match self.states.get(&id)? {
            State::Committing(record) | State::Settled(Settled::Result(record)) => Some(record),
            _ => None,
        }
    }

    /// All results.
    pub(super) fn records(&self) -> BTreeMap<StageId, Arc<Record>> {
        let record = |id: &StageId| Some((*id, Arc::clone(self.record(*id)?)));
        self.states.keys().filter_map(record).collect()
    }

    /// The stage to blame for an input that will never be there.
    pub(super) fn blame(&self, id: StageId) -> Option<StageId> {
        let inputs = self.inputs(id).iter();
        inputs.copied().find_map(|up| match self.states.get(&up) {
            Some(State::Settled(Settled::NoResult { blame })) => Some(*blame),
            _ => None,
        })
    }

    fn has_open_inputs(&self, id: StageId) -> bool {
        self.inputs(id).iter().any(|up| self.is_open(*up))
    }

    /// Stages whose ends a stage waits for.
    fn inputs(&self, id: StageId) -> &'a [StageId] {
        match self.independent {
            true => &[],
            false => self.graph.dependencies(id),
        }
    }
}

/// For each stage the milliseconds of the longest path from it on, complemented so that the
/// longest sorts first.
fn ranks(graph: &Graph, seconds: &dyn Fn(StageId) -> Option<f64>) -> Vec<u64> {
    let mut path = vec![0.0_f64; graph.stages().len()];
    for &id in graph.topological().iter().rev() {
        let after = graph
            .dependents(id)
            .iter()
            .map(|next| path[next.index()])
            .fold(0.0, f64::max);
        path[id.index()] = after + seconds(id).unwrap_or(UNKNOWN_SECONDS).max(0.0);
    }
    path.iter().map(|s| u64::MAX - (s * 1e3) as u64).collect()
}

#[cfg(test)]
#[path = "states_tests.rs"]
mod tests;
