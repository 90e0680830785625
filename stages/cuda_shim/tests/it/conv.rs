//! Convolutions in three precisions against the reference in f64.
//! It must not know which layers a network has.
//!
//! Bounds, relative to the sum of the terms' sizes: against the reference of the rounded operands
//! half an ulp of f32 for each of a chain's roundings (stated as an ulp); against that of the
//! operands as they are, also what rounding two operands to 10 (tf32) or 7 (bf16) stored bits
//! can be off.

use crate::compare::{assert_close, assert_same_bits, numbers, roundings, sizes, unset, wide};
use crate::support::{STRIDE_BLOCK, in_both_orders, launch, line, or_return, or_skip};
use cuda_shim::Order;
use nn::network::Conv;
use nn::reference::conv::{forward, input_gradient, weight_gradient};
use proptest::prelude::*;

const TILE: usize = 64;
const BLOCK: [u32; 3] = [256, 1, 1];

#[repr(C)]
#[derive(Clone, Copy)]
struct Shape([i32; 7]);

impl Shape {
    fn new(layer: &Conv, n: usize) -> Self {
        Self(
            [
                n,
                layer.size,
                layer.inputs,
                layer.out_size(),
                layer.outputs,
                layer.kernel,
                layer.stride,
            ]
            .map(|extent| extent as i32),
        )
    }
}

#[derive(Debug, Clone, Copy)]
enum Precision {
    F32,
    Tf32,
    Bf16,
}

impl Precision {
    const ALL: [Self; 3] = [Self::F32, Self::Tf32, Self::Bf16];

    fn name(self, kernel: &str) -> String {
        let suffix = match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        };
        format!("{kernel}_{suffix}")
    }

    /// An operand, rounded: to nearest, ties away from zero (tf32) or to even (bf16).
    fn round(self, x: f32) -> f32 {
        let bits = x.to_bits();
        f32::from_bits(match self {
            Self::F32 => bits,
            Self::Tf32 => (bits + (1 << 12)) & !((1 << 13) - 1),
            Self::Bf16 => (bits + 0x7fff + (bits >> 16 & 1)) & !0xffff,
        })
    }

    fn rounded(self, x: &[f32]) -> Vec<f32> {
        x.iter().map(|&v| self.round(v)).collect()
    }

    /// What a product of two rounded operands can be off, relative to it.
    fn products(self) -> f64 {
        let half_ulp = match self {
            Self::F32 => 0.0,
            Self::Tf32 => 2.0_f64.powi(-11),
            Self::Bf16 => 2.0_f64.powi(-8),
        };
        2.0 * half_ulp + half_ulp * half_ulp
    }
}

fn tiles(rows: usize, columns: usize, chunks: usize) -> [u32; 3] {
    [rows.div_ceil(TILE), columns.div_ceil(TILE), chunks].map(|count| count as u32)
}

/// Holds `got` against `reference`, a function of the operands.
fn check(
    what: &str,
    precision: Precision,
    got: &[f32],
    operands: [&[f32]; 2],
    terms: usize,
    reference: impl Fn([Vec<f64>; 2], fn(&[f32]) -> Vec<f64>) -> Vec<f64>,
) {
    let scale = reference(operands.map(sizes), sizes);
    let exact = reference(operands.map(|x| wide(&precision.rounded(x))), wide);
    // Rounding makes operands larger by less than a hundredth.
    let relative = 1.01 * roundings(terms);
    assert_close(&precision.name(what), got, &exact, &scale, relative);
    let exact = reference(operands.map(wide), wide);
    let relative = relative + precision.products();
    assert_close(&precision.name(what), got, &exact, &scale, relative);
}

