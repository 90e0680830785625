//! The forward pass with moving statistics, which keeps nothing.
//! It must not know training. Every image is computed alone, so batches may be cut anywhere.

use super::batch_norm::{self, After, Channels};
use super::parameters::Parameters;
use super::workspace::{Workspace, room};
use super::{Context, conv, forward, pool, pooled};
use crate::network::{ConvNorm, Plan, Shortcut, Unit};
use crate::reference::norm::inverse_deviation;

/// Images computed at once: bounds memory, changes no bit.
pub(crate) const BATCH: usize = 64;

/// What follows a convolution, its batch norm included.
enum Next<'a> {
    Each(After<'a>),
    Pool,
}

/// Batch norm and ReLU.
const RELU: Next<'_> = Next::Each(After::Relu);

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
        panel,
        ..
    } = workspace;
    let [current, next, conv_out, other] = scratch;
    let len = |layer: &ConvNorm| n * layer.conv.out_size().pow(2) * layer.conv.outputs;
    let mut run =
        |layer: &ConvNorm, x: &[f32], conv_out: &mut [f32], next: Next<'_>, y: &mut [f32]| {
            let (conv, norm) = (&layer.conv, &layer.norm);
            let values = &parameters.values;
            let conv_out = &mut conv_out[..len(layer)];
            let on = conv::Layer { conv, n };
            let bias = conv.bias.map(|b| b.of(values));
            conv::forward(
                context,
                on,
                x,
                conv.weight.of(values),
                bias,
                panel,
                conv_out,
            );
            let inv_std = inverse_deviation(norm.variance.of(&parameters.moving), epsilon);
            let channels = Channels {
                mean: norm.mean.of(&parameters.moving),
                inv_std: &inv_std,
                weight: norm.weight.of(values),
                bias: norm.bias.of(values),
            };
            match next {
                Next::Pool => {
                    let pool = forward::extents(layer, n);
                    let len = n * (pool.size / 2).pow(2) * pool.channels;
                    pooled::forward(context, pool, conv_out, channels, &mut y[..len]);
                }
                Next::Each(after) => {
                    batch_norm::normalize(context, conv_out, channels, after, &mut y[..len(layer)]);
                }
            }
        };

    let mut size = images.len();
    current[..size].copy_from_slice(images);
    for unit in &plan.units {
        let input = &current[..size];
        match unit {
            Unit::Plain { layer, pool: false } => run(layer, input, conv_out, RELU, next),
            Unit::Plain { layer, pool: true } => run(layer, input, conv_out, Next::Pool, next),
            Unit::Basic {
                first,
                second,
                shortcut,
            } => {
                run(first, input, conv_out, RELU, next);
                let middle = &next[..len(first)];
                match shortcut {
                    Shortcut::None => run(second, middle, conv_out, RELU, other),
                    Shortcut::Identity => run(
                        second,
                        middle,
                        conv_out,
                        Next::Each(After::AddRelu(input)),
                        other,
                    ),
                    Shortcut::Projection(p) => {
                        // The input is not needed afterwards: its buffer takes the projection.
                        run(p, input, conv_out, Next::Each(After::Nothing), other);
                        current[..len(p)].copy_from_slice(&other[..len(p)]);
                        run(
                            second,
                            middle,
                            conv_out,
                            Next::Each(After::AddRelu(&current[..len(p)])),
                            other,
                        );
                    }
                }
                std::mem::swap(next, other);
            }
        }
        std::mem::swap(current, next);
        size = n * unit.output_len();
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
    conv::forward(
        context,
        conv::Layer { conv: &dense, n },
        features,
        w,
        Some(b),
        panel,
        logits,
    );
    logits
}
