//! Every fast kernel against its reference, bit for bit, over random shapes.
//! It must not know whole networks.

use super::batch_norm::{self, After, Channels, NormGradients};
use super::column_sums;
use super::finite::finite;
use super::isa::Checked;
use super::memory::Aligned;
use super::norm_gradient::{self, Normed};
use super::norm_pool::{self, Pool};
use super::{Context, Isa, adam, conv, moments, pool, threads};
use crate::config::AdamConfig;
use crate::network::Conv;
use crate::random::{Stream, StreamName};
use crate::reference::{self as reference, Real, adam::Coefficients, layers, norm};
use crate::winograd::{Method, method};
use proptest::prelude::*;

/// Every instruction set of this CPU with every number of threads.
fn contexts() -> Vec<(String, Context)> {
    let mut all = Vec::new();
    for isa in [Isa::Avx512, Isa::Avx2, Isa::Plain] {
        let Ok(checked) = Checked::new(isa) else {
            println!("skipped {}: this CPU lacks it", isa.name());
            continue;
        };
        for count in [1, 2, 3] {
            let threads = threads::Threads::new(count).expect("a few threads start");
            all.push((
                format!("{} on {count} threads", isa.name()),
                Context {
                    threads,
                    isa: checked,
                },
            ));
        }
    }
    all
}

thread_local! {
    static CONTEXTS: Vec<(String, Context)> = contexts();
}

/// Random numbers, a quarter of them 0 as after ReLU.
pub(super) fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let stream = Stream::new(seed, StreamName::Data, len as u64);
    let value = |u: f32| if u < 0.25 { 0.0 } else { u * 4.0 - 2.5 };
    stream.uniforms(0).take(len).map(value).collect()
}

fn assert_same_bits(what: &str, who: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}, {who}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert_eq!(
            g.to_bits(),
            w.to_bits(),
            "{what}, {who}: {g} is not {w} at {i}"
        );
    }
}

fn assert_same_gradients(
    what: &str,
    who: &str,
    want: &norm::Gradients<f32>,
    dx: &[f32],
    got: &NormGradients,
) {
    assert_same_bits(&format!("{what}: gradient"), who, dx, &want.x);
    assert_same_bits(
        &format!("{what}: of weight"),
        who,
        &got.weight,
        &want.weight,
    );
    assert_same_bits(&format!("{what}: of bias"), who, &got.bias, &want.bias);
}

/// Largest distance from the f64 result relative to the sum of the terms' sizes, in ulps of 1.
fn assert_close(what: &str, got: &[f32], exact: &[f64], sizes: &[f64], terms: usize) {
    for (i, ((&g, &e), &size)) in got.iter().zip(exact).zip(sizes).enumerate() {
        // Each of the chain's roundings is at most half an ulp of a partial sum.
        let bound = terms as f64 * f64::from(f32::EPSILON) * size + 1e-30;
        assert!(
            (f64::from(g) - e).abs() <= bound,
            "{what}: {g} is not {e} within {bound} at {i}"
        );
    }
}

pub(super) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

fn sizes(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v.abs())).collect()
}

/// What a tiled convolution's error is relative to: its transforms mix a tile's numbers, so the
/// largest size of all stands for each.
fn spread(layer: &Conv, scale: Vec<f64>) -> Vec<f64> {
    if method(layer) == Method::Direct {
        return scale;
    }
    let largest = scale.iter().copied().fold(0.0, f64::max);
    vec![2.0 * largest; scale.len()]
}

