//! A network trained on a GPU: passes, updates, and what is said when a number explodes.
//! It must not know kernels' insides, nor what kind of GPU it runs on.

mod backward;
mod epoch_loop;
mod forward;
mod memory;
mod non_finite;

use nn::config::{AdamConfig, ConfigError};
use nn::engine::{Batch, Engine, EngineError, Evaluation, LayerNorm, State, StepStats};
use nn::epoch::{Epoch, EpochError, Progress};
use nn::model_spec::ModelSpec;
use nn::network::ParameterCount;
use nn::network::Plan;
use nn::parameters::{Parameters, WeightInit};
use nn::random::{Stream, StreamName};
use nn::reference::adam::Coefficients;

use crate::gpu::{AdamConstants, Gpu, GpuError, StepConstants};
use crate::operations::{Dropout, Operations, Precision};
use epoch_loop::{Begun, Resident};
use forward::Pass;
use memory::{Numbers, Room, Steps};

/// Images evaluated at once: bounds memory, changes no bit.
const EVALUATED: usize = 128;
/// Images of a step at most: extents stay below 2^31.
const MOST: usize = 1 << 14;

/// One network trained on a GPU.
pub struct CudaEngine<G: Gpu> {
    // In the order in which they are dropped: what was recorded, what it reads, the GPU.
    resident: Option<Resident<G>>,
    steps: Steps<G>,
    room: Room<G>,
    numbers: Numbers<G>,
    gpu: G,
    plan: Plan,
    precision: Precision,
    adam: AdamConfig,
    momentum: f32,
    epsilon: f32,
    dropout: f32,
    seed: u64,
}

impl<G: Gpu> std::fmt::Debug for CudaEngine<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CudaEngine")
            .field("count", &self.plan.count)
            .field("precision", &self.precision)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A configuration that describes no network.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The GPU cannot hold it.
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

impl<G: Gpu> CudaEngine<G> {
    /// Builds the network with first weights drawn from the seed, which also draws dropout's
    /// masks: both are the native engine's.
    ///
    /// # Errors
    /// A configuration that describes no network, a GPU without enough memory.
    pub fn new(gpu: G, spec: ModelSpec<'_>, precision: Precision) -> Result<Self, BuildError> {
        let plan = spec.plan()?;
        let engine = Self {
            numbers: Numbers::new(&gpu, &plan)?,
            room: Room::new(&gpu, &plan, 1)?,
            steps: Steps::new(&gpu, 1)?,
            resident: None,
            precision,
            adam: *spec.adam,
            momentum: spec.batch_norm.momentum as f32,
            epsilon: spec.batch_norm.epsilon as f32,
            dropout: spec.network.dropout() as f32,
            seed: spec.seed,
            plan,
            gpu,
        };
        engine.upload(&Parameters::new(
            &engine.plan,
            spec.initializer,
            spec.seed,
            WeightInit::fill,
        ))?;
        Ok(engine)
    }

    /// The network's layers.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The gradient of the last training step or of the last [`Engine::gradient_norms`], in the
    /// plan's layout.
    ///
    /// # Errors
    /// The GPU's.
    pub fn gradient(&self) -> Result<Vec<f32>, GpuError> {
        let gradient = &self.numbers.gradient;
        gradient.read(&self.gpu, gradient.len())
    }

    fn upload(&self, parameters: &Parameters) -> Result<(), GpuError> {
        let Parameters {
            values,
            moving,
            m,
            v,
            ..
        } = parameters;
        self.numbers.values.write(&self.gpu, values)?;
        self.numbers.moving.write(&self.gpu, moving)?;
        self.numbers.m.write(&self.gpu, m)?;
        self.numbers.v.write(&self.gpu, v)
    }

    fn download(&self) -> Result<Parameters, GpuError> {
        let all = |array: &crate::array::Array<G, f32>| array.read(&self.gpu, array.len());
        Ok(Parameters {
            values: all(&self.numbers.values)?,
            moving: all(&self.numbers.moving)?,
            m: all(&self.numbers.m)?,
            v: all(&self.numbers.v)?,
        })
    }

