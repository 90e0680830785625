//! Mean and standard deviation of each channel, from exact integer sums.
//! It must not know where the numbers are shown or used.

use crate::split::{CHANNELS, Split};

/// One channel's statistics over all pixels of a split, for pixels scaled to 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelStats {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the pixels themselves: divided by n, not by n - 1.
    pub std: f64,
}

/// The sums that [`ChannelStats`] come from, exact up to 2^47 pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelSums {
    pub(crate) pixels: u64,
    pub(crate) sum: u64,
    pub(crate) sum_of_squares: u64,
}

impl ChannelSums {
    pub(crate) fn of(split: &Split) -> [Self; CHANNELS] {
        let mut sums = [Self::default(); CHANNELS];
        for pixel in split.images.chunks_exact(CHANNELS) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                let value = u64::from(value);
                sum.pixels += 1;
                sum.sum += value;
                sum.sum_of_squares += value * value;
            }
        }
        sums
    }

    /// The statistics; `None` without pixels, or for sums that no pixels have.
    ///
    /// Divisions and a square root of exact integers: the same bits on every machine.
    pub(crate) fn stats(self) -> Option<ChannelStats> {
        if self.pixels == 0 {
            return None;
        }
        let pixels = u128::from(self.pixels);
        // n^2 times the variance, so that nothing is rounded before the subtraction.
        let spread = (pixels * u128::from(self.sum_of_squares))
            .checked_sub(u128::from(self.sum) * u128::from(self.sum))?;
        let pixels = self.pixels as f64;
        Some(ChannelStats {
            mean: self.sum as f64 / (pixels * 255.0),
            std: (spread as f64).sqrt() / (pixels * 255.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::IMAGE_BYTES;

    #[test]
    fn statistics_are_exact_for_a_known_image() {
        let mut image = [0; IMAGE_BYTES];
        for (index, value) in image.iter_mut().enumerate() {
            // Red: half 0, half 255. Green: constant 51. Blue: 0.
            *value = match (index % 3, index / 3 % 2) {
                (0, 0) => 255,
                (1, _) => 51,
                _ => 0,
            };
        }
        let mut split = Split::default();
        split.push(&image, 0);
        let stats = ChannelSums::of(&split).map(|sums| sums.stats().unwrap());
        assert_eq!(
            stats[0],
            ChannelStats {
                mean: 0.5,
                std: 0.5
            }
        );
        assert_eq!(
            stats[1],
            ChannelStats {
                mean: 0.2,
                std: 0.0
            }
        );
        assert_eq!(
            stats[2],
            ChannelStats {
                mean: 0.0,
                std: 0.0
            }
        );
    }

    #[test]
    fn sums_that_no_pixels_have_give_no_statistics() {
        let sums = ChannelSums {
            pixels: 2,
            sum: 10,
            sum_of_squares: 1,
        };
        assert_eq!(sums.stats(), None);
        assert_eq!(ChannelSums::default().stats(), None);
    }
}
