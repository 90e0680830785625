//! An epoch's training batches: for hosts that cut them, and for devices that do so themselves.
//! It must not know engines, schedules or where images come from.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::{EngineError, StepStats};
use crate::image::IMAGE;
use crate::pixels::Change;

/// Images as bytes, with their labels.
#[derive(Debug, Clone, Copy)]
pub struct ImageSet<'a> {
    pixels: &'a [u8],
    labels: &'a [u8],
    id: u64,
}

impl<'a> ImageSet<'a> {
    /// Of `[n, 32, 32, 3]` and `[n]`.
    #[must_use]
    pub fn new(pixels: &'a [u8], labels: &'a [u8]) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let id = MADE.fetch_add(1, Ordering::Relaxed);
        Self { pixels, labels, id }
    }

    /// `[n, 32, 32, 3]`.
    #[must_use]
    pub fn pixels(&self) -> &'a [u8] {
        self.pixels
    }

    /// `[n]`.
    #[must_use]
    pub fn labels(&self) -> &'a [u8] {
        self.labels
    }

    /// The same for copies of a set and for no other: they are borrowed and so cannot change. By it a
    /// device knows what it holds already.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }
}

/// Training images in the order of an epoch's batches.
#[derive(Debug, Clone)]
pub struct Epoch<'a> {
    /// All that there are.
    pub images: ImageSet<'a>,
    /// Which image comes when.
    pub order: Vec<u32>,
    /// What happens to each, in this order.
    pub changes: Vec<Change>,
    /// Images of a whole batch, at least 1; the last one may have fewer.
    pub batch_size: usize,
}

impl Epoch<'_> {
    /// How many batches there are.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// Replaces what `images` (`[n, 32, 32, 3]`, scaled) and `labels` (`[n]`) hold by a batch of an
    /// epoch that was checked.
    pub fn fill(&self, batch: usize, images: &mut Vec<f32>, labels: &mut Vec<u8>) {
        images.clear();
        labels.clear();
        let shown = self.order.iter().zip(&self.changes);
        for (&image, change) in shown.skip(batch * self.batch_size).take(self.batch_size) {
            let image = image as usize;
            change.apply_into(&self.images.pixels[image * IMAGE..][..IMAGE], images);
            labels.push(self.images.labels[image]);
        }
    }

    /// Refuses what does not fit together, or a network of `classes` classes.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check(&self, classes: usize) -> Result<(), EngineError> {
        let ImageSet { pixels, labels, .. } = self.images;
        let (images, shown) = (labels.len(), self.order.len());
        let refuse = |what: String| Err(EngineError::Batch(what));
        if pixels.len() != images * IMAGE {
            let got = pixels.len();
            return refuse(format!(
                "{got} bytes for {images} labels, but an image has {IMAGE}"
            ));
        }
        if let Some(i) = labels.iter().position(|&l| usize::from(l) >= classes) {
            let label = labels[i];
            return refuse(format!(
                "label {label} of image {i}, but there are {classes} classes"
            ));
        }
        if shown == 0 || self.batch_size == 0 {
            return refuse("no images".to_owned());
        }
        if self.changes.len() != shown {
            let changes = self.changes.len();
            return refuse(format!("{changes} changes for {shown} images"));
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

    fn epoch<'a>(pixels: &'a [u8], labels: &'a [u8]) -> Epoch<'a> {
        let change = |flip, delta| Change { flip, delta };
        Epoch {
            images: ImageSet::new(pixels, labels),
            order: vec![1, 0],
            changes: vec![change(false, 0.0), change(true, 0.1)],
            batch_size: 2,
        }
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let (pixels, labels) = (vec![0; 2 * IMAGE], vec![3, 9]);
        let whole = epoch(&pixels, &labels);
        whole.check(10).expect("an epoch");
        let said = |epoch: Epoch<'_>| epoch.check(10).expect_err("no epoch").to_string();
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
                Epoch {
                    order: vec![0, 2],
                    ..whole.clone()
                },
                "image 2 of 2",
            ),
            (
                Epoch {
                    changes: whole.changes[1..].to_vec(),
                    ..whole.clone()
                },
                "1 changes for 2 images",
            ),
            (
                Epoch {
                    batch_size: 0,
                    ..whole.clone()
                },
                "no images",
            ),
        ] {
            assert_eq!(said(wrong), format!("{text}{why}"));
        }
    }

    #[test]
    fn copies_of_a_set_are_the_same_and_another_one_of_the_same_images_is_not() {
        let (pixels, labels) = (vec![0; IMAGE], vec![0]);
        let set = ImageSet::new(&pixels, &labels);
        let copy = set;
        assert_eq!(copy.id(), set.id());
        assert_ne!(ImageSet::new(&pixels, &labels).id(), set.id());
    }
}