    /// Room for `n` images at least. What was recorded before used the old room.
    fn make_room(&mut self, n: usize) -> Result<(), EngineError> {
        if n > MOST {
            return Err(EngineError::Batch(format!(
                "{n} images, and a step has {MOST} at most"
            )));
        }
        if self.room.n < n {
            self.resident = None;
            self.room = Room::new(&self.gpu, &self.plan, n).map_err(device)?;
        }
        Ok(())
    }

    fn pass(&self, n: usize, dropout: bool) -> Pass<'_, G> {
        Pass {
            operations: Operations::new(&self.gpu, self.precision, &self.room.scratch),
            plan: &self.plan,
            numbers: &self.numbers,
            room: &self.room,
            n,
            epsilon: self.epsilon,
            dropout: (dropout && self.dropout > 0.0).then(|| Dropout {
                constants: self.steps.constants.view(),
                cursor: self.steps.cursor.view(),
                rate: self.dropout,
            }),
        }
    }

    /// Forward and backward over the room's images in training mode.
    fn both_ways(&self, n: usize, dropout: bool) -> Result<(), GpuError> {
        let (pass, room) = (self.pass(n, dropout), &self.room);
        let (classes, notes) = (self.plan.dense.outputs, self.steps.notes());
        pass.forward(false)?;
        let operations = &pass.operations;
        operations.softmax_loss(
            room.logits.view(),
            room.labels.view(),
            n,
            classes,
            room.losses.view(),
            None,
            Some(room.dlogits.view()),
            room.predicted.view(),
        )?;
        // What a finite loss does not show: an infinite variance turns its channel into the
        // bias, and an infinitely small logit is a probability of 0.
        operations.check_finite(self.numbers.batch.view(), memory::STATISTICS, notes)?;
        operations.check_finite(room.logits.first(n * classes), memory::LOGITS, notes)?;
        operations.check_finite(room.losses.first(n), memory::LOSSES, notes)?;
        pass.backward()?;
        operations.check_finite(self.numbers.gradient.view(), memory::GRADIENT, notes)
    }

    /// A training step over the room's images: nothing changes if a number is not finite.
    fn step(&self, n: usize) -> Result<(), GpuError> {
        self.both_ways(n, true)?;
        let (numbers, steps, room) = (&self.numbers, &self.steps, &self.room);
        let operations = Operations::new(&self.gpu, self.precision, &room.scratch);
        let stop = steps.stop.view();
        operations.tally(
            room.losses.view(),
            room.predicted.view(),
            room.labels.view(),
            n,
            steps.loss_sum.view(),
            steps.correct.view(),
        )?;
        let (moving, batch) = (numbers.moving.view(), numbers.batch.view());
        operations.update_moving(moving, batch, self.momentum, stop)?;
        let shared = Coefficients::<f32>::new(&self.adam, 0, 0.0);
        let adam = AdamConstants {
            one_minus_beta1: shared.one_minus_beta1,
            one_minus_beta2: shared.one_minus_beta2,
            epsilon: shared.epsilon,
        };
        let all = [&numbers.values, &numbers.m, &numbers.v, &numbers.gradient];
        let (constants, cursor) = (steps.constants.view(), steps.cursor.view());
        operations.adam(all.map(|array| array.view()), constants, cursor, adam, stop)
    }

    fn constants(&self, step: u64, learning_rate: f32) -> StepConstants {
        StepConstants {
            dropout_key: Stream::new(self.seed, StreamName::Dropout, step).key(),
            rate: Coefficients::<f32>::new(&self.adam, step, learning_rate).rate,
        }
    }

    /// Puts a host's batch where passes read it, as the only step of an epoch.
    fn take(&mut self, batch: Batch<'_>, constants: StepConstants) -> Result<usize, EngineError> {
        let n = batch.check_some(self.plan.dense.outputs)?;
        self.make_room(n)?;
        let work = || {
            self.room.images.write(&self.gpu, batch.images)?;
            self.room.labels.write(&self.gpu, batch.labels)?;
            self.steps.begin(&self.gpu, &[constants])
        };
        work().map_err(device)?;
        Ok(n)
    }

    /// What was counted, or the step (of those since they began) behind which nothing was.
    fn counted(&self) -> Result<Result<StepStats, usize>, GpuError> {
        let stop = self.steps.stop.read(&self.gpu, 1)?[0];
        if stop != 0 {
            return Ok(Err(stop.unsigned_abs() as usize - 1));
        }
        Ok(Ok(StepStats {
            loss_sum: self.steps.loss_sum.read(&self.gpu, 1)?[0],
            correct: self.steps.correct.read(&self.gpu, 1)?[0] as usize,
        }))
    }

    /// Of the one step since they began, over the room's `n` images.
    fn counted_once(&self, n: usize, step: u64) -> Result<StepStats, EngineError> {
        let counted = self.counted().map_err(device)?;
        counted.map_err(|_| self.non_finite(n, step))
    }

    fn judge(&self, batch: Batch<'_>, all: &mut Evaluation) -> Result<(), GpuError> {
        let (n, classes, room) = (batch.labels.len(), self.plan.dense.outputs, &self.room);
        room.images.write(&self.gpu, batch.images)?;
        room.labels.write(&self.gpu, batch.labels)?;
        let pass = self.pass(n, false);
        pass.forward(true)?;
        pass.operations.softmax_loss(
            room.logits.view(),
            room.labels.view(),
            n,
            classes,
            room.losses.view(),
            Some(room.probabilities.view()),
            None,
            room.predicted.view(),
        )?;
        all.losses.extend(room.losses.read(&self.gpu, n)?);
        all.probabilities
            .extend(room.probabilities.read(&self.gpu, n * classes)?);
        all.predicted.extend(room.predicted.read(&self.gpu, n)?);
        Ok(())
    }
}

