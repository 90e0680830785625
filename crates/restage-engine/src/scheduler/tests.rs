//! An interrupted run, on a fake executor. All other ends of runs: `order_tests`.

use super::{RunOptions, run};
use crate::event::{Event, Observer};
use crate::standing::Foreigners;
use crate::tokens::Capacity;
use crate::workspace::Workspace;
use restage_pipeline::graph::Graph;
use restage_pipeline::{LoadOptions, load};
use restage_testing::{FakeExecutor, Play};
use restage_worker::HostEnv;

const PIPELINE: &str = "
schema: 1
name: p
stages:
  first: {cmd: run, outs: [out0]}
  second: {cmd: run, deps: [out0], outs: [out1]}
  beside: {cmd: run, outs: [out2]}
";

struct Deaf;

impl Observer for Deaf {
    fn event(&mut self, _: &Event<'_>) {}
}

#[test]
fn an_interrupt_stops_what_runs_and_starts_nothing_more() {
    let pipeline = load("p", PIPELINE, &LoadOptions::default()).expect("a valid pipeline");
    let graph = Graph::build(pipeline).expect("an acyclic graph");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ws = Workspace::open(folder.path(), "default", &graph, HostEnv::default());
    let mut executor = FakeExecutor::new().otherwise(Play::hangs());
    let record = executor.record();
    let options = RunOptions {
        capacity: Capacity {
            cpu: 4,
            mem: u64::MAX,
            gpus: Vec::new(),
            jobs: 1,
        },
        keep_going: false,
        selected: graph.ids().iter().copied().collect(),
        forced: std::collections::BTreeSet::new(),
        audit: None,
        launcher: None,
        foreigners: Foreigners::Refuse,
        elsewhere: None,
    };
    let started = record.clone();
    let (summary, _) = run(
        &ws.expect("a store"),
        &graph,
        &options,
        &mut executor,
        &mut Deaf,
        &|| !started.started().is_empty(),
    )
    .expect("no error of the machine");
    assert!(summary.interrupted);
    assert_eq!((summary.ran, summary.cancelled), (0, 3));
    assert_eq!(record.started().len(), 1);
}
