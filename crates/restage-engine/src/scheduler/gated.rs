//! Stages that can't run here: their committed outs, if they stand, are read by others.

use super::Scheduler;
use super::states::{Settled, State};
use crate::accept;
use crate::event::StageOutcome;
use crate::stands::Gate;
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::StageId;

impl Scheduler<'_> {
    /// Settles a gated stage.
    pub(super) fn pass_by(&mut self, id: StageId, gate: Gate) {
        let outcome = StageOutcome::Gated(gate.clone());
        let Some(stands) = gate.stands else {
            self.settle_without(id, &outcome, id);
            return;
        };
        // Stages that read them take them from the store.
        let objects = self.ws.store.objects();
        for out in &stands.record.outs {
            let Ok(path) = RelPath::new(&out.path) else {
                continue;
            };
            let kept = match objects.has(&out.content) {
                Ok(true) => Ok(true),
                Ok(false) => objects.keep_placed(&path.under(&self.ws.root), &out.content),
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                let failure = accept::not_restored(self.graph.stage(id), &error.into());
                self.settle_without(id, &StageOutcome::Failed(failure), id);
                return;
            }
        }
        self.conclude(id, &outcome);
        self.gated.insert(id);
        self.states
            .set(id, State::Settled(Settled::Result(stands.record)));
    }
}
