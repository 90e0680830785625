//! Each operation against its reference, over shapes of every kind, and twice for the same bits.
//! It must not know networks.

use cuda::array::{Array, View};
use cuda::gpu::{AdamConstants, Gpu, StepConstants};
use cuda::operations::{After, Channels, Dropout, Normed, Operations, Precision, Scratch, Windows};
use nn::config::AdamConfig;
use nn::network::Conv;
use nn::random::{Stream, StreamName};
use nn::reference::{Real, adam, conv, layers, norm};

use crate::device::{Place, on_each_device};

on_each_device!(
    convolutions_are_near_the_exact_ones,
    batch_norm_is_near_the_reference,
    pools_equal_the_reference,
    losses_are_near_the_reference,
    adam_is_near_the_reference,
);

/// Of f32, in f32.
const ULP: f64 = f32::EPSILON as f64;

/// A device with room for what tests need.
struct Bench<G: Gpu> {
    gpu: G,
    scratch: Scratch<G>,
}

impl<G: Gpu> Bench<G> {
    fn new<P: Place<Gpu = G>>() -> Option<Self> {
        let gpu = P::get()?;
        let scratch = Scratch::new(&gpu, 1 << 22, 1 << 12).expect("some memory");
        Some(Self { gpu, scratch })
    }

    fn operations(&self, precision: Precision) -> Operations<'_, G> {
        Operations::new(&self.gpu, precision, &self.scratch)
    }

    fn put<T: bytemuck::Pod>(&self, values: &[T]) -> Array<G, T> {
        let array = Array::zeros(&self.gpu, values.len()).expect("some memory");
        array.write(&self.gpu, values).expect("a copy");
        array
    }

    /// What is in an array of `len` numbers that `work` fills, twice the same.
    fn filled(&self, start: &[f32], work: impl Fn(View<'_, f32>)) -> Vec<f32> {
        let once = || {
            let array = self.put(start);
            work(array.view());
            array.read(&self.gpu, start.len()).expect("a copy")
        };
        let (first, second) = (once(), once());
        let bits = |all: &[f32]| all.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&first), bits(&second), "not the same bits twice");
        first
    }
}

/// Random numbers, a quarter of them 0 as after ReLU.
fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let stream = Stream::new(seed, StreamName::Data, len as u64);
    let value = |u: f32| if u < 0.25 { 0.0 } else { u * 4.0 - 2.5 };
    stream.uniforms(0).take(len).map(value).collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

fn sizes(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v).abs()).collect()
}

/// Each number is within `relative` times the sum of its terms' sizes.
fn assert_close(what: &str, got: &[f32], exact: &[f64], sizes: &[f64], relative: f64) {
    assert_eq!(
        (got.len(), sizes.len()),
        (exact.len(), exact.len()),
        "{what}"
    );
    for (i, ((&g, &e), &size)) in got.iter().zip(exact).zip(sizes).enumerate() {
        let bound = relative * size + 1e-30;
        let apart = (f64::from(g) - e).abs();
        assert!(
            apart <= bound,
            "{what}: {g} is not {e} within {bound:e} at {i}"
        );
    }
}

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

