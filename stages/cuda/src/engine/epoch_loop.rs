//! An epoch on the GPU: images that stay there, steps recorded once and repeated.
//! It must not know layers.

use nn::engine::{EngineError, StepStats};
use nn::epoch::{Epoch, EpochError, Progress};

use super::memory::Steps;
use super::{CudaEngine, device};
use crate::array::Array;
use crate::gpu::{Gpu, GpuError};
use crate::operations::{EpochOrder, Operations};

/// Steps between two looks at what was counted: each look waits for the GPU.
const LOOK: usize = 64;

/// Images that stay on the GPU between epochs, and the steps over them.
pub(super) struct Resident<G: Gpu> {
    /// The images' id.
    set: u64,
    #[expect(dead_code, reason = "the recorded steps read them")]
    images: [Array<G, u8>; 2],
    order: Array<G, u32>,
    flip: Array<G, u8>,
    delta: Array<G, f32>,
    batch: usize,
    /// A step over a whole batch.
    whole: G::Recording,
    /// The last step, if it has fewer images.
    rest: Option<G::Recording>,
}

/// What an epoch's steps run over.
pub(super) struct Begun {
    images: usize,
    batch: usize,
    first_step: u64,
}

impl<G: Gpu> CudaEngine<G> {
    /// Uploads what differs from epoch to epoch, and the images if they are not there yet.
    pub(super) fn begin_epoch(
        &mut self,
        epoch: &Epoch<'_>,
        first_step: u64,
        learning_rate: f32,
    ) -> Result<Begun, EngineError> {
        epoch.check(self.plan.dense.outputs)?;
        let (images, batch) = (epoch.order.len(), epoch.batch_size.min(epoch.order.len()));
        let steps = images.div_ceil(batch);
        self.make_room(batch)?;
        if self.steps.constants.len() < steps {
            // What was recorded used the old constants.
            self.resident = None;
            self.steps = Steps::new(&self.gpu, steps).map_err(device)?;
        }
        let wanted = (epoch.images.id(), images, batch);
        let same = |kept: &Resident<G>| (kept.set, kept.order.len(), kept.batch) == wanted;
        if !self.resident.as_ref().is_some_and(same) {
            self.resident = None;
            self.resident = Some(self.make_resident(epoch, batch).map_err(device)?);
        }
        let constants: Vec<_> = (0..steps as u64)
            .map(|step| self.constants(first_step + step, learning_rate))
            .collect();
        let changes = epoch.changes.iter();
        let (flip, delta): (Vec<u8>, Vec<f32>) = changes
            .map(|change| (u8::from(change.flip), change.delta))
            .unzip();
        let work = |kept: &Resident<G>| {
            kept.order.write(&self.gpu, &epoch.order)?;
            kept.flip.write(&self.gpu, &flip)?;
            kept.delta.write(&self.gpu, &delta)?;
            self.steps.begin(&self.gpu, &constants)
        };
        self.resident
            .as_ref()
            .map_or(Ok(()), work)
            .map_err(device)?;
        Ok(Begun {
            images,
            batch,
            first_step,
        })
    }

    fn make_resident(&self, epoch: &Epoch<'_>, batch: usize) -> Result<Resident<G>, GpuError> {
        let gpu = &self.gpu;
        let (images, shown) = (epoch.order.len(), epoch.images);
        let pixels = Array::zeros(gpu, shown.pixels().len())?;
        pixels.write(gpu, shown.pixels())?;
        let labels = Array::zeros(gpu, shown.labels().len())?;
        labels.write(gpu, shown.labels())?;
        let order = Array::zeros(gpu, images)?;
        let flip = Array::zeros(gpu, images)?;
        let delta = Array::zeros(gpu, images)?;
        let all = EpochOrder {
            pixels: pixels.view(),
            labels: labels.view(),
            order: order.view(),
            flip: flip.view(),
            delta: delta.view(),
            batch,
        };
        let record = |n| gpu.record(&mut || self.whole_step(all, n));
        let (whole, rest) = (record(batch)?, images % batch);
        let rest = (rest > 0).then(|| record(rest)).transpose()?;
        Ok(Resident {
            set: shown.id(),
            images: [pixels, labels],
            order,
            flip,
            delta,
            batch,
            whole,
            rest,
        })
    }

    /// From the epoch's bytes to the update, and on to the next step.
    fn whole_step(&self, epoch: EpochOrder<'_>, n: usize) -> Result<(), GpuError> {
        let operations = Operations::new(&self.gpu, self.precision, &self.room.scratch);
        let cursor = self.steps.cursor.view();
        let (images, labels) = (self.room.images.view(), self.room.labels.view());
        operations.prepare(epoch, cursor, n, images, labels)?;
        self.step(n)?;
        operations.advance(cursor)
    }

    /// All steps, with a word after some of them.
    pub(super) fn run_epoch(
        &self,
        begun: &Begun,
        after: &mut dyn FnMut(Progress),
    ) -> Result<(), EpochError> {
        let Some(kept) = &self.resident else {
            return Ok(());
        };
        let &Begun {
            images,
            batch,
            first_step,
        } = begun;
        let steps = images.div_ceil(batch);
        let size = |step: usize| images.min((step + 1) * batch) - step * batch;
        let (mut done, mut told) = (0, NOTHING);
        while done < steps {
            let until = steps.min(done + LOOK);
            let work = || {
                (done..until).try_for_each(|step| self.repeat(kept, size(step)))?;
                self.counted()
            };
            let failed = |error| EpochError {
                batch: done,
                error: device(error),
            };
            let total = match work().map_err(failed)? {
                Ok(total) => total,
                Err(step) => {
                    let error = self.non_finite_again(kept, step, size(step), first_step);
                    return Err(EpochError { batch: step, error });
                }
            };
            after(Progress {
                batches: until - done,
                images: images.min(until * batch) - done * batch,
                stats: StepStats {
                    loss_sum: total.loss_sum - told.loss_sum,
                    correct: total.correct - told.correct,
                },
            });
            (done, told) = (until, total);
        }
        Ok(())
    }

    /// A recorded step over `n` images.
    fn repeat(&self, kept: &Resident<G>, n: usize) -> Result<(), GpuError> {
        let recording = match &kept.rest {
            Some(rest) if n < kept.batch => rest,
            _ => &kept.whole,
        };
        // SAFETY: the arrays of the recorded launches are this engine's and live in `kept`,
        // `room`, `steps` and `numbers`; whoever replaces one of them forgets the recordings.
        unsafe { self.gpu.replay(recording) }
    }

    /// Steps behind the one that failed changed no number of the network, but what it left in the
    /// room: it is done once more, and fails once more.
    fn non_finite_again(
        &self,
        kept: &Resident<G>,
        step: usize,
        n: usize,
        first_step: u64,
    ) -> EngineError {
        let again = self
            .steps
            .go_to(&self.gpu, step)
            .and_then(|()| self.repeat(kept, n));
        match again {
            Ok(()) => self.non_finite(n, first_step + step as u64),
            Err(error) => device(error),
        }
    }
}

const NOTHING: StepStats = StepStats {
    loss_sum: 0.0,
    correct: 0,
};
