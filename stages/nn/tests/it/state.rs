//! Export, import and resuming.
//! It must not know how an engine keeps its numbers.

use crate::common::{Images, engine, plain, small_networks};
use nn::engine::{Engine, EngineError, State};
use nn::native::Isa;

fn refusal(state: &State) -> String {
    let mut engine = engine(&plain(&[3, 4], 0.0), 1, Isa::detect());
    let before = engine.state();
    let error = engine.import_state(state).expect_err("does not fit");
    assert!(matches!(error, EngineError::State(_)));
    assert_eq!(
        engine.state(),
        before,
        "a refused state must change nothing"
    );
    error.to_string()
}

#[test]
fn resuming_from_an_exported_state_equals_the_uninterrupted_run() {
    for (name, network) in small_networks() {
        let data = Images::new(6, 3);
        let mut whole = engine(&network, 2, Isa::detect());
        let mut resumed = None;
        for step in 0..6 {
            if step == 3 {
                let mut other = crate::common::engine_seeded(&network, 1, Isa::detect(), 42);
                other
                    .import_state(&whole.state())
                    .expect("the same network");
                assert_eq!(other.state(), whole.state(), "{name}: export of import");
                resumed = Some(other);
            }
            let stats = whole.train_step(data.batch(), step, 1e-3).expect("finite");
            if let Some(resumed) = &mut resumed {
                assert_eq!(
                    resumed
                        .train_step(data.batch(), step, 1e-3)
                        .expect("finite"),
                    stats,
                    "{name}, step {step}"
                );
            }
        }
        assert_eq!(
            resumed.expect("resumed at step 3").state(),
            whole.state(),
            "{name}"
        );
    }
}

#[test]
fn weights_alone_reset_the_moments() {
    let network = plain(&[3, 4], 0.0);
    let data = Images::new(4, 3);
    let mut trained = engine(&network, 1, Isa::detect());
    trained.train_step(data.batch(), 0, 1e-3).expect("finite");
    let mut state = trained.state();
    state.tensors.retain(|t| !t.name.starts_with("adam."));
    // As from a file sorted by name.
    state.tensors.sort_by(|a, b| a.name.cmp(&b.name));
    trained.import_state(&state).expect("the same network");
    for tensor in trained.state().tensors {
        if tensor.name.starts_with("adam.") {
            assert!(tensor.values.iter().all(|&v| v == 0.0), "{}", tensor.name);
        }
    }
}

#[test]
fn names_and_shapes_are_pytorchs() {
    let state = engine(&plain(&[3, 4], 0.0), 1, Isa::detect()).state();
    let said: Vec<String> = state
        .tensors
        .iter()
        .take(14)
        .map(|t| format!("{} {:?}", t.name, t.shape))
        .collect();
    assert_eq!(
        said[..7],
        [
            "block1.conv.weight [3, 3, 3, 3]",
            "block1.conv.bias [3]",
            "block1.bn.weight [3]",
            "block1.bn.bias [3]",
            "block1.bn.moving_mean [3]",
            "block1.bn.moving_var [3]",
            "block2.conv.weight [4, 3, 3, 3]",
        ]
    );
    assert_eq!(said[12..], ["dense.weight [10, 4]", "dense.bias [10]"]);
    assert_eq!(state.tensors[14].name, "adam.m.block1.conv.weight");
    assert_eq!(state.tensors.len(), 14 + 10 + 10);
}

#[test]
fn a_state_that_does_not_fit_is_refused_with_the_tensors_name() {
    let good = engine(&plain(&[3, 4], 0.0), 1, Isa::detect()).state();
    let with = |change: &dyn Fn(&mut State)| {
        let mut state = good.clone();
        change(&mut state);
        refusal(&state)
    };
    assert!(with(&|s| drop(s.tensors.remove(0))).ends_with("`block1.conv.weight` is missing"));
    assert!(with(&|s| drop(s.tensors.pop())).ends_with("`adam.v.dense.bias` is missing"));
    assert!(
        with(&|s| s.tensors.push(s.tensors[2].clone()))
            .ends_with("`block1.bn.weight` is there twice")
    );
    assert!(with(&|s| s.tensors[0].name = "stem".to_owned()).contains("missing"));
    assert!(
        with(&|s| s
            .tensors
            .extend(s.tensors.first().cloned().map(|t| nn::engine::Tensor {
                name: "extra".to_owned(),
                ..t
            })))
        .ends_with("this network has no tensor `extra`")
    );
    assert!(
        with(&|s| s.tensors[0].shape = vec![3, 27])
            .contains("`block1.conv.weight` is [3, 27] but must be [3, 3, 3, 3]")
    );
    assert!(
        with(&|s| s.tensors[1].values.truncate(2))
            .contains("`block1.conv.bias` has 2 values but its shape needs 3")
    );
    assert!(
        with(&|s| s.tensors[1].values[2] = f32::NAN)
            .ends_with("`block1.conv.bias` is NaN at index 2")
    );
}
