//! One step of this engine and of the native one, from the same weights and batch.
//! It must not know how either computes.

use crate::common::{
    Images, difference, native, ours, papers_networks, plain, small_networks, tensor,
};
use nn::config::{AdamConfig, NetworkConfig, Projection};
use nn::engine::{Engine, State, Tensor};
use std::collections::BTreeMap;

/// Largest difference of a tensor, over its largest number. Both compute in f32 and sum in
/// different orders, over up to some 10^4 numbers.
const BOUND: f64 = 1e-4;

/// With it the first moments after a step are the step's gradients.
fn no_memory() -> AdamConfig {
    AdamConfig {
        beta1: 0.0,
        ..AdamConfig::default()
    }
}

/// The mean takes a convolution's bias away again: its gradient is 0 but for rounding. It is the
/// sum of what cancels in it that says how much: batch norm's shift has that as its gradient.
fn gradient_scale(name: &str) -> Option<String> {
    let layer = name.strip_suffix(".conv.bias")?;
    Some(format!("{layer}.bn.bias"))
}

/// Importing moments only to reset them takes its time.
fn not_a_moment(tensor: &Tensor) -> bool {
    !tensor.name.starts_with("adam.")
}

/// How far the two engines are apart in one step, every number over its tensor's largest.
#[derive(Debug, Default)]
struct Apart {
    loss: f64,
    moving: f64,
    /// Of each trainable tensor.
    gradients: BTreeMap<String, f64>,
    evaluated_loss: f64,
    probabilities: f64,
}

/// One step of each from `start`, and an evaluation of where the native engine got.
fn apart(
    a: &mut impl Engine,
    b: &mut impl Engine,
    start: &State,
    data: &Images,
    step: u64,
) -> Apart {
    a.import_state(start).expect("the same network");
    b.import_state(start).expect("the same network");
    let ours = a.train_step(data.batch(), step, 1e-3).expect("finite");
    let theirs = b.train_step(data.batch(), step, 1e-3).expect("finite");
    assert_eq!(ours.correct, theirs.correct);
    let mut apart = Apart {
        loss: (ours.loss_sum - theirs.loss_sum).abs() / theirs.loss_sum,
        ..Apart::default()
    };
    let (mine, mut other) = (
        a.export_state().expect("a state"),
        b.export_state().expect("a state"),
    );
    for their in &other.tensors {
        let own = &tensor(&mine, &their.name).values;
        if their.name.starts_with("adam.m.") {
            let scale = gradient_scale(&their.name);
            let scale = scale.map_or(their, |name| tensor(&other, &name));
            let d = difference(own, &their.values, &scale.values);
            apart.gradients.insert(their.name.clone(), d);
        } else if their.name.contains(".moving_") {
            let d = difference(own, &their.values, &their.values);
            apart.moving = apart.moving.max(d);
        }
    }
    other.tensors.retain(not_a_moment);
    a.import_state(&other).expect("the same network");
    let ours = a.evaluate(data.batch()).expect("fitting");
    let theirs = b.evaluate(data.batch()).expect("fitting");
    assert_eq!(ours.predicted, theirs.predicted);
    apart.evaluated_loss = difference(&ours.losses, &theirs.losses, &theirs.losses);
    let p = &theirs.probabilities;
    apart.probabilities = difference(&ours.probabilities, p, p);
    apart
}

/// Gradients' norms at first weights, where a ReLU's input may well lie at 0 but for rounding:
/// what is on one side in one engine and on the other in the other moves a norm a little.
fn compare_norms(name: &str, a: &mut impl Engine, b: &mut impl Engine, data: &Images) {
    let ours = a.gradient_norms(data.batch()).expect("finite");
    let theirs = b.gradient_norms(data.batch()).expect("finite");
    assert_eq!(ours.len(), theirs.len());
    let mut worst: f64 = 0.0;
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.layer, theirs.layer);
        worst = worst.max((ours.l2 - theirs.l2).abs() / theirs.l2);
    }
    println!("{name}: gradients' norms at first weights {worst:.1e}");
    assert!(worst < 0.02, "{name}: {worst}");
}

/// Steps on some batches. A rounding error may push a ReLU's input over 0 in one engine, which
/// changes gradients beyond all rounding; so each gradient must agree in one of them.
fn compare(
    name: &str,
    network: &NetworkConfig,
    start: &dyn Fn(&mut State),
    n: usize,
    batches: u64,
) {
    let mut best: BTreeMap<String, f64> = BTreeMap::new();
    let (mut a, mut b) = (ours(network, &no_memory()), native(network, &no_memory()));
    let mut first = a.export_state().expect("a state");
    assert_eq!(
        first,
        b.export_state().expect("a state"),
        "{name}: first weights"
    );
    compare_norms(name, &mut a, &mut b, &Images::new(n, 7));
    first.tensors.retain(not_a_moment);
    start(&mut first);
    for step in 3..3 + batches {
        let found = apart(&mut a, &mut b, &first, &Images::new(n, step), step);
        for (tensor, d) in &found.gradients {
            let best = best.entry(tensor.clone()).or_insert(f64::INFINITY);
            *best = best.min(*d);
        }
        let worst = found.gradients.iter().max_by(|a, b| a.1.total_cmp(b.1));
        println!(
            "{name}: loss {:.1e}, gradients {worst:?}, moving {:.1e}, evaluated: losses {:.1e}, \
             probabilities {:.1e}",
            found.loss, found.moving, found.evaluated_loss, found.probabilities
        );
        let Apart {
            loss,
            moving,
            evaluated_loss,
            probabilities,
            ..
        } = found;
        for d in [loss, moving, evaluated_loss, probabilities] {
            assert!(d < BOUND, "{name}: {d}");
        }
    }
    for (tensor, d) in best {
        assert!(d < BOUND, "{name}: {tensor} {d}");
    }
}

/// Shifts each batch norm's output by 2.5 deviations, up in even channels and down in odd ones:
/// ReLUs still cut both, but their inputs are some twenty times rarer near 0 than at first.
fn far_from_kinks(state: &mut State) {
    for tensor in &mut state.tensors {
        let is_shift = tensor.name.ends_with(".bias") && !tensor.name.ends_with("conv.bias");
        if is_shift && tensor.name != "dense.bias" {
            for (channel, shift) in tensor.values.iter_mut().enumerate() {
                *shift = if channel % 2 == 0 { 2.5 } else { -2.5 };
            }
        }
    }
}

#[test]
fn steps_of_small_networks_agree_with_the_native_engine() {
    for (name, network) in small_networks(0.5) {
        compare(name, &network, &|_| (), 6, 5);
    }
}

#[test]
fn steps_of_networks_that_shrink_images_to_one_pixel_agree_with_the_native_engine() {
    // One block a stage: rounding errors grow with each batch norm over few rows.
    let deep = NetworkConfig::Resnet {
        stem: 8,
        filters: vec![8; 6],
        blocks: vec![1; 6],
        stage_strides: vec![2; 6],
        skip: true,
        projection: Projection::WhereShapeChanges,
        dropout: 0.5,
    };
    compare("strides", &deep, &|_| (), 24, 5);
    compare("pools", &plain(&[8; 5], false, 0.5), &|_| (), 24, 5);
}

#[test]
fn steps_of_the_papers_networks_agree_with_the_native_engine() {
    for (name, network) in papers_networks(0.5) {
        compare(name, &network, &far_from_kinks, 2, 2);
    }
}
