//! How much Winograd's schemes lose to rounding, next to direct products.
//! It must not know summation orders.

use super::conformance::{numbers, wide};
use super::isa::Checked;
use super::memory::Aligned;
use super::{Context, Isa, conv, direct, threads};
use crate::network::Conv;
use crate::reference;
use crate::winograd::{Method, method};

/// Root of the mean squared distance from the exact numbers.
fn distance(got: &[f32], exact: &[f64]) -> f64 {
    let squares = got
        .iter()
        .zip(exact)
        .map(|(&g, e)| (f64::from(g) - e).powi(2));
    (squares.sum::<f64>() / exact.len() as f64).sqrt()
}

/// Errors of Winograd's schemes relative to those of direct products, for forward pass, input
/// gradient and weight gradient.
fn rounding(layer: &Conv, n: usize) -> [f64; 3] {
    let (inside, outside) = (
        n * layer.size.pow(2) * layer.inputs,
        n * layer.out_size().pow(2) * layer.outputs,
    );
    let (x, dy) = (numbers(1, inside), numbers(2, outside));
    let w = numbers(3, layer.weight.len);
    let isa = Checked::new(Isa::detect()).expect("the best there is");
    let threads = threads::Threads::new(2).expect("two threads start");
    let context = Context { threads, isa };
    let on = conv::Layer { conv: layer, n };
    let mut panel = Aligned::default();
    let (mut y, mut dx, mut dw) = (vec![0.0; outside], vec![0.0; inside], vec![0.0; w.len()]);
    let mut errors = [[0.0; 3]; 2];
    let exact = (
        reference::conv::direct_forward(layer, n, &wide(&x), &wide(&w), None),
        reference::conv::direct_input_gradient(layer, n, &wide(&dy), &wide(&w), None),
        reference::conv::direct_weight_gradient(layer, n, &wide(&x), &wide(&dy)),
    );
    for (direct, errors) in errors.iter_mut().enumerate() {
        if direct == 1 {
            direct::forward(&context, on, &x, &w, None, &mut panel, &mut y);
            direct::input_gradient(&context, on, &dy, &w, &mut panel, &mut dx, false);
            direct::weight_gradient(&context, on, &x, &dy, &mut panel, &mut dw);
        } else {
            conv::forward(&context, on, &x, &w, None, &mut panel, &mut y);
            conv::input_gradient(&context, on, &dy, &w, &mut panel, &mut dx, false);
            conv::weight_gradient(&context, on, &x, &dy, &mut panel, &mut dw);
        }
        *errors = [
            distance(&y, &exact.0),
            distance(&dx, &exact.1),
            distance(&dw, &exact.2),
        ];
    }
    std::array::from_fn(|i| errors[0][i] / errors[1][i])
}

#[test]
fn winograds_schemes_round_at_most_four_times_worse_than_direct_products() {
    for (stride, channels, size, n) in [
        (1, 64, 16, 2),
        (1, 128, 8, 2),
        (1, 128, 4, 8),
        (1, 128, 2, 32),
        (2, 64, 16, 4),
        (2, 128, 4, 32),
    ] {
        let layer = Conv::bare(3, stride, channels, channels, size);
        assert_ne!(method(&layer), Method::Direct);
        let [forward, input, weight] = rounding(&layer, n);
        println!(
            "{channels} channels, {size}x{size}, stride {stride}: errors are {forward:.1}, \
             {input:.1} and {weight:.1} times those of direct products"
        );
        assert!(forward < 4.0 && input < 4.0 && weight < 4.0);
    }
}
