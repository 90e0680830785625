//! The backward pass: gradients of the mean loss from what the forward pass kept.
//! It must not know updates. Composition: `reference::network`.

use super::batch_norm::NormGradients;
use super::forward::{self, Run, channels};
use super::memory::Aligned;
use super::norm_gradient::{self, Normed};
use super::times::Times;
use super::workspace::{LayerKept, UnitKept, Workspace};
use super::{Context, conv, norm_pool, pool};
use crate::network::{Conv, ConvNorm, Shortcut, Unit};
use crate::reference::layers;

/// The name of its pass in [`Times`].
const BATCH_NORM: &str = "batch norm backward";

/// Writes the gradient of every parameter; `dlogits` is that of the logits.
pub(crate) fn run(pass: Run<'_>, dlogits: &[f32], workspace: &mut Workspace, gradient: &mut [f32]) {
    let Run {
        context,
        plan,
        parameters,
        images,
        n,
        dropout,
        times,
        ..
    } = pass;
    workspace.grow_scratch(plan, n);
    let Workspace {
        units,
        features,
        scratch,
        panel,
        ..
    } = workspace;
    let [g, next, spare] = scratch;
    let mut pass = Pass {
        context,
        parameters,
        gradient,
        panel,
        n,
        times,
    };
    let dense = plan.dense.as_conv();
    let features = &features[..n * plan.dense.inputs];
    let dfeatures = &mut spare[..features.len()];
    times.measure("dense", "dense", || {
        pass.weights(&dense, features, dlogits);
        pass.input(&dense, dlogits, dfeatures, false);
    });
    if let Some(dropout) = dropout {
        layers::dropout(dfeatures, &dropout.keep, dropout.rate);
    }
    let last = plan
        .units
        .last()
        .map_or(images.len(), |unit| n * unit.output_len());
    times.measure("average pool", "pool", || {
        let pixels = last / features.len();
        pool::average_backward(dfeatures, pixels, plan.dense.inputs, &mut g[..last]);
    });

    for index in (0..plan.units.len()).rev() {
        let input = match index {
            0 => images,
            _ => forward::result(&plan.units[index - 1], &units[index - 1], n),
        };
        pass.unit(
            &plan.units[index],
            input,
            &units[index],
            [g, next, spare],
            index > 0,
        );
        std::mem::swap(g, next);
    }
}

/// A layer's batch norm and the first `len` numbers that it normalised.
fn normed<'a>(
    layer: &ConvNorm,
    kept: &'a LayerKept,
    parameters: &'a [f32],
    len: usize,
) -> Normed<'a> {
    Normed {
        x: &kept.conv_out[..len],
        norm: channels(layer, kept, parameters),
    }
}

struct Pass<'a> {
    context: &'a Context,
    parameters: &'a [f32],
    gradient: &'a mut [f32],
    panel: &'a mut Aligned,
    n: usize,
    times: &'a Times,
}

