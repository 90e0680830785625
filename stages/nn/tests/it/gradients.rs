//! Every reference gradient against finite differences in f64, and whole networks.
//! It must not know the native engine, except to compare whole steps with it.

use crate::common::{BATCH_NORM, Images, engine, plain, resnet, small_networks};
use nn::config::{AdamConfig, Projection};
use nn::engine::Engine;
use nn::native::Isa;
use nn::network::{Conv, Plan};
use nn::random::{Stream, StreamName};
use nn::reference::{adam, conv, layers, network, norm};

fn numbers(seed: u64, len: usize) -> Vec<f64> {
    let stream = Stream::new(seed, StreamName::Data, 1);
    (0..len as u64).map(|i| stream.normal_at(i)).collect()
}

/// Compares `gradient` with central differences of `loss` at `x`, in every coordinate.
fn check(what: &str, x: &[f64], gradient: &[f64], loss: impl Fn(&[f64]) -> f64) {
    assert_eq!(x.len(), gradient.len(), "{what}");
    let step = 1e-5;
    let mut x = x.to_vec();
    for (i, &g) in gradient.iter().enumerate() {
        let at = x[i];
        x[i] = at + step;
        let above = loss(&x);
        x[i] = at - step;
        let slope = (above - loss(&x)) / (2.0 * step);
        x[i] = at;
        assert!(
            (slope - g).abs() < 1e-6 * (1.0 + g.abs()),
            "{what}[{i}]: {g}, but differences say {slope}"
        );
    }
}

/// A loss whose gradient with respect to `y` is `by`.
fn dot(y: &[f64], by: &[f64]) -> f64 {
    y.iter().zip(by).map(|(a, b)| a * b).sum()
}

#[test]
fn convolution_gradients_equal_finite_differences() {
    for (kernel, stride, size) in [
        (3, 1, 4),
        (3, 2, 4),
        (3, 2, 5),
        (1, 1, 3),
        (1, 2, 4),
        (1, 2, 3),
        (3, 1, 1),
        (3, 2, 1),
    ] {
        let layer = Conv::bare(kernel, stride, 2, 3, size);
        let n = 2;
        let (x, w, b) = (
            numbers(1, n * size * size * 2),
            numbers(2, layer.weight.len),
            numbers(3, 3),
        );
        let dy = numbers(4, n * layer.out_size().pow(2) * 3);
        let loss =
            |x: &[f64], w: &[f64], b: &[f64]| dot(&conv::forward(&layer, n, x, w, Some(b)), &dy);
        let what = format!("{kernel}x{kernel} stride {stride} on {size}");
        check(
            &what,
            &x,
            &conv::input_gradient(&layer, n, &dy, &w, None),
            |x| loss(x, &w, &b),
        );
        check(&what, &w, &conv::weight_gradient(&layer, n, &x, &dy), |w| {
            loss(&x, w, &b)
        });
        check(&what, &b, &conv::bias_gradient(3, &dy), |b| loss(&x, &w, b));
    }
}

#[test]
fn a_convolution_by_hand() {
    // One channel, ones everywhere: each output counts the pixels that its window covers.
    let layer = Conv::bare(3, 2, 1, 1, 4);
    assert_eq!(
        conv::forward(&layer, 1, &[1.0_f64; 16], &[1.0; 9], None),
        [4.0, 6.0, 6.0, 9.0]
    );
    // A kernel with only its first tap: the pixel up left of each window's centre.
    let mut w = [0.0_f64; 9];
    w[0] = 1.0;
    let x: Vec<f64> = (0..16).map(f64::from).collect();
    assert_eq!(
        conv::forward(&layer, 1, &x, &w, Some(&[0.5])),
        [0.5, 0.5, 0.5, 5.5]
    );
}

#[test]
fn batch_norm_gradients_equal_finite_differences() {
    let (rows, channels) = (7, 3);
    let (x, dy) = (numbers(1, rows * channels), numbers(2, rows * channels));
    let (w, b) = (numbers(3, channels), numbers(4, channels));
    let loss = |x: &[f64], w: &[f64], b: &[f64]| {
        let s = norm::statistics(channels, x, 1e-3);
        dot(&norm::normalize(x, &s.mean, &s.inv_std, w, b), &dy)
    };
    let s = norm::statistics(channels, &x, 1e-3);
    let g = norm::backward(&x, &dy, &s.mean, &s.inv_std, &w);
    check("x", &x, &g.x, |x| loss(x, &w, &b));
    check("weight", &w, &g.weight, |w| loss(&x, w, &b));
    check("bias", &b, &g.bias, |b| loss(&x, &w, b));
}