fn batch_norm_is_near_the_reference<P: Place>() {
    let Some(bench) = Bench::new::<P>() else {
        return;
    };
    let operations = bench.operations(Precision::F32);
    for (rows, channels, seed) in [(1, 3, 1), (300, 64, 2), (777, 70, 3), (5000, 8, 4)] {
        let len = rows * channels;
        let (x, dy, added) = (
            numbers(seed, len),
            numbers(seed + 1, len),
            numbers(seed + 2, len),
        );
        let (weight, bias) = (numbers(seed + 3, channels), numbers(seed + 4, channels));
        let want = norm::statistics(channels, &x, 1e-3_f32);
        let [gx, gdy, gadded, gweight, gbias] =
            [&x, &dy, &added, &weight, &bias].map(|values| bench.put(values));
        let [gmean, gvariance, ginv] = [(); 3].map(|()| bench.put(&vec![0.0_f32; channels]));
        operations
            .norm_statistics(
                gx.view(),
                rows,
                1e-3,
                gmean.view(),
                gvariance.view(),
                ginv.view(),
            )
            .expect("statistics");
        let read = |array: &Array<P::Gpu, f32>| array.read(&bench.gpu, channels).expect("a copy");
        let (mean, inv_std) = (read(&gmean), read(&ginv));
        let scale = vec![4.0; channels];
        assert_close("mean", &mean, &wide(&want.mean), &scale, 64.0 * ULP);
        let variance = read(&gvariance);
        assert_close(
            "variance",
            &variance,
            &wide(&want.variance),
            &scale,
            256.0 * ULP,
        );
        assert_close(
            "inverse",
            &inv_std,
            &wide(&want.inv_std),
            &sizes(&inv_std),
            256.0 * ULP,
        );

        // From here on with the device's own statistics, so that errors do not add up.
        let of = Normed {
            x: gx.view(),
            norm: Channels {
                mean: gmean.view(),
                inv_std: ginv.view(),
                weight: gweight.view(),
                bias: gbias.view(),
            },
            rows,
        };
        let plain = norm::normalize(&x, &mean, &inv_std, &weight, &bias);
        let sum = |other: &[f32]| -> Vec<f32> {
            let mut sum: Vec<f32> = plain.iter().zip(other).map(|(a, b)| a + b).collect();
            layers::relu(&mut sum);
            sum
        };
        let other = norm::normalize(&added, &mean, &inv_std, &weight, &bias);
        let unset = vec![f32::NAN; len];
        let residual = sum(&added);
        for (what, after, want) in [
            ("relu", After::Relu, sum(&vec![0.0; len])),
            ("residual", After::AddRelu(gadded.view()), residual.clone()),
            (
                "projected",
                After::AddNormRelu(gadded.view(), of.norm),
                sum(&other),
            ),
        ] {
            let y = bench.filled(&unset, |y| {
                operations.norm_apply(of, after, y).expect("a batch norm");
            });
            let scale: Vec<f64> = sizes(&want).iter().map(|v| v + 1.0).collect();
            assert_close(what, &y, &wide(&want), &scale, 8.0 * ULP);
        }

        let mut through = dy.clone();
        layers::relu_backward(&residual, &mut through);
        let want = norm::backward(&x, &through, &mean, &inv_std, &weight);
        let gy = bench.put(&residual);
        let [gdw, gdb] = [(); 2].map(|()| bench.put(&vec![0.0_f32; channels]));
        let passed = bench.put(&unset);
        let dx = bench.filled(&unset, |dx| {
            let y = Some(gy.view());
            let (dw, db) = (gdw.view(), gdb.view());
            operations
                .norm_gradient(of, gdy.view(), y, dx, Some(passed.view()), dw, db)
                .expect("a gradient");
        });
        let largest = |x: &[f32]| sizes(x).into_iter().fold(1.0, f64::max);
        let scale = vec![largest(&want.x); len];
        assert_close("gradient", &dx, &wide(&want.x), &scale, 256.0 * ULP);
        let scale = vec![rows as f64 * largest(&want.weight); channels];
        assert_close(
            "of weight",
            &read(&gdw),
            &wide(&want.weight),
            &scale,
            64.0 * ULP,
        );
        let scale = vec![rows as f64 * 2.5; channels];
        assert_close(
            "of bias",
            &read(&gdb),
            &wide(&want.bias),
            &scale,
            64.0 * ULP,
        );
        assert_eq!(passed.read(&bench.gpu, len).expect("a copy"), through);
    }
}

