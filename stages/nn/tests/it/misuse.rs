//! Wrong batches, wrong options and numbers that explode.
//! It must not know kernels.

use crate::common::{
    BATCH_NORM, INITIALIZER, Images, engine, plain, refuses_what_does_not_fit, resnet,
    small_networks,
};
use nn::config::{AdamConfig, BatchNormConfig, ConfigError, NetworkConfig, Projection};
use nn::engine::Engine;
use nn::model_spec::ModelSpec;
use nn::native::{Isa, NativeEngine, NativeOptions};

fn build(
    network: &NetworkConfig,
    batch_norm: BatchNormConfig,
    adam: AdamConfig,
    classes: usize,
    threads: usize,
) -> String {
    let options = NativeOptions {
        threads,
        isa: Isa::detect(),
    };
    let result = NativeEngine::new(
        ModelSpec {
            network,
            batch_norm: &batch_norm,
            initializer: &INITIALIZER,
            adam: &adam,
            classes,
            seed: 1,
        },
        options,
    );
    result.map(|_| ()).expect_err("cannot be built").to_string()
}

#[test]
fn what_cannot_be_built_says_why() {
    let (network, adam) = (plain(&[4], 0.0), AdamConfig::default());
    assert_eq!(
        build(&network, BATCH_NORM, adam, 10, 0),
        "`threads` is 0: it must be at least 1"
    );
    assert_eq!(
        build(&network, BATCH_NORM, adam, 0, 1),
        "`classes` is 0: it must be at least 1"
    );
    assert_eq!(
        build(&network, BATCH_NORM, adam, 257, 1),
        "`classes` is 257: it must be at most 256"
    );
    let momentum = BatchNormConfig {
        momentum: 1.0,
        ..BATCH_NORM
    };
    assert_eq!(
        build(&network, momentum, adam, 10, 1),
        "`batch_norm.momentum` is 1: it must lie in [0, 1)"
    );
    let epsilon = BatchNormConfig {
        epsilon: 0.0,
        ..BATCH_NORM
    };
    assert_eq!(
        build(&network, epsilon, adam, 10, 1),
        "`batch_norm.epsilon` is 0: it must lie in [1e-30, 1]"
    );
    let beta = AdamConfig {
        beta2: f64::NAN,
        ..adam
    };
    assert_eq!(
        build(&network, BATCH_NORM, beta, 10, 1),
        "`optimizer.beta2` is NaN: it must lie in [0, 1)"
    );
    assert_eq!(
        build(&plain(&[0], 0.0), BATCH_NORM, adam, 10, 1),
        "`filters[0]` is 0: it must be at least 1"
    );
}

#[test]
fn an_instruction_set_that_the_cpu_lacks_is_refused() {
    for isa in [Isa::Avx512, Isa::Avx2]
        .into_iter()
        .filter(|isa| !isa.available())
    {
        let options = NativeOptions { threads: 1, isa };
        let result = NativeEngine::new(
            ModelSpec {
                network: &plain(&[4], 0.0),
                batch_norm: &BATCH_NORM,
                initializer: &INITIALIZER,
                adam: &AdamConfig::default(),
                classes: 10,
                seed: 1,
            },
            options,
        );
        assert!(matches!(result, Err(ConfigError::Isa(_))));
    }
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    refuses_what_does_not_fit(&mut engine(&plain(&[4], 0.0), 1, Isa::detect()));
}

#[test]
fn a_number_that_explodes_is_reported_with_its_layer_and_changes_nothing() {
    let network = resnet(4, &[4, 8], &[1, 2], true, Projection::WhereShapeChanges);
    let data = Images::new(3, 1);
    for (tensor, layer) in [
        ("stem.conv.weight", "stem.conv"),
        ("stage2.block1.conv2.weight", "stage2.block1.conv2"),
        ("stage1.block2.bn1.weight", "stage1.block2.conv2"),
        ("dense.weight", "dense"),
    ] {
        let mut engine = engine(&network, 1, Isa::detect());
        let mut state = engine.state();
        let target = state
            .tensors
            .iter_mut()
            .find(|t| t.name == tensor)
            .expect("a tensor of this network");
        target.values.fill(3e38);
        engine.import_state(&state).expect("finite");
        let error = engine
            .train_step(data.batch(), 17, 1e-3)
            .expect_err("3e38 overflows");
        assert_eq!(
            error.to_string(),
            format!("`{layer}` gave a non-finite activation at step 17"),
            "{tensor}"
        );
        assert_eq!(
            engine.state(),
            state,
            "{tensor}: a failed step must change nothing"
        );
    }
}

#[test]
fn a_gradient_that_explodes_is_reported_though_the_loss_is_finite() {
    let mut engine = engine(&plain(&[4], 0.0), 1, Isa::detect());
    let mut state = engine.state();
    // Large images times small weights are harmless forward; the weights' gradient sees the
    // images alone, times the dense layer's large weights.
    for tensor in &mut state.tensors {
        match tensor.name.as_str() {
            "block1.conv.weight" => tensor.values.iter_mut().for_each(|v| *v *= 1e-37),
            "dense.weight" => tensor.values.iter_mut().for_each(|v| *v *= 1e6),
            _ => {}
        }
    }
    engine.import_state(&state).expect("finite");
    let mut data = Images::new(2, 1);
    data.images.iter_mut().for_each(|v| *v *= 1e37);
    let error = engine
        .train_step(data.batch(), 4, 1e-3)
        .expect_err("1e37 times 1e6 overflows");
    assert_eq!(
        error.to_string(),
        "`block1.conv` gave a non-finite gradient at step 4"
    );
    assert_eq!(engine.state(), state, "a failed step must change nothing");
}

#[test]
fn a_variance_that_overflows_is_reported_though_the_loss_is_finite() {
    // Batch norm divides by its root: an infinite one leaves the bias, and all looks well.
    let mut engine = engine(&plain(&[4], 0.0), 1, Isa::detect());
    let mut state = engine.state();
    for tensor in &mut state.tensors {
        if tensor.name == "block1.conv.weight" {
            tensor.values.iter_mut().for_each(|v| *v *= 1e20);
        }
    }
    engine.import_state(&state).expect("finite");
    let error = engine
        .train_step(Images::new(2, 1).batch(), 3, 1e-3)
        .expect_err("1e20 squared overflows");
    assert_eq!(
        error.to_string(),
        "`block1.bn` gave a non-finite activation at step 3"
    );
    assert_eq!(engine.state(), state, "a failed step must change nothing");
}

#[test]
fn pixels_that_are_no_numbers_never_pass_as_a_loss() {
    for (name, network) in small_networks() {
        for pixel in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 1537, 3071] {
                let mut engine = engine(&network, 2, Isa::detect());
                let mut data = Images::new(2, 1);
                data.images[at] = pixel;
                let before = engine.state();
                let error = engine
                    .train_step(data.batch(), 0, 1e-3)
                    .expect_err("not finite");
                assert!(
                    error
                        .to_string()
                        .ends_with("conv` gave a non-finite activation at step 0"),
                    "{name}, {pixel} at {at}: {error}"
                );
                assert_eq!(engine.state(), before, "{name}, {pixel} at {at}");
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
