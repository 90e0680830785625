//! Which stages may start, the one on the longest remaining path first.
//! It must not know what starting means.

use std::collections::BTreeSet;

use crate::graph::{Graph, StageId};

/// Seconds assumed for a stage that has never run.
const UNKNOWN_SECONDS: f64 = 1.0;

/// Stages whose inputs are all there.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    /// Milliseconds of the longest path from here on, complemented so that the longest sorts
    /// first, then the declared order.
    ready: BTreeSet<(u64, StageId)>,
    rank: Vec<u64>,
}

impl ReadyQueue {
    /// Ranks every stage by the longest path of recorded durations that starts with it.
    pub(crate) fn new(graph: &Graph, seconds: &dyn Fn(StageId) -> Option<f64>) -> Self {
        let mut path = vec![0.0_f64; graph.stages().len()];
        for &id in graph.topological().iter().rev() {
            let after = graph
                .dependents(id)
                .iter()
                .map(|next| path[next.index()])
                .fold(0.0, f64::max);
            path[id.index()] = after + seconds(id).unwrap_or(UNKNOWN_SECONDS).max(0.0);
        }
        Self {
            ready: BTreeSet::new(),
            rank: path.iter().map(|s| u64::MAX - (s * 1e3) as u64).collect(),
        }
    }

    pub(crate) fn push(&mut self, id: StageId) {
        self.ready.insert((self.rank[id.index()], id));
    }

    pub(crate) fn remove(&mut self, id: StageId) {
        self.ready.remove(&(self.rank[id.index()], id));
    }

    /// The ready stages, most urgent first.
    pub(crate) fn in_order(&self) -> Vec<StageId> {
        self.ready.iter().map(|(_, id)| *id).collect()
    }
}
