//! Changes training images at random: horizontal flips and brightness (section III.B).
//! It must not know epochs' order or batches: what happens to an image depends on seed, epoch
//! and the image's position in the training split alone.

use dataset::{CHANNELS, WIDTH};
use nn::random::{Stream, StreamName};
use serde::{Deserialize, Serialize};
use training::pixels::{intensity, normalize};

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

/// What happens to one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    /// Left and right are exchanged.
    pub(crate) flip: bool,
    /// Added to each intensity in `[0, 1]`.
    pub(crate) delta: f32,
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

impl Change {
    /// Appends the changed image, scaled to `[-1, 1]`.
    pub(crate) fn apply_into(self, image: &[u8], out: &mut Vec<f32>) {
        let shade = |&byte: &u8| normalize((intensity(byte) + self.delta).clamp(0.0, 1.0));
        let start = out.len();
        // In order, for that is what vectorises; pixels are then exchanged as whole.
        out.extend(image.iter().map(shade));
        if self.flip {
            for row in out[start..].chunks_exact_mut(WIDTH * CHANNELS) {
                let (pixels, _) = row.as_chunks_mut::<CHANNELS>();
                pixels.reverse();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dataset::IMAGE_BYTES;
    use proptest::prelude::*;
    use training::pixels::scale_into;

    use super::*;

    const CONFIG: AugmentConfig = AugmentConfig {
        flip: 0.5,
        brightness: 0.1,
    };

    fn ramp() -> Vec<u8> {
        (0..IMAGE_BYTES).map(|i| (i * 7 % 251) as u8).collect()
    }

    fn applied(change: Change, image: &[u8]) -> Vec<f32> {
        let mut out = Vec::new();
        change.apply_into(image, &mut out);
        out
    }

    #[test]
    fn no_change_is_plain_scaling() {
        let mut plain = Vec::new();
        scale_into(&ramp(), &mut plain);
        assert_eq!(
            applied(
                Change {
                    flip: false,
                    delta: 0.0
                },
                &ramp()
            ),
            plain
        );
    }

    #[test]
    fn a_flip_exchanges_left_and_right_and_keeps_rows_and_channels() {
        let plain = applied(
            Change {
                flip: false,
                delta: 0.0,
            },
            &ramp(),
        );
        let flipped = applied(
            Change {
                flip: true,
                delta: 0.0,
            },
            &ramp(),
        );
        let at = |image: &[f32], row: usize, column: usize, channel: usize| {
            image[(row * WIDTH + column) * CHANNELS + channel]
        };
        for (row, column, channel) in [(0, 0, 0), (5, 3, 2), (31, 31, 1)] {
            assert_eq!(
                at(&plain, row, column, channel),
                at(&flipped, row, 31 - column, channel)
            );
        }
    }

    #[test]
    fn brightness_is_added_before_scaling_and_clipped() {
        let image = [0, 128, 255].repeat(IMAGE_BYTES / 3);
        let brighter = applied(
            Change {
                flip: false,
                delta: 0.1,
            },
            &image,
        );
        assert!((brighter[0] + 0.8).abs() < 1e-6);
        assert!((brighter[1] - (2.0 * (128.0 / 255.0 + 0.1) - 1.0)).abs() < 1e-6);
        assert_eq!(brighter[2], 1.0);
        assert_eq!(
            applied(
                Change {
                    flip: false,
                    delta: -0.1
                },
                &image
            )[0],
            -1.0
        );
    }

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
            let out = applied(augmenter.change(position), &bytes);
            prop_assert_eq!(out.len(), IMAGE_BYTES);
            prop_assert!(out.iter().all(|value| (-1.0..=1.0).contains(value)));
        }

        #[test]
        fn flipping_twice_is_flipping_never(bytes in proptest::collection::vec(any::<u8>(), IMAGE_BYTES)) {
            let mirrored: Vec<u8> = bytes.chunks_exact(WIDTH * CHANNELS)
                .flat_map(|row| row.rchunks_exact(CHANNELS).flatten().copied())
                .collect();
            let twice = applied(Change { flip: true, delta: 0.05 }, &mirrored);
            prop_assert_eq!(twice, applied(Change { flip: false, delta: 0.05 }, &bytes));
        }
    }
}
