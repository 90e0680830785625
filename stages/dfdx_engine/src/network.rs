//! A whole network's forward pass, and its gradients from the tape.
//! It must not know updates, moving statistics' momentum or batches' origin.

use crate::gather::{Gather, Matrix};
use crate::operations::{self as op, Statistics};
use crate::vectors::{Vector, Vectors};
use dfdx::prelude::*;
use nn::network::{ConvNorm, Plan, Shortcut, Unit};

/// Why a pass ended early.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    /// dfdx could not compute.
    Device(E),
    /// The first layer that gave a number that is not finite, and what it gave.
    NonFinite { layer: String, what: &'static str },
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Self {
        Self::Device(error)
    }
}

fn finite(numbers: &[f32]) -> bool {
    numbers.iter().all(|number| number.is_finite())
}

fn check<E>(numbers: &[f32], layer: &str, what: &'static str) -> Result<(), Stop<E>> {
    if finite(numbers) {
        return Ok(());
    }
    let layer = layer.to_owned();
    Err(Stop::NonFinite { layer, what })
}

/// A network and its numbers.
#[derive(Debug)]
pub(crate) struct Network<'a, D: Gather> {
    pub(crate) plan: &'a Plan,
    pub(crate) values: &'a Vectors<D>,
    /// Batch norm's moving statistics.
    pub(crate) moving: &'a Vectors<D>,
    /// Batch norm's.
    pub(crate) epsilon: f32,
}

/// What a pass in training mode found.
pub(crate) struct Trained<D: Gather> {
    /// Cross-entropy of each image, `[n]`.
    pub(crate) losses: Vec<f32>,
    /// `[n * classes]`.
    pub(crate) logits: Vec<f32>,
    /// Each batch norm's statistics, in network order.
    pub(crate) statistics: Vec<Statistics<D>>,
    /// Of the mean loss with respect to each trainable tensor, in the plan's order.
    pub(crate) gradients: Vec<Vector<D>>,
}

/// What a pass with moving statistics found.
pub(crate) struct Judged {
    /// Cross-entropy of each image, `[n]`.
    pub(crate) losses: Vec<f32>,
    /// `[n * classes]`.
    pub(crate) probabilities: Vec<f32>,
}

/// Which features dropout keeps, image by image, and the share that it drops.
pub(crate) struct Dropout<K> {
    pub(crate) keep: K,
    pub(crate) rate: f32,
}

impl<D: Gather> Network<'_, D> {
    /// Forward with the batch's statistics, and backward.
    pub(crate) fn train(
        &self,
        images: Matrix<D>,
        labels: &[u8],
        dropout: Option<Dropout<impl Iterator<Item = bool>>>,
    ) -> Result<Trained<D>, Stop<D::Err>> {
        let n = labels.len();
        let mut pass = Pass {
            network: self,
            n,
            norms: Norms::Batch(Vec::new()),
        };
        let mut features = pass.features(images.put_tape(OwnedTape::default()))?;
        if let Some(Dropout { keep, rate }) = dropout {
            features = op::dropout(features, keep, rate)?;
        }
        let logits = self.dense(features)?;
        let seen = logits.as_vec();
        check(&seen, "dense", "activation")?;
        let losses = op::cross_entropy(logits, labels)?.losses;
        let each = losses.as_vec();
        check(&each, "dense", "loss")?;
        let loss: Tensor<Rank0, f32, D, _> = losses.try_mean()?;
        let gradients = loss.try_backward()?;
        let of = |tensor: &Vector<D>| gradients.get(tensor);
        let gradients: Vec<_> = self.values.tensors.iter().map(of).collect();
        self.check_gradients(&gradients)?;
        Ok(Trained {
            losses: each,
            logits: seen,
            statistics: pass.statistics(),
            gradients,
        })
    }

    /// Forward with moving statistics and without dropout.
    pub(crate) fn evaluate(
        &self,
        images: Matrix<D>,
        labels: &[u8],
    ) -> Result<Judged, Stop<D::Err>> {
        let mut pass = Pass {
            network: self,
            n: labels.len(),
            norms: Norms::Moving,
        };
        let logits = self.dense(pass.features(images)?)?;
        let found = op::cross_entropy(logits, labels)?;
        Ok(Judged {
            losses: found.losses.as_vec(),
            probabilities: found.logarithms.try_exp()?.as_vec(),
        })
    }

    fn dense<T: Tape<f32, D>>(&self, features: Matrix<D, T>) -> Result<Matrix<D, T>, D::Err> {
        let dense = &self.plan.dense;
        let (w, b) = (self.values.of(dense.weight), self.values.of(dense.bias));
        op::multiply(features, w, Some(b), dense.outputs)
    }

    /// Names the layer nearest the loss, which is the first that the backward pass reaches.
    fn check_gradients(&self, gradients: &[Vector<D>]) -> Result<(), Stop<D::Err>> {
        let slots = self.plan.slots.iter().filter(|slot| slot.trainable);
        let both: Vec<_> = slots.zip(gradients).collect();
        for (slot, gradient) in both.into_iter().rev() {
            let layer = slot
                .name
                .rsplit_once('.')
                .map_or("dense", |(layer, _)| layer);
            check(&gradient.as_vec(), layer, "gradient")?;
        }
        Ok(())
    }
}

