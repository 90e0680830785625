//! About how long a plan takes, from recorded durations.

use super::plan::{Plan, Planned};
use restage_pipeline::graph::{Graph, StageId};

/// A guess at a plan's wall time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Wall seconds of the stages that ran before.
    pub seconds: f64,
    /// Stages that will run for the first time: nothing is known of their time.
    pub unknown: usize,
}

/// The longer of two bounds: the longest path, and all core-seconds divided by the cores.
pub fn estimate(
    graph: &Graph,
    plan: &Plan,
    cores: u32,
    seconds: &dyn Fn(StageId) -> Option<f64>,
) -> Estimate {
    let cores = f64::from(cores.max(1));
    let mut path = vec![0.0_f64; graph.stages().len()];
    let mut core_seconds = 0.0;
    let mut unknown = 0;
    for &id in graph.topological() {
        let before = graph
            .dependencies(id)
            .iter()
            .map(|up| path[up.index()])
            .fold(0.0, f64::max);
        let runs = plan.stages.get(&id).is_some_and(Planned::may_run);
        let own = match (runs, seconds(id)) {
            (false, _) => 0.0,
            (true, Some(seconds)) => seconds,
            (true, None) => {
                unknown += 1;
                0.0
            }
        };
        path[id.index()] = before + own;
        core_seconds +=
            own * (f64::from(graph.stage(id).resources.cpu.thousandths()) / 1000.0).min(cores);
    }
    let longest = path.iter().copied().fold(0.0, f64::max);
    Estimate {
        seconds: longest.max(core_seconds / cores),
        unknown,
    }
}