fn check_conv(layer: &Conv, n: usize, biased: bool, seed: u64) {
    let (inside, outside) = (
        n * layer.size.pow(2) * layer.inputs,
        n * layer.out_size().pow(2) * layer.outputs,
    );
    let (x, dy) = (numbers(seed, inside), numbers(seed + 1, outside));
    let (w, b) = (
        numbers(seed + 2, layer.weight.len),
        numbers(seed + 3, layer.outputs),
    );
    let bias = biased.then_some(b.as_slice());
    let start = numbers(seed + 4, inside);

    let y = reference::conv::forward(layer, n, &x, &w, bias);
    let dx = reference::conv::input_gradient(layer, n, &dy, &w, None);
    let carried = reference::conv::input_gradient(layer, n, &dy, &w, Some(&start));
    let dw = reference::conv::weight_gradient(layer, n, &x, &dy);
    let db = reference::conv::bias_gradient(layer.outputs, &dy);

    let taps = layer.kernel.pow(2);
    let wide_bias = bias.map(wide);
    let exact =
        reference::conv::direct_forward(layer, n, &wide(&x), &wide(&w), wide_bias.as_deref());
    let scale = reference::conv::direct_forward(
        layer,
        n,
        &sizes(&x),
        &sizes(&w),
        bias.map(sizes).as_deref(),
    );
    let scale = spread(layer, scale);
    assert_close("forward", &y, &exact, &scale, taps * layer.inputs + 1);
    let exact = reference::conv::direct_input_gradient(layer, n, &wide(&dy), &wide(&w), None);
    let scale = reference::conv::direct_input_gradient(layer, n, &sizes(&dy), &sizes(&w), None);
    let scale = spread(layer, scale);
    assert_close("input gradient", &dx, &exact, &scale, taps * layer.outputs);
    let exact = reference::conv::direct_weight_gradient(layer, n, &wide(&x), &wide(&dy));
    let scale = reference::conv::direct_weight_gradient(layer, n, &sizes(&x), &sizes(&dy));
    let scale = spread(layer, scale);
    let pixels = n * layer.out_size().pow(2);
    assert_close(
        "weight gradient",
        &dw,
        &exact,
        &scale,
        pixels.min(256) + pixels / 256 + 1,
    );

    CONTEXTS.with(|contexts| {
        for (who, context) in contexts {
            let mut panel = Aligned::default();
            let on = conv::Layer { conv: layer, n };
            let mut got = vec![f32::NAN; outside];
            conv::forward(context, on, &x, &w, bias, &mut panel, &mut got);
            assert_same_bits("forward", who, &got, &y);
            let mut got = vec![f32::NAN; inside];
            conv::input_gradient(context, on, &dy, &w, &mut panel, &mut got, false);
            assert_same_bits("input gradient", who, &got, &dx);
            let mut got = start.clone();
            conv::input_gradient(context, on, &dy, &w, &mut panel, &mut got, true);
            assert_same_bits("carried input gradient", who, &got, &carried);
            let mut got = vec![f32::NAN; dw.len()];
            conv::weight_gradient(context, on, &x, &dy, &mut panel, &mut got);
            assert_same_bits("weight gradient", who, &got, &dw);
            let mut got = vec![f32::NAN; db.len()];
            conv::bias_gradient(context, layer.outputs, &dy, &mut got);
            assert_same_bits("bias gradient", who, &got, &db);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_equal_the_reference(
        three in any::<bool>(), stride in 1_usize..3, inputs in 1_usize..20, outputs in 1_usize..70,
        size in 1_usize..10, n in 1_usize..4, biased in any::<bool>(), seed in any::<u32>(),
    ) {
        let layer = Conv::bare(if three { 3 } else { 1 }, stride, inputs, outputs, size);
        check_conv(&layer, n, biased, seed.into());
    }

    #[test]
    fn tiled_convolutions_equal_the_reference(
        size in prop::sample::select(vec![2_usize, 4, 6, 8, 12]), stride in 1_usize..3, inputs in 1_usize..4,
        outputs in 1_usize..6,
        n in 1_usize..6, biased in any::<bool>(), seed in any::<u32>(),
    ) {
        check_conv(&Conv::bare(3, stride, 16 * inputs, 16 * outputs, size), n, biased, seed.into());
    }

    #[test]
    fn dense_layers_equal_the_reference(inputs in 1_usize..700, outputs in 1_usize..40, n in 1_usize..30, seed in any::<u32>()) {
        check_conv(&Conv::bare(1, 1, inputs, outputs, 1), n, true, seed.into());
    }

    #[test]
    fn batch_norm_equals_the_reference(rows in 1_usize..400, channels in 1_usize..90, seed in any::<u32>()) {
        let seed = u64::from(seed);
        let len = rows * channels;
        let (x, dy, added) = (numbers(seed, len), numbers(seed + 1, len), numbers(seed + 2, len));
        let (weight, bias) = (numbers(seed + 3, channels), numbers(seed + 4, channels));
        let s = norm::statistics(channels, &x, 1e-3);
        let plain = norm::normalize(&x, &s.mean, &s.inv_std, &weight, &bias);
        let mut active = plain.clone();
        layers::relu(&mut active);
        let mut residual: Vec<f32> = plain.iter().zip(&added).map(|(a, b)| a + b).collect();
        layers::relu(&mut residual);
        let (weight2, bias2) = (numbers(seed + 5, channels), numbers(seed + 6, channels));
        let s2 = norm::statistics(channels, &added, 1e-3);
        let shortcut = norm::normalize(&added, &s2.mean, &s2.inv_std, &weight2, &bias2);
        let mut projected: Vec<f32> = plain.iter().zip(&shortcut).map(|(a, b)| a + b).collect();
        layers::relu(&mut projected);
        // Gradients behind each ReLU, of each batch norm.
        let masked = |output: &[f32]| {
            let mut g = dy.clone();
            layers::relu_backward(output, &mut g);
            g
        };
        let backward = |g: &[f32]| norm::backward(&x, g, &s.mean, &s.inv_std, &weight);
        let through = masked(&residual);
        let of_shortcut = norm::backward(&added, &masked(&projected), &s2.mean, &s2.inv_std, &weight2);
        CONTEXTS.with(|contexts| for (who, context) in contexts {
            let got = moments::statistics(context, &x, channels, 1e-3);
            assert_same_bits("mean", who, &got.mean, &s.mean);
            assert_same_bits("variance", who, &got.variance, &s.variance);
            assert_same_bits("inverse deviation", who, &got.inv_std, &s.inv_std);
            let channels_of = Channels { mean: &s.mean, inv_std: &s.inv_std, weight: &weight, bias: &bias };
            let other = Channels { mean: &s2.mean, inv_std: &s2.inv_std, weight: &weight2, bias: &bias2 };
            for (what, after, want) in [
                ("relu", After::Relu, &active),
                ("residual", After::AddRelu(&added), &residual),
                ("projected", After::AddNormRelu(&added, other), &projected),
            ] {
                let mut y = vec![f32::NAN; len];
                batch_norm::normalize(context, &x, channels_of, after, &mut y);
                assert_same_bits(what, who, &y, want);
            }
            let of = Normed { x: &x, norm: channels_of };
            let (mut g, mut next) = (dy.clone(), vec![f32::NAN; len]);
            let got = norm_gradient::through_relu(context, of, &mut g);
            assert_same_gradients("relu", who, &backward(&masked(&active)), &g, &got);
            g.copy_from_slice(&dy);
            let got = norm_gradient::through_sum(context, of, &added, &mut g, &mut next);
            assert_same_gradients("residual", who, &backward(&through), &g, &got);
            assert_same_bits("through the shortcut", who, &next, &through);
            g.copy_from_slice(&dy);
            let shortcut = Normed { x: &added, norm: other };
            let got = norm_gradient::through_both(context, of, shortcut, &mut g, &mut next);
            assert_same_gradients("projected", who, &backward(&masked(&projected)), &g, &got[0]);
            assert_same_gradients("projection", who, &of_shortcut, &next, &got[1]);
        });
    }

    #[test]
    fn pools_equal_the_reference(n in 1_usize..4, size in 2_usize..9, channels in 1_usize..40, seed in any::<u32>()) {
        let seed = u64::from(seed);
        let x = numbers(seed, n * size * size * channels);
        let s = norm::statistics(channels, &x, 1e-3);
        // Scales of either sign; biases small enough that many windows are rectified.
        let (weight, bias) = (numbers(seed + 3, channels), numbers(seed + 4, channels));
        let normalized = norm::normalize(&x, &s.mean, &s.inv_std, &weight, &bias);
        let winners = layers::winners(&normalized, n, size, channels);
        let mut y = layers::max_pool(&normalized, &winners);
        layers::relu(&mut y);
        let dy = numbers(seed + 1, y.len());
        let mut g = dy.clone();
        layers::relu_backward(&y, &mut g);
        let want = norm::backward_at(&x, &g, &winners, &s.mean, &s.inv_std, &weight);
        let mean = layers::average_pool(&x, size * size, channels);
        let spread = layers::average_pool_backward(&dy[..n * channels], size * size, channels);
        CONTEXTS.with(|contexts| for (who, context) in contexts {
            let pool = Pool { n, size, channels };
            let channels_of = Channels { mean: &s.mean, inv_std: &s.inv_std, weight: &weight, bias: &bias };
            let mut got = vec![f32::NAN; y.len()];
            norm_pool::forward(context, pool, &x, channels_of, &mut got);
            assert_same_bits("max", who, &got, &y);
            let mut dx = vec![f32::NAN; x.len()];
            let got = norm_pool::backward(context, pool, Normed { x: &x, norm: channels_of }, &dy, &mut dx);
            assert_same_gradients("max", who, &want, &dx, &got);
        });
        let mut got = vec![f32::NAN; mean.len()];
        pool::average(&x, size * size, channels, &mut got);
        assert_same_bits("average", "all", &got, &mean);
        let mut got = vec![f32::NAN; x.len()];
        pool::average_backward(&dy[..n * channels], size * size, channels, &mut got);
        assert_same_bits("average gradient", "all", &got, &spread);
    }

    #[test]
    fn column_sums_equal_the_reference(rows in 1_usize..900, columns in 1_usize..20, seed in any::<u32>()) {
        let x = numbers(seed.into(), rows * columns);
        let want = reference::column_sums(rows, columns, |acc: f32, r, c| acc + x[r * columns + c]);
        CONTEXTS.with(|contexts| for (who, context) in contexts {
            assert_eq!(column_sums::sums(context, &x, columns), want, "{}", who);
        });
    }
}

#[test]
fn shapes_beyond_one_block_equal_the_reference() {
    // More rows of A, more k and more pixels than one block, and a part of a strip.
    check_conv(&Conv::bare(3, 1, 40, 33, 8), 6, false, 1);
    // More input channels, tiles and weights than one block of a tiled convolution.
    check_conv(&Conv::bare(3, 1, 336, 48, 2), 3, false, 6);
    check_conv(&Conv::bare(3, 1, 16, 80, 16), 9, true, 7);
    check_conv(&Conv::bare(3, 2, 16, 80, 16), 9, true, 8);
    check_conv(&Conv::bare(3, 2, 72, 65, 9), 3, true, 2);
    check_conv(&Conv::bare(1, 2, 400, 64, 2), 5, false, 3);
    check_conv(&Conv::bare(3, 1, 3, 32, 32), 1, true, 4);
    check_conv(&Conv::bare(3, 1, 96, 32, 1), 2, false, 5);
}

#[test]
fn weight_gradients_whose_blocks_of_pixels_are_shared_out_equal_the_reference() {
    // Few weights and many pixels, the last block a part; the second has part of a strip.
    check_conv(&Conv::bare(3, 1, 3, 32, 31), 4, false, 9);
    check_conv(&Conv::bare(1, 2, 20, 40, 62), 4, false, 10);
}

#[test]
fn adam_equals_the_reference_over_several_steps() {
    let len = 70_001;
    CONTEXTS.with(|contexts| {
        for (who, context) in contexts {
            let mut want = [numbers(1, len), vec![0.0; len], vec![0.0; len]];
            let mut got = want.clone();
            for step in 0..3 {
                let g = numbers(10 + step, len);
                let c = Coefficients::<f32>::new(&AdamConfig::default(), step, 1e-3);
                let [w, m, v] = &mut want;
                reference::adam::update(w, m, v, &g, &c);
                let [w, m, v] = &mut got;
                adam::update(context, w, m, v, &g, &c);
            }
            for (got, want) in got.iter().zip(&want) {
                assert_same_bits("adam", who, got, want);
            }
        }
    });
}

#[test]
fn a_column_sum_is_close_to_the_exact_one() {
    let x = numbers(3, 5000);
    let sum = reference::column_sums(5000, 1, |acc: f32, r, _| acc + x[r])[0];
    let exact: f64 = x.iter().map(|v| v.to_f64()).sum();
    assert!(
        (sum - exact).abs() < 1e-2 * f64::from(f32::EPSILON) * 5000.0 * 100.0,
        "{sum} {exact}"
    );
}

#[test]
fn variances_do_not_cancel_far_from_zero() {
    let x: Vec<f32> = numbers(3, 5000).iter().map(|v| v + 1000.0).collect();
    let s = norm::statistics(1, &x, 1e-3);
    let exact = norm::statistics(1, &wide(&x), 1e-3);
    // Each number is itself rounded to 1000's ulps, some 6e-5; the sum of a block to 2^7 of them.
    assert!((f64::from(s.mean[0]) - exact.mean[0]).abs() < 1e-3);
    assert!((f64::from(s.variance[0]) / exact.variance[0] - 1.0).abs() < 1e-5);
}

#[test]
fn one_number_that_is_not_finite_is_found_anywhere() {
    let mut x = numbers(5, 600_000);
    CONTEXTS.with(|contexts| {
        for (who, context) in contexts {
            assert!(finite(context, &x) && finite(context, &[]), "{who}");
            for at in [0, 17, 300_000, 599_999] {
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let was = std::mem::replace(&mut x[at], bad);
                    assert!(!finite(context, &x), "{who}: {bad} at {at}");
                    x[at] = was;
                }
            }
        }
    });
}