fn pools_equal_the_reference<P: Place>() {
    let Some(bench) = Bench::new::<P>() else {
        return;
    };
    let operations = bench.operations(Precision::F32);
    for (n, size, channels, seed) in [(2, 8, 33, 1), (1, 5, 7, 2), (3, 2, 64, 3)] {
        let over = Windows { n, size, channels };
        let x = numbers(seed, n * size * size * channels);
        let [mean, weight, bias] = [1, 2, 3].map(|i| numbers(seed + i, channels));
        let inv_std: Vec<f32> = numbers(seed + 4, channels)
            .iter()
            .map(|v| v.abs() + 0.5)
            .collect();
        let normalized = norm::normalize(&x, &mean, &inv_std, &weight, &bias);
        let winners = layers::winners(&normalized, n, size, channels);
        let mut want = layers::max_pool(&normalized, &winners);
        layers::relu(&mut want);
        let [gx, gmean, ginv, gweight, gbias] =
            [&x, &mean, &inv_std, &weight, &bias].map(|values| bench.put(values));
        let channels_of = Channels {
            mean: gmean.view(),
            inv_std: ginv.view(),
            weight: gweight.view(),
            bias: gbias.view(),
        };
        let places = bench.put(&vec![9_u8; want.len()]);
        let y = bench.filled(&vec![f32::NAN; want.len()], |y| {
            let done = operations.max_pool(over, gx.view(), channels_of, y, places.view());
            done.expect("a pool");
        });
        let scale: Vec<f64> = sizes(&want).iter().map(|v| v + 1.0).collect();
        assert_close("max pool", &y, &wide(&want), &scale, 4.0 * ULP);

        let dy = numbers(seed + 5, want.len());
        let mut through = dy.clone();
        layers::relu_backward(&y, &mut through);
        let want = layers::max_pool_backward(&through, &winners, x.len());
        let (gy, gdy) = (bench.put(&y), bench.put(&dy));
        let g = bench.filled(&vec![f32::NAN; x.len()], |g| {
            let done = operations.max_pool_gradient(over, gdy.view(), gy.view(), places.view(), g);
            done.expect("a gradient");
        });
        assert_eq!(g, want, "max pool's gradient");

        let (pixels, rate) = (size * size, 0.5);
        let stream = Stream::new(7, StreamName::Dropout, seed);
        let uniforms = stream.uniforms(0).take(n * channels);
        let keep: Vec<bool> = uniforms.map(|u| u >= rate).collect();
        let constants = [0, 1].map(|step| StepConstants {
            dropout_key: if step == 1 { stream.key() } else { [0; 2] },
            rate: 0.0,
        });
        let (constants, cursor) = (bench.put(&constants), bench.put(&[1_i32]));
        let dropped = Some(Dropout {
            constants: constants.view(),
            cursor: cursor.view(),
            rate,
        });
        let mut want = layers::average_pool(&x, pixels, channels);
        layers::dropout(&mut want, &keep, rate);
        let features = bench.filled(&vec![f32::NAN; n * channels], |to| {
            let done = operations.average_pool(gx.view(), n, pixels, channels, dropped, to);
            done.expect("a pool");
        });
        assert_close(
            "average",
            &features,
            &wide(&want),
            &vec![5.0; want.len()],
            4.0 * ULP,
        );
        let mut want = numbers(seed + 6, n * channels);
        let from = bench.put(&want);
        layers::dropout(&mut want, &keep, rate);
        let want = layers::average_pool_backward(&want, pixels, channels);
        let dx = bench.filled(&vec![f32::NAN; x.len()], |dx| {
            let done =
                operations.average_pool_gradient(from.view(), n, pixels, channels, dropped, dx);
            done.expect("a gradient");
        });
        assert_close(
            "average's gradient",
            &dx,
            &wide(&want),
            &sizes(&want),
            4.0 * ULP,
        );
    }
}

