//! What a training engine does for one network, whatever computes it.
//! It must not know files, epochs' schedules or where images come from.

use crate::epoch::{Epoch, EpochError, Progress};
use crate::image::IMAGE;
use crate::network::{ParameterCount, Plan};

/// Trains and evaluates one network.
///
/// Images are `[n, 32, 32, 3]` (NHWC, scaled as the caller likes), labels `0..classes`.
pub trait Engine {
    /// Forward, backward and one optimiser step; `step` numbers the optimiser's steps from 0
    /// and picks the dropout mask, so that training can resume anywhere.
    fn train_step(
        &mut self,
        batch: Batch<'_>,
        step: u64,
        learning_rate: f32,
    ) -> Result<StepStats, EngineError>;

    /// All steps over `epoch`'s batches, numbered from `first_step` on, with a word after some of
    /// them. An epoch gives what its steps one by one would give.
    fn train_epoch(
        &mut self,
        epoch: &Epoch<'_>,
        first_step: u64,
        learning_rate: f32,
        after: &mut dyn FnMut(Progress),
    ) -> Result<(), EpochError> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for batch in 0..epoch.batches() {
            epoch.fill(batch, &mut images, &mut labels);
            let filled = Batch {
                images: &images,
                labels: &labels,
            };
            let stats = self
                .train_step(filled, first_step + batch as u64, learning_rate)
                .map_err(|error| EpochError { batch, error })?;
            after(Progress {
                batches: 1,
                images: labels.len(),
                stats,
            });
        }
        Ok(())
    }

    /// Forward with moving statistics and without dropout. Any number of images; the result
    /// does not depend on how the engine cuts them into batches.
    fn evaluate(&mut self, batch: Batch<'_>) -> Result<Evaluation, EngineError>;

    /// L2 norm of the loss's gradient with respect to each convolution's and the dense layer's
    /// weights, in network order, in training mode but without dropout; nothing is updated.
    fn gradient_norms(&mut self, batch: Batch<'_>) -> Result<Vec<LayerNorm>, EngineError>;

    /// All state that training needs to go on: parameters, moving statistics, optimiser moments.
    fn export_state(&self) -> Result<State, EngineError>;

    /// Takes back what `export_state` gave; names and shapes must match. A state without
    /// optimiser moments (published weights) resets them.
    fn import_state(&mut self, state: &State) -> Result<(), EngineError>;

    /// How many numbers the network holds.
    fn parameters(&self) -> ParameterCount;
}

/// Images and labels of one step.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// `[n, 32, 32, 3]`.
    pub images: &'a [f32],
    /// `[n]`.
    pub labels: &'a [u8],
}

impl Batch<'_> {
    /// The number of images, if lengths and labels fit a network of `classes` classes.
    ///
    /// # Errors
    /// Images and labels that differ in number, or a label without a class.
    pub fn check(&self, classes: usize) -> Result<usize, EngineError> {
        let n = self.labels.len();
        if self.images.len() != n * IMAGE {
            let got = self.images.len();
            return Err(EngineError::Batch(format!(
                "{got} numbers for {n} labels, but an image has {IMAGE}"
            )));
        }
        let wrong = |&label: &u8| usize::from(label) >= classes;
        if let Some(i) = self.labels.iter().position(wrong) {
            let label = self.labels[i];
            return Err(EngineError::Batch(format!(
                "label {label} of image {i}, but there are {classes} classes"
            )));
        }
        Ok(n)
    }

    /// As [`Self::check`], for passes that need statistics of at least one image.
    ///
    /// # Errors
    /// As [`Self::check`], or no images.
    pub fn check_some(&self, classes: usize) -> Result<usize, EngineError> {
        match self.check(classes)? {
            0 => Err(EngineError::Batch("no images".to_owned())),
            n => Ok(n),
        }
    }
}

/// What one training step saw, before its update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepStats {
    /// Sum of the batch's cross-entropies, in nats.
    pub loss_sum: f64,
    /// Images whose largest logit was the label's.
    pub correct: usize,
}

impl StepStats {
    /// Of a batch's losses (`[n]`), logits (`[n, classes]`) and labels (`[n]`, at least one).
    #[must_use]
    pub fn count(losses: &[f32], logits: &[f32], labels: &[u8]) -> Self {
        let rows = logits.chunks_exact(logits.len() / labels.len());
        let hit = |pair: &(&[f32], &u8)| largest(pair.0) == usize::from(*pair.1);
        Self {
            loss_sum: losses.iter().map(|&loss| f64::from(loss)).sum(),
            correct: rows.zip(labels).filter(hit).count(),
        }
    }
}

/// The lowest index of the largest number.
fn largest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// What the network says about some images.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    /// Cross-entropy of each image, `[n]`, in nats.
    pub losses: Vec<f32>,
    /// Softmax, `[n, classes]`.
    pub probabilities: Vec<f32>,
    /// Class of the largest probability (the lowest such class), `[n]`.
    pub predicted: Vec<u8>,
}

impl Evaluation {
    /// Adds what the network says about more images, `[n]` losses and `[n, classes]` probabilities.
    pub fn extend(&mut self, losses: &[f32], probabilities: &[f32]) {
        let Some(classes) = probabilities.len().checked_div(losses.len()) else {
            return;
        };
        let rows = probabilities.chunks_exact(classes);
        // A class is below 256: labels are bytes.
        self.predicted.extend(rows.map(|row| largest(row) as u8));
        self.losses.extend_from_slice(losses);
        self.probabilities.extend_from_slice(probabilities);
    }
}

/// The gradient's size in one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// The layer's name, such as `stage2.block1.conv1`.
    pub layer: String,
    /// L2 norm over all weights of the layer.
    pub l2: f64,
}

impl LayerNorm {
    /// Of each layer with a weight matrix, in network order; `gradient` lies as the plan's
    /// parameters.
    #[must_use]
    pub fn of_weights(plan: &Plan, gradient: &[f32]) -> Vec<Self> {
        let l2 = |values: &[f32]| {
            let squares = values.iter().map(|&g| f64::from(g) * f64::from(g));
            squares.sum::<f64>().sqrt()
        };
        let layers = plan.weights().map(|(name, span)| Self {
            layer: name.to_owned(),
            l2: l2(span.of(gradient)),
        });
        layers.collect()
    }
}

/// A named tensor of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Such as `stem.conv.weight`, `stem.bn.moving_mean`, `adam.m.stem.conv.weight`.
    pub name: String,
    /// Its extents; PyTorch's order: convolutions are `[out, in, kh, kw]`, dense `[out, in]`.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// Every number that an engine holds, in a fixed order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// Parameters and moving statistics in network order, then optimiser moments.
    pub tensors: Vec<Tensor>,
}

/// Why an engine could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state does not fit the network.
    #[error("state does not fit the network: {0}")]
    State(String),
    /// A batch's length or label does not fit the network.
    #[error("batch does not fit the network: {0}")]
    Batch(String),
    /// A number became infinite or undefined.
    #[error("`{layer}` gave a non-finite {what} at step {step}")]
    NonFinite {
        /// First layer at which it was seen.
        layer: String,
        /// `activation`, `loss` or `gradient`.
        what: &'static str,
        /// The optimiser's step.
        step: u64,
    },
    /// What computes ran out of memory or broke.
    #[error("the device failed: {0}")]
    Device(String),
}
