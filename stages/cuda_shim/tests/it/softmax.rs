//! Softmax cross-entropy with the bits of the reference, and an epoch's sums.
//! It must not know networks.

use crate::compare::{assert_same_bits, numbers, unset};
use crate::support::{STRIDE_BLOCK, in_both_orders, launch, line, or_return, or_skip};
use cuda_shim::Order;
use nn::math;
use nn::reference::layers;
use proptest::prelude::*;
use std::ptr::null_mut;

fn labels(n: usize, classes: usize, seed: u64) -> Vec<u8> {
    (0..n as u64)
        .map(|i| ((i * 7 + seed) % classes as u64) as u8)
        .collect()
}

/// Losses, probabilities, gradient and classes; those as numbers, to compare them alike.
fn softmax(order: Order, logits: &[f32], labels: &[u8], classes: usize) -> [Vec<f32>; 4] {
    let n = labels.len();
    let mut losses = unset(n);
    let (mut probabilities, mut gradient) = (unset(n * classes), unset(n * classes));
    let mut predicted = vec![u8::MAX; n];
    launch!(
        order,
        "softmax_loss",
        line(2),
        line(32),
        logits.as_ptr(),
        labels.as_ptr(),
        n as i32,
        classes as i32,
        losses.as_mut_ptr(),
        probabilities.as_mut_ptr(),
        gradient.as_mut_ptr(),
        predicted.as_mut_ptr(),
    );
    let predicted = predicted.into_iter().map(f32::from).collect();
    [losses, probabilities, gradient, predicted]
}

/// The lowest of the largest in each row.
fn largest(rows: &[f32], classes: usize) -> Vec<f32> {
    let of =
        |row: &[f32]| (1..classes).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    rows.chunks_exact(classes)
        .map(|row| of(row) as f32)
        .collect()
}

fn check(logits: &[f32], labels: &[u8], classes: usize) {
    let want = layers::softmax_cross_entropy(logits, labels, classes);
    let [losses, probabilities, gradient, predicted] =
        in_both_orders(|order| softmax(order, logits, labels, classes));
    assert_same_bits("losses", &losses, &want.losses);
    assert_same_bits("probabilities", &probabilities, &want.probabilities);
    assert_same_bits("gradient", &gradient, &want.gradient);
    assert_same_bits(
        "predicted",
        &predicted,
        &largest(&want.probabilities, classes),
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn softmax_has_the_bits_of_the_reference(n in 1_usize..90, classes in 1_usize..20, scale in 0.0_f32..60.0, seed in any::<u32>()) {
        or_skip!();
        let logits: Vec<f32> = numbers(seed.into(), n * classes).iter().map(|v| v * scale).collect();
        check(&logits, &labels(n, classes, seed.into()), classes);
    }

    #[test]
    fn a_tally_adds_a_batch_to_what_is_there(n in 1_usize..900, seed in any::<u32>()) {
        or_skip!();
        let losses: Vec<f32> = numbers(seed.into(), n).iter().map(|v| v.abs()).collect();
        let (predicted, labels) = (labels(n, 10, seed.into()), labels(n, 7, 0));
        let sums = |order| {
            let (mut loss, mut correct) = (1000.0_f64, 5_u32);
            launch!(
                order, "tally", line(1), STRIDE_BLOCK,
                losses.as_ptr(), predicted.as_ptr(), labels.as_ptr(), n as i32,
                &raw mut loss, &raw mut correct,
            );
            (loss, correct)
        };
        let got = sums(Order::Forward);
        prop_assert_eq!(got, sums(Order::Backward));
        let exact: f64 = 1000.0 + losses.iter().map(|&v| f64::from(v)).sum::<f64>();
        // Each sum is in f64.
        prop_assert!((got.0 - exact).abs() <= n as f64 * f64::EPSILON * exact);
        let correct = predicted.iter().zip(&labels).filter(|(p, l)| p == l).count();
        prop_assert_eq!(got.1 as usize, 5 + correct);
    }
}

/// Both functions of each number.
fn functions(x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut exponentials, mut logarithms) = (unset(x.len()), unset(x.len()));
    launch!(
        Order::Forward,
        "functions",
        line(1),
        STRIDE_BLOCK,
        x.as_ptr(),
        x.len() as i32,
        exponentials.as_mut_ptr(),
        logarithms.as_mut_ptr(),
    );
    (exponentials, logarithms)
}

#[test]
fn exponential_and_logarithm_have_the_bits_of_the_reference() {
    or_return!();
    let count = 100_000_u32;
    let across = |i: u32| -106.0 + i as f32 * (196.0 / count as f32);
    let mut x: Vec<f32> = (0..count).map(across).collect();
    x.extend([
        0.0,
        -0.0,
        1e-45,
        f32::MAX,
        f32::MIN,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ]);
    let want: Vec<f32> = x.iter().map(|&x| math::exp(x)).collect();
    assert_same_bits("exponential", &functions(&x).0, &want);
    let least = f32::MIN_POSITIVE.to_bits();
    let step = (f32::INFINITY.to_bits() - least) / count;
    let mut x: Vec<f32> = (0..count)
        .map(|i| f32::from_bits(least + i * step))
        .collect();
    // Softmax's sums.
    x.extend((0..count).map(|i| 1.0 + i as f32 * (9.0 / count as f32)));
    x.extend([f32::MAX, f32::INFINITY]);
    let want: Vec<f32> = x.iter().map(|&x| math::ln(x)).collect();
    assert_same_bits("logarithm", &functions(&x).1, &want);
    let nan = functions(&[f32::NAN]);
    assert!(nan.0[0].is_nan() && nan.1[0].is_nan());
}

#[test]
fn extreme_logits_have_the_bits_of_the_reference() {
    or_return!();
    check(
        &[0.0, 0.0, 0.0, 1e30, -1e30, 0.0, -200.0, -104.5, -103.5],
        &[2, 1, 0],
        3,
    );
    check(&[5.0; 10], &[9], 10);
    // Different logits whose probabilities are the same number: the lowest class wins.
    let near = 1.0_f32.next_down();
    check(&[near, 1.0, 0.5], &[1], 3);
}

#[test]
fn a_logit_that_is_not_a_number_makes_the_loss_one_that_is_not() {
    or_return!();
    for logits in [
        [f32::NAN, 0.0],
        [0.0, f32::NAN],
        [f32::INFINITY, 0.0],
        [f32::NEG_INFINITY; 2],
    ] {
        let [losses, _, gradient, _] = softmax(Order::Forward, &logits, &[0], 2);
        assert!(losses[0].is_nan() && gradient[0].is_nan(), "{logits:?}");
    }
}

#[test]
fn probabilities_and_gradient_may_be_left_out() {
    or_return!();
    let (logits, labels) = (numbers(1, 50), labels(5, 10, 0));
    let want = softmax(Order::Forward, &logits, &labels, 10);
    let (mut losses, mut predicted) = (unset(5), vec![u8::MAX; 5]);
    launch!(
        Order::Forward,
        "softmax_loss",
        line(1),
        line(32),
        logits.as_ptr(),
        labels.as_ptr(),
        5_i32,
        10_i32,
        losses.as_mut_ptr(),
        null_mut::<f32>(),
        null_mut::<f32>(),
        predicted.as_mut_ptr(),
    );
    let predicted: Vec<f32> = predicted.into_iter().map(f32::from).collect();
    assert_same_bits("losses", &losses, &want[0]);
    assert_same_bits("predicted", &predicted, &want[3]);
}
