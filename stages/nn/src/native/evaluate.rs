//! The forward pass with moving statistics, which keeps nothing.
//! It must not know training. Every image is computed alone, so batches may be cut anywhere.

use super::batch_norm::{self, After, Channels};
use super::memory::Aligned;
use super::workspace::{Workspace, room};
use super::{Context, conv, forward, norm_pool, pool};
use crate::network::{ConvNorm, Plan, Shortcut, Unit};
use crate::parameters::Parameters;
use crate::reference::norm::inverse_deviation;

/// Images computed at once: bounds memory, changes no bit.
pub(crate) const BATCH: usize = 64;

/// The logits of `n` images.
pub(crate) fn logits<'a>(
    context: &Context,
    plan: &Plan,
    parameters: &Parameters,
    epsilon: f32,
    images: &[f32],
    n: usize,
    workspace: &'a mut Workspace,
) -> &'a [f32] {
    workspace.grow_scratch(plan, n);
    let Workspace {
        features,
        logits,
        scratch,
        projected,
        panel,
        ..
    } = workspace;
    let [current, next, conv_out] = scratch;
    let mut pass = Pass {
        context,
        parameters,
        epsilon,
        panel,
        n,
    };
    let mut size = images.len();
    current[..size].copy_from_slice(images);
    for unit in &plan.units {
        let input = &current[..size];
        size = n * unit.output_len();
        match unit {
            Unit::Plain { layer, pool } => {
                let conv_out = pass.conv(layer, input, conv_out);
                if *pool {
                    pass.pool(layer, conv_out, &mut next[..size]);
                } else {
                    pass.normalize(layer, conv_out, After::Relu, &mut next[..size]);
                }
            }
            Unit::Basic {
                first,
                second,
                shortcut,
            } => {
                let conv1 = pass.conv(first, input, conv_out);
                let middle = &mut next[..conv1.len()];
                pass.normalize(first, conv1, After::Relu, middle);
                let conv2 = pass.conv(second, middle, conv_out);
                if let Shortcut::Projection(p) = shortcut {
                    let shortcut = pass.conv(p, input, room(projected, size));
                    let inv_std = pass.inv_std(p);
                    let after = After::AddNormRelu(shortcut, pass.channels(p, &inv_std));
                    // Nobody needs the middle any more.
                    pass.normalize(second, conv2, after, &mut next[..size]);
                } else {
                    let after = match shortcut {
                        Shortcut::Identity => After::AddRelu(input),
                        _ => After::Relu,
                    };
                    pass.normalize(second, conv2, after, &mut next[..size]);
                }
            }
        }
        std::mem::swap(current, next);
    }
    let channels = plan.dense.inputs;
    let features = room(features, n * channels);
    pool::average(&current[..size], size / (n * channels), channels, features);
    let logits = room(logits, n * plan.dense.outputs);
    let (w, b) = (
        plan.dense.weight.of(&parameters.values),
        plan.dense.bias.of(&parameters.values),
    );
    let dense = plan.dense.as_conv();
    let layer = conv::Layer { conv: &dense, n };
    conv::forward(context, layer, features, w, Some(b), panel, logits);
    logits
}

struct Pass<'a> {
    context: &'a Context,
    parameters: &'a Parameters,
    epsilon: f32,
    panel: &'a mut Aligned,
    n: usize,
}

impl Pass<'_> {
    /// The convolution's output, at the start of `y`.
    fn conv<'y>(&mut self, layer: &ConvNorm, x: &[f32], y: &'y mut [f32]) -> &'y [f32] {
        let (conv, values) = (&layer.conv, &self.parameters.values);
        let y = &mut y[..self.n * conv.out_size().pow(2) * conv.outputs];
        let (w, b) = (conv.weight.of(values), conv.bias.map(|b| b.of(values)));
        let on = conv::Layer { conv, n: self.n };
        conv::forward(self.context, on, x, w, b, self.panel, y);
        y
    }

    fn inv_std(&self, layer: &ConvNorm) -> Vec<f32> {
        let variance = layer.norm.variance.of(&self.parameters.moving);
        inverse_deviation(variance, self.epsilon)
    }

    /// A batch norm's numbers in evaluation.
    fn channels<'c>(&'c self, layer: &ConvNorm, inv_std: &'c [f32]) -> Channels<'c> {
        Channels {
            mean: layer.norm.mean.of(&self.parameters.moving),
            inv_std,
            weight: layer.norm.weight.of(&self.parameters.values),
            bias: layer.norm.bias.of(&self.parameters.values),
        }
    }

    fn normalize(&self, layer: &ConvNorm, conv_out: &[f32], after: After<'_>, y: &mut [f32]) {
        let inv_std = self.inv_std(layer);
        let norm = self.channels(layer, &inv_std);
        batch_norm::normalize(self.context, conv_out, norm, after, y);
    }

    fn pool(&self, layer: &ConvNorm, conv_out: &[f32], y: &mut [f32]) {
        let inv_std = self.inv_std(layer);
        let norm = self.channels(layer, &inv_std);
        let pool = forward::extents(layer, self.n);
        norm_pool::forward(self.context, pool, conv_out, norm, y);
    }
}
