//! All numbers of a network: their first values, and their way out and back in.
//! It must not know how they are trained or stored.

mod weight_init;

pub use weight_init::WeightInit;

use crate::config::InitializerConfig;
use crate::engine::{EngineError, State, Tensor};
use crate::huge;
use crate::network::{Layout, Plan, Slot};
use crate::random::{Stream, StreamName};
use std::collections::BTreeMap;

/// Flat vectors in the plan's layout.
#[derive(Debug)]
pub struct Parameters {
    /// What the optimiser changes.
    pub values: Vec<f32>,
    /// Batch norm's moving statistics.
    pub moving: Vec<f32>,
    /// Adam's first moments.
    pub m: Vec<f32>,
    /// Adam's second moments.
    pub v: Vec<f32>,
}

impl Parameters {
    /// First values: weights by their initializer, scales and moving variances 1, the rest 0.
    ///
    /// Number `i` of tensor `t` (both in network order, `i` in the exported order, which any
    /// engine can follow) is number `i` of the stream (seed, Init, t). `fill` draws a tensor's
    /// numbers: [`WeightInit::fill`], or the same on several threads.
    #[must_use]
    pub fn new(
        plan: &Plan,
        initializer: &InitializerConfig,
        seed: u64,
        fill: impl Fn(&WeightInit, &mut [f32]),
    ) -> Self {
        let n = plan.count.trainable;
        let mut values = huge::zeros(n);
        let mut moving = vec![0.0; plan.count.moving];
        for (place, slot) in plan.slots.iter().enumerate() {
            let stream = Stream::new(seed, StreamName::Init, place as u64);
            match slot.layout {
                Layout::Conv { .. } => fill(
                    &WeightInit::new(initializer.conv, slot.layout, stream),
                    slot.span.of_mut(&mut values),
                ),
                Layout::Dense { .. } => fill(
                    &WeightInit::new(initializer.dense, slot.layout, stream),
                    slot.span.of_mut(&mut values),
                ),
                Layout::Vector if is_norm_weight(plan, slot) => {
                    slot.span.of_mut(&mut values).fill(1.0);
                }
                Layout::Vector if !slot.trainable && slot.name.ends_with(".moving_var") => {
                    slot.span.of_mut(&mut moving).fill(1.0);
                }
                Layout::Vector => {}
            }
        }
        Self {
            values,
            moving,
            m: huge::zeros(n),
            v: huge::zeros(n),
        }
    }

    /// Every tensor in network order, then Adam's first and second moments.
    #[must_use]
    pub fn export(&self, plan: &Plan) -> State {
        let own = plan.slots.iter().map(|slot| {
            let flat = if slot.trainable {
                &self.values
            } else {
                &self.moving
            };
            outward(slot.name.clone(), slot, flat)
        });
        let moments = [("m", &self.m), ("v", &self.v)]
            .into_iter()
            .flat_map(|(kind, flat)| {
                let trained = plan.slots.iter().filter(|slot| slot.trainable);
                trained.map(move |slot| outward(format!("adam.{kind}.{}", slot.name), slot, flat))
            });
        State {
            tensors: own.chain(moments).collect(),
        }
    }

    /// What [`Parameters::export`] gave, in any order of tensors; without any moment, all moments
    /// are 0.
    ///
    /// # Errors
    /// A tensor that is missing, there twice, unknown, of another shape or not finite.
    pub fn from_state(plan: &Plan, state: &State) -> Result<Self, EngineError> {
        let mut given = BTreeMap::new();
        for tensor in &state.tensors {
            if given.insert(tensor.name.as_str(), tensor).is_some() {
                return Err(EngineError::State(format!(
                    "`{}` is there twice",
                    tensor.name
                )));
            }
        }
        let with_moments = given.keys().any(|name| name.starts_with("adam."));
        let n = plan.count.trainable;
        let mut numbers = Self {
            values: huge::zeros(n),
            moving: vec![0.0; plan.count.moving],
            m: huge::zeros(n),
            v: huge::zeros(n),
        };
        for slot in &plan.slots {
            let name = &slot.name;
            if !slot.trainable {
                read(&mut given, name.clone(), slot, &mut numbers.moving)?;
                continue;
            }
            read(&mut given, name.clone(), slot, &mut numbers.values)?;
            if with_moments {
                read(&mut given, format!("adam.m.{name}"), slot, &mut numbers.m)?;
                read(&mut given, format!("adam.v.{name}"), slot, &mut numbers.v)?;
            }
        }
        if let Some(name) = given.keys().next() {
            return Err(EngineError::State(format!(
                "this network has no tensor `{name}`"
            )));
        }
        Ok(numbers)
    }
}

fn is_norm_weight(plan: &Plan, slot: &Slot) -> bool {
    let norms = plan
        .units
        .iter()
        .flat_map(crate::network::Unit::layers)
        .map(|layer| &layer.norm);
    slot.trainable && norms.into_iter().any(|norm| norm.weight == slot.span)
}

