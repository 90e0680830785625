//! Convolutions and their gradients, in each precision.
//! It must not know networks.

use cuda::array::Array;
use cuda::gpu::Gpu;
use cuda::operations::Precision;
use nn::network::Conv;
use nn::reference::conv;

use super::{Bench, ULP};
use crate::compare::{assert_close, numbers, sizes, wide};
use crate::device::{Place, on_each_device};

on_each_device!(convolutions_are_near_the_exact_ones);

/// Relative error of a product of two rounded operands: half a unit in the last place each.
fn operand_error(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 0.0,
        Precision::Tf32 => 2.0_f64.powi(-10),
        Precision::Bf16 => 2.0_f64.powi(-7),
    }
}

fn convolutions_are_near_the_exact_ones<P: Place>() {
    let Some(bench) = Bench::new::<P>() else {
        return;
    };
    // Kernel, stride, inputs, outputs, size, images: the stem, whole tiles, parts of tiles, one
    // pixel, strided projections, a dense layer.
    for (i, (kernel, stride, inputs, outputs, size, n)) in [
        (3, 1, 3, 32, 8, 2),
        (3, 1, 64, 64, 4, 4),
        (3, 2, 20, 70, 9, 3),
        (3, 1, 33, 5, 1, 7),
        (1, 2, 65, 66, 6, 2),
        (1, 1, 256, 10, 1, 9),
    ]
    .into_iter()
    .enumerate()
    {
        let layer = Conv::bare(kernel, stride, inputs, outputs, size);
        for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
            check_conv(&bench, &layer, n, precision, 10 * i as u64);
        }
    }
}

fn check_conv<G: Gpu>(bench: &Bench<G>, layer: &Conv, n: usize, precision: Precision, seed: u64) {
    let inside = n * layer.size.pow(2) * layer.inputs;
    let outside = n * layer.out_size().pow(2) * layer.outputs;
    let (x, dy) = (numbers(seed, inside), numbers(seed + 1, outside));
    let (w, b) = (
        numbers(seed + 2, layer.weight.len),
        numbers(seed + 3, layer.outputs),
    );
    let start = numbers(seed + 4, inside);
    let operations = bench.operations(precision);
    let [gx, gdy, gw, gb] = [&x, &dy, &w, &b].map(|values| bench.put(values));
    let [vx, vdy, vw, vb] = [&gx, &gdy, &gw, &gb].map(Array::view);
    let what = format!("{layer:?}, {precision:?}");
    let relative = |terms: usize| operand_error(precision) + terms as f64 * ULP;
    let taps = layer.kernel.pow(2);

    let y = bench.filled(&vec![f32::NAN; outside], |y| {
        let done = operations.conv_forward(layer, n, vx, vw, Some(vb), y);
        done.expect("a convolution");
    });
    let exact = conv::forward(layer, n, &wide(&x), &wide(&w), Some(&wide(&b)));
    let scale = conv::forward(layer, n, &sizes(&x), &sizes(&w), Some(&sizes(&b)));
    assert_close(&what, &y, &exact, &scale, relative(taps * layer.inputs + 1));

    let dx = bench.filled(&start, |dx| {
        let done = operations.conv_input_gradient(layer, n, vdy, vw, dx, true);
        done.expect("a gradient");
    });
    let carry = |from: Vec<f64>, of: fn(&[f32]) -> Vec<f64>| -> Vec<f64> {
        from.iter().zip(of(&start)).map(|(a, b)| a + b).collect()
    };
    let exact = conv::input_gradient(layer, n, &wide(&dy), &wide(&w), None);
    let scale = conv::input_gradient(layer, n, &sizes(&dy), &sizes(&w), None);
    let (exact, scale) = (carry(exact, wide), carry(scale, sizes));
    assert_close(
        &what,
        &dx,
        &exact,
        &scale,
        relative(taps * layer.outputs + 1),
    );

    let dw = bench.filled(&vec![f32::NAN; w.len()], |dw| {
        let done = operations.conv_weight_gradient(layer, n, vx, vdy, dw);
        done.expect("a gradient");
    });
    let exact = conv::weight_gradient(layer, n, &wide(&x), &wide(&dy));
    let scale = conv::weight_gradient(layer, n, &sizes(&x), &sizes(&dy));
    let pixels = n * layer.out_size().pow(2);
    assert_close(&what, &dw, &exact, &scale, relative(pixels));

    let db = bench.filled(&vec![f32::NAN; layer.outputs], |db| {
        let done = operations.bias_gradient(pixels, layer.outputs, vdy, db);
        done.expect("a gradient");
    });
    let exact = conv::bias_gradient(layer.outputs, &wide(&dy));
    let scale = conv::bias_gradient(layer.outputs, &sizes(&dy));
    assert_close(&what, &db, &exact, &scale, pixels as f64 * ULP);
}
