//! The engine itself: steps, evaluation, and its numbers' way in and out.
//! It must not know how any layer is computed.

use crate::adam::Trained;
use crate::gather::{Gather, Matrix};
use crate::network::{self, Dropout, Network, Stop};
use crate::vectors::{Vector, Vectors};
use dfdx::prelude::*;
use nn::config::{AdamConfig, BatchNormConfig, ConfigError};
use nn::engine::{Batch, Engine, EngineError, Evaluation, LayerNorm, State, StepStats};
use nn::image::IMAGE;
use nn::image::IMAGE_CHANNELS;
use nn::model_spec::ModelSpec;
use nn::network::ParameterCount;
use nn::network::{Plan, Unit};
use nn::parameters::{Parameters, WeightInit};
use nn::random::{Stream, StreamName};

/// Images of an evaluation that are computed at once. Always as many, as the order of a matrix
/// product's sums may depend on its extents; the last ones are filled up with zeros.
const TOGETHER: usize = 16;

/// Why an engine could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The configuration describes no network.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The numbers do not fit the device.
    #[error("the device failed: {0}")]
    Device(String),
}

/// One network trained by dfdx on a device of its kind.
///
/// On the CPU its matrix products run on rayon's threads, whose number changes no result.
pub struct DfdxEngine<D: Gather> {
    device: D,
    plan: Plan,
    trained: Trained<D>,
    /// Batch norm's moving statistics.
    moving: Vectors<D>,
    adam: AdamConfig,
    batch_norm: BatchNormConfig,
    dropout: f64,
    seed: u64,
}

impl<D: Gather> std::fmt::Debug for DfdxEngine<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DfdxEngine")
            .field("count", &self.plan.count)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl DfdxEngine<Cpu> {
    /// As [`DfdxEngine::on`], on the CPU.
    ///
    /// # Errors
    /// A configuration that describes no network, or too little memory for it.
    pub fn new(spec: ModelSpec<'_>) -> Result<Self, BuildError> {
        Self::on(Cpu::default(), spec)
    }
}

#[cfg(feature = "cuda")]
impl DfdxEngine<Cuda> {
    /// As [`DfdxEngine::on`], on the first GPU.
    ///
    /// # Errors
    /// A configuration that describes no network, no GPU, or too little memory on it.
    pub fn on_gpu(spec: ModelSpec<'_>) -> Result<Self, BuildError> {
        // Without a GPU dfdx's CUDA library panics where it could return its error.
        let device = std::panic::catch_unwind(|| Cuda::try_seed_from_u64(0));
        let device = device
            .map_err(|_| BuildError::Device("no GPU that CUDA can use".to_owned()))?
            .map_err(|e| BuildError::Device(e.to_string()))?;
        Self::on(device, spec)
    }
}

impl<D: Gather> DfdxEngine<D> {
    /// Builds the network on a device, with first weights drawn from the seed, which also draws
    /// dropout's masks.
    ///
    /// # Errors
    /// A configuration that describes no network, or too little memory for it.
    pub fn on(device: D, spec: ModelSpec<'_>) -> Result<Self, BuildError> {
        let plan = spec.plan()?;
        let first = Parameters::new(&plan, spec.initializer, spec.seed, WeightInit::fill);
        let (trained, moving) =
            upload(&device, &plan, &first).map_err(|e| BuildError::Device(e.to_string()))?;
        Ok(Self {
            device,
            plan,
            trained,
            moving,
            adam: *spec.adam,
            batch_norm: *spec.batch_norm,
            dropout: spec.network.dropout(),
            seed: spec.seed,
        })
    }

    /// The network's layers.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn network(&self) -> Network<'_, D> {
        Network {
            plan: &self.plan,
            values: &self.trained.values,
            moving: &self.moving,
            epsilon: self.batch_norm.epsilon as f32,
        }
    }

    /// `[n * 32 * 32, 3]`.
    fn images(&self, images: Vec<f32>) -> Result<Matrix<D>, EngineError> {
        let shape = (images.len() / IMAGE_CHANNELS, IMAGE_CHANNELS);
        let tensor = self.device.try_tensor_from_vec(images, shape);
        tensor.map_err(device_error)
    }

    fn pass(
        &self,
        batch: Batch<'_>,
        dropout: bool,
        step: u64,
    ) -> Result<network::Trained<D>, EngineError> {
        let rate = self.dropout as f32;
        let stream = Stream::new(self.seed, StreamName::Dropout, step);
        let dropout = (dropout && self.dropout > 0.0).then(|| Dropout {
            keep: stream.uniforms(0).map(move |uniform| uniform >= rate),
            rate,
        });
        let images = self.images(batch.images.to_vec())?;
        let trained = self.network().train(images, batch.labels, dropout);
        trained.map_err(|stop| engine_error(stop, step))
    }

    /// Moving statistics after a batch: `momentum` of the old ones, the rest the batch's.
    fn moved(&self, found: &network::Trained<D>) -> Result<Vectors<D>, D::Err> {
        let momentum = self.batch_norm.momentum as f32;
        let mixed = |old: &Vector<D>, batch: &Vector<D>| {
            let batch = batch.clone().try_mul(1.0 - momentum)?;
            old.clone().try_mul(momentum)?.try_add(batch)
        };
        let mut next = self.moving.clone();
        let layers = self.plan.units.iter().flat_map(Unit::layers);
        for (layer, own) in layers.zip(&found.statistics) {
            let norm = &layer.norm;
            for (span, batch) in [(norm.mean, &own.mean), (norm.variance, &own.variance)] {
                next.set(span, mixed(self.moving.of(span), batch)?);
            }
        }
        Ok(next)
    }
}

