//! Training learns, evaluation judges each image alone, gradients are measured.
//! It must not know kernels.

use crate::common::{BATCH_NORM, INITIALIZER, Images, engine, plain, small_networks};
use nn::config::{AdamConfig, BatchNormConfig, NetworkConfig};
use nn::engine::{Batch, Engine};
use nn::model_spec::ModelSpec;
use nn::native::{Isa, NativeEngine, NativeOptions};
use nn::network::Unit;

#[test]
fn the_loss_falls_on_a_toy_problem() {
    for (name, network) in small_networks() {
        let data = Images::new(32, 11);
        let mut engine = engine(&network, 2, Isa::detect());
        let mut losses = Vec::new();
        for step in 0..45 {
            losses.push(
                engine
                    .train_step(data.batch(), step, 5e-3)
                    .expect("finite")
                    .loss_sum
                    / 32.0,
            );
        }
        let (first, last) = (
            losses[0],
            losses[losses.len() - 5..].iter().sum::<f64>() / 5.0,
        );
        assert!(last < 0.5 * first, "{name}: from {first} to {last}");
        let evaluation = engine.evaluate(data.batch()).expect("fitting batch");
        let correct = evaluation
            .predicted
            .iter()
            .zip(&data.labels)
            .filter(|(p, l)| p == l)
            .count();
        assert!(
            correct > 16,
            "{name}: {correct} of 32 correct with moving statistics"
        );
    }
}

#[test]
fn evaluation_does_not_depend_on_the_cut_into_batches() {
    let data = Images::new(130, 2);
    for (name, network) in small_networks() {
        let mut engine = engine(&network, 2, Isa::detect());
        engine.train_step(data.part(0, 9), 0, 1e-3).expect("finite");
        let whole = engine.evaluate(data.batch()).expect("fitting batch");
        let (mut losses, mut probabilities) = (Vec::new(), Vec::new());
        for (from, to) in [(0, 1), (1, 4), (4, 4), (4, 90), (90, 130)] {
            let part = engine.evaluate(data.part(from, to)).expect("fitting batch");
            losses.extend(part.losses);
            probabilities.extend(part.probabilities);
        }
        assert_eq!(
            (losses, probabilities),
            (whole.losses, whole.probabilities),
            "{name}"
        );
    }
}

#[test]
fn probabilities_sum_to_one_and_name_the_predicted_class() {
    let data = Images::new(5, 2);
    let (_, network) = &small_networks()[1];
    let result = engine(network, 1, Isa::detect())
        .evaluate(data.batch())
        .expect("fitting batch");
    for (image, row) in result.probabilities.chunks_exact(10).enumerate() {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let best = row.iter().copied().fold(0.0, f32::max);
        assert_eq!(row[usize::from(result.predicted[image])], best);
        assert!((result.losses[image] + row[usize::from(data.labels[image])].ln()).abs() < 1e-4);
    }
    assert_eq!((result.losses.len(), result.predicted.len()), (5, 5));
}

#[test]
fn evaluation_and_gradient_norms_change_nothing() {
    let data = Images::new(5, 2);
    for (name, network) in small_networks() {
        let mut engine = engine(&network, 1, Isa::detect());
        engine.train_step(data.batch(), 0, 1e-3).expect("finite");
        let before = engine.state();
        engine.evaluate(data.batch()).expect("fitting batch");
        let norms = engine.gradient_norms(data.batch()).expect("finite");
        assert_eq!(
            engine.gradient_norms(data.batch()).expect("finite"),
            norms,
            "{name}: no dropout, so no chance"
        );
        assert_eq!(engine.state(), before, "{name}");
        let layers: Vec<&str> = norms.iter().map(|n| n.layer.as_str()).collect();
        assert_eq!(
            layers,
            engine
                .plan()
                .weights()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        );
        assert!(
            norms.iter().all(|n| n.l2 > 0.0 && n.l2.is_finite()),
            "{name}: {norms:?}"
        );
    }
}

#[test]
fn a_batch_of_one_image_trains() {
    let data = Images::new(1, 2);
    for (name, network) in small_networks() {
        let stats = engine(&network, 3, Isa::detect())
            .train_step(data.batch(), 0, 1e-3)
            .expect("finite");
        assert!(stats.loss_sum.is_finite() && stats.correct <= 1, "{name}");
    }
}

#[test]
fn no_images_evaluate_to_nothing() {
    let empty = Batch {
        images: &[],
        labels: &[],
    };
    let result = engine(&plain(&[2], 0.0), 1, Isa::detect())
        .evaluate(empty)
        .expect("nothing to do");
    assert!(
        result.losses.is_empty() && result.probabilities.is_empty() && result.predicted.is_empty()
    );
}

#[test]
fn times_are_recorded_for_every_convolution_and_batch_norm_on_demand() {
    let data = Images::new(2, 2);
    for (name, network) in small_networks() {
        let mut engine = engine(&network, 1, Isa::detect());
        engine.train_step(data.batch(), 0, 1e-3).expect("finite");
        assert!(engine.times().is_empty(), "{name}: nobody asked");
        engine.record_times(true);
        engine.train_step(data.batch(), 1, 1e-3).expect("finite");
        let times = engine.times();
        let has = |layer: &str, pass: &str| {
            let found = times.iter().filter(|t| t.layer == layer && t.pass == pass);
            found.filter(|t| t.seconds >= 0.0).count() == 1
        };
        for layer in engine.plan().units.iter().flat_map(Unit::layers) {
            for pass in ["forward", "weight gradient"] {
                assert!(has(&layer.conv.name, pass), "{name}: {layer:?} {pass}");
            }
            let norm = &layer.norm.name;
            assert!(has(norm, "batch norm forward"), "{name}: {norm}");
        }
        for layer in engine
            .plan()
            .units
            .iter()
            .flat_map(|unit| unit.layers().take(2))
        {
            // A projection's is part of the batch norm's that it is added to.
            let norm = &layer.norm.name;
            let found = has(norm, "batch norm backward") || has(norm, "pool");
            assert!(found, "{name}: {norm}");
        }
        assert!(has("dense", "dense") && has("adam", "adam"), "{name}");
    }
}

/// Training steps have the reference network's bits: see `gradients`. By a momentum of 0 the
/// moving statistics are the batch's own, and a rate of 0 leaves the weights.
#[test]
fn evaluation_by_a_batchs_own_statistics_has_the_bits_of_the_training_pass() {
    let batch_norm = BatchNormConfig {
        momentum: 0.0,
        ..BATCH_NORM
    };
    let options = NativeOptions {
        threads: 2,
        isa: Isa::detect(),
    };
    for (name, mut network) in small_networks() {
        match &mut network {
            NetworkConfig::PlainCnn { dropout, .. } | NetworkConfig::Resnet { dropout, .. } => {
                *dropout = 0.0;
            }
        }
        let adam = AdamConfig::default();
        let built = NativeEngine::new(
            ModelSpec {
                network: &network,
                batch_norm: &batch_norm,
                initializer: &INITIALIZER,
                adam: &adam,
                classes: 10,
                seed: 3,
            },
            options,
        );
        let mut engine = built.expect("a valid network on this machine");
        for n in [1, 2, 5] {
            let data = Images::new(n, 20 + n as u64);
            let trained = engine.train_step(data.batch(), 0, 0.0).expect("finite");
            let evaluated = engine.evaluate(data.batch()).expect("fitting batch");
            let sum: f64 = evaluated.losses.iter().map(|&loss| f64::from(loss)).sum();
            assert_eq!(
                sum.to_bits(),
                trained.loss_sum.to_bits(),
                "{name}, {n} images"
            );
        }
    }
}
