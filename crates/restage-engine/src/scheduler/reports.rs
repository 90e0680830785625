//! What a run says of stages that go on, or can't start yet.

use super::Scheduler;
use crate::event::Event;
use restage_exec::JobId;
use restage_pipeline::graph::StageId;

impl Scheduler<'_> {
    /// Says once that `-j` above the number of cores makes room only for stages that need none.
    pub(super) fn say_cores(&mut self, id: StageId) {
        let stage = self.graph.stage(id);
        if !self.said_cores && self.tokens.only_lacks_a_core(stage.resources) {
            self.said_cores = true;
            let text = format!(
                "waits for a core: it needs {} of the machine's {}, whatever `-j` says; a stage that \
                 mostly waits can have `resources: {{cpu: 0}}`",
                stage.resources.cpu, self.options.capacity.cpu
            );
            self.observer.event(&Event::Warning {
                stage: &stage.name,
                text: &text,
            });
        }
    }

    /// Passes on what a running stage said since the last look.
    pub(super) fn report_progress(&mut self, job: JobId) {
        let Some((id, running)) = self.states.running(job) else {
            return;
        };
        let stage = &self.graph.stage(id).name;
        for event in running.tail.read() {
            let event = &event;
            self.observer.event(&Event::Stage { stage, event });
        }
    }
}