fn device(error: GpuError) -> EngineError {
    EngineError::Device(error.to_string())
}

impl<G: Gpu> Engine for CudaEngine<G> {
    fn train_step(
        &mut self,
        batch: Batch<'_>,
        step: u64,
        learning_rate: f32,
    ) -> Result<StepStats, EngineError> {
        let n = self.take(batch, self.constants(step, learning_rate))?;
        self.step(n).map_err(device)?;
        self.counted_once(n, step)
    }

    fn train_epoch(
        &mut self,
        epoch: &Epoch<'_>,
        first_step: u64,
        learning_rate: f32,
        after: &mut dyn FnMut(Progress),
    ) -> Result<(), EpochError> {
        let begun = self.begin_epoch(epoch, first_step, learning_rate);
        let begun: Begun = begun.map_err(|error| EpochError { batch: 0, error })?;
        self.run_epoch(&begun, after)
    }

    fn evaluate(&mut self, batch: Batch<'_>) -> Result<Evaluation, EngineError> {
        let n = batch.check(self.plan.dense.outputs)?;
        self.make_room(n.clamp(1, EVALUATED))?;
        let mut all = Evaluation::default();
        let images = batch.images.chunks(EVALUATED * nn::image::IMAGE);
        for (images, labels) in images.zip(batch.labels.chunks(EVALUATED)) {
            self.judge(Batch { images, labels }, &mut all)
                .map_err(device)?;
        }
        Ok(all)
    }

    fn gradient_norms(&mut self, batch: Batch<'_>) -> Result<Vec<LayerNorm>, EngineError> {
        let n = self.take(batch, self.constants(0, 0.0))?;
        self.both_ways(n, false).map_err(device)?;
        self.counted_once(n, 0)?;
        let gradient = self.gradient().map_err(device)?;
        Ok(LayerNorm::of_weights(&self.plan, &gradient))
    }

    fn export_state(&self) -> Result<State, EngineError> {
        Ok(self.download().map_err(device)?.export(&self.plan))
    }

    fn import_state(&mut self, state: &State) -> Result<(), EngineError> {
        let parameters = Parameters::from_state(&self.plan, state)?;
        self.upload(&parameters).map_err(device)
    }

    fn parameters(&self) -> ParameterCount {
        self.plan.count
    }
}
