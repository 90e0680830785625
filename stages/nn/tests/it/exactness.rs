//! How far the f32 contract may be from f64 arithmetic, stated operation by operation.
//! It must not know the native engine: that one has the contract's very bits.
//!
//! With `e` = [`f32::EPSILON`] and sizes meaning the same sum over absolute values: sums over rows
//! err by at most `ROW_BLOCK * e` of their size, however many rows there are; what is computed
//! for one number by a few roundings errs by as many `e`. Convolutions are held to their bounds
//! beside the kernels.

use nn::config::AdamConfig;
use nn::random::{Stream, StreamName};
use nn::reference::adam::{self, Coefficients};
use nn::reference::{ROW_BLOCK, conv, layers, norm};
use proptest::prelude::*;

const E: f64 = f32::EPSILON as f64;
/// A block's chain, and slack for the few roundings after it.
const SUM: f64 = ROW_BLOCK as f64 * E;

/// Numbers about `offset`, at most `reach` from it.
fn numbers(seed: u64, len: usize, offset: f32, reach: f32) -> Vec<f32> {
    let stream = Stream::new(seed, StreamName::Data, len as u64);
    let value = |u: f32| (2.0 * u - 1.0) * reach + offset;
    stream.uniforms(0).take(len).map(value).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

/// Every number of `got` lies within `bound` of `exact`'s.
fn check(what: &str, got: &[f32], exact: &[f64], bound: impl Fn(usize) -> f64) {
    assert_eq!(got.len(), exact.len(), "{what}");
    for (i, (&got, &exact)) in got.iter().zip(exact).enumerate() {
        let bound = bound(i) + 1e-37;
        assert!(
            (f64::from(got) - exact).abs() <= bound,
            "{what}[{i}]: {got:e} is not {exact:e} within {bound:e}"
        );
    }
}

/// Sums of `f(i)` over each of `channels` columns.
fn sums(len: usize, channels: usize, f: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    (0..len).for_each(|i| sums[i % channels] += f(i));
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batch_statistics_err_by_a_blocks_roundings(rows in 1_usize..2000, channels in 1_usize..5, offset in -50.0_f32..50.0, seed in any::<u32>()) {
        let x = numbers(seed.into(), rows * channels, offset, 2.0);
        let got = norm::statistics(channels, &x, 1e-3);
        let exact = norm::statistics(channels, &wide(&x), f64::from(1e-3_f32));
        let size = f64::from(offset.abs()) + 2.0;
        check("mean", &got.mean, &exact.mean, |_| SUM * size);
        // Distances are from a block's rounded mean.
        let bound = |c: usize| {
            let variance = exact.variance[c];
            2.0 * SUM * variance + 4.0 * SUM * size * (variance.sqrt() + SUM * size)
        };
        check("variance", &got.variance, &exact.variance, bound);
        let relative = |c: usize| bound(c) / (exact.variance[c] + 1e-3) + 2.0 * E;
        check("inverse deviation", &got.inv_std, &exact.inv_std, |c| relative(c) * exact.inv_std[c]);
    }

    #[test]
    fn batch_norm_errs_by_a_few_roundings_forward_and_a_blocks_backward(rows in 1_usize..700, channels in 1_usize..5, seed in any::<u32>()) {
        let seed = u64::from(seed);
        let len = rows * channels;
        let (x, dy) = (numbers(seed, len, 0.5, 3.0), numbers(seed + 1, len, 0.0, 1.0));
        let (weight, bias) = (numbers(seed + 2, channels, 1.0, 2.0), numbers(seed + 3, channels, 0.0, 1.0));
        let s = norm::statistics(channels, &x, 1e-3);
        let (x64, dy64, mean, inv) = (wide(&x), wide(&dy), wide(&s.mean), wide(&s.inv_std));
        let (weight64, bias64) = (wide(&weight), wide(&bias));
        let far = |i: usize| (x64[i] - mean[i % channels]).abs();
        let scale = |c: usize| (weight64[c] * inv[c]).abs();

        let got = norm::normalize(&x, &s.mean, &s.inv_std, &weight, &bias);
        let exact = norm::normalize(&x64, &mean, &inv, &weight64, &bias64);
        check("output", &got, &exact, |i| {
            let c = i % channels;
            2.0 * E * (far(i) * scale(c) + bias64[c].abs())
        });

        let got = norm::backward(&x, &dy, &s.mean, &s.inv_std, &weight);
        let exact = norm::backward(&x64, &dy64, &mean, &inv, &weight64);
        let s1 = sums(len, channels, |i| dy64[i].abs());
        let s2 = sums(len, channels, |i| dy64[i].abs() * far(i));
        check("bias's gradient", &got.bias, &exact.bias, |c| SUM * s1[c]);
        check("weight's gradient", &got.weight, &exact.weight, |c| SUM * s2[c] * inv[c]);
        check("input's gradient", &got.x, &exact.x, |i| {
            let c = i % channels;
            let level = (s1[c] + far(i) * inv[c] * inv[c] * s2[c]) / rows as f64;
            scale(c) * (SUM * level + 4.0 * E * (dy64[i].abs() + level))
        });
        check("a convolution's bias's gradient", &conv::bias_gradient(channels, &dy), &exact.bias, |c| SUM * s1[c]);
    }

    #[test]
    fn average_pooling_errs_by_a_rounding_a_pixel(n in 1_usize..4, size in 1_usize..9, channels in 1_usize..9, seed in any::<u32>()) {
        let pixels = size * size;
        let x = numbers(seed.into(), n * pixels * channels, 0.0, 2.0);
        let got = layers::average_pool(&x, pixels, channels);
        let exact = layers::average_pool(&wide(&x), pixels, channels);
        check("mean", &got, &exact, |_| (pixels + 1) as f64 * E * 2.0);
        let got = layers::average_pool_backward(&got, pixels, channels);
        let exact = layers::average_pool_backward(&exact, pixels, channels);
        check("gradient", &got, &exact, |_| (pixels + 2) as f64 * E * 2.0 / pixels as f64);
    }

    /// Rounding a difference of logits is as good as moving a power by so much.
    #[test]
    fn softmax_errs_by_the_logits_range_and_the_classes(n in 1_usize..6, classes in 1_usize..30, reach in 0.0_f32..60.0, seed in any::<u32>()) {
        let logits = numbers(seed.into(), n * classes, 0.0, reach);
        let labels: Vec<u8> = (0..n).map(|i| (i * 5 % classes) as u8).collect();
        let got = layers::softmax_cross_entropy(&logits, &labels, classes);
        let exact = layers::softmax_cross_entropy(&wide(&logits), &labels, classes);
        let bound = E * (2.0 * f64::from(reach) + classes as f64 + 8.0);
        check("probability", &got.probabilities, &exact.probabilities, |i| bound * exact.probabilities[i]);
        check("loss", &got.losses, &exact.losses, |_| bound);
        check("gradient", &got.gradient, &exact.gradient, |_| bound / n as f64);
    }

    #[test]
    fn adam_errs_by_a_few_roundings_a_step(step in 0_u64..5000, small in -8_i32..1, seed in any::<u32>()) {
        let (seed, len) = (u64::from(seed), 50);
        let scale = 10_f32.powi(small);
        let (w, m, g) = (numbers(seed, len, 0.0, 1.0), numbers(seed + 1, len, 0.0, scale), numbers(seed + 2, len, 0.0, scale));
        let v = numbers(seed + 3, len, scale * scale, scale * scale);
        let config = AdamConfig::default();
        let (mut got, mut exact) = ([w.clone(), m.clone(), v.clone()], [wide(&w), wide(&m), wide(&v)]);
        let of = Coefficients::<f64>::new(&config, step, 1e-3);
        {
            let [w, m, v] = &mut got;
            adam::update(w, m, v, &g, &Coefficients::<f32>::new(&config, step, 1e-3));
            let [w, m, v] = &mut exact;
            adam::update(w, m, v, &wide(&g), &of);
        }
        let moment = |i: usize| f64::from(m[i].abs()) + f64::from(g[i].abs());
        check("first moment", &got[1], &exact[1], |i| 2.0 * E * moment(i));
        check("second moment", &got[2], &exact[2], |i| 4.0 * E * exact[2][i]);
        check("weight", &got[0], &exact[0], |i| {
            let root = exact[2][i].sqrt() + of.epsilon;
            E * (f64::from(w[i].abs()) + 8.0 * of.rate * moment(i) / root)
        });
    }
}
