//! The measured engine and its images.
//! It must not know who asks.

use crate::networks::{CLASSES, batch_norm, initializer};
use nn::config::{AdamConfig, NetworkConfig};
use nn::engine::{Batch, Engine, EngineError};
use nn::model_spec::ModelSpec;
use nn::native::{NativeEngine, NativeOptions};
use nn::random::{Stream, StreamName};
use std::error::Error;
use std::time::Instant;

/// Images of a step.
pub(crate) const BATCH: usize = 64;
const IMAGE: usize = 32 * 32 * 3;

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
        let adam = AdamConfig::default();
        let engine = NativeEngine::new(
            ModelSpec {
                network,
                batch_norm: &batch_norm(),
                initializer: &initializer(),
                adam: &adam,
                classes: CLASSES,
                seed: 1,
            },
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
