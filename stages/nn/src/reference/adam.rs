//! Adam's update of a flat vector of parameters.
//! It must not know layers or learning-rate schedules.
//!
//! Kingma & Ba, "Adam", in the form of section 2's last paragraph, which Keras implements:
//! epsilon is added to the root of the *uncorrected* second moment.

use super::Real;
use crate::config::AdamConfig;
use crate::math;

/// What one step multiplies with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coefficients<T> {
    /// `learning_rate * sqrt(1 - beta2^t) / (1 - beta1^t)`.
    pub rate: T,
    /// `1 - beta1`.
    pub one_minus_beta1: T,
    /// `1 - beta2`.
    pub one_minus_beta2: T,
    /// Added to the root.
    pub epsilon: T,
}

impl<T: Real> Coefficients<T> {
    /// Of the step numbered from 0, so `t = step + 1`; computed in f64, then rounded.
    #[must_use]
    pub fn new(adam: &AdamConfig, step: u64, learning_rate: f32) -> Self {
        let t = step.saturating_add(1);
        let rate = f64::from(learning_rate) * (1.0 - math::power(adam.beta2, t)).sqrt()
            / (1.0 - math::power(adam.beta1, t));
        Self {
            rate: T::from_f64(rate),
            one_minus_beta1: T::from_f64(1.0 - adam.beta1),
            one_minus_beta2: T::from_f64(1.0 - adam.beta2),
            epsilon: T::from_f64(adam.epsilon),
        }
    }
}

/// `m = fma(g - m, 1 - beta1, m)`, `v = fma(g * g - v, 1 - beta2, v)`,
/// `w = w - (rate * m) / (sqrt(v) + epsilon)`.
pub fn update<T: Real>(w: &mut [T], m: &mut [T], v: &mut [T], g: &[T], c: &Coefficients<T>) {
    for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
        *m = (g - *m).fma(c.one_minus_beta1, *m);
        *v = (g * g - *v).fma(c.one_minus_beta2, *v);
        *w = *w - (c.rate * *m) / (v.root() + c.epsilon);
    }
}
