//! A whole network's loss and gradients, composed of the reference operations.
//! It must not know the native engine, which must give the same bits.
//!
//! Where a max pool follows a ReLU, the ReLU is applied to what was pooled: that gives the same
//! numbers and gradients. A batch norm before a max pool sums its gradients over the windows.

use super::{Real, conv, layers, norm};
use crate::network::{Conv, ConvNorm, Plan, Shortcut, Unit};

/// One forward and backward pass in training mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass<T> {
    /// Softmax cross-entropy of the batch.
    pub softmax: layers::Softmax<T>,
    /// Of the mean loss, in the parameters' layout.
    pub gradient: Vec<T>,
    /// Each batch norm's statistics, in network order.
    pub statistics: Vec<norm::Statistics<T>>,
}

/// What the forward pass keeps of a convolution and its batch norm.
struct Kept<T> {
    conv_out: Vec<T>,
    statistics: norm::Statistics<T>,
}

/// What the forward pass keeps of a unit.
struct UnitKept<T> {
    input: Vec<T>,
    layers: Vec<Kept<T>>,
    /// After the first ReLU.
    middle: Vec<T>,
    /// After the last ReLU.
    output: Vec<T>,
    /// Where a max pool took its numbers from, if there is one.
    winners: Option<Vec<usize>>,
}

/// Runs `plan` on `images` (`[n, 32, 32, 3]`) with batch statistics; `keep` is the dropout mask
/// (`[n, features]`) and its rate, if any.
pub fn run<T: Real>(
    plan: &Plan,
    parameters: &[T],
    epsilon: T,
    images: &[T],
    labels: &[u8],
    keep: Option<(&[bool], T)>,
) -> Pass<T> {
    let pass = Forward {
        parameters,
        epsilon,
        n: labels.len(),
    };
    let mut kept = Vec::new();
    let mut x = images.to_vec();
    for unit in &plan.units {
        let (y, unit_kept) = pass.unit(unit, x);
        kept.push(unit_kept);
        x = y;
    }
    let channels = plan.dense.inputs;
    let pixels = x.len() / (labels.len() * channels);
    let mut features = layers::average_pool(&x, pixels, channels);
    if let Some((keep, rate)) = keep {
        layers::dropout(&mut features, keep, rate);
    }
    let dense = plan.dense.as_conv();
    let (w, b) = (
        plan.dense.weight.of(parameters),
        plan.dense.bias.of(parameters),
    );
    let logits = conv::forward(&dense, labels.len(), &features, w, Some(b));
    let softmax = layers::softmax_cross_entropy(&logits, labels, dense.outputs);

    let mut back = Backward {
        forward: pass,
        gradient: vec![T::default(); parameters.len()],
    };
    let mut g = conv::input_gradient(&dense, labels.len(), &softmax.gradient, w, None);
    back.weights(&dense, &features, &softmax.gradient);
    if let Some((keep, rate)) = keep {
        layers::dropout(&mut g, keep, rate);
    }
    g = layers::average_pool_backward(&g, pixels, channels);
    for (unit, kept) in plan.units.iter().zip(&kept).rev() {
        g = back.unit(unit, kept, g);
    }
    let statistics = kept
        .into_iter()
        .flat_map(|k| k.layers)
        .map(|l| l.statistics)
        .collect();
    Pass {
        softmax,
        gradient: back.gradient,
        statistics,
    }
}

struct Forward<'a, T> {
    parameters: &'a [T],
    epsilon: T,
    n: usize,
}

