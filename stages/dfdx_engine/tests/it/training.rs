//! Training over many steps, and evaluation.
//! It must not know how engines compute.

use crate::common::{Images, native, ours, resnet, small_networks};
use nn::config::{AdamConfig, Projection};
use nn::engine::Engine;
use nn::random::{Stream, StreamName};

/// Steps of both engines over the same shuffled batches: the mean loss of each step.
fn losses(engines: &mut [&mut dyn Engine], steps: u64) -> Vec<Vec<f64>> {
    let data = Images::new(64, 11);
    let mut all = vec![Vec::new(); engines.len()];
    for step in 0..steps {
        let order = Stream::new(5, StreamName::Shuffle, step / 4).permutation(64);
        let from = (step % 4) as usize * 16;
        let batch = data.chosen(&order[from..from + 16]);
        for (engine, losses) in engines.iter_mut().zip(&mut all) {
            let stats = engine.train_step(batch.batch(), step, 3e-3);
            losses.push(stats.expect("finite").loss_sum / 16.0);
        }
    }
    all
}

/// The largest difference of two engines' losses in a step, over the second's.
fn apart(losses: &[Vec<f64>]) -> f64 {
    let each = losses[0].iter().zip(&losses[1]);
    each.map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max)
}

/// Rounding errors grow: one may push a ReLU's input over 0, and Adam makes full steps of
/// gradients that are hardly more than them. 2e-3 was seen; dropout at
/// another rate is some ten times the bound away.
#[test]
fn losses_follow_the_native_engines_for_20_steps_of_shuffled_batches_with_dropout() {
    const BOUND: f64 = 1e-2;
    let adam = AdamConfig::default();
    let others = small_networks(0.45);
    for ((name, network), (_, other)) in small_networks(0.5).iter().zip(&others) {
        let (mut a, mut b) = (ours(network, &adam), native(network, &adam));
        let mut c = ours(other, &adam);
        let mut losses = losses(&mut [&mut a, &mut b, &mut c], 20);
        let close = apart(&losses[..2]);
        losses.swap(0, 2);
        let wrong = apart(&losses[..2]);
        println!("{name}: {close:.1e}, with another dropout {wrong:.1e}");
        assert!(close < BOUND, "{name}: {close}");
        assert!(wrong > 3.0 * BOUND, "{name}: {wrong}");
    }
}

#[test]
fn the_loss_falls_on_a_toy_problem() {
    let network = resnet(&[8, 16], &[1, 2], true, Projection::WhereShapeChanges, 0.5);
    let data = Images::new(32, 11);
    let mut engine = ours(&network, &AdamConfig::default());
    let mut mean = |step| {
        let stats = engine.train_step(data.batch(), step, 5e-3);
        stats.expect("finite").loss_sum / 32.0
    };
    let losses: Vec<f64> = (0..45).map(&mut mean).collect();
    let last = losses[40..].iter().sum::<f64>() / 5.0;
    assert!(last < 0.5 * losses[0], "from {} to {last}", losses[0]);
    let evaluation = engine.evaluate(data.batch()).expect("fitting batch");
    let pairs = evaluation.predicted.iter().zip(&data.labels);
    let correct = pairs.filter(|(p, l)| p == l).count();
    assert!(
        correct > 16,
        "{correct} of 32 correct with moving statistics"
    );
}

#[test]
fn evaluation_does_not_depend_on_the_cut_into_batches() {
    let data = Images::new(40, 2);
    for (name, network) in small_networks(0.5) {
        let mut engine = ours(&network, &AdamConfig::default());
        engine.train_step(data.part(0, 9), 0, 1e-3).expect("finite");
        let whole = engine.evaluate(data.batch()).expect("fitting batch");
        let (mut losses, mut probabilities) = (Vec::new(), Vec::new());
        for (from, to) in [(0, 1), (1, 4), (4, 4), (4, 33), (33, 40)] {
            let part = engine.evaluate(data.part(from, to)).expect("fitting batch");
            losses.extend(part.losses);
            probabilities.extend(part.probabilities);
        }
        assert_eq!(losses, whole.losses, "{name}");
        assert_eq!(probabilities, whole.probabilities, "{name}");
    }
}

#[test]
fn evaluation_and_gradient_norms_change_nothing() {
    let data = Images::new(5, 2);
    for (name, network) in small_networks(0.5) {
        let mut engine = ours(&network, &AdamConfig::default());
        engine.train_step(data.batch(), 0, 1e-3).expect("finite");
        let before = engine.export_state().expect("a state");
        let norms = engine.gradient_norms(data.batch()).expect("finite");
        assert_eq!(engine.gradient_norms(data.batch()).expect("finite"), norms);
        engine.evaluate(data.batch()).expect("fitting batch");
        assert_eq!(engine.export_state().expect("a state"), before, "{name}");
        let layers = engine.plan().weights().map(|(layer, _)| layer);
        assert!(layers.eq(norms.iter().map(|norm| norm.layer.as_str())));
        assert!(norms.iter().all(|norm| norm.l2 > 0.0), "{name}: {norms:?}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let data = Images::new(16, 2);
    let network = resnet(&[16, 32], &[1, 2], true, Projection::EveryStage, 0.5);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads start").install(|| {
            let mut engine = ours(&network, &AdamConfig::default());
            for step in 0..2 {
                engine.train_step(data.batch(), step, 1e-3).expect("finite");
            }
            let judged = engine.evaluate(data.batch()).expect("fitting batch");
            (engine.export_state().expect("a state"), judged)
        })
    };
    let alone = run(1);
    for threads in [2, 3] {
        assert!(run(threads) == alone, "{threads} threads");
    }
}