/// Moves one given tensor to its place.
fn read(
    given: &mut BTreeMap<&str, &Tensor>,
    name: String,
    slot: &Slot,
    flat: &mut [f32],
) -> Result<(), EngineError> {
    let Some(tensor) = given.remove(name.as_str()) else {
        return Err(EngineError::State(format!("`{name}` is missing")));
    };
    let shape = shape(slot);
    if tensor.shape != shape {
        return Err(EngineError::State(format!(
            "`{name}` is {:?} but must be {shape:?}",
            tensor.shape
        )));
    }
    if tensor.values.len() != slot.span.len {
        let (got, want) = (tensor.values.len(), slot.span.len);
        return Err(EngineError::State(format!(
            "`{name}` has {got} values but its shape needs {want}"
        )));
    }
    if let Some(i) = tensor.values.iter().position(|v| !v.is_finite()) {
        return Err(EngineError::State(format!(
            "`{name}` is {} at index {i}",
            tensor.values[i]
        )));
    }
    inward(slot.layout, |i| tensor.values[i], slot.span.of_mut(flat));
    Ok(())
}

/// A tensor's extents outside.
fn shape(slot: &Slot) -> Vec<usize> {
    match slot.layout {
        Layout::Vector => vec![slot.span.len],
        Layout::Conv {
            kernel,
            inputs,
            outputs,
        } => vec![outputs, inputs, kernel, kernel],
        Layout::Dense { inputs, outputs } => vec![outputs, inputs],
    }
}

/// Fills a tensor here from its values in the order outside.
fn inward(layout: Layout, value: impl Fn(usize) -> f32, flat: &mut [f32]) {
    for (i, to) in flat.iter_mut().enumerate() {
        *to = value(outer_index(layout, i));
    }
}

/// Writes a tensor in the order outside.
fn outward(name: String, slot: &Slot, flat: &[f32]) -> Tensor {
    let own = slot.span.of(flat);
    let mut values = vec![0.0; own.len()];
    for (i, &v) in own.iter().enumerate() {
        values[outer_index(slot.layout, i)] = v;
    }
    Tensor {
        name,
        shape: shape(slot),
        values,
    }
}

/// Index outside of number `i` here.
fn outer_index(layout: Layout, i: usize) -> usize {
    let (taps, inputs, outputs) = layout.extents();
    let (tap, input, output) = (i / (inputs * outputs), i / outputs % inputs, i % outputs);
    (output * inputs + input) * taps + tap
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Initializer, NetworkConfig, Projection};

    fn plan() -> Plan {
        let (filters, blocks, stage_strides) = (vec![16, 32], vec![1, 1], vec![1, 2]);
        let projection = Projection::WhereShapeChanges;
        let config = NetworkConfig::Resnet {
            stem: 16,
            filters,
            blocks,
            stage_strides,
            skip: true,
            projection,
            dropout: 0.0,
        };
        Plan::new(&config, 10).expect("a valid network")
    }

    #[test]
    fn first_weights_have_the_initializers_variances() {
        let plan = plan();
        for (initializer, conv_variance, dense_variance) in [
            (Initializer::HeNormal, 2.0 / 288.0, 2.0 / 32.0),
            (Initializer::HeUniform, 2.0 / 288.0, 2.0 / 32.0),
            (Initializer::GlorotNormal, 2.0 / 576.0, 2.0 / 42.0),
            (Initializer::GlorotUniform, 2.0 / 576.0, 2.0 / 42.0),
        ] {
            let p = Parameters::new(
                &plan,
                &InitializerConfig {
                    conv: initializer,
                    dense: initializer,
                },
                7,
                WeightInit::fill,
            );
            let variance = |name: &str| {
                let slot = plan
                    .slots
                    .iter()
                    .find(|s| s.name == name)
                    .expect("a tensor of this network");
                slot.span
                    .of(&p.values)
                    .iter()
                    .map(|&v| f64::from(v * v))
                    .sum::<f64>()
                    / slot.span.len as f64
            };
            let conv = variance("stage2.block1.conv2.weight") / conv_variance;
            let dense = variance("dense.weight") / dense_variance;
            assert!(
                (conv - 1.0).abs() < 0.06 && (dense - 1.0).abs() < 0.35,
                "{initializer:?}: {conv} {dense}"
            );
        }
    }

    #[test]
    fn scales_and_moving_variances_start_at_one_and_the_rest_at_zero() {
        let plan = plan();
        let initializer = InitializerConfig {
            conv: Initializer::HeNormal,
            dense: Initializer::GlorotUniform,
        };
        for tensor in Parameters::new(&plan, &initializer, 7, WeightInit::fill)
            .export(&plan)
            .tensors
        {
            let name = &tensor.name;
            let all = |v: f32| tensor.values.iter().all(|&x| x == v);
            if name.starts_with("adam.")
                || name.ends_with(".bias")
                || name.ends_with(".moving_mean")
            {
                assert!(all(0.0), "{name}");
            } else if tensor.shape.len() == 1 {
                assert!(all(1.0), "{name}");
            } else {
                assert!(!all(tensor.values[0]), "{name}");
            }
        }
    }

    #[test]
    fn exported_order_is_pytorchs() {
        let layout = Layout::Conv {
            kernel: 3,
            inputs: 4,
            outputs: 5,
        };
        // [tap 7 = (2, 1)][in 2][out 3] lies at [out 3][in 2][2][1].
        assert_eq!(
            outer_index(layout, (7 * 4 + 2) * 5 + 3),
            ((3 * 4 + 2) * 3 + 2) * 3 + 1
        );
        assert_eq!(
            outer_index(
                Layout::Dense {
                    inputs: 4,
                    outputs: 5
                },
                2 * 5 + 3
            ),
            3 * 4 + 2
        );
    }
}
