//! The measured networks, how they begin, and what a step's arithmetic amounts to.
//! It must not know engines.

use nn::config::{BatchNormConfig, Initializer, InitializerConfig, NetworkConfig};
use nn::network::{Conv, Plan, Unit};
use std::collections::BTreeMap;

pub(crate) const CLASSES: usize = 10;

/// The networks that all measured engines build, by name: one file describes them to all.
pub(crate) fn networks() -> Result<BTreeMap<String, NetworkConfig>, serde_json::Error> {
    serde_json::from_str(include_str!(
        "../../../../scripts/bench-train/variants.json"
    ))
}

/// As in `pipeline.yaml`.
pub(crate) fn batch_norm() -> BatchNormConfig {
    BatchNormConfig {
        momentum: 0.99,
        epsilon: 1e-3,
    }
}

/// As in `pipeline.yaml`.
pub(crate) fn initializer() -> InitializerConfig {
    InitializerConfig {
        conv: Initializer::HeNormal,
        dense: Initializer::GlorotUniform,
    }
}

/// Convolutions in network order.
fn convs(plan: &Plan) -> impl Iterator<Item = &Conv> {
    let layers = plan.units.iter().flat_map(Unit::layers);
    layers.map(|layer| &layer.conv)
}

/// Floating point operations of one image's forward pass through a convolution, computed
/// directly; either gradient takes as many.
fn conv_flops(conv: &Conv) -> f64 {
    2.0 * (conv.weight.len * conv.out_size().pow(2)) as f64
}

/// Each convolution's operations in one pass of one image, by name.
pub(crate) fn layer_flops(plan: &Plan) -> BTreeMap<&str, f64> {
    convs(plan)
        .map(|conv| (conv.name.as_str(), conv_flops(conv)))
        .collect()
}

/// Floating point operations of convolutions and dense layer in one image's forward pass.
pub(crate) fn forward_flops(plan: &Plan) -> f64 {
    convs(plan).map(conv_flops).sum::<f64>() + 2.0 * plan.dense.weight.len as f64
}

/// The same of one image's training step: forward, and backward to inputs (but for the first
/// layer) and weights.
pub(crate) fn train_flops(plan: &Plan) -> f64 {
    3.0 * forward_flops(plan) - convs(plan).next().map_or(0.0, conv_flops)
}
