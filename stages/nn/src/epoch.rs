//! An epoch's training batches: as a host cuts them, and as a device cuts them for itself.
//! It must not know engines, schedules or where images come from.

use crate::engine::{EngineError, IMAGE, StepStats};

/// Training images in the order of an epoch's batches.
pub trait Epoch {
    /// How many batches there are, the last one perhaps with fewer images.
    fn batches(&self) -> usize;

    /// Replaces what `images` (`[n, 32, 32, 3]`, scaled) and `labels` (`[n]`) hold by a batch.
    fn fill(&self, batch: usize, images: &mut Vec<f32>, labels: &mut Vec<u8>);

    /// The same batches for an engine that cuts them itself.
    fn raw(&self) -> RawEpoch<'_>;
}

/// Images as bytes, and what becomes of each: position `i` of an epoch shows image `order[i]`
/// with columns exchanged if `flip[i]`, each value `2 * clamp(byte / 255 + delta[i], 0, 1) - 1`.
#[derive(Debug, Clone)]
pub struct RawEpoch<'a> {
    /// Of all images, `[.., 32, 32, 3]`.
    pub pixels: &'a [u8],
    /// Of all images.
    pub labels: &'a [u8],
    /// Which image comes when.
    pub order: Vec<u32>,
    /// Which are flipped, in this order.
    pub flip: Vec<bool>,
    /// What is added to intensities in `[0, 1]`, in this order.
    pub delta: Vec<f32>,
    /// Images of a whole batch, at least 1.
    pub batch_size: usize,
}

impl RawEpoch<'_> {
    /// Refuses what does not fit together, or a network of `classes` classes.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check(&self, classes: usize) -> Result<(), EngineError> {
        let (images, shown) = (self.labels.len(), self.order.len());
        let refuse = |what: String| Err(EngineError::Batch(what));
        if self.pixels.len() != images * IMAGE {
            let got = self.pixels.len();
            return refuse(format!(
                "{got} bytes for {images} labels, but an image has {IMAGE}"
            ));
        }
        if let Some(i) = self.labels.iter().position(|&l| usize::from(l) >= classes) {
            let label = self.labels[i];
            return refuse(format!(
                "label {label} of image {i}, but there are {classes} classes"
            ));
        }
        if shown == 0 || self.batch_size == 0 {
            return refuse("no images".to_owned());
        }
        if self.flip.len() != shown || self.delta.len() != shown {
            let (flips, deltas) = (self.flip.len(), self.delta.len());
            return refuse(format!(
                "{flips} flips and {deltas} shades for {shown} images"
            ));
        }
        match self.order.iter().find(|&&i| i as usize >= images) {
            Some(i) => refuse(format!("image {i} of {images}")),
            None => Ok(()),
        }
    }
}

/// What was trained since the last word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Batches.
    pub batches: usize,
    /// Their images.
    pub images: usize,
    /// Sums over them.
    pub stats: StepStats,
}

/// Why an epoch ended early.
#[derive(Debug, thiserror::Error)]
#[error("batch {batch}: {error}")]
pub struct EpochError {
    /// The batch, from 0.
    pub batch: usize,
    /// What was wrong with it.
    pub error: EngineError,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch<'a>(pixels: &'a [u8], labels: &'a [u8]) -> RawEpoch<'a> {
        RawEpoch {
            pixels,
            labels,
            order: vec![1, 0],
            flip: vec![false, true],
            delta: vec![0.0, 0.1],
            batch_size: 2,
        }
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let (pixels, labels) = (vec![0; 2 * IMAGE], vec![3, 9]);
        let whole = epoch(&pixels, &labels);
        whole.check(10).expect("an epoch");
        let said = |epoch: RawEpoch<'_>| epoch.check(10).expect_err("no epoch").to_string();
        let text = "batch does not fit the network: ";
        for (wrong, why) in [
            (
                epoch(&pixels[1..], &labels),
                "6143 bytes for 2 labels, but an image has 3072",
            ),
            (
                epoch(&pixels, &[3, 10]),
                "label 10 of image 1, but there are 10 classes",
            ),
            (
                RawEpoch {
                    order: vec![0, 2],
                    ..whole.clone()
                },
                "image 2 of 2",
            ),
            (
                RawEpoch {
                    flip: vec![true],
                    ..whole.clone()
                },
                "1 flips and 2 shades for 2 images",
            ),
            (
                RawEpoch {
                    batch_size: 0,
                    ..whole.clone()
                },
                "no images",
            ),
        ] {
            assert_eq!(said(wrong), format!("{text}{why}"));
        }
    }
}
