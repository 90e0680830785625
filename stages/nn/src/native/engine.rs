//! The engine itself: passes, updates, and what is said when a number explodes.
//! It must not know kernels' insides.

use super::finite::finite;
use super::forward::{Dropout, Run};
use super::times::{LayerTime, Times};
use super::workspace::Workspace;
use super::{
    Context, Isa, adam, backward, evaluate, forward, isa, non_finite, threads, weight_init,
};
use crate::config::{AdamConfig, ConfigError};
use crate::engine::{Batch, Engine, EngineError, Evaluation, LayerNorm, State, StepStats};
use crate::huge;
use crate::image::IMAGE;
use crate::model_spec::ModelSpec;
use crate::network::ParameterCount;
use crate::network::{Plan, Unit};
use crate::parameters::Parameters;
use crate::random::{Stream, StreamName};
use crate::reference::adam::Coefficients;
use crate::reference::layers::{Softmax, softmax_cross_entropy};
use crate::reference::norm::update_moving;

/// How the engine computes; results do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeOptions {
    /// Threads of the engine's own pool, at least 1.
    pub threads: usize,
    /// Instruction set of its kernels.
    pub isa: Isa,
}

/// One network trained by own kernels.
pub struct NativeEngine {
    context: Context,
    plan: Plan,
    parameters: Parameters,
    /// Of the last step, in the parameters' layout.
    gradient: Vec<f32>,
    workspace: Workspace,
    adam: AdamConfig,
    momentum: f32,
    epsilon: f32,
    dropout: f64,
    seed: u64,
    times: Times,
}

impl std::fmt::Debug for NativeEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeEngine")
            .field("count", &self.plan.count)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl NativeEngine {
    /// Builds the network with first weights drawn from the seed, which also draws dropout's masks.
    ///
    /// # Errors
    /// A configuration that describes no network, no threads, or an instruction set that this
    /// CPU lacks.
    pub fn new(spec: ModelSpec<'_>, options: NativeOptions) -> Result<Self, ConfigError> {
        let plan = spec.plan()?;
        let isa = isa::Checked::new(options.isa)?;
        let threads = threads::Threads::new(options.threads)?;
        Ok(Self {
            parameters: Parameters::new(&plan, spec.initializer, spec.seed, |init, tensor| {
                weight_init::fill(&threads, init, tensor);
            }),
            gradient: huge::zeros(plan.count.trainable),
            context: Context { threads, isa },
            workspace: Workspace::new(&plan),
            plan,
            adam: *spec.adam,
            momentum: spec.batch_norm.momentum as f32,
            epsilon: spec.batch_norm.epsilon as f32,
            dropout: spec.network.dropout(),
            seed: spec.seed,
            times: Times::default(),
        })
    }

    /// The network's layers.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// As [`Engine::export_state`], which cannot fail here.
    #[must_use]
    pub fn state(&self) -> State {
        self.parameters.export(&self.plan)
    }

    /// Starts to record how long each layer's passes take in training, from nothing; or stops.
    pub fn record_times(&mut self, on: bool) {
        self.times.record(on);
    }

    /// What was recorded, in the order of a step.
    #[must_use]
    pub fn times(&self) -> Vec<LayerTime> {
        self.times.get()
    }

    /// Forward and backward in training mode; leaves the gradient.
    fn pass(
        &mut self,
        batch: Batch<'_>,
        n: usize,
        dropout: Option<&Dropout>,
        step: u64,
    ) -> Result<Softmax<f32>, EngineError> {
        let Self {
            context,
            plan,
            parameters,
            gradient,
            workspace,
            epsilon,
            times,
            ..
        } = self;
        let (classes, epsilon) = (plan.dense.outputs, *epsilon);
        let images = batch.images;
        let run = Run {
            context,
            plan,
            parameters: &parameters.values,
            epsilon,
            images,
            n,
            dropout,
            times,
        };
        forward::run(run, workspace);
        let logits = &workspace.logits[..n * classes];
        let softmax = times.measure("step", "other", || {
            softmax_cross_entropy(logits, batch.labels, classes)
        });
        // What a finite loss does not show: an infinite variance turns its channel into the
        // bias, and an infinitely small logit is a probability of 0.
        let mut kept = workspace.units.iter().flat_map(|unit| &unit.layers);
        let variances = kept.all(|layer| finite(context, &layer.statistics.variance));
        if !(finite(context, &softmax.losses) && finite(context, logits) && variances) {
            return Err(non_finite::forward(context, plan, workspace, n, step));
        }
        backward::run(run, &softmax.gradient, workspace, gradient);
        if !times.measure("step", "other", || finite(context, gradient)) {
            return Err(non_finite::backward(context, plan, gradient, step));
        }
        Ok(softmax)
    }
}