fn losses_are_near_the_reference<P: Place>() {
    let Some(bench) = Bench::new::<P>() else {
        return;
    };
    let operations = bench.operations(Precision::F32);
    for (n, classes, seed) in [(1, 2, 1), (300, 10, 2), (7, 256, 3)] {
        let logits = numbers(seed, n * classes);
        let labels: Vec<u8> = (0..n).map(|i| (i * 13 % classes) as u8).collect();
        let want = layers::softmax_cross_entropy(&logits, &labels, classes);
        let (glogits, glabels) = (bench.put(&logits), bench.put(&labels));
        let [probabilities, gradient] = [(); 2].map(|()| bench.put(&vec![0.0; logits.len()]));
        let predicted = bench.put(&vec![0_u8; n]);
        let losses = bench.filled(&vec![f32::NAN; n], |losses| {
            let done = operations.softmax_loss(
                glogits.view(),
                glabels.view(),
                n,
                classes,
                losses,
                Some(probabilities.view()),
                Some(gradient.view()),
                predicted.view(),
            );
            done.expect("losses");
        });
        let ones = vec![1.0; logits.len()];
        let all =
            |array: &Array<P::Gpu, f32>| array.read(&bench.gpu, logits.len()).expect("a copy");
        let scale: Vec<f64> = sizes(&want.losses).iter().map(|v| v + 1.0).collect();
        assert_close("loss", &losses, &wide(&want.losses), &scale, 16.0 * ULP);
        let exact = wide(&want.probabilities);
        assert_close(
            "probability",
            &all(&probabilities),
            &exact,
            &ones,
            16.0 * ULP,
        );
        assert_close(
            "gradient",
            &all(&gradient),
            &wide(&want.gradient),
            &ones,
            16.0 * ULP,
        );

        let (sum, correct) = (bench.put(&[0.5_f64]), bench.put(&[3_u32]));
        let given = bench.put(&losses);
        let (seen, told) = (given.view(), predicted.view());
        let done = operations.tally(seen, told, glabels.view(), n, sum.view(), correct.view());
        done.expect("sums");
        let exact: f64 = 0.5 + wide(&losses).iter().sum::<f64>();
        let got = sum.read(&bench.gpu, 1).expect("a copy")[0];
        assert!((got / exact - 1.0).abs() < 1e-12, "{got} is not {exact}");
        let said = predicted.read(&bench.gpu, n).expect("a copy");
        let hits = said.iter().zip(&labels).filter(|(a, b)| a == b).count();
        assert_eq!(
            correct.read(&bench.gpu, 1).expect("a copy")[0] as usize,
            3 + hits
        );
    }
}

fn adam_is_near_the_reference<P: Place>() {
    let Some(bench) = Bench::new::<P>() else {
        return;
    };
    let operations = bench.operations(Precision::F32);
    let len = 70_001;
    let config = AdamConfig::default();
    let mut want = [numbers(1, len), vec![0.0; len], vec![0.0; len]];
    let got = [0, 1, 2].map(|i| bench.put(&want[i]));
    let stop = bench.put(&[0_i32]);
    for step in 0..3 {
        let g = numbers(10 + step, len);
        let c = adam::Coefficients::<f32>::new(&config, step, 1e-3);
        let [w, m, v] = &mut want;
        adam::update(w, m, v, &g, &c);
        let all = [StepConstants {
            dropout_key: [0; 2],
            rate: c.rate,
        }];
        let (constants, cursor, g) = (bench.put(&all), bench.put(&[0_i32]), bench.put(&g));
        let shared = AdamConstants {
            one_minus_beta1: c.one_minus_beta1,
            one_minus_beta2: c.one_minus_beta2,
            epsilon: c.epsilon,
        };
        let [w, m, v] = &got;
        let arrays = [w.view(), m.view(), v.view(), g.view()];
        operations
            .adam(arrays, constants.view(), cursor.view(), shared, stop.view())
            .expect("an update");
    }
    for (got, want) in got.iter().zip(&want) {
        let got = got.read(&bench.gpu, len).expect("a copy");
        assert_close("adam", &got, &wide(want), &sizes(want), 8.0 * ULP);
    }
    // Where a step was stopped nothing changes.
    stop.write(&bench.gpu, &[1]).expect("a copy");
    let before = got[0].read(&bench.gpu, len).expect("a copy");
    let (constants, cursor) = (
        bench.put(&[StepConstants {
            dropout_key: [0; 2],
            rate: 1.0,
        }]),
        bench.put(&[0_i32]),
    );
    let g = bench.put(&numbers(20, len));
    let [w, m, v] = &got;
    let arrays = [w.view(), m.view(), v.view(), g.view()];
    let shared = AdamConstants {
        one_minus_beta1: 0.1,
        one_minus_beta2: 0.001,
        epsilon: 1e-7,
    };
    operations
        .adam(arrays, constants.view(), cursor.view(), shared, stop.view())
        .expect("no update");
    assert_eq!(got[0].read(&bench.gpu, len).expect("a copy"), before);
    assert!(before.iter().all(|v| v.to_f64().is_finite()));
}