#[test]
fn batch_norm_by_hand() {
    let s = norm::statistics(1, &[1.0_f64, 3.0], 0.0);
    assert_eq!(
        (s.mean, s.variance, s.inv_std),
        (vec![2.0], vec![1.0], vec![1.0])
    );
    let mut moving = [10.0_f64];
    norm::update_moving(&mut moving, &[20.0], 0.75);
    assert_eq!(moving, [12.5]);
}

#[test]
fn activation_and_pooling_gradients_equal_finite_differences() {
    let (n, size, channels) = (2, 5, 2);
    let x = numbers(1, n * size * size * channels);
    let relu = |x: &[f64]| {
        let mut y = x.to_vec();
        layers::relu(&mut y);
        y
    };
    let dy = numbers(2, x.len());
    let mut dx = dy.clone();
    layers::relu_backward(&relu(&x), &mut dx);
    check("relu", &x, &dx, |x| dot(&relu(x), &dy));

    let dy = numbers(3, n * 4 * channels);
    let dx = layers::max_pool_backward(&dy, &layers::winners(&x, n, size, channels), x.len());
    check("max pool", &x, &dx, |x| {
        let winners = layers::winners(x, n, size, channels);
        dot(&layers::max_pool(x, &winners), &dy)
    });

    let dy = numbers(4, n * channels);
    let dx = layers::average_pool_backward(&dy, size * size, channels);
    check("average pool", &x, &dx, |x| {
        dot(&layers::average_pool(x, size * size, channels), &dy)
    });

    let keep: Vec<bool> = x.iter().map(|&v| v > 0.3).collect();
    let dropped = |x: &[f64]| {
        let mut y = x.to_vec();
        layers::dropout(&mut y, &keep, 0.5);
        y
    };
    let dy = numbers(5, x.len());
    check("dropout", &x, &dropped(&dy), |x| dot(&dropped(x), &dy));
}

#[test]
fn softmax_cross_entropy_gradients_equal_finite_differences() {
    let (labels, classes) = ([2, 0, 3], 4);
    let logits = numbers(1, labels.len() * classes);
    let mean = |x: &[f64]| {
        let losses = layers::softmax_cross_entropy(x, &labels, classes).losses;
        losses.iter().sum::<f64>() / losses.len() as f64
    };
    check(
        "logits",
        &logits,
        &layers::softmax_cross_entropy(&logits, &labels, classes).gradient,
        mean,
    );
    let even = layers::softmax_cross_entropy(&[7.0_f64; 4], &[1], 4);
    assert!((even.losses[0] - 4.0_f64.ln()).abs() < 1e-15);
}

#[test]
fn adams_first_steps_by_hand() {
    // With a constant gradient each corrected moment is the gradient itself: steps of one rate.
    let (mut w, mut m, mut v) = ([1.0_f64], [0.0], [0.0]);
    for step in 0..3 {
        let c = adam::Coefficients::new(
            &AdamConfig {
                epsilon: 1e-30,
                ..AdamConfig::default()
            },
            step,
            0.125,
        );
        adam::update(&mut w, &mut m, &mut v, &[-3.0], &c);
        assert!(
            (w[0] - (1.0 + 0.125 * (step + 1) as f64)).abs() < 1e-12,
            "{w:?}"
        );
    }
    // Keras adds epsilon to the uncorrected root: sqrt(v) = 3 * sqrt(0.001) after one step.
    let c = adam::Coefficients::<f64>::new(
        &AdamConfig {
            epsilon: 1.0,
            ..AdamConfig::default()
        },
        0,
        1.0,
    );
    let (mut w, mut m, mut v) = ([0.0], [0.0], [0.0]);
    adam::update(&mut w, &mut m, &mut v, &[3.0], &c);
    let root = 0.001_f64.sqrt();
    assert!(
        (w[0] + root / 0.1 * 0.3 / (3.0 * root + 1.0)).abs() < 1e-12,
        "{w:?}"
    );
}

/// Parameters of a network in f64, away from the symmetric first values of batch norm.
fn parameters(plan: &Plan) -> Vec<f64> {
    let mut p = numbers(8, plan.count.trainable);
    p.iter_mut().for_each(|v| *v *= 0.3);
    for norm in plan.units.iter().flat_map(|u| u.layers()).map(|l| &l.norm) {
        norm.weight
            .of_mut(&mut p)
            .iter_mut()
            .for_each(|v| *v += 1.0);
    }
    p
}

