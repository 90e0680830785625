//! Export, import and resuming.
//! It must not know how an engine keeps its numbers.

use crate::common::{Images, native, ours, plain, small_networks};
use nn::config::AdamConfig;
use nn::engine::{Engine, EngineError, State};

#[test]
fn resuming_from_an_exported_state_equals_the_uninterrupted_run() {
    let adam = AdamConfig::default();
    for (name, network) in small_networks(0.5) {
        let data = Images::new(6, 3);
        let mut whole = ours(&network, &adam);
        let mut resumed = None;
        for step in 0..6 {
            if step == 3 {
                let mut other = ours(&network, &adam);
                other
                    .import_state(&whole.export_state().expect("a state"))
                    .expect("the same network");
                assert_eq!(
                    other.export_state().expect("a state"),
                    whole.export_state().expect("a state"),
                    "{name}: export of import"
                );
                resumed = Some(other);
            }
            let stats = whole.train_step(data.batch(), step, 1e-3).expect("finite");
            if let Some(resumed) = &mut resumed {
                let again = resumed.train_step(data.batch(), step, 1e-3);
                assert_eq!(again.expect("finite"), stats, "{name}, step {step}");
            }
        }
        let resumed = resumed
            .expect("resumed at step 3")
            .export_state()
            .expect("a state");
        assert_eq!(resumed, whole.export_state().expect("a state"), "{name}");
    }
}

#[test]
fn states_pass_between_the_engines_without_a_change() {
    let adam = AdamConfig::default();
    for (name, network) in small_networks(0.5) {
        let (mut a, mut b) = (ours(&network, &adam), native(&network, &adam));
        assert_eq!(a.parameters(), b.parameters(), "{name}");
        let data = Images::new(4, 3);
        a.train_step(data.batch(), 0, 1e-3).expect("finite");
        b.import_state(&a.export_state().expect("a state"))
            .expect("one form of state");
        assert_eq!(
            b.export_state().expect("a state"),
            a.export_state().expect("a state"),
            "{name}"
        );
        b.train_step(data.batch(), 1, 1e-3).expect("finite");
        a.import_state(&b.export_state().expect("a state"))
            .expect("one form of state");
        assert_eq!(
            a.export_state().expect("a state"),
            b.export_state().expect("a state"),
            "{name}"
        );
    }
}

#[test]
fn weights_alone_reset_the_moments() {
    let data = Images::new(4, 3);
    let mut trained = ours(&plain(&[3, 4], true, 0.0), &AdamConfig::default());
    trained.train_step(data.batch(), 0, 1e-3).expect("finite");
    let mut state = trained.export_state().expect("a state");
    let is_moment = |name: &str| name.starts_with("adam.");
    state.tensors.retain(|t| !is_moment(&t.name));
    trained.import_state(&state).expect("the same network");
    let moments = trained.export_state().expect("a state").tensors;
    let moments = moments.iter().filter(|t| is_moment(&t.name));
    assert!(moments.clone().count() > 0);
    for tensor in moments {
        assert!(tensor.values.iter().all(|&v| v == 0.0), "{}", tensor.name);
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused_and_changes_nothing() {
    let mut engine = ours(&plain(&[3, 4], true, 0.0), &AdamConfig::default());
    let good = engine.export_state().expect("a state");
    let mut refusal = |change: &dyn Fn(&mut State)| {
        let mut state = good.clone();
        change(&mut state);
        let error = engine.import_state(&state).expect_err("does not fit");
        assert!(matches!(error, EngineError::State(_)));
        assert_eq!(engine.export_state().expect("a state"), good);
        error.to_string()
    };
    assert!(refusal(&|s| drop(s.tensors.remove(0))).ends_with("`block1.conv.weight` is missing"));
    assert!(
        refusal(&|s| s.tensors[0].shape = vec![3, 27])
            .contains("`block1.conv.weight` is [3, 27] but must be [3, 3, 3, 3]")
    );
    assert!(
        refusal(&|s| s.tensors[1].values[2] = f32::NAN)
            .ends_with("`block1.conv.bias` is NaN at index 2")
    );
}
