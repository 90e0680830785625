//! Adam's update of a network's tensors.
//! It must not know layers or learning-rate schedules.

use crate::vectors::{Vector, Vectors};
use dfdx::prelude::*;
use nn::config::AdamConfig;

/// What the optimiser changes and its moments, tensor by tensor.
#[derive(Debug, Clone)]
pub(crate) struct Trained<D: Device<f32>> {
    /// Weights, biases and batch norm's scales and shifts.
    pub(crate) values: Vectors<D>,
    /// First moments.
    pub(crate) m: Vectors<D>,
    /// Second moments.
    pub(crate) v: Vectors<D>,
}

impl<D: Device<f32>> Trained<D> {
    /// The step numbered from 0 along `gradients` (in the order of the tensors), as Keras does it
    /// after Kingma & Ba, "Adam", section 2's last paragraph: with `t = step + 1`,
    /// `m += (g - m) (1 - beta1)`, `v += (g^2 - v) (1 - beta2)` and
    /// `w -= rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)`.
    pub(crate) fn updated(
        &self,
        gradients: Vec<Vector<D>>,
        adam: &AdamConfig,
        step: u64,
        learning_rate: f32,
    ) -> Result<Self, D::Err> {
        let t = step as f64 + 1.0;
        let corrected = (1.0 - adam.beta2.powf(t)).sqrt() / (1.0 - adam.beta1.powf(t));
        let rate = (f64::from(learning_rate) * corrected) as f32;
        let mut next = self.clone();
        for (i, g) in gradients.into_iter().enumerate() {
            let m = toward(&self.m.tensors[i], g.clone(), 1.0 - adam.beta1)?;
            let v = toward(&self.v.tensors[i], g.try_square()?, 1.0 - adam.beta2)?;
            let root = v.clone().try_sqrt()?.try_add(adam.epsilon as f32)?;
            let change = m.clone().try_mul(rate)?.try_div(root)?;
            next.values.tensors[i] = self.values.tensors[i].clone().try_sub(change)?;
            next.m.tensors[i] = m;
            next.v.tensors[i] = v;
        }
        Ok(next)
    }
}

/// `old + (new - old) share`.
fn toward<D: Device<f32>>(
    old: &Vector<D>,
    new: Vector<D>,
    share: f64,
) -> Result<Vector<D>, D::Err> {
    let change = new.try_sub(old.clone())?.try_mul(share as f32)?;
    old.clone().try_add(change)
}