impl Pass<'_> {
    fn weights(&mut self, conv: &Conv, x: &[f32], dy: &[f32]) {
        let layer = conv::Layer { conv, n: self.n };
        let dw = conv.weight.of_mut(self.gradient);
        conv::weight_gradient(self.context, layer, x, dy, self.panel, dw);
        if let Some(bias) = conv.bias {
            conv::bias_gradient(self.context, conv.outputs, dy, bias.of_mut(self.gradient));
        }
    }

    fn input(&mut self, conv: &Conv, dy: &[f32], dx: &mut [f32], carry: bool) {
        let layer = conv::Layer { conv, n: self.n };
        let w = conv.weight.of(self.parameters);
        conv::input_gradient(self.context, layer, dy, w, self.panel, dx, carry);
    }

    /// [`Self::input`] of a layer whose time counts.
    fn layer_input(&mut self, layer: &ConvNorm, dy: &[f32], dx: &mut [f32], carry: bool) {
        let times = self.times;
        times.measure(&layer.conv.name, "input gradient", || {
            self.input(&layer.conv, dy, dx, carry);
        });
    }

    fn keep(&mut self, layer: &ConvNorm, gradients: &NormGradients) {
        let (weight, bias) = (layer.norm.weight, layer.norm.bias);
        weight
            .of_mut(self.gradient)
            .copy_from_slice(&gradients.weight);
        bias.of_mut(self.gradient).copy_from_slice(&gradients.bias);
    }

    /// The time of a convolution's weight gradient counts.
    fn layer_weights(&mut self, layer: &ConvNorm, x: &[f32], dy: &[f32]) {
        let times = self.times;
        times.measure(&layer.conv.name, "weight gradient", || {
            self.weights(&layer.conv, x, dy);
        });
    }

    /// Turns the gradient of what the ReLU right after the batch norm gave into that of the
    /// convolution's output, and writes those of all parameters of both.
    fn layer(&mut self, layer: &ConvNorm, kept: &LayerKept, x: &[f32], g: &mut [f32]) {
        let times = self.times;
        let gradients = times.measure(&layer.norm.name, BATCH_NORM, || {
            let of = normed(layer, kept, self.parameters, g.len());
            norm_gradient::through_relu(self.context, of, g)
        });
        self.keep(layer, &gradients);
        self.layer_weights(layer, x, g);
    }

    /// [`Self::layer`] of a basic block's `second` layer and its shortcut: writes the gradient
    /// of the block's `input` by way of the shortcut to `next`; the last buffer is scratch.
    fn residual(
        &mut self,
        second: (&ConvNorm, &LayerKept, &[f32]),
        shortcut: Option<(&ConvNorm, &LayerKept)>,
        input: &[f32],
        [g, next, spare]: [&mut [f32]; 3],
    ) {
        let times = self.times;
        let (layer, kept, middle) = second;
        let of = normed(layer, kept, self.parameters, g.len());
        let Some((projection, kept)) = shortcut else {
            let gradients = times.measure(&layer.norm.name, BATCH_NORM, || {
                norm_gradient::through_sum(self.context, of, input, g, next)
            });
            self.keep(layer, &gradients);
            return self.layer_weights(layer, middle, g);
        };
        let projected = &mut spare[..g.len()];
        let gradients = times.measure(&layer.norm.name, BATCH_NORM, || {
            let shortcut = normed(projection, kept, self.parameters, g.len());
            norm_gradient::through_both(self.context, of, shortcut, g, projected)
        });
        self.keep(layer, &gradients[0]);
        self.keep(projection, &gradients[1]);
        self.layer_weights(projection, input, projected);
        self.layer_input(projection, projected, next, false);
        self.layer_weights(layer, middle, g);
    }

    /// [`Self::layer`] of a layer before a max pool and its ReLU: from `dy`, the gradient of what
    /// the ReLU gave, to `dx`.
    fn pooled(
        &mut self,
        layer: &ConvNorm,
        kept: &LayerKept,
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
    ) {
        let times = self.times;
        let gradients = times.measure(&layer.norm.name, "pool", || {
            let of = normed(layer, kept, self.parameters, dx.len());
            let pool = forward::extents(layer, self.n);
            norm_pool::backward(self.context, pool, of, dy, dx)
        });
        self.keep(layer, &gradients);
        self.layer_weights(layer, x, dx);
    }

    /// Takes the gradient of the unit's output in the first buffer and leaves that of its input
    /// in the second, if that is `wanted`; the third is scratch.
    fn unit(
        &mut self,
        unit: &Unit,
        input: &[f32],
        kept: &UnitKept,
        buffers: [&mut [f32]; 3],
        wanted: bool,
    ) {
        let [g, next, spare] = buffers;
        let n = self.n;
        let len = |layer: &ConvNorm| n * layer.conv.out_size().pow(2) * layer.conv.outputs;
        let next = &mut next[..input.len()];
        match (unit, kept.layers.as_slice()) {
            (Unit::Plain { layer, pool }, [kept_layer]) => {
                let g = if *pool {
                    let full_g = &mut spare[..len(layer)];
                    let g = &g[..n * unit.output_len()];
                    self.pooled(layer, kept_layer, input, g, full_g);
                    full_g
                } else {
                    let g = &mut g[..len(layer)];
                    self.layer(layer, kept_layer, input, g);
                    g
                };
                if wanted {
                    self.layer_input(layer, g, next, false);
                }
            }
            (
                Unit::Basic {
                    first,
                    second,
                    shortcut,
                },
                [kept1, kept2, projected @ ..],
            ) => {
                let g = &mut g[..len(second)];
                let middle = &kept.middle[..len(first)];
                let shortcut = match (shortcut, projected) {
                    (Shortcut::None, _) => None,
                    (Shortcut::Identity, _) => Some(None),
                    (Shortcut::Projection(layer), [kept, ..]) => Some(Some((layer, kept))),
                    _ => unreachable!("the workspace was made from this plan"),
                };
                match shortcut {
                    None => self.layer(second, kept2, middle, g),
                    Some(projection) => {
                        let buffers = [&mut *g, &mut *next, &mut *spare];
                        self.residual((second, kept2, middle), projection, input, buffers);
                    }
                }
                let dmiddle = &mut spare[..len(first)];
                self.layer_input(second, g, dmiddle, false);
                self.layer(first, kept1, input, dmiddle);
                self.layer_input(first, dmiddle, next, shortcut.is_some());
            }
            _ => unreachable!("the workspace was made from this plan"),
        }
    }
}
