//! Turns stored bytes into the numbers that networks see.
//! It must not know batches or files, nor how changes are drawn.

use crate::image::{IMAGE_CHANNELS, IMAGE_SIZE};

/// A byte as intensity in `[0, 1]`.
pub fn intensity(byte: u8) -> f32 {
    f32::from(byte) / 255.0
}

/// An intensity in `[0, 1]` as the network's input in `[-1, 1]` (section III.B).
pub fn normalize(intensity: f32) -> f32 {
    (intensity - 0.5) / 0.5
}

/// Appends whole images to `out`, scaled to `[-1, 1]` and otherwise unchanged.
pub fn scale_into(bytes: &[u8], out: &mut Vec<f32>) {
    out.extend(bytes.iter().map(|&byte| normalize(intensity(byte))));
}

/// What happens to a training image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Left and right are exchanged.
    pub flip: bool,
    /// Added to each intensity in `[0, 1]`.
    pub delta: f32,
}

impl Change {
    /// Appends the changed image, scaled to `[-1, 1]`.
    pub fn apply_into(self, image: &[u8], out: &mut Vec<f32>) {
        let shade = |&byte: &u8| normalize((intensity(byte) + self.delta).clamp(0.0, 1.0));
        let start = out.len();
        // In order, for that is what vectorises; pixels are then exchanged as whole.
        out.extend(image.iter().map(shade));
        if self.flip {
            for row in out[start..].chunks_exact_mut(IMAGE_SIZE * IMAGE_CHANNELS) {
                let (pixels, _) = row.as_chunks_mut::<IMAGE_CHANNELS>();
                pixels.reverse();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::IMAGE;
    use proptest::prelude::*;

    #[test]
    fn bytes_span_minus_one_to_one() {
        let mut out = Vec::new();
        scale_into(&[0, 51, 255], &mut out);
        assert_eq!(out[0], -1.0);
        assert!((out[1] + 0.6).abs() < 1e-6);
        assert_eq!(out[2], 1.0);
    }

    #[test]
    fn a_larger_byte_is_a_larger_number() {
        let mut out = Vec::new();
        let bytes: Vec<u8> = (0..=255).collect();
        scale_into(&bytes, &mut out);
        assert!(out.windows(2).all(|pair| pair[0] < pair[1]));
    }

    fn ramp() -> Vec<u8> {
        (0..IMAGE).map(|i| (i * 7 % 251) as u8).collect()
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
            image[(row * IMAGE_SIZE + column) * IMAGE_CHANNELS + channel]
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
        let image = [0, 128, 255].repeat(IMAGE / 3);
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

    proptest! {
        #[test]
        fn flipping_twice_is_flipping_never(bytes in proptest::collection::vec(any::<u8>(), IMAGE)) {
            let mirrored: Vec<u8> = bytes.chunks_exact(IMAGE_SIZE * IMAGE_CHANNELS)
                .flat_map(|row| row.rchunks_exact(IMAGE_CHANNELS).flatten().copied())
                .collect();
            let twice = applied(Change { flip: true, delta: 0.05 }, &mirrored);
            prop_assert_eq!(twice, applied(Change { flip: false, delta: 0.05 }, &bytes));
        }
    }
}
