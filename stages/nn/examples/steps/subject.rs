//! The measured networks, their engine and images, and what a step's arithmetic amounts to.
//! It must not know who asks.

use nn::config::{AdamConfig, BatchNormConfig, Initializer, InitializerConfig, NetworkConfig};
use nn::engine::{Batch, Engine, EngineError};
use nn::native::{NativeEngine, NativeOptions};
use nn::network::{Conv, Plan, Unit};
use nn::random::{Stream, StreamName};
use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

/// Images of a step.
pub(crate) const BATCH: usize = 64;
const CLASSES: usize = 10;
const IMAGE: usize = 32 * 32 * 3;

/// The networks that all measured engines build, by name: one file describes them to all.
pub(crate) fn networks() -> Result<BTreeMap<String, NetworkConfig>, serde_json::Error> {
    serde_json::from_str(include_str!(
        "../../../../scripts/bench-train/variants.json"
    ))
}

/// Images of noise, with labels.
pub(crate) struct Images {
    images: Vec<f32>,
    labels: Vec<u8>,
}

impl Images {
    pub(crate) fn new(n: usize) -> Self {
        let noise = Stream::new(1, StreamName::Data, 0);
        Self {
            images: noise.uniforms(0).take(n * IMAGE).collect(),
            labels: (0..n).map(|i| (i % CLASSES) as u8).collect(),
        }
    }

    /// At most `n` images from `start` on.
    pub(crate) fn batch(&self, start: usize, n: usize) -> Batch<'_> {
        let end = self.labels.len().min(start + n);
        Batch {
            images: &self.images[start * IMAGE..end * IMAGE],
            labels: &self.labels[start..end],
        }
    }
}

/// An engine and the images of its steps.
pub(crate) struct Subject {
    pub(crate) engine: NativeEngine,
    pub(crate) images: Images,
    step: u64,
}

impl Subject {
    pub(crate) fn new(
        network: &NetworkConfig,
        options: NativeOptions,
    ) -> Result<Self, Box<dyn Error>> {
        let batch_norm = BatchNormConfig {
            momentum: 0.99,
            epsilon: 1e-3,
        };
        let initializer = InitializerConfig {
            conv: Initializer::HeNormal,
            dense: Initializer::GlorotUniform,
        };
        let adam = AdamConfig::default();
        let engine = NativeEngine::new(
            network,
            &batch_norm,
            &initializer,
            &adam,
            CLASSES,
            1,
            options,
        )?;
        Ok(Self {
            engine,
            images: Images::new(BATCH),
            step: 0,
        })
    }

    /// Seconds of so many training steps.
    pub(crate) fn train(&mut self, steps: u64) -> Result<f64, EngineError> {
        let start = Instant::now();
        for _ in 0..steps {
            let batch = self.images.batch(0, BATCH);
            self.engine.train_step(batch, self.step, 1e-3)?;
            self.step += 1;
        }
        Ok(start.elapsed().as_secs_f64())
    }

    /// Seconds of one epoch over so many other images, the last batch being what is left.
    pub(crate) fn epoch(&mut self, images: usize) -> Result<f64, EngineError> {
        let images = Images::new(images);
        let start = Instant::now();
        for at in (0..images.labels.len()).step_by(BATCH) {
            self.engine
                .train_step(images.batch(at, BATCH), self.step, 1e-3)?;
            self.step += 1;
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

/// Convolutions in network order.
fn convs(plan: &Plan) -> impl Iterator<Item = &Conv> {
    let layers = plan.units.iter().flat_map(Unit::layers);
    layers.map(|layer| &layer.conv)
}

/// Floating point operations of one image's forward pass through a convolution, computed
/// directly; either gradient takes as many.
fn conv_flops(conv: &Conv) -> f64 {
    2.0 * (conv.weight.len * conv.out_size().pow(2)) as f64
}

/// Each convolution's operations in one pass of one image, by name.
pub(crate) fn layer_flops(plan: &Plan) -> BTreeMap<&str, f64> {
    convs(plan)
        .map(|conv| (conv.name.as_str(), conv_flops(conv)))
        .collect()
}

/// Floating point operations of convolutions and dense layer in one image's forward pass.
pub(crate) fn forward_flops(plan: &Plan) -> f64 {
    convs(plan).map(conv_flops).sum::<f64>() + 2.0 * plan.dense.weight.len as f64
}

/// The same of one image's training step: forward, and backward to inputs (but for the first
/// layer) and weights.
pub(crate) fn train_flops(plan: &Plan) -> f64 {
    3.0 * forward_flops(plan) - convs(plan).next().map_or(0.0, conv_flops)
}
