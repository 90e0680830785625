//! Max and average pools and dropout, which leave no freedom in rounding.
//! It must not know batch statistics.

use crate::compare::{assert_same_bits, numbers, unset};
use crate::support::{STRIDE_BLOCK, in_both_orders, launch, line, or_return, or_skip};
use cuda_shim::Order;
use nn::random::{Stream, StreamName};
use nn::reference::{layers, norm};
use proptest::prelude::*;

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct StepConstants {
    pub(crate) dropout_key: [u32; 2],
    pub(crate) rate: f32,
}

/// Of three steps, of which the last has this stream.
fn constants(stream: &Stream) -> Vec<StepConstants> {
    let of = |dropout_key| StepConstants {
        dropout_key,
        rate: f32::NAN,
    };
    vec![of([1, 2]), of([3, 4]), of(stream.key())]
}

/// A case of the max pool.
struct Max {
    n: usize,
    size: usize,
    channels: usize,
    x: Vec<f32>,
    norm: [Vec<f32>; 4],
}

impl Max {
    fn forward(&self, order: Order, blocks: usize) -> (Vec<f32>, Vec<u8>) {
        let len = self.n * (self.size / 2).pow(2) * self.channels;
        let (mut y, mut winners) = (unset(len), vec![u8::MAX; len]);
        let [mean, inv_std, weight, bias] = &self.norm;
        launch!(
            order,
            "max_pool",
            line(blocks),
            STRIDE_BLOCK,
            self.x.as_ptr(),
            mean.as_ptr(),
            inv_std.as_ptr(),
            weight.as_ptr(),
            bias.as_ptr(),
            self.n as i32,
            self.size as i32,
            self.channels as i32,
            y.as_mut_ptr(),
            winners.as_mut_ptr(),
        );
        (y, winners)
    }

    fn gradient(&self, order: Order, dy: &[f32], y: &[f32], winners: &[u8]) -> Vec<f32> {
        let mut g = unset(self.x.len());
        launch!(
            order,
            "max_pool_gradient",
            line(3),
            STRIDE_BLOCK,
            dy.as_ptr(),
            y.as_ptr(),
            winners.as_ptr(),
            self.n as i32,
            self.size as i32,
            self.channels as i32,
            g.as_mut_ptr(),
        );
        g
    }

    /// Index in `x` of each window's winner.
    fn places(&self, winners: &[u8]) -> Vec<usize> {
        let (half, channels) = (self.size / 2, self.channels);
        let place = |(i, &w): (usize, &u8)| {
            let (c, column, row) = (
                i % channels,
                i / channels % half,
                i / channels / half % half,
            );
            let image = i / channels / (half * half);
            let (row, column) = (
                2 * row + usize::from(w / 2),
                2 * column + usize::from(w % 2),
            );
            ((image * self.size + row) * self.size + column) * channels + c
        };
        winners.iter().enumerate().map(place).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn max_pools_equal_the_reference(n in 1_usize..4, size in 1_usize..10, channels in 1_usize..70, blocks in 1_usize..4, seed in any::<u32>()) {
        or_skip!();
        let seed = u64::from(seed);
        // Few different numbers, so that many windows have several largest.
        let x: Vec<f32> = numbers(seed, n * size * size * channels).iter().map(|v| v.round()).collect();
        let s = norm::statistics(channels, &x, 1e-3);
        let norm = [s.mean, s.inv_std, numbers(seed + 3, channels), numbers(seed + 4, channels)];
        let [mean, inv_std, weight, bias] = &norm;
        let normalized = norm::normalize(&x, mean, inv_std, weight, bias);
        let winners = layers::winners(&normalized, n, size, channels);
        let mut want = layers::max_pool(&normalized, &winners);
        layers::relu(&mut want);
        let dy = numbers(seed + 1, want.len());
        let mut g = dy.clone();
        layers::relu_backward(&want, &mut g);
        let want_gradient = layers::max_pool_backward(&g, &winners, x.len());
        let max = Max { n, size, channels, x, norm };
        for order in [Order::Forward, Order::Backward] {
            let (y, places) = max.forward(order, blocks);
            assert_same_bits("max", &y, &want);
            prop_assert!(places.iter().all(|&w| w < 4));
            prop_assert_eq!(max.places(&places), winners.clone());
            assert_same_bits("gradient", &max.gradient(order, &dy, &y, &places), &want_gradient);
        }
    }

    #[test]
    fn average_pools_with_dropout_equal_the_reference(n in 1_usize..6, pixels in 1_usize..20, channels in 1_usize..150, rate in prop_oneof![Just(0.0_f32), Just(0.5), 0.0_f32..0.95], seed in any::<u32>()) {
        or_skip!();
        let x = numbers(seed.into(), n * pixels * channels);
        let d = numbers(u64::from(seed) + 1, n * channels);
        let stream = Stream::new(seed.into(), StreamName::Dropout, 2);
        let keep: Vec<bool> = stream.uniforms(0).take(n * channels).map(|u| u >= rate).collect();
        let mut want = layers::average_pool(&x, pixels, channels);
        let mut dropped = d.clone();
        if rate > 0.0 {
            layers::dropout(&mut want, &keep, rate);
            layers::dropout(&mut dropped, &keep, rate);
        }
        let want_gradient = layers::average_pool_backward(&dropped, pixels, channels);
        let (constants, cursor) = (constants(&stream), 2_i32);
        // Without dropout there need be no constants.
        let at = if rate > 0.0 { constants.as_ptr() } else { std::ptr::null() };
        let sizes = [n, pixels, channels].map(|extent| extent as i32);
        let [features, gradient] = in_both_orders(|order| {
            let (mut features, mut gradient) = (unset(n * channels), unset(x.len()));
            launch!(
                order, "average_pool", line(2), STRIDE_BLOCK,
                x.as_ptr(), sizes[0], sizes[1], sizes[2], at, &raw const cursor, rate,
                features.as_mut_ptr(),
            );
            launch!(
                order, "average_pool_gradient", line(2), STRIDE_BLOCK,
                d.as_ptr(), sizes[0], sizes[1], sizes[2], at, &raw const cursor, rate,
                gradient.as_mut_ptr(),
            );
            [features, gradient]
        });
        assert_same_bits("average", &features, &want);
        assert_same_bits("gradient", &gradient, &want_gradient);
    }
}

#[test]
fn a_nan_wins_only_where_the_reference_lets_it() {
    or_return!();
    let nan = f32::NAN;
    let x = vec![nan, 1.0, 2.0, 3.0];
    for turn in 0..4 {
        let mut x = x.clone();
        x.rotate_right(turn);
        let winners = layers::winners(&x, 1, 2, 1);
        let mut want = layers::max_pool(&x, &winners);
        layers::relu(&mut want);
        let norm = [0.0, 1.0, 1.0, 0.0].map(|v| vec![v]);
        let max = Max {
            n: 1,
            size: 2,
            channels: 1,
            x,
            norm,
        };
        let (y, places) = max.forward(Order::Forward, 1);
        assert_eq!(max.places(&places), winners);
        assert_eq!(y[0].is_nan(), want[0].is_nan());
    }
}