fn check_conv(layer: &Conv, n: usize, biased: bool, chunks: usize, seed: u64) {
    let pixels = n * layer.out_size().pow(2);
    let (inside, outside) = (n * layer.size.pow(2) * layer.inputs, pixels * layer.outputs);
    let taps = layer.kernel.pow(2);
    let (x, dy) = (numbers(seed, inside), numbers(seed + 1, outside));
    let (w, b) = (
        numbers(seed + 2, layer.weight.len),
        numbers(seed + 3, layer.outputs),
    );
    let bias = biased.then_some(b.as_slice());
    let start = numbers(seed + 4, inside);
    let shape = Shape::new(layer, n);
    for precision in Precision::ALL {
        let [y, dx, carried, dw] = in_both_orders(|order| {
            let mut y = unset(outside);
            launch!(
                order,
                &precision.name("conv_forward"),
                tiles(pixels, layer.outputs, 1),
                BLOCK,
                shape,
                x.as_ptr(),
                w.as_ptr(),
                bias.map_or(std::ptr::null(), <[f32]>::as_ptr),
                y.as_mut_ptr(),
            );
            let (mut dx, mut carried) = (unset(inside), start.clone());
            let grid = tiles(inside / layer.inputs, layer.inputs, 1);
            let kernel = precision.name("conv_input_gradient");
            let (dy_at, w_at) = (dy.as_ptr(), w.as_ptr());
            launch!(
                order,
                &kernel,
                grid,
                BLOCK,
                shape,
                dy_at,
                w_at,
                dx.as_mut_ptr(),
                0_i32
            );
            launch!(
                order,
                &kernel,
                grid,
                BLOCK,
                shape,
                dy_at,
                w_at,
                carried.as_mut_ptr(),
                1_i32
            );
            let mut partial = unset(chunks * w.len());
            launch!(
                order,
                &precision.name("conv_weight_gradient"),
                tiles(taps * layer.inputs, layer.outputs, chunks),
                BLOCK,
                shape,
                x.as_ptr(),
                dy_at,
                chunks as i32,
                partial.as_mut_ptr(),
            );
            let mut dw = unset(w.len());
            launch!(
                order,
                "sum_chunks",
                line(2),
                STRIDE_BLOCK,
                partial.as_ptr(),
                chunks as i32,
                w.len() as i32,
                dw.as_mut_ptr(),
            );
            [y, dx, carried, dw]
        });
        check(
            "forward",
            precision,
            &y,
            [&x, &w],
            taps * layer.inputs + 1,
            |[x, w], to| forward(layer, n, &x, &w, bias.map(to).as_deref()),
        );
        let terms = taps * layer.outputs + 1;
        check(
            "input gradient",
            precision,
            &dx,
            [&dy, &w],
            terms,
            |[dy, w], _| input_gradient(layer, n, &dy, &w, None),
        );
        check(
            "carried gradient",
            precision,
            &carried,
            [&dy, &w],
            terms,
            |[dy, w], to| input_gradient(layer, n, &dy, &w, Some(&to(&start))),
        );
        check(
            "weight gradient",
            precision,
            &dw,
            [&x, &dy],
            pixels + chunks,
            |[x, dy], _| weight_gradient(layer, n, &x, &dy),
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn convolutions_are_close_to_the_exact_ones(
        n in 1_usize..4, size in 1_usize..10, inputs in 1_usize..90, outputs in 1_usize..90,
        kernel in prop_oneof![Just(1_usize), Just(3)], stride in 1_usize..3,
        biased: bool, chunks in 1_usize..5, seed in any::<u32>(),
    ) {
        or_skip!();
        let layer = Conv::bare(kernel, stride, inputs, outputs, size);
        check_conv(&layer, n, biased, chunks, seed.into());
    }

    #[test]
    fn quotients_without_division_are_exact(by in prop_oneof![1..100_i32, 1..i32::MAX], seed in any::<u32>()) {
        or_skip!();
        let stream = nn::random::Stream::new(seed.into(), nn::random::StreamName::Data, 0);
        let mut a: Vec<i32> = stream.words(0).take(200).map(|word| (word >> 1) as i32).collect();
        // Around multiples, where a quotient is easily one off, and at the ends.
        a.extend((0..200_i64).flat_map(|i| {
            let multiple = i64::from(a[i as usize] / by) * i64::from(by);
            [multiple - 1, multiple, multiple + 1].map(|v| v.clamp(0, i64::from(i32::MAX)) as i32)
        }).collect::<Vec<_>>());
        a.extend([0, 1, i32::MAX]);
        let want: Vec<i32> = a.iter().map(|a| a / by).collect();
        let mut got = vec![-1_i32; a.len()];
        launch!(
            Order::Forward, "quotients", line(1), STRIDE_BLOCK,
            a.as_ptr(), by, a.len() as i32, got.as_mut_ptr(),
        );
        prop_assert_eq!(got, want);
    }
}

#[test]
fn chunks_of_a_weight_gradient_are_multiples_of_32_pixels() {
    or_return!();
    // Each pixel adds 1: 98 of them in 3 chunks are 33 each, rounded up to 64.
    let layer = Conv::bare(1, 1, 1, 1, 7);
    let ones = vec![1.0_f32; 98];
    for precision in Precision::ALL {
        let mut partial = unset(3);
        launch!(
            Order::Forward,
            &precision.name("conv_weight_gradient"),
            tiles(1, 1, 3),
            BLOCK,
            Shape::new(&layer, 2),
            ones.as_ptr(),
            ones.as_ptr(),
            3_i32,
            partial.as_mut_ptr(),
        );
        assert_same_bits("pixels", &partial, &[64.0, 34.0, 0.0]);
    }
}

#[test]
fn shapes_at_the_edges_are_close_to_the_exact_ones() {
    or_return!();
    // Images of one and two pixels a side, with more chunks than pixels.
    for (kernel, stride, size) in [
        (1, 1, 1),
        (3, 1, 1),
        (3, 2, 1),
        (1, 2, 2),
        (3, 1, 2),
        (3, 2, 2),
    ] {
        check_conv(&Conv::bare(kernel, stride, 5, 7, size), 2, true, 9, 1);
    }
    // One channel to one; exactly whole tiles and steps; one more than those; the stem.
    check_conv(&Conv::bare(3, 1, 1, 1, 3), 1, true, 1, 2);
    check_conv(&Conv::bare(1, 1, 64, 64, 8), 1, false, 2, 3);
    check_conv(&Conv::bare(1, 1, 65, 129, 9), 1, false, 2, 4);
    check_conv(&Conv::bare(3, 1, 3, 64, 32), 1, true, 5, 5);
    // Strided: tiles of pixels of one parity, and tiles across two.
    for kernel in [1, 3] {
        check_conv(&Conv::bare(kernel, 2, 20, 30, 16), 3, false, 2, 7);
        check_conv(&Conv::bare(kernel, 2, 6, 70, 10), 3, false, 2, 8);
    }
    // A dense layer.
    check_conv(&Conv::bare(1, 1, 512, 10, 1), 9, true, 1, 6);
}

/// A chain over k in order from the bias is also the reference's, which then leaves no freedom.
#[test]
fn in_f32_a_pointwise_convolution_has_the_bits_of_the_reference() {
    or_return!();
    let (layer, n) = (Conv::bare(1, 2, 37, 70, 7), 3);
    let (x, w, b) = (numbers(1, n * 49 * 37), numbers(2, 37 * 70), numbers(3, 70));
    let mut y = unset(n * 16 * 70);
    launch!(
        Order::Forward,
        "conv_forward_f32",
        tiles(n * 16, 70, 1),
        BLOCK,
        Shape::new(&layer, n),
        x.as_ptr(),
        w.as_ptr(),
        b.as_ptr(),
        y.as_mut_ptr(),
    );
    assert_same_bits("forward", &y, &forward(&layer, n, &x, &w, Some(&b)));
}

/// An operand's rounding, seen through a product with 1.
#[test]
fn operands_are_rounded_to_nearest_and_what_is_not_finite_stays_so() {
    or_return!();
    let layer = Conv::bare(1, 1, 1, 1, 1);
    let near = [
        0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x3000, 0x7fff, 0x8000, 0x8001, 0x1_8000,
    ];
    let mut x: Vec<f32> = near
        .iter()
        .flat_map(|low| [0x3f80_0000 | low, 0xc012_0000 | low, 0x3fff_0000 | low])
        .map(f32::from_bits)
        .collect();
    x.push(0.0);
    let n = x.len();
    let special = [
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::from_bits(0x7f80_0001),
    ];
    x.extend(special);
    for precision in [Precision::Tf32, Precision::Bf16] {
        let mut y = unset(x.len());
        let one = 1.0_f32;
        launch!(
            Order::Forward,
            &precision.name("conv_forward"),
            tiles(x.len(), 1, 1),
            BLOCK,
            Shape::new(&layer, x.len()),
            x.as_ptr(),
            &raw const one,
            std::ptr::null::<f32>(),
            y.as_mut_ptr(),
        );
        assert_same_bits(
            &format!("{precision:?}"),
            &y[..n],
            &precision.rounded(&x[..n]),
        );
        assert_eq!((y[n], y[n + 1]), (special[0], special[1]), "{precision:?}");
        assert!(y[n + 2].is_nan() && y[n + 3].is_nan(), "{precision:?}");
    }
}