impl<T: Real> Forward<'_, T> {
    fn layer(&self, layer: &ConvNorm, x: &[T], kept: &mut Vec<Kept<T>>) -> Vec<T> {
        let p = self.parameters;
        let conv_out = conv::forward(
            &layer.conv,
            self.n,
            x,
            layer.conv.weight.of(p),
            layer.conv.bias.map(|b| b.of(p)),
        );
        let s = norm::statistics(layer.conv.outputs, &conv_out, self.epsilon);
        let y = norm::normalize(
            &conv_out,
            &s.mean,
            &s.inv_std,
            layer.norm.weight.of(p),
            layer.norm.bias.of(p),
        );
        kept.push(Kept {
            conv_out,
            statistics: s,
        });
        y
    }

    fn unit(&self, unit: &Unit, input: Vec<T>) -> (Vec<T>, UnitKept<T>) {
        let mut kept = Vec::new();
        match unit {
            Unit::Plain { layer, pool } => {
                let mut output = self.layer(layer, &input, &mut kept);
                let (size, channels) = (layer.conv.out_size(), layer.conv.outputs);
                let winners = pool.then(|| layers::winners(&output, self.n, size, channels));
                if let Some(winners) = &winners {
                    output = layers::max_pool(&output, winners);
                }
                layers::relu(&mut output);
                let kept = UnitKept {
                    input,
                    layers: kept,
                    middle: Vec::new(),
                    output,
                    winners,
                };
                (kept.output.clone(), kept)
            }
            Unit::Basic {
                first,
                second,
                shortcut,
            } => {
                let mut middle = self.layer(first, &input, &mut kept);
                layers::relu(&mut middle);
                let mut output = self.layer(second, &middle, &mut kept);
                let added = match shortcut {
                    Shortcut::None => None,
                    Shortcut::Identity => Some(input.clone()),
                    Shortcut::Projection(p) => Some(self.layer(p, &input, &mut kept)),
                };
                for (v, s) in output.iter_mut().zip(added.into_iter().flatten()) {
                    *v = *v + s;
                }
                layers::relu(&mut output);
                let kept = UnitKept {
                    input,
                    layers: kept,
                    middle,
                    output,
                    winners: None,
                };
                (kept.output.clone(), kept)
            }
        }
    }
}

struct Backward<'a, T> {
    forward: Forward<'a, T>,
    gradient: Vec<T>,
}

impl<T: Real> Backward<'_, T> {
    fn weights(&mut self, conv: &Conv, x: &[T], dy: &[T]) {
        let dw = conv::weight_gradient(conv, self.forward.n, x, dy);
        conv.weight.of_mut(&mut self.gradient).copy_from_slice(&dw);
        if let Some(bias) = conv.bias {
            bias.of_mut(&mut self.gradient)
                .copy_from_slice(&conv::bias_gradient(conv.outputs, dy));
        }
    }

    /// Through batch norm, after which a pool took the `places` or everything, and through the
    /// convolution's weights: the gradient of the convolution's output.
    fn norm(
        &mut self,
        layer: &ConvNorm,
        kept: &Kept<T>,
        x: &[T],
        dy: &[T],
        places: Option<&[usize]>,
    ) -> Vec<T> {
        let (s, weight) = (
            &kept.statistics,
            layer.norm.weight.of(self.forward.parameters),
        );
        let conv_out = &kept.conv_out;
        let g = match places {
            Some(at) => norm::backward_at(conv_out, dy, at, &s.mean, &s.inv_std, weight),
            None => norm::backward(conv_out, dy, &s.mean, &s.inv_std, weight),
        };
        layer
            .norm
            .weight
            .of_mut(&mut self.gradient)
            .copy_from_slice(&g.weight);
        layer
            .norm
            .bias
            .of_mut(&mut self.gradient)
            .copy_from_slice(&g.bias);
        self.weights(&layer.conv, x, &g.x);
        g.x
    }

    fn input(&self, conv: &Conv, dy: &[T], start: Option<&[T]>) -> Vec<T> {
        conv::input_gradient(
            conv,
            self.forward.n,
            dy,
            conv.weight.of(self.forward.parameters),
            start,
        )
    }

    /// The shortcut's gradient comes first; the first convolution's chain starts from it.
    fn unit(&mut self, unit: &Unit, kept: &UnitKept<T>, mut g: Vec<T>) -> Vec<T> {
        match unit {
            Unit::Plain { layer, .. } => {
                layers::relu_backward(&kept.output, &mut g);
                let winners = kept.winners.as_deref();
                let g = self.norm(layer, &kept.layers[0], &kept.input, &g, winners);
                self.input(&layer.conv, &g, None)
            }
            Unit::Basic {
                first,
                second,
                shortcut,
            } => {
                layers::relu_backward(&kept.output, &mut g);
                let start = match shortcut {
                    Shortcut::None => None,
                    Shortcut::Identity => Some(g.clone()),
                    Shortcut::Projection(p) => {
                        let g = self.norm(p, &kept.layers[2], &kept.input, &g, None);
                        Some(self.input(&p.conv, &g, None))
                    }
                };
                let g = self.norm(second, &kept.layers[1], &kept.middle, &g, None);
                let mut g = self.input(&second.conv, &g, None);
                layers::relu_backward(&kept.middle, &mut g);
                let g = self.norm(first, &kept.layers[0], &kept.input, &g, None);
                self.input(&first.conv, &g, start.as_deref())
            }
        }
    }
}
