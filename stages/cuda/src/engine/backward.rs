//! The backward pass: from the logits' gradient to that of every parameter.
//! It must not know updates.

use nn::network::{ConvNorm, Shortcut, Unit};

use super::forward::{Pass, windows};
use super::memory::UnitRoom;
use crate::array::View;
use crate::gpu::{Gpu, GpuError};

impl<'e, G: Gpu> Pass<'e, G> {
    /// Leaves all gradients in the network's numbers. `self` has just gone forward with the
    /// batch's statistics.
    pub(super) fn backward(&self) -> Result<(), GpuError> {
        let (dense, room) = (&self.plan.dense, self.room);
        let (conv, n) = (dense.as_conv(), self.n);
        let (dlogits, dfeatures) = (room.dlogits.view(), room.dfeatures.view());
        self.weights(&conv, room.features.view(), dlogits)?;
        let weight = self.numbers.value(dense.weight);
        self.operations
            .conv_input_gradient(&conv, n, dlogits, weight, dfeatures, false)?;
        let [g, h, m] = &room.gradients;
        let [g, h, m] = [g.view(), h.view(), m.view()];
        let (pixels, features) = (self.pixels(), dense.inputs);
        self.operations
            .average_pool_gradient(dfeatures, n, pixels, features, self.dropout, g)?;
        for (i, (unit, kept)) in self.plan.units.iter().zip(&room.units).enumerate().rev() {
            let before = i.checked_sub(1).map(|i| room.units[i].output.view());
            self.unit_back(unit, kept, before, [g, h, m])?;
        }
        Ok(())
    }

    /// Takes the unit's gradient from the first of three arrays, and leaves its input's there;
    /// nobody asks for the images' gradient.
    fn unit_back(
        &self,
        unit: &Unit,
        kept: &'e UnitRoom<G>,
        before: Option<View<'e, f32>>,
        [g, h, m]: [View<'e, f32>; 3],
    ) -> Result<(), GpuError> {
        let input = before.unwrap_or(self.room.images.view());
        let (output, conv_outs) = (kept.output.view(), &kept.conv_outs);
        match unit {
            Unit::Plain { layer, pool } => {
                let x = conv_outs[0].view();
                if *pool {
                    let (over, winners) = (windows(layer, self.n), kept.winners.view());
                    self.operations
                        .max_pool_gradient(over, g, output, winners, h)?;
                    self.norm_back(layer, x, h, None, h, None)?;
                } else {
                    self.norm_back(layer, x, g, Some(output), h, None)?;
                }
                self.weights(&layer.conv, input, h)?;
                match before {
                    Some(_) => self.input_back(layer, h, g, false),
                    None => Ok(()),
                }
            }
            Unit::Basic {
                first,
                second,
                shortcut,
            } => {
                let middle = kept.middle.view();
                // From here on `g` is what the shortcut gets.
                self.norm_back(second, conv_outs[1].view(), g, Some(output), h, Some(g))?;
                self.weights(&second.conv, middle, h)?;
                self.input_back(second, h, m, false)?;
                self.norm_back(first, conv_outs[0].view(), m, Some(middle), h, None)?;
                self.weights(&first.conv, input, h)?;
                let carry = match shortcut {
                    Shortcut::None => false,
                    Shortcut::Identity => true,
                    Shortcut::Projection(p) => {
                        self.norm_back(p, conv_outs[2].view(), g, None, m, None)?;
                        self.weights(&p.conv, input, m)?;
                        self.input_back(p, m, g, false)?;
                        true
                    }
                };
                self.input_back(first, h, g, carry)
            }
        }
    }

    fn norm_back(
        &self,
        layer: &ConvNorm,
        x: View<'e, f32>,
        dy: View<'_, f32>,
        y: Option<View<'_, f32>>,
        dx: View<'_, f32>,
        through: Option<View<'_, f32>>,
    ) -> Result<(), GpuError> {
        let normed = self.normed(layer, x, false);
        let (dweight, dbias) = (
            self.numbers.slope(layer.norm.weight),
            self.numbers.slope(layer.norm.bias),
        );
        self.operations
            .norm_gradient(normed, dy, y, dx, through, dweight, dbias)
    }

    fn weights(
        &self,
        conv: &nn::network::Conv,
        x: View<'_, f32>,
        dy: View<'_, f32>,
    ) -> Result<(), GpuError> {
        let dw = self.numbers.slope(conv.weight);
        self.operations
            .conv_weight_gradient(conv, self.n, x, dy, dw)?;
        let Some(bias) = conv.bias else { return Ok(()) };
        let rows = self.n * conv.out_size().pow(2);
        let db = self.numbers.slope(bias);
        self.operations.bias_gradient(rows, conv.outputs, dy, db)
    }

    fn input_back(
        &self,
        layer: &ConvNorm,
        dy: View<'_, f32>,
        dx: View<'_, f32>,
        carry: bool,
    ) -> Result<(), GpuError> {
        let weight = self.numbers.value(layer.conv.weight);
        self.operations
            .conv_input_gradient(&layer.conv, self.n, dy, weight, dx, carry)
    }
}
