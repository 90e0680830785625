//! What a pass keeps between forward and backward, in buffers that are reused by every step.
//! It must not know what is computed.

use super::memory::Aligned;
use crate::huge;
use crate::network::{Plan, Unit};
use crate::reference::norm::Statistics;

/// Of one convolution and its batch norm.
pub(crate) struct LayerKept {
    /// The convolution's output.
    pub(crate) conv_out: Vec<f32>,
    /// Of that output.
    pub(crate) statistics: Statistics<f32>,
}

/// Of one unit.
pub(crate) struct UnitKept {
    /// In network order.
    pub(crate) layers: Vec<LayerKept>,
    /// After a basic block's first ReLU.
    pub(crate) middle: Vec<f32>,
    /// What the unit hands on.
    pub(crate) output: Vec<f32>,
}

/// All of a network.
pub(crate) struct Workspace {
    pub(crate) units: Vec<UnitKept>,
    /// After global average pool and dropout, `[n, features]`.
    pub(crate) features: Vec<f32>,
    /// `[n, classes]`.
    pub(crate) logits: Vec<f32>,
    /// Scratch as large as the largest layer: gradients, or a forward pass that keeps nothing.
    pub(crate) scratch: [Vec<f32>; 3],
    /// A projection's output where nothing is kept.
    pub(crate) projected: Vec<f32>,
    /// Packed weights.
    pub(crate) panel: Aligned,
}

impl Workspace {
    pub(crate) fn new(plan: &Plan) -> Self {
        let layer = || LayerKept {
            conv_out: Vec::new(),
            statistics: Statistics {
                mean: Vec::new(),
                variance: Vec::new(),
                inv_std: Vec::new(),
            },
        };
        let unit = |unit: &Unit| UnitKept {
            layers: unit.layers().map(|_| layer()).collect(),
            middle: Vec::new(),
            output: Vec::new(),
        };
        Self {
            units: plan.units.iter().map(unit).collect(),
            features: Vec::new(),
            logits: Vec::new(),
            scratch: Default::default(),
            projected: Vec::new(),
            panel: Aligned::default(),
        }
    }

    /// Makes every scratch buffer hold `n` images of the largest layer.
    pub(crate) fn grow_scratch(&mut self, plan: &Plan, n: usize) {
        let layers = plan.units.iter().flat_map(Unit::layers);
        let largest = layers
            .map(|l| {
                (l.conv.out_size().pow(2) * l.conv.outputs).max(l.conv.size.pow(2) * l.conv.inputs)
            })
            .max()
            .unwrap_or(0);
        for buffer in &mut self.scratch {
            room(buffer, n * largest);
        }
    }
}

/// The first `len` numbers of a buffer that grows as needed and never shrinks.
pub(crate) fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        // Nobody needs what it held.
        *buffer = huge::zeros(len);
    }
    &mut buffer[..len]
}
