//! Cuts a split into batches: shuffled and augmented for training, in order for evaluation.
//! It must not know networks. What a batch holds depends on seed, epoch and step alone.
//!
//! On the host, a batch is cut when its step begins, by the thread that asks: an image takes one or two
//! microseconds, training on it hundreds. A thread that worked ahead could save well below a
//! hundredth, and would need a core that the engine uses.

use dataset::Split;
use nn::engine::Batch;
use nn::epoch::{Epoch, ImageSet};
use nn::pixels::scale_into;
use nn::random::{Stream, StreamName};

use crate::augment::{AugmentConfig, Augmenter};

/// Room for one batch, used again for each.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    images: Vec<f32>,
    labels: Vec<u8>,
}

impl Buffer {
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch {
            images: &self.images,
            labels: &self.labels,
        }
    }

    /// Takes the images at `positions`, unchanged but scaled.
    pub(crate) fn fill(&mut self, split: &Split, positions: impl Iterator<Item = usize>) {
        self.images.clear();
        self.labels.clear();
        for position in positions {
            scale_into(split.image(position), &mut self.images);
            self.labels.push(split.labels[position]);
        }
    }
}

/// One epoch's training batches: what happens to an image depends on seed, epoch and its position
/// in the split alone.
pub(crate) fn shuffled(
    images: ImageSet<'_>,
    batch_size: usize,
    augment: AugmentConfig,
    seed: u64,
    epoch: u64,
) -> Epoch<'_> {
    let order = Stream::new(seed, StreamName::Shuffle, epoch).permutation(images.labels().len());
    let augmenter = Augmenter::new(augment, seed, epoch);
    let changes = order
        .iter()
        .map(|&position| augmenter.change(position as u64));
    Epoch {
        images,
        changes: changes.collect(),
        // A split has far less than 2^32 images: each is 3 KiB.
        order: order.iter().map(|&position| position as u32).collect(),
        batch_size,
    }
}

/// How many batches a split gives, the partial one included.
pub(crate) fn steps_per_epoch(split: &Split, batch_size: usize) -> usize {
    split.len().div_ceil(batch_size)
}

#[cfg(test)]
mod tests {
    use dataset::IMAGE_BYTES;

    use super::*;

    const PLAIN: AugmentConfig = AugmentConfig {
        flip: 0.0,
        brightness: 0.0,
    };
    const STRONG: AugmentConfig = AugmentConfig {
        flip: 0.5,
        brightness: 0.3,
    };

    /// Image `i` is of shade and label `i`.
    fn split(count: u8) -> Split {
        let images = (0..count)
            .flat_map(|i| std::iter::repeat_n(i, IMAGE_BYTES))
            .collect();
        Split {
            images,
            labels: (0..count).collect(),
        }
    }

    fn labels(batch_size: usize, seed: u64, epoch: u64) -> Vec<Vec<u8>> {
        let split = split(10);
        let images = ImageSet::new(&split.images, &split.labels);
        let shuffled = shuffled(images, batch_size, PLAIN, seed, epoch);
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        (0..shuffled.batches())
            .map(|batch| {
                shuffled.fill(batch, &mut images, &mut labels);
                assert_eq!(images.len(), labels.len() * IMAGE_BYTES);
                labels.clone()
            })
            .collect()
    }

    #[test]
    fn an_epoch_shows_each_image_once_and_keeps_the_partial_batch() {
        let batches = labels(4, 1, 1);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        let mut seen = batches.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<u8>>());
    }

    #[test]
    fn each_epoch_and_each_seed_has_its_own_order() {
        assert_eq!(labels(4, 1, 1), labels(4, 1, 1));
        assert_ne!(labels(4, 1, 1), labels(4, 1, 2));
        assert_ne!(labels(4, 1, 1), labels(4, 2, 1));
    }

    #[test]
    fn the_batch_size_changes_neither_order_nor_augmentation() {
        let split = split(10);
        let all = |batch_size| {
            let images = ImageSet::new(&split.images, &split.labels);
            let shuffled = shuffled(images, batch_size, STRONG, 3, 5);
            let (mut images, mut labels) = (Vec::new(), Vec::new());
            (0..shuffled.batches()).fold(Vec::new(), |mut all, batch| {
                shuffled.fill(batch, &mut images, &mut labels);
                all.extend_from_slice(&images);
                all
            })
        };
        assert_eq!(all(10), all(3));
    }

    #[test]
    fn evaluation_takes_images_in_order_and_as_they_are() {
        let split = split(5);
        let mut buffer = Buffer::default();
        buffer.fill(&split, 1..4);
        assert_eq!(buffer.batch().labels, [1, 2, 3]);
        let mut expected = Vec::new();
        scale_into(&split.images[IMAGE_BYTES..4 * IMAGE_BYTES], &mut expected);
        assert_eq!(buffer.batch().images, expected);
    }
}