impl NativeEngine {
    /// A training step, on a thread of the pool.
    fn step(
        &mut self,
        batch: Batch<'_>,
        step: u64,
        learning_rate: f32,
    ) -> Result<StepStats, EngineError> {
        let n = batch.check_some(self.plan.dense.outputs)?;
        let dropout = (self.dropout > 0.0).then(|| {
            let rate = self.dropout as f32;
            let stream = Stream::new(self.seed, StreamName::Dropout, step);
            let keep = stream
                .uniforms(0)
                .take(n * self.plan.dense.inputs)
                .map(|u| u >= rate)
                .collect();
            Dropout { keep, rate }
        });
        let softmax = self.pass(batch, n, dropout.as_ref(), step)?;
        // Only now does anything change: a step that failed leaves the state as it was.
        let Self {
            context,
            plan,
            parameters,
            gradient,
            workspace,
            ..
        } = self;
        for (layer, kept) in plan
            .units
            .iter()
            .zip(&workspace.units)
            .flat_map(|(u, k)| Unit::layers(u).zip(&k.layers))
        {
            let moving = &mut parameters.moving;
            update_moving(
                layer.norm.mean.of_mut(moving),
                &kept.statistics.mean,
                self.momentum,
            );
            update_moving(
                layer.norm.variance.of_mut(moving),
                &kept.statistics.variance,
                self.momentum,
            );
        }
        let Parameters { values, m, v, .. } = parameters;
        let coefficients = Coefficients::new(&self.adam, step, learning_rate);
        self.times.measure("adam", "adam", || {
            adam::update(context, values, m, v, gradient, &coefficients);
        });

        let logits = &workspace.logits[..n * plan.dense.outputs];
        Ok(StepStats::count(&softmax.losses, logits, batch.labels))
    }

    /// An evaluation, on a thread of the pool.
    fn judge(&mut self, batch: Batch<'_>) -> Result<Evaluation, EngineError> {
        let classes = self.plan.dense.outputs;
        batch.check(classes)?;
        let mut result = Evaluation::default();
        let Self {
            context,
            plan,
            parameters,
            workspace,
            epsilon,
            ..
        } = self;
        for (images, labels) in batch
            .images
            .chunks(evaluate::BATCH * IMAGE)
            .zip(batch.labels.chunks(evaluate::BATCH))
        {
            let logits = evaluate::logits(
                context,
                plan,
                parameters,
                *epsilon,
                images,
                labels.len(),
                workspace,
            );
            let softmax = softmax_cross_entropy(logits, labels, classes);
            result.extend(&softmax.losses, &softmax.probabilities);
        }
        Ok(result)
    }
}

impl Engine for NativeEngine {
    fn train_step(
        &mut self,
        batch: Batch<'_>,
        step: u64,
        learning_rate: f32,
    ) -> Result<StepStats, EngineError> {
        self.step(batch, step, learning_rate)
    }

    fn evaluate(&mut self, batch: Batch<'_>) -> Result<Evaluation, EngineError> {
        self.judge(batch)
    }

    fn gradient_norms(&mut self, batch: Batch<'_>) -> Result<Vec<LayerNorm>, EngineError> {
        let n = batch.check_some(self.plan.dense.outputs)?;
        self.pass(batch, n, None, 0)?;
        Ok(LayerNorm::of_weights(&self.plan, &self.gradient))
    }

    fn export_state(&self) -> Result<State, EngineError> {
        Ok(self.state())
    }

    fn import_state(&mut self, state: &State) -> Result<(), EngineError> {
        self.parameters = Parameters::from_state(&self.plan, state)?;
        Ok(())
    }

    fn parameters(&self) -> ParameterCount {
        self.plan.count
    }
}
