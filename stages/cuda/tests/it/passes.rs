//! Steps, evaluation and gradients against the native engine.
//! It must not know epochs.

use cuda::operations::Precision;
use nn::engine::{Engine, State};
use nn::native::Isa;

use crate::common::{self, Images, small_networks};
use crate::device::{Place, engine, on_each_device};

on_each_device!(
    a_step_from_the_same_weights_is_the_native_engines,
    losses_of_twenty_steps_stay_with_the_native_engines,
    evaluation_is_the_native_engines_and_does_not_depend_on_the_cut,
    gradient_norms_are_the_native_engines_and_change_nothing,
    lower_precision_is_near_and_is_lower,
);

/// Sums run in another order, so that each tensor may differ by this, relative to its largest
/// number.
const NEAR: f64 = 1e-4;

/// Largest difference of each tensor, relative to its largest number; at least `floor` of it.
fn distances(got: &State, want: &State) -> Vec<(String, f64)> {
    assert_eq!(got.tensors.len(), want.tensors.len());
    let pairs = got.tensors.iter().zip(&want.tensors);
    let of = pairs.map(|(got, want)| {
        assert_eq!((&got.name, &got.shape), (&want.name, &want.shape));
        (want.name.clone(), distance(&got.values, &want.values))
    });
    of.collect()
}

fn distance(got: &[f32], want: &[f32]) -> f64 {
    let largest = want.iter().fold(0.0_f64, |m, &v| m.max(f64::from(v).abs()));
    let pairs = got.iter().zip(want);
    let apart = pairs.map(|(&g, &w)| (f64::from(g) - f64::from(w)).abs());
    apart.fold(0.0, f64::max) / largest.max(1e-30)
}

/// Of tensors whose true value is not 0: a convolution's bias before a batch norm has none, and
/// what is left of its gradient is rounding alone.
fn has_gradient(name: &str) -> bool {
    !(name.contains("conv") && name.ends_with(".bias"))
}

fn a_step_from_the_same_weights_is_the_native_engines<P: Place>() {
    let data = Images::new(9, 5);
    for (name, network) in small_networks() {
        let Some(mut ours) = engine::<P>(&network, Precision::F32) else {
            return;
        };
        let mut native = common::engine(&network, 2, Isa::detect());
        assert_eq!(ours.export_state().expect("a state"), native.state());
        let got = ours.train_step(data.batch(), 3, 1e-3).expect("finite");
        let want = native.train_step(data.batch(), 3, 1e-3).expect("finite");
        assert_eq!(got.correct, want.correct, "{name}");
        let apart = (got.loss_sum / want.loss_sum - 1.0).abs();
        assert!(apart < 1e-5, "{name}: loss differs by {apart}");
        // Adam's first moment after one step is the gradient, scaled: every one is seen.
        for (tensor, apart) in distances(&ours.export_state().expect("a state"), &native.state()) {
            let moment = tensor.starts_with("adam.") || tensor.contains(".moving_");
            if moment && has_gradient(&tensor) {
                assert!(apart < NEAR, "{name}: `{tensor}` differs by {apart:e}");
            }
        }
    }
}

fn losses_of_twenty_steps_stay_with_the_native_engines<P: Place>() {
    let data = Images::new(24, 7);
    for (name, network) in small_networks() {
        let Some(mut ours) = engine::<P>(&network, Precision::F32) else {
            return;
        };
        let mut native = common::engine(&network, 2, Isa::detect());
        for step in 0..20 {
            let part = data.part(8 * (step % 3), 8 * (step % 3) + 8);
            let got = ours.train_step(part, step as u64, 1e-3).expect("finite");
            let want = native.train_step(part, step as u64, 1e-3).expect("finite");
            // Rounding differs at 1e-7 and grows with each update, by Adam's division most.
            let apart = (got.loss_sum / want.loss_sum - 1.0).abs();
            assert!(apart < 1e-2, "{name}: step {step} differs by {apart:e}");
        }
    }
}

fn evaluation_is_the_native_engines_and_does_not_depend_on_the_cut<P: Place>() {
    let data = Images::new(131, 2);
    for (name, network) in small_networks() {
        let Some(mut ours) = engine::<P>(&network, Precision::F32) else {
            return;
        };
        let mut native = common::engine(&network, 2, Isa::detect());
        // Moving statistics that are not the first ones.
        native.train_step(data.part(0, 9), 0, 1e-3).expect("finite");
        ours.import_state(&native.state())
            .expect("the same network");
        let want = native.evaluate(data.batch()).expect("fitting batch");
        let got = ours.evaluate(data.batch()).expect("fitting batch");
        assert!(
            distance(&got.probabilities, &want.probabilities) < NEAR,
            "{name}"
        );
        assert!(distance(&got.losses, &want.losses) < NEAR, "{name}");
        assert_eq!(got.predicted, want.predicted, "{name}");
        let (mut losses, mut predicted) = (Vec::new(), Vec::new());
        for (from, to) in [(0, 1), (1, 4), (4, 4), (4, 90), (90, 131)] {
            let part = ours.evaluate(data.part(from, to)).expect("fitting batch");
            losses.extend(part.losses);
            predicted.extend(part.predicted);
        }
        assert_eq!((losses, predicted), (got.losses, got.predicted), "{name}");
    }
}

fn gradient_norms_are_the_native_engines_and_change_nothing<P: Place>() {
    let data = Images::new(6, 3);
    for (name, network) in small_networks() {
        let Some(mut ours) = engine::<P>(&network, Precision::F32) else {
            return;
        };
        let before = ours.export_state().expect("a state");
        let got = ours.gradient_norms(data.batch()).expect("finite");
        let mut native = common::engine(&network, 2, Isa::detect());
        let want = native.gradient_norms(data.batch()).expect("finite");
        for (got, want) in got.iter().zip(&want) {
            assert_eq!(got.layer, want.layer);
            let apart = (got.l2 / want.l2 - 1.0).abs();
            assert!(apart < NEAR, "{name}, {}: {apart:e}", got.layer);
        }
        assert_eq!(got.len(), want.len());
        assert_eq!(ours.export_state().expect("a state"), before, "{name}");
    }
}

fn lower_precision_is_near_and_is_lower<P: Place>() {
    let data = Images::new(8, 4);
    let (_, network) = &small_networks()[2];
    let run = |precision| {
        let mut engine = engine::<P>(network, precision)?;
        let stats = engine.train_step(data.batch(), 0, 1e-3).expect("finite");
        Some((stats.loss_sum, engine.gradient().expect("a gradient")))
    };
    let Some((exact, gradient)) = run(Precision::F32) else {
        return;
    };
    let mut last = 0.0;
    // 10 and 7 bits of mantissa behind the leading one, through some ten layers.
    for (precision, bound) in [(Precision::Tf32, 0.02), (Precision::Bf16, 0.15)] {
        let (loss, rounded) = run(precision).expect("an engine");
        let apart = (loss / exact - 1.0).abs();
        assert!(apart < bound, "{precision:?}: loss differs by {apart:e}");
        let apart = distance(&rounded, &gradient);
        assert!(apart > last && apart < bound, "{precision:?}: {apart:e}");
        last = apart;
    }
}
