//! The measured engine, its resident images and its epochs.
//! It must not know who asks.

use crate::networks::{CLASSES, batch_norm, initializer};
use cuda::driver::{self, CudaGpu, OpenError};
use cuda::engine::CudaEngine;
use cuda::operations::Precision;
use nn::blueprint::Blueprint;
use nn::config::{AdamConfig, NetworkConfig};
use nn::engine::{Engine, Epoch, EpochError, IMAGE, RawEpoch};
use nn::random::{Stream, StreamName};
use std::error::Error;

pub(crate) const GPU: usize = 0;
/// Of an epoch, at least; whole batches of each measured size.
const IMAGES: usize = 4096;
/// A row of an image: 32 pixels of three channels.
const ROW: usize = 32 * 3;

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
    pixels: Vec<u8>,
    labels: Vec<u8>,
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
            Blueprint {
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
        Ok(Self {
            engine,
            pixels: noise
                .words(0)
                .flat_map(u32::to_le_bytes)
                .take(images * IMAGE)
                .collect(),
            labels: (0..images).map(|i| (i % CLASSES) as u8).collect(),
            batch,
            epochs: 0,
        })
    }

    /// Steps of an epoch, all of whole batches.
    pub(crate) fn epoch_steps(&self) -> usize {
        self.labels.len() / self.batch
    }

    /// Trains for some epochs, each with an order and changes of its own, and gives the last one's
    /// mean loss.
    pub(crate) fn train(&mut self, epochs: usize) -> Result<f64, EpochError> {
        let mut loss = 0.0;
        for _ in 0..epochs {
            let epoch = Shuffled::new(&self.pixels, &self.labels, self.batch, self.epochs);
            let first_step = self.epochs * self.epoch_steps() as u64;
            let mut sum = 0.0;
            self.engine
                .train_epoch(&epoch, first_step, 1e-3, &mut |told| {
                    sum += told.stats.loss_sum;
                })?;
            loss = sum / self.labels.len() as f64;
            self.epochs += 1;
        }
        Ok(loss)
    }
}

/// Images in a random order, half of them flipped, all brighter or darker by at most a tenth.
struct Shuffled<'a> {
    raw: RawEpoch<'a>,
}

impl<'a> Shuffled<'a> {
    fn new(pixels: &'a [u8], labels: &'a [u8], batch_size: usize, epoch: u64) -> Self {
        let order = Stream::new(1, StreamName::Shuffle, epoch).permutation(labels.len());
        let augment = Stream::new(1, StreamName::Augment, epoch);
        let draws = |of: u64| {
            augment
                .uniforms(of * labels.len() as u64)
                .take(labels.len())
        };
        let raw = RawEpoch {
            pixels,
            labels,
            order: order.into_iter().map(|i| i as u32).collect(),
            flip: draws(0).map(|u| u < 0.5).collect(),
            delta: draws(1).map(|u| 0.1 * (2.0 * u - 1.0)).collect(),
            batch_size,
        };
        Self { raw }
    }
}

impl Epoch for Shuffled<'_> {
    fn batches(&self) -> usize {
        self.raw.order.len().div_ceil(self.raw.batch_size)
    }

    fn fill(&self, batch: usize, images: &mut Vec<f32>, labels: &mut Vec<u8>) {
        images.clear();
        labels.clear();
        let RawEpoch {
            order, flip, delta, ..
        } = &self.raw;
        let shown = order.iter().zip(flip).zip(delta);
        let size = self.raw.batch_size;
        for ((&image, &flip), &delta) in shown.skip(batch * size).take(size) {
            let image = image as usize;
            let scaled = |&byte: &u8| 2.0 * (f32::from(byte) / 255.0 + delta).clamp(0.0, 1.0) - 1.0;
            for row in self.raw.pixels[image * IMAGE..][..IMAGE].chunks_exact(ROW) {
                let (columns, _) = row.as_chunks::<3>();
                let mut columns = columns.to_vec();
                if flip {
                    columns.reverse();
                }
                images.extend(columns.iter().flatten().map(scaled));
            }
            labels.push(self.raw.labels[image]);
        }
    }

    fn raw(&self) -> RawEpoch<'_> {
        self.raw.clone()
    }
}
