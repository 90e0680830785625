//! The paper's networks trained for some steps, and all that they then hold and say as one number.
//! It must not know what the number is compared with; example `bits` is built from this file too.

use nn::config::{
    AdamConfig, BatchNormConfig, Initializer, InitializerConfig, NetworkConfig, Projection,
};
use nn::engine::{Batch, Engine};
use nn::model_spec::ModelSpec;
use nn::native::{NativeEngine, NativeOptions};
use nn::random::{Stream, StreamName};
use std::error::Error;

/// How far a network is trained, and how wide it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Training {
    /// Optimiser steps; each has its own images.
    pub(crate) steps: u64,
    /// Images of a step, at least 2; the last step has one fewer, as an epoch's may.
    pub(crate) batch: usize,
    /// What the paper's widths are divided by.
    pub(crate) divisor: usize,
}

/// The four variants as the profiles for CPUs have them: strides of 2 in every stage.
pub(crate) fn variants(divisor: usize) -> [(&'static str, NetworkConfig); 4] {
    let widths = |stem: usize| [1, 2, 4, 8].map(|i| i * stem / divisor).to_vec();
    let resnet = |stem: usize, skip, projection| NetworkConfig::Resnet {
        stem: stem / divisor,
        filters: widths(stem),
        blocks: vec![2; 4],
        stage_strides: vec![2; 4],
        skip,
        projection,
        dropout: 0.5,
    };
    let shape = Projection::WhereShapeChanges;
    let baseline = NetworkConfig::PlainCnn {
        filters: widths(32),
        conv_bias: true,
        dropout: 0.5,
    };
    [
        ("baseline_cnn", baseline),
        ("mini_resnet", resnet(32, true, Projection::EveryStage)),
        ("resnet18", resnet(64, true, shape)),
        ("resnet18_noskip", resnet(64, false, shape)),
    ]
}

/// Trains from seed 42 and digests the whole state (weights, moving statistics, moments) and what
/// the network then says of its last images.
pub(crate) fn digest(
    network: &NetworkConfig,
    options: NativeOptions,
    training: Training,
) -> Result<u64, Box<dyn Error>> {
    let batch_norm = BatchNormConfig {
        momentum: 0.9,
        epsilon: 1e-3,
    };
    let initializer = InitializerConfig {
        conv: Initializer::HeNormal,
        dense: Initializer::GlorotUniform,
    };
    let adam = AdamConfig::default();
    let mut engine = NativeEngine::new(
        ModelSpec {
            network,
            batch_norm: &batch_norm,
            initializer: &initializer,
            adam: &adam,
            classes: 10,
            seed: 42,
        },
        options,
    )?;
    let mut hash = Fnv::default();
    for step in 0..training.steps {
        let last = step + 1 == training.steps;
        let (images, labels) = images(
            step,
            if last {
                training.batch - 1
            } else {
                training.batch
            },
        );
        let batch = Batch {
            images: &images,
            labels: &labels,
        };
        engine.train_step(batch, step, 1e-3)?;
        if last {
            hash.take(&engine.evaluate(batch)?.probabilities);
        }
    }
    for tensor in engine.state().tensors {
        hash.take(&tensor.values);
    }
    Ok(hash.0)
}

/// Noise in `[-1, 1)` with labels.
fn images(step: u64, count: usize) -> (Vec<f32>, Vec<u8>) {
    let stream = Stream::new(7, StreamName::Data, step);
    let numbers = stream.uniforms(0).take(count * 3072);
    let labels = (0..count as u64).map(|i| ((step + 3 * i) % 10) as u8);
    (numbers.map(|u| 2.0 * u - 1.0).collect(), labels.collect())
}

/// FNV-1a of 64 bits, a float's 32 at a time.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn take(&mut self, values: &[f32]) {
        for value in values {
            self.0 = (self.0 ^ u64::from(value.to_bits())).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
