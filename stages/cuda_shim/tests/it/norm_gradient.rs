//! Batch normalisation backward, with and without the ReLU behind it.
//! It must not know convolutions.

use crate::compare::{assert_close, assert_same_bits, numbers, roundings, unset, wide};
use crate::support::{STRIDE_BLOCK, columns, in_both_orders, launch, line, or_skip};
use cuda_shim::Order;
use nn::reference::norm::{self, Statistics};
use nn::reference::{column_sums, layers};
use proptest::prelude::*;
use std::ptr::null;

/// What goes into a gradient.
struct Case {
    rows: usize,
    channels: usize,
    x: Vec<f32>,
    dy: Vec<f32>,
    y: Option<Vec<f32>>,
    statistics: Statistics<f32>,
    weight: Vec<f32>,
}

impl Case {
    fn new(rows: usize, channels: usize, rectified: bool, seed: u64) -> Self {
        let len = rows * channels;
        let x = numbers(seed, len);
        Self {
            rows,
            channels,
            statistics: norm::statistics(channels, &x, 1e-3),
            dy: numbers(seed + 1, len),
            y: rectified.then(|| numbers(seed + 2, len)),
            weight: numbers(seed + 3, channels),
            x,
        }
    }

    fn y_at(&self) -> *const f32 {
        self.y.as_ref().map_or(null(), |y| y.as_ptr())
    }

    /// The gradient behind ReLU.
    fn g(&self) -> Vec<f32> {
        let mut g = self.dy.clone();
        if let Some(y) = &self.y {
            layers::relu_backward(y, &mut g);
        }
        g
    }

    /// Gradients of weight and bias, slope and level.
    fn sums(&self, order: Order, chunks: usize) -> [Vec<f32>; 4] {
        let mut partial = unset(chunks * self.channels * 2);
        let (grid, block) = columns(chunks, self.channels);
        let Statistics { mean, inv_std, .. } = &self.statistics;
        launch!(
            order,
            "norm_gradient_partial",
            grid,
            block,
            self.x.as_ptr(),
            self.dy.as_ptr(),
            self.y_at(),
            mean.as_ptr(),
            self.rows as i32,
            self.channels as i32,
            chunks as i32,
            partial.as_mut_ptr(),
        );
        let mut out = [(); 4].map(|()| unset(self.channels));
        let [dweight, dbias, slope, level] = &mut out;
        launch!(
            order,
            "norm_gradient_finish",
            line(self.channels.div_ceil(32)),
            line(32),
            partial.as_ptr(),
            chunks as i32,
            self.rows as i32,
            self.channels as i32,
            inv_std.as_ptr(),
            dweight.as_mut_ptr(),
            dbias.as_mut_ptr(),
            slope.as_mut_ptr(),
            level.as_mut_ptr(),
        );
        out
    }

    /// `dx`, where `dx` or `through` may be the array of `dy`.
    fn apply(&self, order: Order, [slope, level]: [&[f32]; 2], [dy, dx, through]: [*mut f32; 3]) {
        let Statistics { mean, inv_std, .. } = &self.statistics;
        launch!(
            order,
            "norm_gradient_apply",
            line(2),
            STRIDE_BLOCK,
            self.x.as_ptr(),
            dy.cast_const(),
            self.y_at(),
            mean.as_ptr(),
            inv_std.as_ptr(),
            self.weight.as_ptr(),
            slope.as_ptr(),
            level.as_ptr(),
            self.rows as i32,
            self.channels as i32,
            dx,
            through,
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn gradients_are_close_to_the_exact_ones(rows in 1_usize..500, channels in 1_usize..100, chunks in 1_usize..9, rectified: bool, seed in any::<u32>()) {
        or_skip!();
        let case = Case::new(rows, channels, rectified, seed.into());
        let g = case.g();
        let [dweight, dbias, slope, level, dx] = in_both_orders(|order| {
            let [dweight, dbias, slope, level] = case.sums(order, chunks);
            let (mut dy, mut dx) = (case.dy.clone(), unset(g.len()));
            case.apply(order, [&slope, &level], [dy.as_mut_ptr(), dx.as_mut_ptr(), std::ptr::null_mut()]);
            [dweight, dbias, slope, level, dx]
        });

        // Where nothing is summed, nothing is free.
        let Statistics { mean, inv_std, .. } = &case.statistics;
        let want: Vec<f32> = (0..g.len())
            .map(|i| {
                let c = i % channels;
                let d = case.x[i] - mean[c];
                (-d).mul_add(slope[c], g[i] - level[c]) * (case.weight[c] * inv_std[c])
            })
            .collect();
        assert_same_bits("gradient", &dx, &want);

        let [mean, inv_std, weight] = [mean, inv_std, &case.weight].map(|v| wide(v));
        let (x, g) = (wide(&case.x), wide(&g));
        let exact = norm::backward(&x, &g, &mean, &inv_std, &weight);
        // A distance from the mean is rounded relative to both.
        let spread = |i: usize| x[i].abs() + mean[i % channels].abs();
        let s1 = column_sums(rows, channels, |acc: f64, r, c| acc + g[r * channels + c].abs());
        let s2 = column_sums(rows, channels, |acc: f64, r, c| {
            let i = r * channels + c;
            g[i].abs().mul_add(spread(i), acc)
        });
        let relative = roundings(rows + 8);
        assert_close("bias", &dbias, &exact.bias, &s1, relative);
        let scale: Vec<f64> = s2.iter().zip(&inv_std).map(|(s, i)| s * i).collect();
        assert_close("weight", &dweight, &exact.weight, &scale, relative);
        let scale: Vec<f64> = (0..g.len())
            .map(|i| {
                let c = i % channels;
                let slope = s2[c] / rows as f64 * inv_std[c] * inv_std[c];
                (spread(i) * slope + g[i].abs() + s1[c] / rows as f64) * (weight[c] * inv_std[c]).abs()
            })
            .collect();
        assert_close("input", &dx, &exact.x, &scale, relative);
    }

    #[test]
    fn arrays_may_be_shared_and_the_gradient_passed_through(rows in 1_usize..60, channels in 1_usize..50, rectified: bool, seed in any::<u32>()) {
        or_skip!();
        let case = Case::new(rows, channels, rectified, seed.into());
        let [_, _, slope, level] = case.sums(Order::Forward, 2);
        let sums = [slope.as_slice(), level.as_slice()];
        let apply = |order, shared: usize| {
            // `dx` and `through` in arrays of their own, in dy's array as dx, or as through.
            let (mut dy, mut dx, mut through) = (case.dy.clone(), unset(case.dy.len()), unset(case.dy.len()));
            let at = dy.as_mut_ptr();
            match shared {
                0 => case.apply(order, sums, [at, dx.as_mut_ptr(), through.as_mut_ptr()]),
                1 => {
                    case.apply(order, sums, [at, at, through.as_mut_ptr()]);
                    dx = dy;
                }
                _ => {
                    case.apply(order, sums, [at, dx.as_mut_ptr(), at]);
                    through = dy;
                }
            }
            [dx, through]
        };
        let [dx, through] = in_both_orders(|order| apply(order, 0));
        assert_same_bits("through", &through, &case.g());
        for shared in [1, 2] {
            let got = in_both_orders(|order| apply(order, shared));
            assert_same_bits("shared dx", &got[0], &dx);
            assert_same_bits("shared through", &got[1], &through);
        }
    }
}
