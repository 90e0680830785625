//! What becomes of results that were handed to the flusher.

use super::Scheduler;
use super::states::{Settled, State};
use crate::accept;
use crate::error::RunError;
use crate::event::{Event, StageOutcome};
use restage_store::CommitOutcome;

impl Scheduler<'_> {
    /// Settles the stages whose results have been flushed since the last call, or could not be.
    pub(super) fn take_committed(&mut self, wait: bool) {
        for committed in self.flusher.take(wait) {
            let id = committed.id;
            let stage = self.graph.stage(id);
            let outcome = match committed.result {
                Ok(outcome) => outcome,
                // What has started meanwhile read bytes that were right: it goes on.
                Err(error) => {
                    self.concluded.remove(&id);
                    self.summary.ran -= 1;
                    // A look that fails is not worse than what has failed already.
                    let _ = self.shared.look(self.ws.store.objects());
                    let lost = error.lost_object();
                    let writers = lost.and_then(|digest| self.shared.writers(&digest));
                    let attempt = &committed.attempt;
                    let failure = match writers {
                        None => accept::not_kept(stage, attempt, &error),
                        Some(writers) => accept::written_early(self.graph, id, attempt, writers),
                    };
                    self.settle_without(id, &StageOutcome::Failed(*failure), id);
                    continue;
                }
            };
            if let CommitOutcome::Differs { outs } = outcome {
                let text = format!(
                    "is not reproducible: the same inputs gave other bytes in {}; both are kept",
                    outs.join(", ")
                );
                self.observer.event(&Event::Warning {
                    stage: &stage.name,
                    text: &text,
                });
            }
            if let Some(uses) = &mut self.uses {
                // What can't be looked at now keeps what it needs, as does all that is unknown.
                let _ = uses.add(&self.ws.store, &committed.record);
            }
            let settled = State::Settled(Settled::Result(committed.record));
            self.states.set(id, settled);
            self.free_inputs_of(id);
        }
    }

    /// Waits until every result that was handed over is on the disk.
    pub(super) fn flush_all(&mut self) -> Result<(), RunError> {
        while self.flusher.is_busy() {
            self.take_committed(true);
        }
        self.flusher.close()?;
        let restored = std::mem::take(&mut self.restored);
        Ok(self.ws.store.objects().flush(&restored)?)
    }
}
