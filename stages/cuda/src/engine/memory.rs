//! What an engine holds on the GPU: a network's numbers, and room for passes over a batch.
//! It must not know in which order a pass runs.

use nn::image::IMAGE;
use nn::network::{ConvNorm, Plan, Span, Unit};

use crate::array::{Array, View};
use crate::gpu::{Gpu, GpuError, StepConstants};
use crate::operations::{Channels, Found, Scratch, conv_scratch};

/// Places of [`Found`], in the order in which a step looks at them.
pub(super) const STATISTICS: usize = 0;
pub(super) const LOGITS: usize = 1;
pub(super) const LOSSES: usize = 2;
pub(super) const GRADIENT: usize = 3;
const PLACES: usize = 4;

/// Flat vectors in the plan's layout.
pub(super) struct Numbers<G: Gpu> {
    /// What the optimiser changes.
    pub(super) values: Array<G, f32>,
    /// Adam's first moments.
    pub(super) m: Array<G, f32>,
    /// Adam's second moments.
    pub(super) v: Array<G, f32>,
    /// Of the last pass.
    pub(super) gradient: Array<G, f32>,
    /// Batch norm's moving statistics.
    pub(super) moving: Array<G, f32>,
    /// The last batch's statistics, laid out as the moving ones.
    pub(super) batch: Array<G, f32>,
    /// Inverse deviations of the last batch, each where its mean is.
    pub(super) inv_std: Array<G, f32>,
}

impl<G: Gpu> Numbers<G> {
    pub(super) fn new(gpu: &G, plan: &Plan) -> Result<Self, GpuError> {
        let trainable = || Array::zeros(gpu, plan.count.trainable);
        let moving = || Array::zeros(gpu, plan.count.moving);
        Ok(Self {
            values: trainable()?,
            m: trainable()?,
            v: trainable()?,
            gradient: trainable()?,
            moving: moving()?,
            batch: moving()?,
            inv_std: moving()?,
        })
    }

    pub(super) fn value(&self, span: Span) -> View<'_, f32> {
        self.values.span(span)
    }

    pub(super) fn slope(&self, span: Span) -> View<'_, f32> {
        self.gradient.span(span)
    }

    /// A batch norm with the batch's statistics, or with the moving ones.
    pub(super) fn channels(&self, layer: &ConvNorm, moving: bool) -> Channels<'_> {
        let statistics = if moving { &self.moving } else { &self.batch };
        Channels {
            mean: statistics.span(layer.norm.mean),
            inv_std: self.inv_std.span(layer.norm.mean),
            weight: self.value(layer.norm.weight),
            bias: self.value(layer.norm.bias),
        }
    }
}

/// What the steps of an epoch need beside the network, and what they count.
pub(super) struct Steps<G: Gpu> {
    pub(super) constants: Array<G, StepConstants>,
    pub(super) cursor: Array<G, i32>,
    pub(super) stop: Array<G, i32>,
    pub(super) found: Array<G, i32>,
    pub(super) loss_sum: Array<G, f64>,
    pub(super) correct: Array<G, u32>,
}

impl<G: Gpu> Steps<G> {
    /// For at most `steps` steps.
    pub(super) fn new(gpu: &G, steps: usize) -> Result<Self, GpuError> {
        Ok(Self {
            constants: Array::zeros(gpu, steps)?,
            cursor: Array::zeros(gpu, 1)?,
            stop: Array::zeros(gpu, 1)?,
            found: Array::zeros(gpu, PLACES)?,
            loss_sum: Array::zeros(gpu, 1)?,
            correct: Array::zeros(gpu, 1)?,
        })
    }

    /// Before the first step: nothing is counted, nothing found.
    pub(super) fn begin(&self, gpu: &G, constants: &[StepConstants]) -> Result<(), GpuError> {
        self.constants.write(gpu, constants)?;
        self.loss_sum.write(gpu, &[0.0])?;
        self.correct.write(gpu, &[0])?;
        self.go_to(gpu, 0)
    }

