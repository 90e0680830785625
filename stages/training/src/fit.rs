//! Checks that a weights file's tensors are those of a network.
//! It must not know files or engines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nn::engine::{State, Tensor};

/// How many disagreements a message names.
const NAMED: usize = 3;

/// Whether a tensor belongs to the optimiser and not to the network.
pub fn is_optimizer_state(name: &str) -> bool {
    name.starts_with("adam.")
}

/// The state without optimiser moments.
pub fn without_optimizer(mut state: State) -> State {
    state
        .tensors
        .retain(|tensor| !is_optimizer_state(&tensor.name));
    state
}

/// Weights of another network.
#[derive(Debug, thiserror::Error)]
#[error("weights `{path}` do not fit the network: {}", list(problems), path = path.display())]
pub struct Misfit {
    /// The weights file.
    pub path: PathBuf,
    /// Each disagreement, in network order.
    pub problems: Vec<String>,
}

impl Misfit {
    /// What to do about it.
    pub const HINT: &str = "these weights were trained with other `models` parameters; train again";
}

fn list(problems: &[String]) -> String {
    let mut text = problems
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("; ");
    if problems.len() > NAMED {
        text.push_str(&format!("; and {} more", problems.len() - NAMED));
    }
    text
}

/// The weights in the network's order, if names and shapes are the network's.
///
/// # Errors
/// Tensors that are missing, unknown or of another shape; `path` is only named.
pub fn fit(weights: State, network: &State, path: &Path) -> Result<State, Misfit> {
    let mut found: BTreeMap<String, Tensor> = weights
        .tensors
        .into_iter()
        .map(|tensor| (tensor.name.clone(), tensor))
        .collect();
    let mut fitted = State::default();
    let mut problems = Vec::new();
    for wanted in network
        .tensors
        .iter()
        .filter(|tensor| !is_optimizer_state(&tensor.name))
    {
        match found.remove(&wanted.name) {
            None => problems.push(format!("`{}` is missing", wanted.name)),
            Some(tensor) if tensor.shape != wanted.shape => problems.push(format!(
                "`{}` is {:?}, the network has {:?}",
                wanted.name, tensor.shape, wanted.shape
            )),
            Some(tensor) => fitted.tensors.push(tensor),
        }
    }
    problems.extend(
        found
            .keys()
            .map(|name| format!("the network has no `{name}`")),
    );
    if problems.is_empty() {
        Ok(fitted)
    } else {
        Err(Misfit {
            path: path.to_owned(),
            problems,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(tensors: &[(&str, &[usize])]) -> State {
        let tensors = tensors.iter().map(|&(name, shape)| Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: vec![0.0; shape.iter().product()],
        });
        State {
            tensors: tensors.collect(),
        }
    }

    #[test]
    fn weights_in_another_order_are_brought_into_network_order() {
        let network = state(&[("z", &[1]), ("a", &[2]), ("adam.m.z", &[1])]);
        let fitted = fit(state(&[("a", &[2]), ("z", &[1])]), &network, Path::new("w")).unwrap();
        assert_eq!(fitted, state(&[("z", &[1]), ("a", &[2])]));
    }

    #[test]
    fn missing_unknown_and_misshapen_tensors_are_named() {
        let network = state(&[("a", &[2, 3]), ("b", &[1]), ("c", &[1])]);
        let error = fit(
            state(&[("a", &[3, 2]), ("x", &[1]), ("y", &[1])]),
            &network,
            Path::new("w.st"),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "weights `w.st` do not fit the network: `a` is [3, 2], the network has [2, 3]; \
             `b` is missing; `c` is missing; and 2 more"
        );
        assert_eq!(error.problems[3], "the network has no `x`");
    }

    #[test]
    fn moments_are_left_out() {
        let kept = without_optimizer(state(&[
            ("a", &[1]),
            ("adam.m.a", &[1]),
            ("adam.v.a", &[1]),
        ]));
        assert_eq!(kept, state(&[("a", &[1])]));
    }
}