/// Whose statistics batch norms use.
enum Norms<D: Gather> {
    /// The batch's own, kept in network order; what layers give is checked.
    Batch(Vec<Statistics<D>>),
    /// The moving ones.
    Moving,
}

/// One pass over a batch of `n` images.
struct Pass<'a, D: Gather> {
    network: &'a Network<'a, D>,
    n: usize,
    norms: Norms<D>,
}

impl<D: Gather> Pass<'_, D> {
    fn statistics(self) -> Vec<Statistics<D>> {
        match self.norms {
            Norms::Batch(statistics) => statistics,
            Norms::Moving => Vec::new(),
        }
    }

    /// Up to the average pool: `[n * 32 * 32, 3] -> [n, features]`.
    fn features<T: Tape<f32, D>>(
        &mut self,
        images: Matrix<D, T>,
    ) -> Result<Matrix<D, T>, Stop<D::Err>> {
        let mut x = images;
        for unit in &self.network.plan.units {
            x = self.unit(unit, x)?;
            if let (Norms::Batch(_), Some(last)) = (&self.norms, unit.layers().last()) {
                check(&x.as_vec(), &last.norm.name, "activation")?;
            }
        }
        Ok(op::average_pool(x, self.n)?)
    }

    fn unit<T: Tape<f32, D>>(
        &mut self,
        unit: &Unit,
        x: Matrix<D, T>,
    ) -> Result<Matrix<D, T>, Stop<D::Err>> {
        match unit {
            Unit::Plain { layer, pool } => {
                let y = op::relu(self.layer(layer, x)?)?;
                Ok(if *pool {
                    op::max_pool(y, self.n, layer.conv.out_size())?
                } else {
                    y
                })
            }
            Unit::Basic {
                first,
                second,
                shortcut,
            } => {
                let input = x.retaped::<T>();
                let middle = op::relu(self.layer(first, x)?)?;
                let y = self.layer(second, middle)?;
                let sum = match shortcut {
                    Shortcut::None => y,
                    Shortcut::Identity => y.try_add(input)?,
                    Shortcut::Projection(layer) => y.try_add(self.layer(layer, input)?)?,
                };
                Ok(op::relu(sum)?)
            }
        }
    }

    /// A convolution and its batch norm.
    fn layer<T: Tape<f32, D>>(
        &mut self,
        layer: &ConvNorm,
        x: Matrix<D, T>,
    ) -> Result<Matrix<D, T>, Stop<D::Err>> {
        let ConvNorm { conv, norm } = layer;
        let Network {
            values,
            moving,
            epsilon,
            ..
        } = *self.network;
        let bias = conv.bias.map(|bias| values.of(bias));
        let x = op::convolve(conv, self.n, x, values.of(conv.weight), bias)?;
        let (weight, bias) = (values.of(norm.weight), values.of(norm.bias));
        match &mut self.norms {
            Norms::Batch(statistics) => {
                check(&x.as_vec(), &conv.name, "activation")?;
                let op::Normalized { y, own } = op::normalize_by_batch(x, weight, bias, epsilon)?;
                // An infinite variance would turn its channel into the bias, and all looks well.
                check(&own.variance.as_vec(), &norm.name, "activation")?;
                statistics.push(own);
                Ok(y)
            }
            Norms::Moving => {
                let (mean, variance) = (moving.of(norm.mean), moving.of(norm.variance));
                let y = op::normalize_by_given(x, mean, variance, weight, bias, epsilon)?;
                Ok(y)
            }
        }
    }
}
