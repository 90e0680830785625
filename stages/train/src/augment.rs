//! Draws how training images are changed: horizontal flips and brightness (section III.B).
//! It must not know epochs' order or batches: what happens to an image depends on seed, epoch
//! and the image's position in the training split alone.

use nn::pixels::Change;
use nn::random::{Stream, StreamName};
use serde::{Deserialize, Serialize};

/// How strongly images are changed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentConfig {
    /// Probability of a horizontal flip, in `[0, 1]`.
    pub flip: f64,
    /// Brightness changes by at most this, in `[0, 1]`, of intensities in `[0, 1]`.
    pub brightness: f64,
}

/// One epoch's changes.
#[derive(Debug)]
pub(crate) struct Augmenter {
    config: AugmentConfig,
    stream: Stream,
}

impl Augmenter {
    pub(crate) fn new(config: AugmentConfig, seed: u64, epoch: u64) -> Self {
        Self {
            config,
            stream: Stream::new(seed, StreamName::Augment, epoch),
        }
    }

    /// What happens to the image at `position` of the training split.
    pub(crate) fn change(&self, position: u64) -> Change {
        let uniform = |draw| f64::from(self.stream.uniform_at(2 * position + draw));
        Change {
            flip: uniform(0) < self.config.flip,
            delta: ((2.0 * uniform(1) - 1.0) * self.config.brightness) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use dataset::IMAGE_BYTES;
    use proptest::prelude::*;

    use super::*;

    const CONFIG: AugmentConfig = AugmentConfig {
        flip: 0.5,
        brightness: 0.1,
    };

    #[test]
    fn about_half_the_images_are_flipped_and_deltas_fill_their_range() {
        let augmenter = Augmenter::new(CONFIG, 42, 1);
        let changes: Vec<Change> = (0..10_000).map(|i| augmenter.change(i)).collect();
        let flips = changes.iter().filter(|change| change.flip).count();
        assert!((4800..5200).contains(&flips), "{flips}");
        let mean = changes
            .iter()
            .map(|change| f64::from(change.delta))
            .sum::<f64>()
            / 1e4;
        assert!(mean.abs() < 2e-3, "{mean}");
        assert!(changes.iter().all(|change| change.delta.abs() <= 0.1));
        assert!(changes.iter().any(|change| change.delta > 0.099));
        assert!(changes.iter().any(|change| change.delta < -0.099));
    }

    #[test]
    fn probabilities_of_nought_and_one_are_never_and_always() {
        for (flip, expected) in [(0.0, false), (1.0, true)] {
            let augmenter = Augmenter::new(AugmentConfig { flip, ..CONFIG }, 1, 1);
            assert!((0..1000).all(|i| augmenter.change(i).flip == expected));
        }
    }

    #[test]
    fn seed_epoch_and_position_each_matter() {
        let change = |seed, epoch, position| Augmenter::new(CONFIG, seed, epoch).change(position);
        assert_eq!(change(1, 1, 1), change(1, 1, 1));
        assert_ne!(change(1, 1, 1), change(2, 1, 1));
        assert_ne!(change(1, 1, 1), change(1, 2, 1));
        assert_ne!(change(1, 1, 1), change(1, 1, 2));
    }

    proptest! {
        #[test]
        fn augmented_pixels_stay_in_range(bytes in proptest::collection::vec(any::<u8>(), IMAGE_BYTES), seed: u64, epoch: u64, position in 0u64..60_000, brightness in 0.0..=1.0) {
            let augmenter = Augmenter::new(AugmentConfig { flip: 0.5, brightness }, seed, epoch);
            let mut out = Vec::new();
            augmenter.change(position).apply_into(&bytes, &mut out);
            prop_assert_eq!(out.len(), IMAGE_BYTES);
            prop_assert!(out.iter().all(|value| (-1.0..=1.0).contains(value)));
        }
    }
}
