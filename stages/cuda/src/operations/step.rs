//! What a training step does around its network: images in, losses and updates out.
//! It must not know layers.

use super::{Operations, holds};
use crate::array::View;
use crate::gpu::{AdamConstants, Argument, Gpu, GpuError, StepConstants};
use nn::image::IMAGE;

/// Numbers of an image.
/// Threads of the one block that sums losses.
const TALLY: u32 = 256;

/// An epoch's images on the GPU, and what happens to each.
#[derive(Debug, Clone, Copy)]
pub struct EpochOrder<'a> {
    /// All images, `[.., 32, 32, 3]`.
    pub pixels: View<'a, u8>,
    /// Of all images.
    pub labels: View<'a, u8>,
    /// Which image comes when.
    pub order: View<'a, u32>,
    /// 1 where it is flipped, in this order.
    pub flip: View<'a, u8>,
    /// What is added to its intensities, in this order.
    pub delta: View<'a, f32>,
    /// Images of a whole batch.
    pub batch: usize,
}

/// Where it is noted that a number is not finite.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Which step of the epoch this is.
    pub cursor: View<'a, i32>,
    /// The first such step, from 1, or 0: behind it nothing is updated.
    pub stop: View<'a, i32>,
    /// A flag for each place that is looked at.
    pub found: View<'a, i32>,
}

impl<G: Gpu> Operations<'_, G> {
    /// The `n` images and labels of the step that `cursor` names.
    pub fn prepare(
        &self,
        epoch: EpochOrder<'_>,
        cursor: View<'_, i32>,
        n: usize,
        images: View<'_, f32>,
        labels: View<'_, u8>,
    ) -> Result<(), GpuError> {
        holds(epoch.flip, epoch.order.len());
        holds(epoch.delta, epoch.order.len());
        holds(images, n * IMAGE);
        holds(labels, n);
        let arguments = [
            epoch.pixels.into(),
            epoch.order.into(),
            epoch.flip.into(),
            epoch.delta.into(),
            cursor.into(),
            epoch.batch.into(),
            n.into(),
            images.into(),
        ];
        self.over("prepare_images", n * IMAGE, &arguments)?;
        let arguments = [
            epoch.labels.into(),
            epoch.order.into(),
            cursor.into(),
            epoch.batch.into(),
            n.into(),
            labels.into(),
        ];
        self.over("prepare_labels", n, &arguments)
    }

    /// The next step.
    pub fn advance(&self, cursor: View<'_, i32>) -> Result<(), GpuError> {
        holds(cursor, 1);
        self.run("advance", [1, 1, 1], [1, 1, 1], &[cursor.into()])
    }

    /// Softmax cross-entropy of `[n, classes]` logits.
    #[expect(clippy::too_many_arguments, reason = "a loss has as many parts")]
    pub fn softmax_loss(
        &self,
        logits: View<'_, f32>,
        labels: View<'_, u8>,
        n: usize,
        classes: usize,
        losses: View<'_, f32>,
        probabilities: Option<View<'_, f32>>,
        gradient: Option<View<'_, f32>>,
        predicted: View<'_, u8>,
    ) -> Result<(), GpuError> {
        for view in [Some(logits), probabilities, gradient]
            .into_iter()
            .flatten()
        {
            holds(view, n * classes);
        }
        holds(labels, n);
        holds(losses, n);
        holds(predicted, n);
        let arguments = [
            logits.into(),
            labels.into(),
            n.into(),
            classes.into(),
            losses.into(),
            probabilities.into(),
            gradient.into(),
            predicted.into(),
        ];
        self.over("softmax_loss", n, &arguments)
    }

    /// Adds a batch's losses and hits to what was counted.
    pub fn tally(
        &self,
        losses: View<'_, f32>,
        predicted: View<'_, u8>,
        labels: View<'_, u8>,
        n: usize,
        loss_sum: View<'_, f64>,
        correct: View<'_, u32>,
    ) -> Result<(), GpuError> {
        holds(losses, n);
        holds(predicted, n);
        holds(labels, n);
        holds(loss_sum, 1);
        holds(correct, 1);
        let arguments = [
            losses.into(),
            predicted.into(),
            labels.into(),
            n.into(),
            loss_sum.into(),
            correct.into(),
        ];
        self.run("tally", [1, 1, 1], [TALLY, 1, 1], &arguments)
    }

    /// Notes under `place` whether a number is not finite.
    pub fn check_finite(
        &self,
        x: View<'_, f32>,
        place: usize,
        notes: Found<'_>,
    ) -> Result<(), GpuError> {
        holds(notes.found, place + 1);
        let arguments = [
            x.into(),
            x.len().into(),
            place.into(),
            notes.cursor.into(),
            notes.stop.into(),
            notes.found.into(),
        ];
        self.over("check_finite", x.len(), &arguments)
    }

    /// Moves moving statistics towards the batch's.
    pub fn update_moving(
        &self,
        moving: View<'_, f32>,
        batch: View<'_, f32>,
        momentum: f32,
        stop: View<'_, i32>,
    ) -> Result<(), GpuError> {
        let len = moving.len();
        holds(batch, len);
        let arguments = [
            moving.into(),
            batch.into(),
            len.into(),
            momentum.into(),
            stop.into(),
        ];
        self.over("update_moving", len, &arguments)
    }

    /// One step of Adam for all parameters.
    pub fn adam(
        &self,
        [w, m, v, g]: [View<'_, f32>; 4],
        constants: View<'_, StepConstants>,
        cursor: View<'_, i32>,
        adam: AdamConstants,
        stop: View<'_, i32>,
    ) -> Result<(), GpuError> {
        let len = w.len();
        for view in [m, v, g] {
            holds(view, len);
        }
        let arguments = [
            w.into(),
            m.into(),
            v.into(),
            g.into(),
            len.into(),
            constants.into(),
            cursor.into(),
            Argument::Adam(adam),
            stop.into(),
        ];
        self.over("adam_update", len, &arguments)
    }
}