#[test]
fn whole_networks_gradients_equal_finite_differences() {
    let shape = Projection::WhereShapeChanges;
    for (name, config) in [
        ("plain", plain(&[2, 3, 2, 2, 2], 0.0)),
        ("skip", resnet(2, &[2, 3], &[2, 2], true, shape)),
        (
            "every stage",
            resnet(2, &[2], &[2], true, Projection::EveryStage),
        ),
        ("no skip", resnet(2, &[3], &[2], false, shape)),
    ] {
        let plan = Plan::new(&config, 10).expect("a valid network");
        let data = Images::new(3, 4);
        let images: Vec<f64> = data.images.iter().map(|&v| f64::from(v)).collect();
        let p = parameters(&plan);
        let keep: Vec<bool> = (0..3 * plan.dense.inputs).map(|i| i % 3 > 0).collect();
        let pass =
            |p: &[f64]| network::run(&plan, p, 1e-3, &images, &data.labels, Some((&keep, 0.5)));
        let loss = |p: &[f64]| pass(p).softmax.losses.iter().sum::<f64>() / 3.0;
        let gradient = pass(&p).gradient;
        let mut q = p.clone();
        // Every seventh parameter and each tensor's first: all tensors, in seconds.
        let firsts: Vec<usize> = plan
            .slots
            .iter()
            .filter(|s| s.trainable)
            .map(|s| s.span.start)
            .collect();
        for i in (0..p.len()).filter(|i| i % 7 == 0 || firsts.contains(i)) {
            let step = 1e-6;
            q[i] = p[i] + step;
            let above = loss(&q);
            q[i] = p[i] - step;
            let slope = (above - loss(&q)) / (2.0 * step);
            q[i] = p[i];
            let g = gradient[i];
            assert!(
                (slope - g).abs() < 2e-5 * (1.0 + g.abs()),
                "{name}[{i}]: {g}, but differences say {slope}"
            );
        }
    }
}

#[test]
fn a_native_step_has_the_bits_of_the_reference_network() {
    for (name, config) in small_networks() {
        let data = Images::new(5, 9);
        let mut native = engine(&config, 2, Isa::detect());
        let plan = native.plan().clone();
        // The engine's parameters in the plan's layout, by way of its exported tensors.
        let state = native.state();
        let mut p = vec![0.0_f32; plan.count.trainable];
        for (slot, tensor) in plan
            .slots
            .iter()
            .zip(&state.tensors)
            .filter(|(s, _)| s.trainable)
        {
            let to = slot.span.of_mut(&mut p);
            match tensor.shape[..] {
                [outputs, inputs, kernel, _] => {
                    for (i, &v) in tensor.values.iter().enumerate() {
                        let taps = kernel * kernel;
                        let (o, c, tap) = (i / taps / inputs, i / taps % inputs, i % taps);
                        to[(tap * inputs + c) * outputs + o] = v;
                    }
                }
                [outputs, inputs] => (0..outputs * inputs)
                    .for_each(|i| to[i % inputs * outputs + i / inputs] = tensor.values[i]),
                _ => to.copy_from_slice(&tensor.values),
            }
        }
        let epsilon = BATCH_NORM.epsilon as f32;
        let pass = network::run(&plan, &p, epsilon, &data.images, &data.labels, None);
        let norms = native.gradient_norms(data.batch()).expect("finite");
        for ((layer, span), norm) in plan.weights().zip(&norms) {
            let l2 = span
                .of(&pass.gradient)
                .iter()
                .map(|&g| f64::from(g) * f64::from(g))
                .sum::<f64>()
                .sqrt();
            assert_eq!(norm.l2.to_bits(), l2.to_bits(), "{name}, {layer}");
        }

        // A whole step, dropout and update included.
        let stream = Stream::new(42, StreamName::Dropout, 3);
        let keep: Vec<bool> = stream
            .uniforms(0)
            .take(5 * plan.dense.inputs)
            .map(|u| u >= 0.5)
            .collect();
        let pass = network::run(
            &plan,
            &p,
            epsilon,
            &data.images,
            &data.labels,
            Some((&keep, 0.5)),
        );
        let stats = native.train_step(data.batch(), 3, 1e-3).expect("finite");
        assert_eq!(
            stats.loss_sum,
            pass.softmax
                .losses
                .iter()
                .map(|&l| f64::from(l))
                .sum::<f64>(),
            "{name}"
        );
        let (mut m, mut v) = (vec![0.0; p.len()], vec![0.0; p.len()]);
        let c = adam::Coefficients::new(&AdamConfig::default(), 3, 1e-3);
        adam::update(&mut p, &mut m, &mut v, &pass.gradient, &c);
        let mut numbers: Vec<u32> = p.iter().map(|v| v.to_bits()).collect();
        let after = native.state().tensors;
        let trained = plan.slots.iter().zip(&after).filter(|(s, _)| s.trainable);
        let mut got: Vec<u32> = trained
            .flat_map(|(_, t)| t.values.iter().map(|v| v.to_bits()))
            .collect();
        // The layouts differ in order only.
        numbers.sort_unstable();
        got.sort_unstable();
        assert!(
            got == numbers,
            "{name}: updated weights differ from the reference's"
        );
    }
}
