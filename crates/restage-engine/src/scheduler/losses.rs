//! What a run does when it finds that the store has lost something: it makes that again, in the same
//! run (docs/adr/0019).

use super::states::{Settled, State};
use super::{Scheduler, decide_now};
use crate::accept;
use crate::attempt::Held;
use crate::error::RunError;
use crate::event::{Event, StageOutcome};
use crate::plan::{Decision, Plan, Planned};
use crate::{preflight, programs};
use restage_pipeline::graph::{Input, StageId};

impl Scheduler<'_> {
    /// Runs a stage whose outs can't be restored.
    pub(super) fn run_instead(&mut self, id: StageId, loss: &RunError) -> Result<(), RunError> {
        if !self.healed.insert(id) {
            self.not_started(id, 1, loss);
            return Ok(());
        }
        self.warn(id, &format!("runs again: {loss}"));
        self.plan.stages.remove(&id);
        let planned = decide_now(self.ws, self.graph, self.must(id), &self.states, id);
        match planned.and_then(|planned| self.allow(id, planned)) {
            Ok(planned) => self.follow(id, planned),
            Err(error) => {
                self.not_started(id, 1, &error);
                Ok(())
            }
        }
    }

    /// Checks and builds, for a stage that runs although the plan did not say so, what is otherwise
    /// checked and built before anything runs.
    pub(super) fn allow(&mut self, id: StageId, planned: Planned) -> Result<Planned, RunError> {
        if matches!(planned.decision, Decision::Run(_)) {
            let plan = Plan {
                stages: [(id, planned.clone())].into(),
                ..Plan::default()
            };
            let audit = self.options.audit.as_ref();
            let (capacity, foreigners) = (&self.options.capacity, self.options.foreigners);
            preflight::check(self.ws, self.graph, &plan, capacity, audit, foreigners)?;
            let programs = programs::build(self.ws, self.graph, &plan, self.observer)?;
            self.programs.extend(programs);
        }
        Ok(planned)
    }

    /// A stage could not be started because the store has lost some of its inputs. They are stored
    /// again from the workspace, if that has them, or the stages that write them run again.
    pub(super) fn input_lost(
        &mut self,
        id: StageId,
        held: Held,
        number: u32,
        loss: &RunError,
    ) -> Result<(), RunError> {
        let mut lost = Vec::new();
        let mut stored = false;
        for input in self.graph.inputs(id) {
            let Input::Produced { stage, out, .. } = input else {
                continue;
            };
            let path = &self.graph.stage(*stage).outs[*out].path;
            let record = super::input(self.ws, &self.states, *stage);
            let outs = record.iter().flat_map(|record| &record.outs);
            let Some(recorded) = outs.into_iter().find(|out| out.path == path.as_str()) else {
                continue;
            };
            let (objects, content) = (self.ws.store.objects(), &recorded.content);
            if objects.has(content)? {
                continue;
            }
            if objects.keep_placed(&path.under(&self.ws.root), content)? {
                stored = true;
                self.warn(
                    *stage,
                    &format!("`{path}` was lost, and is stored again from the workspace"),
                );
            } else if !lost.contains(stage) {
                lost.push(*stage);
            }
        }
        if lost.is_empty() && stored {
            return self.start(id, held, number);
        }
        let settled =
            |up: &StageId| matches!(self.states.get(*up), State::Settled(Settled::Result(_)));
        // A result that was lost before it was recorded is none.
        if let Some(&up) = lost.iter().find(|up| !settled(up)) {
            self.tokens.give_back(held.lease);
            let by = self.graph.stage(up).name.clone();
            self.settle_without(id, &StageOutcome::Blocked { by }, up);
            return self.decide_due();
        }
        let can_run = self.ws.rerun.is_none();
        if lost.is_empty() || !can_run || lost.iter().any(|up| self.healed.contains(up)) {
            let failure = accept::not_started(self.graph.stage(id), number, loss);
            self.failed(id, held, failure);
            return self.decide_due();
        }
        self.tokens.give_back(held.lease);
        drop(held.lock);
        for up in lost {
            self.healed.insert(up);
            self.warn(up, &format!("is looked at again: {loss}"));
            self.look_again(up, id);
        }
        self.decide_due()
    }

    /// Takes back that a stage has a result, so that it is decided again before `reader` is.
    pub(super) fn look_again(&mut self, up: StageId, reader: StageId) {
        self.plan.needed.insert(up);
        self.plan.stages.remove(&up);
        self.uncount(up);
        self.states.reopen(up, reader);
        self.plan.stages.remove(&reader);
    }

    /// Takes back that a stage has ended.
    pub(super) fn uncount(&mut self, id: StageId) {
        if let Some(outcome) = self.concluded.remove(&id) {
            self.summary.uncount(&outcome);
        }
    }

    pub(super) fn warn(&mut self, id: StageId, text: &str) {
        let stage = &self.graph.stage(id).name;
        self.observer.event(&Event::Warning { stage, text });
    }
}
