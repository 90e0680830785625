//! The backward pass: gradients of the mean loss from what the forward pass kept.
//! It must not know updates. Composition: `reference::network`.

use super::forward::{self, Run, channels};
use super::memory::Aligned;
use super::times::Times;
use super::workspace::{LayerKept, UnitKept, Workspace};
use super::{Context, batch_norm, conv, pool, pooled};
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
    let Workspace {
        units,
        features,
        scratch,
        panel,
        ..
    } = workspace;
    let [g, next, spare, _] = scratch;
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

/// Of a batch norm's weight and bias.
fn norm_gradients<'a>(layer: &ConvNorm, gradient: &'a mut [f32]) -> [&'a mut [f32]; 2] {
    let (weight, bias) = (layer.norm.weight, layer.norm.bias);
    gradient
        .get_disjoint_mut([
            weight.start..weight.start + weight.len,
            bias.start..bias.start + bias.len,
        ])
        .expect("the plan's spans do not overlap")
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

    /// Turns the gradient of the batch norm's (or its ReLU's) output into that of the
    /// convolution's, and writes those of all parameters of both.
    fn layer(
        &mut self,
        layer: &ConvNorm,
        kept: &LayerKept,
        x: &[f32],
        output: Option<&[f32]>,
        g: &mut [f32],
    ) {
        let norm = channels(layer, kept, self.parameters);
        let [dweight, dbias] = norm_gradients(layer, self.gradient);
        let conv_out = &kept.conv_out[..g.len()];
        let times = self.times;
        times.measure(&layer.norm.name, BATCH_NORM, || {
            let output = output.map(|o| &o[..g.len()]);
            batch_norm::backward(self.context, conv_out, output, g, norm, dweight, dbias);
        });
        times.measure(&layer.conv.name, "weight gradient", || {
            self.weights(&layer.conv, x, g);
        });
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
        times.measure(&layer.norm.name, "pool", || {
            let norm = channels(layer, kept, self.parameters);
            let conv_out = &kept.conv_out[..dx.len()];
            let gradients = norm_gradients(layer, self.gradient);
            let pool = forward::extents(layer, self.n);
            pooled::backward(self.context, pool, conv_out, dy, norm, dx, gradients);
        });
        times.measure(&layer.conv.name, "weight gradient", || {
            self.weights(&layer.conv, x, dx);
        });
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
                    self.layer(layer, kept_layer, input, Some(&kept.output), g);
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
                self.times.measure(&second.norm.name, BATCH_NORM, || {
                    batch_norm::relu_backward(self.context, &kept.output[..g.len()], g);
                });
                match (shortcut, projected) {
                    (Shortcut::Projection(layer), [kept]) => {
                        let spare = &mut spare[..g.len()];
                        spare.copy_from_slice(g);
                        self.layer(layer, kept, input, None, spare);
                        self.layer_input(layer, spare, next, false);
                    }
                    (Shortcut::Identity, _) => next.copy_from_slice(g),
                    _ => {}
                }
                self.layer(second, kept2, &kept.middle[..len(first)], None, g);
                let middle = &mut spare[..len(first)];
                self.layer_input(second, g, middle, false);
                self.layer(first, kept1, input, Some(&kept.middle), middle);
                self.layer_input(first, middle, next, *shortcut != Shortcut::None);
            }
            _ => unreachable!("the workspace was made from this plan"),
        }
    }
}
