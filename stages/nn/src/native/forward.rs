//! The forward pass in training mode, which keeps what the backward pass needs.
//! It must not know losses, updates or batches' origin. Composition: `reference::network`.

use super::batch_norm::{self, After, Channels};
use super::memory::Aligned;
use super::norm_pool::Pool;
use super::times::Times;
use super::workspace::{LayerKept, UnitKept, Workspace, room};
use super::{Context, conv, moments, norm_pool, pool};
use crate::network::{ConvNorm, Plan, Shortcut, Unit};
use crate::reference::layers;

/// Which features dropout keeps (`[n, features]`), and the share that it drops.
pub(crate) struct Dropout {
    pub(crate) keep: Vec<bool>,
    pub(crate) rate: f32,
}

/// One pass over a batch in training mode.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) context: &'a Context,
    pub(crate) plan: &'a Plan,
    pub(crate) parameters: &'a [f32],
    /// Batch norm's.
    pub(crate) epsilon: f32,
    /// `[n, 32, 32, 3]`.
    pub(crate) images: &'a [f32],
    pub(crate) n: usize,
    pub(crate) dropout: Option<&'a Dropout>,
    pub(crate) times: &'a Times,
}

/// Fills the workspace, up to the logits.
pub(crate) fn run(pass: Run<'_>, workspace: &mut Workspace) {
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
        logits,
        panel,
        ..
    } = workspace;
    let mut done: &mut [UnitKept] = &mut [];
    let mut rest = units.as_mut_slice();
    for (unit, index) in plan.units.iter().zip(0..) {
        let input = done
            .last()
            .map_or(images, |last| result(&plan.units[index - 1], last, n));
        // Split so that the last unit's output can be read while this one's is written.
        let Some((kept, _)) = rest.split_first_mut() else {
            break;
        };
        pass.unit(unit, input, kept, panel);
        (done, rest) = units.split_at_mut(index + 1);
    }
    let channels = plan.dense.inputs;
    let features = room(features, n * channels);
    let last = done
        .last()
        .zip(plan.units.last())
        .map_or(images, |(kept, unit)| result(unit, kept, n));
    times.measure("average pool", "pool", || {
        pool::average(last, last.len() / (n * channels), channels, features);
    });
    if let Some(dropout) = dropout {
        layers::dropout(features, &dropout.keep, dropout.rate);
    }
    let (w, b) = (
        plan.dense.weight.of(parameters),
        plan.dense.bias.of(parameters),
    );
    let logits = room(logits, n * plan.dense.outputs);
    let dense = plan.dense.as_conv();
    times.measure("dense", "dense", || {
        let layer = conv::Layer { conv: &dense, n };
        conv::forward(context, layer, features, w, Some(b), panel, logits);
    });
}

/// The name of its pass in [`Times`].
const BATCH_NORM: &str = "batch norm forward";

/// What a unit hands on.
pub(crate) fn result<'a>(unit: &Unit, kept: &'a UnitKept, n: usize) -> &'a [f32] {
    &kept.output[..n * unit.output_len()]
}

/// Of what a layer's max pool pools.
pub(crate) fn extents(layer: &ConvNorm, n: usize) -> Pool {
    Pool {
        n,
        size: layer.conv.out_size(),
        channels: layer.conv.outputs,
    }
}

/// A batch norm's numbers in training mode.
pub(crate) fn channels<'a>(
    layer: &ConvNorm,
    kept: &'a LayerKept,
    parameters: &'a [f32],
) -> Channels<'a> {
    Channels {
        mean: &kept.statistics.mean,
        inv_std: &kept.statistics.inv_std,
        weight: layer.norm.weight.of(parameters),
        bias: layer.norm.bias.of(parameters),
    }
}

impl Run<'_> {
    /// The convolution and its output's statistics; `len` numbers.
    fn conv(
        &self,
        layer: &ConvNorm,
        x: &[f32],
        kept: &mut LayerKept,
        panel: &mut Aligned,
        len: usize,
    ) {
        let ConvNorm { conv, norm } = layer;
        let (w, b) = (
            conv.weight.of(self.parameters),
            conv.bias.map(|b| b.of(self.parameters)),
        );
        let conv_out = room(&mut kept.conv_out, len);
        self.times.measure(&conv.name, "forward", || {
            let layer = conv::Layer { conv, n: self.n };
            conv::forward(self.context, layer, x, w, b, panel, conv_out);
        });
        kept.statistics = self.times.measure(&norm.name, BATCH_NORM, || {
            moments::statistics(self.context, conv_out, conv.outputs, self.epsilon)
        });
    }

    fn layer(
        &self,
        layer: &ConvNorm,
        x: &[f32],
        kept: &mut LayerKept,
        after: After<'_>,
        panel: &mut Aligned,
        y: &mut [f32],
    ) {
        self.conv(layer, x, kept, panel, y.len());
        self.times.measure(&layer.norm.name, BATCH_NORM, || {
            let norm = channels(layer, kept, self.parameters);
            batch_norm::normalize(self.context, &kept.conv_out[..y.len()], norm, after, y);
        });
    }

    /// A layer before a max pool.
    fn pooled(
        &self,
        layer: &ConvNorm,
        x: &[f32],
        kept: &mut LayerKept,
        panel: &mut Aligned,
        y: &mut [f32],
    ) {
        let pool = extents(layer, self.n);
        let len = pool.n * pool.size.pow(2) * pool.channels;
        self.conv(layer, x, kept, panel, len);
        self.times.measure(&layer.norm.name, "pool", || {
            let norm = channels(layer, kept, self.parameters);
            norm_pool::forward(self.context, pool, &kept.conv_out[..len], norm, y);
        });
    }

    fn unit(&self, unit: &Unit, input: &[f32], kept: &mut UnitKept, panel: &mut Aligned) {
        let UnitKept {
            layers,
            middle,
            output,
        } = kept;
        let len = |layer: &ConvNorm| self.n * layer.conv.out_size().pow(2) * layer.conv.outputs;
        match (unit, layers.as_mut_slice()) {
            (Unit::Plain { layer, pool }, [kept]) => {
                let output = room(output, self.n * unit.output_len());
                if *pool {
                    self.pooled(layer, input, kept, panel, output);
                } else {
                    self.layer(layer, input, kept, After::Relu, panel, output);
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
                let middle = room(middle, len(first));
                self.layer(first, input, kept1, After::Relu, panel, middle);
                let output = room(output, len(second));
                let after = match (shortcut, projected) {
                    (Shortcut::Projection(layer), [kept]) => {
                        self.conv(layer, input, kept, panel, output.len());
                        let projected = &kept.conv_out[..output.len()];
                        After::AddNormRelu(projected, channels(layer, kept, self.parameters))
                    }
                    (Shortcut::Identity, _) => After::AddRelu(input),
                    _ => After::Relu,
                };
                self.layer(second, middle, kept2, after, panel, output);
            }
            _ => unreachable!("the workspace was made from this plan"),
        }
    }
}