type Uploaded<D> = (Trained<D>, Vectors<D>);

fn upload<D: Gather>(device: &D, plan: &Plan, numbers: &Parameters) -> Result<Uploaded<D>, D::Err> {
    let trained = Trained {
        values: Vectors::new(device, plan, true, &numbers.values)?,
        m: Vectors::new(device, plan, true, &numbers.m)?,
        v: Vectors::new(device, plan, true, &numbers.v)?,
    };
    Ok((trained, Vectors::new(device, plan, false, &numbers.moving)?))
}

fn device_error(error: impl std::fmt::Display) -> EngineError {
    EngineError::Device(error.to_string())
}

fn engine_error(stop: Stop<impl std::fmt::Display>, step: u64) -> EngineError {
    match stop {
        Stop::Device(error) => device_error(error),
        Stop::NonFinite { layer, what } => EngineError::NonFinite { layer, what, step },
    }
}

impl<D: Gather> Engine for DfdxEngine<D> {
    fn train_step(
        &mut self,
        batch: Batch<'_>,
        step: u64,
        learning_rate: f32,
    ) -> Result<StepStats, EngineError> {
        batch.check_some(self.plan.dense.outputs)?;
        let mut found = self.pass(batch, true, step)?;
        // Only when all is computed does anything change.
        let moving = self.moved(&found).map_err(device_error)?;
        let gradients = std::mem::take(&mut found.gradients);
        let trained = self
            .trained
            .updated(gradients, &self.adam, step, learning_rate);
        self.trained = trained.map_err(device_error)?;
        self.moving = moving;
        Ok(StepStats::count(&found.losses, &found.logits, batch.labels))
    }

    fn evaluate(&mut self, batch: Batch<'_>) -> Result<Evaluation, EngineError> {
        let classes = self.plan.dense.outputs;
        batch.check(classes)?;
        let mut result = Evaluation::default();
        let parts = batch.images.chunks(TOGETHER * IMAGE);
        for (images, labels) in parts.zip(batch.labels.chunks(TOGETHER)) {
            let n = labels.len();
            let (mut images, mut labels) = (images.to_vec(), labels.to_vec());
            images.resize(TOGETHER * IMAGE, 0.0);
            labels.resize(TOGETHER, 0);
            let judged = self.network().evaluate(self.images(images)?, &labels);
            // Nothing stops an evaluation but the device: numbers that explode are its result.
            let judged = judged.map_err(|stop| engine_error(stop, 0))?;
            result.extend(&judged.losses[..n], &judged.probabilities[..n * classes]);
        }
        Ok(result)
    }

    fn gradient_norms(&mut self, batch: Batch<'_>) -> Result<Vec<LayerNorm>, EngineError> {
        batch.check_some(self.plan.dense.outputs)?;
        let found = self.pass(batch, false, 0)?;
        let gradient: Vec<f32> = found.gradients.iter().flat_map(Vector::as_vec).collect();
        Ok(LayerNorm::of_weights(&self.plan, &gradient))
    }

    fn export_state(&self) -> Result<State, EngineError> {
        Ok(self.download().export(&self.plan))
    }

    fn import_state(&mut self, state: &State) -> Result<(), EngineError> {
        let numbers = Parameters::from_state(&self.plan, state)?;
        let uploaded = upload(&self.device, &self.plan, &numbers);
        (self.trained, self.moving) = uploaded.map_err(device_error)?;
        Ok(())
    }

    fn parameters(&self) -> ParameterCount {
        self.plan.count
    }
}

impl<D: Gather> DfdxEngine<D> {
    fn download(&self) -> Parameters {
        let Trained { values, m, v } = &self.trained;
        Parameters {
            values: values.to_flat(),
            moving: self.moving.to_flat(),
            m: m.to_flat(),
            v: v.to_flat(),
        }
    }
}