    /// Before a step of the same constants, with nothing found.
    pub(super) fn go_to(&self, gpu: &G, step: usize) -> Result<(), GpuError> {
        let step = i32::try_from(step).expect("fewer than 2^31 steps");
        self.cursor.write(gpu, &[step])?;
        self.stop.write(gpu, &[0])?;
        self.found.write(gpu, &[0; PLACES])
    }

    pub(super) fn notes(&self) -> Found<'_> {
        Found {
            cursor: self.cursor.view(),
            stop: self.stop.view(),
            found: self.found.view(),
        }
    }
}

/// What a pass keeps of a unit.
pub(super) struct UnitRoom<G: Gpu> {
    /// Each convolution's output, in network order.
    pub(super) conv_outs: Vec<Array<G, f32>>,
    /// After the first ReLU of a basic block.
    pub(super) middle: Array<G, f32>,
    /// After the last ReLU.
    pub(super) output: Array<G, f32>,
    /// Where a max pool took its numbers from.
    pub(super) winners: Array<G, u8>,
}

/// Room for passes over up to `n` images.
pub(super) struct Room<G: Gpu> {
    pub(super) n: usize,
    pub(super) images: Array<G, f32>,
    pub(super) labels: Array<G, u8>,
    pub(super) units: Vec<UnitRoom<G>>,
    pub(super) features: Array<G, f32>,
    pub(super) logits: Array<G, f32>,
    pub(super) losses: Array<G, f32>,
    pub(super) probabilities: Array<G, f32>,
    pub(super) predicted: Array<G, u8>,
    pub(super) dlogits: Array<G, f32>,
    pub(super) dfeatures: Array<G, f32>,
    /// Three gradients of activations, each as large as the largest.
    pub(super) gradients: [Array<G, f32>; 3],
    pub(super) scratch: Scratch<G>,
}

impl<G: Gpu> Room<G> {
    pub(super) fn new(gpu: &G, plan: &Plan, n: usize) -> Result<Self, GpuError> {
        let mut units = Vec::new();
        let (mut largest, mut scratch, mut widest) = (0, 0, plan.dense.outputs);
        for unit in &plan.units {
            let layers: Vec<&ConvNorm> = unit.layers().collect();
            let mut conv_outs = Vec::new();
            for layer in &layers {
                let conv = &layer.conv;
                let len = n * conv.out_size().pow(2) * conv.outputs;
                conv_outs.push(Array::zeros(gpu, len)?);
                largest = largest.max(len).max(n * conv.size.pow(2) * conv.inputs);
                scratch = scratch.max(conv_scratch(conv, n));
                widest = widest.max(conv.outputs);
            }
            let (middle, winners) = match unit {
                Unit::Basic { .. } => (conv_outs[0].len(), 0),
                Unit::Plain { pool, .. } => (0, if *pool { n * unit.output_len() } else { 0 }),
            };
            units.push(UnitRoom {
                conv_outs,
                middle: Array::zeros(gpu, middle)?,
                output: Array::zeros(gpu, n * unit.output_len())?,
                winners: Array::zeros(gpu, winners)?,
            });
        }
        let (features, classes) = (plan.dense.inputs, plan.dense.outputs);
        let scratch = scratch.max(conv_scratch(&plan.dense.as_conv(), n));
        let activations = || Array::zeros(gpu, largest);
        Ok(Self {
            n,
            images: Array::zeros(gpu, n * IMAGE)?,
            labels: Array::zeros(gpu, n)?,
            units,
            features: Array::zeros(gpu, n * features)?,
            logits: Array::zeros(gpu, n * classes)?,
            losses: Array::zeros(gpu, n)?,
            probabilities: Array::zeros(gpu, n * classes)?,
            predicted: Array::zeros(gpu, n)?,
            dlogits: Array::zeros(gpu, n * classes)?,
            dfeatures: Array::zeros(gpu, n * features)?,
            gradients: [activations()?, activations()?, activations()?],
            scratch: Scratch::new(gpu, scratch, widest)?,
        })
    }
}
