//! Which layer first gave a number that is not finite.
//! It must not know how layers compute.

use super::finite::finite;
use super::workspace::Workspace;
use super::{Context, forward};
use crate::engine::EngineError;
use crate::network::{Plan, Unit};

/// The first layer of a forward pass over `n` images whose output is not finite.
pub(crate) fn forward(
    context: &Context,
    plan: &Plan,
    workspace: &Workspace,
    n: usize,
    step: u64,
) -> EngineError {
    let error = |layer: &str, what| EngineError::NonFinite {
        layer: layer.to_owned(),
        what,
        step,
    };
    for (unit, kept) in plan.units.iter().zip(&workspace.units) {
        for (layer, kept) in Unit::layers(unit).zip(&kept.layers) {
            let len = n * layer.conv.out_size().pow(2) * layer.conv.outputs;
            if !finite(context, &kept.conv_out[..len]) {
                return error(&layer.conv.name, "activation");
            }
            if !finite(context, &kept.statistics.variance) {
                return error(&layer.norm.name, "activation");
            }
        }
        if !finite(context, forward::result(unit, kept, n)) {
            let last = unit
                .layers()
                .last()
                .map_or("input", |layer| layer.norm.name.as_str());
            return error(last, "activation");
        }
    }
    let logits = &workspace.logits[..n * plan.dense.outputs];
    let fine = finite(context, logits);
    error("dense", if fine { "loss" } else { "activation" })
}

/// The layer nearest the loss whose gradient is not finite: the first that was computed.
pub(crate) fn backward(context: &Context, plan: &Plan, gradient: &[f32], step: u64) -> EngineError {
    let slots = plan.slots.iter().filter(|slot| slot.trainable);
    let culprit = slots
        .rev()
        .find(|slot| !finite(context, slot.span.of(gradient)));
    let name = culprit.map_or("dense", |slot| {
        slot.name
            .rsplit_once('.')
            .map_or("dense", |(layer, _)| layer)
    });
    EngineError::NonFinite {
        layer: name.to_owned(),
        what: "gradient",
        step,
    }
}
