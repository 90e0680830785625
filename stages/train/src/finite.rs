//! Finds what is no longer finite in an engine's state.
//! It must not know how it came about, nor what is done about it.

use nn::engine::State;

/// Where a state first holds a number that is infinite or undefined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Culprit {
    /// The layer, such as `stage2.block1.conv1`.
    pub layer: String,
    /// Such as `weight`, `moving variance` or `weight's second moment`.
    pub what: String,
}

/// The first tensor, in the state's order, with a number that is not finite.
///
/// A loss does not show them all: an infinite second moment stops its weight, and moving
/// statistics are first read by the evaluation.
pub fn culprit(state: &State) -> Option<Culprit> {
    let tensor = state
        .tensors
        .iter()
        .find(|tensor| !tensor.values.iter().all(|value| value.is_finite()))?;
    let name = tensor.name.as_str();
    let (name, moment) = match (name.strip_prefix("adam.m."), name.strip_prefix("adam.v.")) {
        (Some(name), _) => (name, "'s first moment"),
        (_, Some(name)) => (name, "'s second moment"),
        _ => (name, ""),
    };
    let (layer, number) = name.rsplit_once('.').unwrap_or((name, "value"));
    Some(Culprit {
        layer: layer.to_owned(),
        what: format!("{}{moment}", number.replace('_', " ")),
    })
}

#[cfg(test)]
mod tests {
    use nn::engine::Tensor;

    use super::*;

    fn said(name: &str, value: f32) -> Option<String> {
        let tensor = |name: &str, value| Tensor {
            name: name.to_owned(),
            shape: vec![2],
            values: vec![0.0, value],
        };
        let tensors = vec![tensor("stem.conv.weight", 1.0), tensor(name, value)];
        culprit(&State { tensors }).map(|found| format!("{}: {}", found.layer, found.what))
    }

    #[test]
    fn finite_numbers_are_no_culprits() {
        assert_eq!(said("dense.bias", f32::MAX), None);
        assert_eq!(culprit(&State::default()), None);
    }

    #[test]
    fn the_layer_and_its_kind_of_number_are_named() {
        for (name, expected) in [
            ("stage1.block2.conv1.weight", "stage1.block2.conv1: weight"),
            ("stem.bn.moving_variance", "stem.bn: moving variance"),
            ("adam.m.dense.bias", "dense: bias's first moment"),
            ("adam.v.stem.bn.weight", "stem.bn: weight's second moment"),
        ] {
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                assert_eq!(said(name, value).as_deref(), Some(expected));
            }
        }
    }
}
