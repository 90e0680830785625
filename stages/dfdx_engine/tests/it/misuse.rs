//! Wrong configurations, wrong batches and numbers that explode: as the native engine says it.
//! It must not know how engines compute.

use crate::common::{
    BATCH_NORM, INITIALIZER, Images, native, ours, plain, refuses_what_does_not_fit, resnet,
    small_networks,
};
use dfdx_engine::DfdxEngine;
use nn::config::{AdamConfig, BatchNormConfig, NetworkConfig, Projection};
use nn::engine::{Batch, Engine, State};
use nn::model_spec::ModelSpec;

fn build(
    network: &NetworkConfig,
    batch_norm: BatchNormConfig,
    adam: AdamConfig,
    classes: usize,
) -> String {
    let result = DfdxEngine::new(ModelSpec {
        network,
        batch_norm: &batch_norm,
        initializer: &INITIALIZER,
        adam: &adam,
        classes,
        seed: 1,
    });
    result.map(|_| ()).expect_err("cannot be built").to_string()
}

#[test]
fn what_cannot_be_built_says_why() {
    let (network, adam) = (plain(&[4], true, 0.0), AdamConfig::default());
    assert_eq!(
        build(&network, BATCH_NORM, adam, 0),
        "`classes` is 0: it must be at least 1"
    );
    let momentum = BatchNormConfig {
        momentum: 1.0,
        ..BATCH_NORM
    };
    assert_eq!(
        build(&network, momentum, adam, 10),
        "`batch_norm.momentum` is 1: it must lie in [0, 1)"
    );
    let beta = AdamConfig {
        beta2: f64::NAN,
        ..adam
    };
    assert_eq!(
        build(&network, BATCH_NORM, beta, 10),
        "`optimizer.beta2` is NaN: it must lie in [0, 1)"
    );
    assert_eq!(
        build(&plain(&[0], true, 0.0), BATCH_NORM, adam, 10),
        "`filters[0]` is 0: it must be at least 1"
    );
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let mut engine = ours(&plain(&[4], true, 0.0), &AdamConfig::default());
    refuses_what_does_not_fit(&mut engine);
    let empty = Batch {
        images: &[],
        labels: &[],
    };
    let nothing = engine.evaluate(empty).expect("no images have no losses");
    assert!(nothing.losses.is_empty() && nothing.predicted.is_empty());
}

/// A step from a changed state fails with these words in both engines, and changes nothing.
fn explodes(
    network: &NetworkConfig,
    change: &dyn Fn(&mut State),
    data: &Images,
    step: u64,
    says: &str,
) {
    let adam = AdamConfig::default();
    let (mut a, mut b) = (ours(network, &adam), native(network, &adam));
    let mut state = a.export_state().expect("a state");
    change(&mut state);
    for engine in [&mut a as &mut dyn Engine, &mut b] {
        engine.import_state(&state).expect("finite");
        let error = engine
            .train_step(data.batch(), step, 1e-3)
            .expect_err("a number explodes");
        assert_eq!(error.to_string(), says);
        let after = engine.export_state().expect("a state");
        assert_eq!(after, state, "a failed step must change nothing");
    }
}

/// Multiplies a tensor.
fn times(state: &mut State, name: &str, factor: f32) {
    let mut found = state.tensors.iter_mut().filter(|t| t.name == name);
    let tensor = found.next().expect("a tensor of this network");
    tensor.values.iter_mut().for_each(|v| *v *= factor);
}

#[test]
fn a_number_that_explodes_is_reported_with_its_layer_and_changes_nothing() {
    let network = resnet(&[4, 8], &[1, 2], true, Projection::WhereShapeChanges, 0.5);
    let data = Images::new(3, 1);
    for (tensor, layer) in [
        ("stem.conv.weight", "stem.conv"),
        ("stage2.block1.conv2.weight", "stage2.block1.conv2"),
        ("stage1.block2.bn1.weight", "stage1.block2.conv2"),
        ("dense.weight", "dense"),
    ] {
        let fill = |state: &mut State| {
            let mut found = state.tensors.iter_mut().filter(|t| t.name == tensor);
            found.next().expect("a tensor").values.fill(3e38);
        };
        let says = format!("`{layer}` gave a non-finite activation at step 17");
        explodes(&network, &fill, &data, 17, &says);
    }
}

#[test]
fn a_gradient_that_explodes_is_reported_though_the_loss_is_finite() {
    // Large images times small weights are harmless forward; the weights' gradient sees the
    // images alone, times the dense layer's large weights.
    let change = |state: &mut State| {
        times(state, "block1.conv.weight", 1e-37);
        times(state, "dense.weight", 1e6);
    };
    let mut data = Images::new(2, 1);
    data.images.iter_mut().for_each(|v| *v *= 1e37);
    let says = "`block1.conv` gave a non-finite gradient at step 4";
    explodes(&plain(&[4], true, 0.0), &change, &data, 4, says);
}

#[test]
fn a_variance_that_overflows_is_reported_though_the_loss_is_finite() {
    let change = |state: &mut State| times(state, "block1.conv.weight", 1e20);
    let says = "`block1.bn` gave a non-finite activation at step 3";
    let data = Images::new(2, 1);
    explodes(&plain(&[4], true, 0.0), &change, &data, 3, says);
}

#[test]
fn pixels_that_are_no_numbers_never_pass_as_a_loss() {
    for (name, network) in small_networks(0.5) {
        let mut engine = ours(&network, &AdamConfig::default());
        let before = engine.export_state().expect("a state");
        for pixel in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 1537, 3071] {
                let mut data = Images::new(2, 1);
                data.images[at] = pixel;
                let error = engine.train_step(data.batch(), 0, 1e-3);
                let said = error.expect_err("not finite").to_string();
                let end = "conv` gave a non-finite activation at step 0";
                assert!(said.ends_with(end), "{name}, {pixel} at {at}: {said}");
                assert_eq!(
                    engine.export_state().expect("a state"),
                    before,
                    "{name}, {pixel} at {at}"
                );
                let losses = engine.evaluate(data.batch()).expect("fitting").losses;
                assert!(
                    !losses[0].is_finite(),
                    "{name}, {pixel} at {at}: {losses:?}"
                );
                assert!(losses[1].is_finite(), "each image is judged alone");
            }
        }
    }
}
