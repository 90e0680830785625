//! Batch normalisation forward: statistics, moving statistics, and applying it.
//! It must not know its gradients.

use crate::compare::{assert_close, assert_same_bits, numbers, roundings, sizes, unset, wide};
use crate::support::{STRIDE_BLOCK, columns, in_both_orders, launch, line, or_return, or_skip};
use cuda_shim::Order;
use nn::reference::{layers, norm};
use proptest::prelude::*;
use std::ptr::null;

const EPSILON: f32 = 1e-3;

/// Mean, variance and inverse deviation by the kernels.
fn statistics(order: Order, x: &[f32], channels: usize, chunks: usize) -> [Vec<f32>; 3] {
    let mut partial = unset(chunks * channels * 3);
    let (grid, block) = columns(chunks, channels);
    launch!(
        order,
        "norm_partial",
        grid,
        block,
        x.as_ptr(),
        (x.len() / channels) as i32,
        channels as i32,
        chunks as i32,
        partial.as_mut_ptr(),
    );
    let mut out = [(); 3].map(|()| unset(channels));
    let [mean, variance, inv_std] = &mut out;
    launch!(
        order,
        "norm_finish",
        line(channels.div_ceil(32)),
        line(32),
        partial.as_ptr(),
        chunks as i32,
        channels as i32,
        EPSILON,
        mean.as_mut_ptr(),
        variance.as_mut_ptr(),
        inv_std.as_mut_ptr(),
    );
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn statistics_are_close_to_the_exact_ones(rows in 1_usize..700, channels in 1_usize..140, chunks in 1_usize..9, seed in any::<u32>()) {
        or_skip!();
        let x = numbers(seed.into(), rows * channels);
        let [mean, variance, inv_std] = in_both_orders(|order| statistics(order, &x, channels, chunks));
        let exact = norm::statistics(channels, &wide(&x), f64::from(EPSILON));
        // Eight numbers are summed at once, the rest are merges: a rounding or two for each.
        let relative = roundings(16 + rows / 16);
        let scale = norm::statistics(channels, &sizes(&x), 0.0).mean;
        assert_close("mean", &mean, &exact.mean, &scale, relative);
        // A distance is off by what its mean is.
        let scale: Vec<f64> = exact.variance.iter().zip(&scale)
            .map(|(v, m)| v + m * v.sqrt())
            .collect();
        assert_close("variance", &variance, &exact.variance, &scale, relative);
        assert_same_bits("inverse", &inv_std, &norm::inverse_deviation(&variance, EPSILON));
        let mut again = unset(channels);
        launch!(
            Order::Forward, "inverse_deviation", line(1), line(32),
            variance.as_ptr(), channels as i32, EPSILON, again.as_mut_ptr(),
        );
        assert_same_bits("inverse of moving statistics", &again, &inv_std);
    }

    #[test]
    fn what_is_applied_equals_the_reference(rows in 1_usize..80, channels in 1_usize..90, blocks in 1_usize..5, seed in any::<u32>()) {
        or_skip!();
        let seed = u64::from(seed);
        let (x, added) = (numbers(seed, rows * channels), numbers(seed + 1, rows * channels));
        let positive = |seed| -> Vec<f32> {
            numbers(seed, channels).iter().map(|v| v.abs() + 0.25).collect()
        };
        let [mean, weight, bias, mean2, weight2, bias2] =
            [2, 3, 4, 5, 6, 7].map(|i| numbers(seed + i, channels));
        let (inv_std, inv_std2) = (positive(seed + 8), positive(seed + 9));
        let own = norm::normalize(&x, &mean, &inv_std, &weight, &bias);
        let other = norm::normalize(&added, &mean2, &inv_std2, &weight2, &bias2);
        let sum = |a: &[f32], b: &[f32]| -> Vec<f32> {
            a.iter().zip(b).map(|(a, b)| a + b).collect()
        };
        let rectified = |mut y: Vec<f32>| {
            layers::relu(&mut y);
            y
        };
        let wants = [
            own.clone(), rectified(own.clone()),
            rectified(sum(&own, &added)), rectified(sum(&own, &other)),
        ];
        for (mode, want) in wants.iter().enumerate() {
            // What a mode does not take may be null.
            let some = |on: bool, x: &[f32]| if on { x.as_ptr() } else { null() };
            let [got] = in_both_orders(|order| {
                let mut y = unset(x.len());
                launch!(
                    order, "norm_apply", line(blocks), STRIDE_BLOCK,
                    x.as_ptr(), mean.as_ptr(), inv_std.as_ptr(), weight.as_ptr(), bias.as_ptr(),
                    rows as i32, channels as i32, mode as i32,
                    some(mode >= 2, &added), some(mode == 3, &mean2), some(mode == 3, &inv_std2),
                    some(mode == 3, &weight2), some(mode == 3, &bias2), y.as_mut_ptr(),
                );
                [y]
            });
            assert_same_bits(&format!("mode {mode}"), &got, want);
        }
    }

    #[test]
    fn moving_statistics_equal_the_reference_and_stand_still_once_stopped(len in 1_usize..700, blocks in 1_usize..4, seed in any::<u32>()) {
        or_skip!();
        let (before, batch) = (numbers(seed.into(), len), numbers(u64::from(seed) + 1, len));
        let mut want = before.clone();
        norm::update_moving(&mut want, &batch, 0.99_f32);
        for (stop, want) in [(0_i32, &want), (3, &before)] {
            let mut moving = before.clone();
            launch!(
                Order::Forward, "update_moving", line(blocks), STRIDE_BLOCK,
                moving.as_mut_ptr(), batch.as_ptr(), len as i32, 0.99_f32, &raw const stop,
            );
            assert_same_bits(&format!("stop {stop}"), &moving, want);
        }
    }
}

#[test]
fn variances_do_not_cancel_far_from_zero() {
    or_return!();
    let x: Vec<f32> = numbers(3, 5000).iter().map(|v| v + 1000.0).collect();
    let exact = norm::statistics(1, &wide(&x), f64::from(EPSILON));
    for chunks in [1, 7, 64] {
        let [mean, variance, _] = statistics(Order::Forward, &x, 1, chunks);
        // Numbers near 1000 are themselves rounded to some 6e-5.
        assert!(
            (f64::from(mean[0]) - exact.mean[0]).abs() < 1e-3,
            "{chunks}"
        );
        assert!(
            (f64::from(variance[0]) / exact.variance[0] - 1.0).abs() < 1e-5,
            "{chunks}"
        );
    }
}

#[test]
fn chunks_without_rows_change_nothing() {
    or_return!();
    let x = numbers(4, 3 * 5);
    let few = statistics(Order::Forward, &x, 5, 3);
    let many = statistics(Order::Forward, &x, 5, 40);
    for (few, many) in few.iter().zip(&many) {
        assert_same_bits("statistics", many, few);
    }
}
