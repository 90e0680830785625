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

#[cfg(test)]
mod tests {
    use super::*;
    use nn::config::NetworkConfig;
    use nn::network::Plan;
    use nn::random::{Stream, StreamName};
    use nn::reference::adam::{Coefficients, update};

    /// As a share of the step, which is at most some `learning_rate`.
    #[test]
    fn updates_are_the_references_but_for_rounding() {
        let config = NetworkConfig::PlainCnn {
            filters: vec![2],
            conv_bias: true,
            dropout: 0.0,
        };
        let plan = Plan::new(&config, 3).expect("a valid network");
        let n = plan.count.trainable;
        let numbers = |stream, scale: f32| -> Vec<f32> {
            let stream = Stream::new(stream, StreamName::Data, 0);
            let uniforms = stream.uniforms(0).take(n);
            uniforms.map(|u| (u - 0.5) * scale).collect()
        };
        let device = Cpu::default();
        let vectors = |flat: &[f32]| Vectors::new(&device, &plan, true, flat).expect("memory");
        // Gradients about as large as epsilon show where it is added.
        for (step, scale) in [(0, 1.0), (0, 1e-3), (9, 1e-3), (1000, 1e-3)] {
            let adam = AdamConfig {
                epsilon: 1e-3,
                ..AdamConfig::default()
            };
            let (mut w, mut m, g) = (numbers(1, 1e-2), numbers(2, scale), numbers(3, scale));
            let mut v: Vec<f32> = numbers(4, scale).iter().map(|x| x * x).collect();
            let trained = Trained {
                values: vectors(&w),
                m: vectors(&m),
                v: vectors(&v),
            };
            let gradients = vectors(&g).tensors;
            let next = trained.updated(gradients, &adam, step, 1e-2);
            let next = next.expect("memory");
            let coefficients = Coefficients::new(&adam, step, 1e-2);
            update(&mut w, &mut m, &mut v, &g, &coefficients);
            for (ours, theirs, unit) in [
                (next.values.to_flat(), w, 1e-2),
                (next.m.to_flat(), m, scale),
                (next.v.to_flat(), v, scale * scale),
            ] {
                let pairs = ours.iter().zip(&theirs);
                let apart = pairs.fold(0.0, |most: f32, (a, b)| most.max((a - b).abs()));
                assert!(apart < 1e-5 * unit, "step {step}, scale {scale}: {apart}");
            }
        }
    }
}
