//! The forward pass, with the batch's statistics or the moving ones.
//! It must not know gradients or updates.

use nn::network::{ConvNorm, Plan, Shortcut, Unit};

use super::memory::{Numbers, Room, UnitRoom};
use crate::array::View;
use crate::gpu::{Gpu, GpuError};
use crate::operations::{After, Dropout, Normed, Operations, Windows};

/// What a pass over `n` images in `room` runs on.
pub(super) struct Pass<'e, G: Gpu> {
    pub(super) operations: Operations<'e, G>,
    pub(super) plan: &'e Plan,
    pub(super) numbers: &'e Numbers<G>,
    pub(super) room: &'e Room<G>,
    pub(super) n: usize,
    pub(super) epsilon: f32,
    /// Of training; there is none in evaluation.
    pub(super) dropout: Option<Dropout<'e>>,
}

impl<'e, G: Gpu> Pass<'e, G> {
    /// From the room's images to its logits. With `moving` statistics each image is computed alone.
    pub(super) fn forward(&self, moving: bool) -> Result<(), GpuError> {
        let mut input = self.room.images.view();
        for (unit, kept) in self.plan.units.iter().zip(&self.room.units) {
            self.unit(unit, kept, input, moving)?;
            input = kept.output.view();
        }
        let (features, pixels) = (self.plan.dense.inputs, self.pixels());
        let dropout = if moving { None } else { self.dropout };
        let to = self.room.features.view();
        self.operations
            .average_pool(input, self.n, pixels, features, dropout, to)?;
        let dense = &self.plan.dense;
        self.operations.conv_forward(
            &dense.as_conv(),
            self.n,
            to,
            self.numbers.value(dense.weight),
            Some(self.numbers.value(dense.bias)),
            self.room.logits.view(),
        )
    }

    /// Of the last unit's output.
    pub(super) fn pixels(&self) -> usize {
        let last = self.plan.units.last().map_or(0, Unit::output_len);
        last / self.plan.dense.inputs
    }

    fn unit(
        &self,
        unit: &Unit,
        kept: &'e UnitRoom<G>,
        input: View<'e, f32>,
        moving: bool,
    ) -> Result<(), GpuError> {
        let output = kept.output.view();
        match unit {
            Unit::Plain { layer, pool: false } => {
                let normed = self.layer(layer, input, kept.conv_outs[0].view(), moving)?;
                self.operations.norm_apply(normed, After::Relu, output)
            }
            Unit::Plain { layer, pool: true } => {
                let normed = self.layer(layer, input, kept.conv_outs[0].view(), moving)?;
                let (over, winners) = (windows(layer, self.n), kept.winners.view());
                self.operations
                    .max_pool(over, normed.x, normed.norm, output, winners)
            }
            Unit::Basic {
                first,
                second,
                shortcut,
            } => {
                let middle = kept.middle.view();
                let normed = self.layer(first, input, kept.conv_outs[0].view(), moving)?;
                self.operations.norm_apply(normed, After::Relu, middle)?;
                let normed = self.layer(second, middle, kept.conv_outs[1].view(), moving)?;
                let after = match shortcut {
                    Shortcut::None => After::Relu,
                    Shortcut::Identity => After::AddRelu(input),
                    Shortcut::Projection(p) => {
                        let other = self.layer(p, input, kept.conv_outs[2].view(), moving)?;
                        After::AddNormRelu(other.x, other.norm)
                    }
                };
                self.operations.norm_apply(normed, after, output)
            }
        }
    }

    /// A convolution, and what its batch norm is about to be applied to.
    fn layer(
        &self,
        layer: &ConvNorm,
        input: View<'_, f32>,
        output: View<'e, f32>,
        moving: bool,
    ) -> Result<Normed<'e>, GpuError> {
        let (conv, numbers) = (&layer.conv, self.numbers);
        let bias = conv.bias.map(|bias| numbers.value(bias));
        let weight = numbers.value(conv.weight);
        self.operations
            .conv_forward(conv, self.n, input, weight, bias, output)?;
        let normed = self.normed(layer, output, moving);
        let inv_std = normed.norm.inv_std;
        if moving {
            let variance = numbers.moving.span(layer.norm.variance);
            self.operations
                .inverse_deviation(variance, self.epsilon, inv_std)?;
        } else {
            let (mean, variance) = (normed.norm.mean, numbers.batch.span(layer.norm.variance));
            self.operations.norm_statistics(
                output,
                normed.rows,
                self.epsilon,
                mean,
                variance,
                inv_std,
            )?;
        }
        Ok(normed)
    }

    /// A convolution's output with its batch norm.
    pub(super) fn normed(&self, layer: &ConvNorm, x: View<'e, f32>, moving: bool) -> Normed<'e> {
        Normed {
            x,
            norm: self.numbers.channels(layer, moving),
            rows: self.n * layer.conv.out_size().pow(2),
        }
    }
}

/// What a plain unit's max pool runs over.
pub(super) fn windows(layer: &ConvNorm, n: usize) -> Windows {
    Windows {
        n,
        size: layer.conv.out_size(),
        channels: layer.conv.outputs,
    }
}
