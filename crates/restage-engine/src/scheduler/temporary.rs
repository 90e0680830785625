//! Temporary outs: freed when all that read them have a record, made again when one must run
//! (docs/adr/0030).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Scheduler;
use super::states::{Settled, State};
use crate::error::RunError;
use crate::facts::Facts;
use crate::kept::is_temporary;
use crate::plan::{Decision, Gone, Must, Obstacle, Planned, blocked};
use restage_pipeline::graph::{Input, StageId};
use restage_store::{Record, StoreError, Uses};

impl Scheduler<'_> {
    /// What a stage must do, whatever is recorded.
    pub(super) fn must(&self, id: StageId) -> Must {
        Must {
            run: self.options.forced.contains(&id),
            have_outs: self.plan.needed.contains(&id),
        }
    }

    /// Where a stage that has to run reads outs that were not kept: lets the stages that write them
    /// run first. The plan has done so for all that it knew to run.
    pub(super) fn makes_inputs_first(
        &mut self,
        id: StageId,
        planned: &Planned,
    ) -> Result<bool, RunError> {
        let runs = matches!(planned.decision, Decision::Run(_));
        if !runs || self.ws.rerun.is_some() {
            return Ok(false);
        }
        let missing = self.missing_inputs(id)?;
        for (up, path) in &missing {
            if let Some((gated, lacks)) = self.cannot_make(*up)? {
                let gone = Gone {
                    path: path.clone(),
                    writer: self.graph.stage(*up).name.clone(),
                    gated: self.graph.stage(gated).name.clone(),
                    lacks,
                };
                self.follow(id, blocked(Obstacle::Gone(gone)))?;
                return Ok(true);
            }
        }
        for up in missing.keys() {
            self.look_again(*up, id);
        }
        Ok(!missing.is_empty())
    }

    /// The stages of which this one reads an out that is not in the store, and its path.
    fn missing_inputs(&self, id: StageId) -> Result<BTreeMap<StageId, String>, RunError> {
        let mut missing = BTreeMap::new();
        for input in self.graph.inputs(id) {
            let Input::Produced { stage: up, out, .. } = input else {
                continue;
            };
            let declared = &self.graph.stage(*up).outs[*out];
            let State::Settled(Settled::Result(record)) = self.states.get(*up) else {
                continue;
            };
            let mut outs = record.outs.iter();
            let Some(recorded) = outs.find(|one| one.path == declared.path.as_str()) else {
                continue;
            };
            let asked = self.plan.needed.contains(up) || !recorded.freed;
            if declared.temporary && !asked && !self.ws.store.objects().has(&recorded.content)? {
                missing.insert(*up, recorded.path.clone());
            }
        }
        Ok(missing)
    }

    /// The stage that can't run here, and what it lacks, if that keeps `writer` from making its outs
    /// again: itself, or one that would have to do so before.
    fn cannot_make(&self, writer: StageId) -> Result<Option<(StageId, Vec<String>)>, RunError> {
        let mut open = vec![writer];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            let lacks = self.ws.lacks(self.graph.stage(id));
            if !lacks.is_empty() {
                return Ok(Some((id, lacks)));
            }
            let missing = self.missing_inputs(id)?.into_keys();
            open.extend(missing.filter(|up| seen.insert(*up)));
        }
        Ok(None)
    }

    /// A stage that ran again for an out that was not kept wrote something else than it had: what
    /// was decided by the old content is decided again.
    pub(super) fn decide_readers_again(&mut self, id: StageId) {
        let mut open = vec![id];
        let mut below = BTreeSet::new();
        while let Some(up) = open.pop() {
            let readers = self.graph.dependents(up).iter().copied();
            open.extend(readers.filter(|reader| below.insert(*reader)));
        }
        for reader in below {
            let is_settled =
                self.plan.stages.contains_key(&reader) || self.concluded.contains_key(&reader);
            if is_settled && self.states.has_result(reader) {
                self.uncount(reader);
                self.plan.stages.remove(&reader);
                self.states.wait_again(reader);
            }
        }
    }

    /// Frees the temporary outs that a stage has read, unless another stage is yet to read them.
    pub(super) fn free_inputs_of(&mut self, reader: StageId) {
        for up in self.graph.dependencies(reader) {
            self.free(*up);
        }
    }

    /// Frees all temporary outs that no stage is yet to read.
    pub(super) fn free_all(&mut self) {
        for id in self.graph.ids() {
            self.free(*id);
        }
    }

    /// Frees the temporary outs of a stage if each stage that reads it has a record.
    fn free(&mut self, id: StageId) {
        let stage = self.graph.stage(id);
        let store = &self.ws.store;
        // What other workspaces are yet to read is not known here.
        let may = self.ws.rerun.is_none() && store.location().shared().is_none();
        if !may || !stage.outs.iter().any(|out| out.temporary) || !self.states.has_result(id) {
            return;
        }
        let recorded =
            |reader: &StageId| self.states.has_result(*reader) && !self.gated.contains(reader);
        if !self.graph.dependents(id).iter().all(recorded) {
            return;
        }
        let Some(record) = self.states.record(id).map(Arc::clone) else {
            return;
        };
        let outs = record.outs.iter();
        let outs = outs.filter(|out| !out.freed && is_temporary(stage, out));
        let paths: Vec<String> = outs.map(|out| out.path.clone()).collect();
        if paths.is_empty() {
            return;
        }
        if let Err(error) = self.free_outs(&record, &paths) {
            self.warn(
                id,
                &format!("its temporary outs stay in the store: {error}"),
            );
        }
    }

    fn free_outs(&mut self, record: &Record, paths: &[String]) -> Result<(), StoreError> {
        let store = &self.ws.store;
        let mut committing = Uses::default();
        for record in self.states.committing() {
            committing.add(store, record)?;
        }
        let uses = match &mut self.uses {
            Some(uses) => uses,
            None => self.uses.insert(Uses::of(store)?),
        };
        store.free(&record.key, paths, uses, &committing)?;
        Ok(())
    }
}
