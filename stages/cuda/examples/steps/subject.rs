//! The measured engine, its resident images and its epochs.
//! It must not know who asks.

use crate::networks::{CLASSES, batch_norm, initializer};
use cuda::driver::{self, CudaGpu, OpenError};
use cuda::engine::CudaEngine;
use cuda::operations::Precision;
use nn::config::{AdamConfig, NetworkConfig};
use nn::engine::Engine;
use nn::epoch::{Epoch, EpochError, ImageSet};
use nn::image::IMAGE;
use nn::model_spec::ModelSpec;
use nn::pixels::Change;
use nn::random::{Stream, StreamName};
use std::error::Error;

pub(crate) const GPU: usize = 0;
/// Of an epoch, at least; whole batches of each measured size.
const IMAGES: usize = 4096;

/// As in `train.precision`.
pub(crate) fn precision(name: &str) -> Result<Precision, String> {
    [Precision::F32, Precision::Tf32, Precision::Bf16]
        .into_iter()
        .find(|precision| precision.name() == name)
        .ok_or_else(|| format!("no precision `{name}`, expected `f32`, `tf32` or `bf16`"))
}

/// An engine and the images of its epochs.
pub(crate) struct Subject {
    pub(crate) engine: CudaEngine<CudaGpu>,
    images: ImageSet<'static>,
    batch: usize,
    epochs: u64,
}

impl Subject {
    pub(crate) fn new(
        network: &NetworkConfig,
        batch: usize,
        precision: Precision,
    ) -> Result<Self, Box<dyn Error>> {
        if !(1..=IMAGES).contains(&batch) {
            return Err(format!("a batch has 1 to {IMAGES} images, not {batch}").into());
        }
        let kept = driver::kept_kernels();
        let with_hint = |error: OpenError| format!("{error}; {}", error.hint());
        let engine = CudaEngine::new(
            driver::open(GPU, kept.as_deref()).map_err(with_hint)?,
            ModelSpec {
                network,
                batch_norm: &batch_norm(),
                initializer: &initializer(),
                adam: &AdamConfig::default(),
                classes: CLASSES,
                seed: 1,
            },
            precision,
        )?;
        let images = IMAGES.div_ceil(batch) * batch;
        let noise = Stream::new(1, StreamName::Data, 0);
        let bytes = noise.words(0).flat_map(u32::to_le_bytes);
        let pixels: Vec<u8> = bytes.take(images * IMAGE).collect();
        let labels: Vec<u8> = (0..images).map(|i| (i % CLASSES) as u8).collect();
        Ok(Self {
            engine,
            // As long as the program: the GPU takes them once.
            images: ImageSet::new(pixels.leak(), labels.leak()),
            batch,
            epochs: 0,
        })
    }

    /// Steps of an epoch, all of whole batches.
    pub(crate) fn epoch_steps(&self) -> usize {
        self.images.labels().len() / self.batch
    }

    /// Trains for some epochs, each with an order and changes of its own, and gives the last one's
    /// mean loss.
    pub(crate) fn train(&mut self, epochs: usize) -> Result<f64, EpochError> {
        let mut loss = 0.0;
        for _ in 0..epochs {
            let epoch = shuffled(self.images, self.batch, self.epochs);
            let first_step = self.epochs * self.epoch_steps() as u64;
            let mut sum = 0.0;
            self.engine
                .train_epoch(&epoch, first_step, 1e-3, &mut |told| {
                    sum += told.stats.loss_sum;
                })?;
            loss = sum / self.images.labels().len() as f64;
            self.epochs += 1;
        }
        Ok(loss)
    }
}

/// Images in a random order, half of them flipped, all brighter or darker by at most a tenth.
fn shuffled(images: ImageSet<'_>, batch_size: usize, epoch: u64) -> Epoch<'_> {
    let count = images.labels().len();
    let order = Stream::new(1, StreamName::Shuffle, epoch).permutation(count);
    let augment = Stream::new(1, StreamName::Augment, epoch);
    let change = |i| Change {
        flip: augment.uniform_at(2 * i) < 0.5,
        delta: 0.1 * (2.0 * augment.uniform_at(2 * i + 1) - 1.0),
    };
    Epoch {
        images,
        order: order.into_iter().map(|i| i as u32).collect(),
        changes: (0..count as u64).map(change).collect(),
        batch_size,
    }
}
