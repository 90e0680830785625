//! Properties of a run: random graphs, job counts and outcomes, on a pretended executor.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::event::{Event, Observer, StageOutcome};
use super::run::{RunOptions, Summary, run};
use super::tokens::Capacity;
use super::workspace::{HostEnv, Workspace};
use crate::base::fs;
use crate::exec::fake::{FakeExecutor, Play};
use crate::graph::Graph;
use crate::spec::{LoadOptions, load};

/// How a stage ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Writes,
    Fails,
    Dies,
    WritesNothing,
    WritesTooMuch,
}

#[derive(Debug, Clone)]
struct Case {
    /// Stage `i` reads the outs of these stages, all below `i`.
    reads: Vec<BTreeSet<usize>>,
    ends: Vec<End>,
    seconds: Vec<u8>,
    cores: Vec<u32>,
    jobs: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    (1usize..8).prop_flat_map(|n| {
        let reads: Vec<_> = (0..n)
            .map(|i| proptest::collection::btree_set(0..i.max(1), 0..=i.min(3)).boxed())
            .collect();
        let end = prop_oneof![
            6 => Just(End::Writes), 1 => Just(End::Fails), 1 => Just(End::Dies),
            1 => Just(End::WritesNothing), 1 => Just(End::WritesTooMuch),
        ];
        (
            reads,
            proptest::collection::vec(end, n),
            proptest::collection::vec(0u8..9, n),
            proptest::collection::vec(1u32..5, n),
            1usize..5,
        )
            .prop_map(|(mut reads, ends, seconds, cores, jobs)| {
                reads[0].clear();
                Case {
                    reads,
                    ends,
                    seconds,
                    cores,
                    jobs,
                }
            })
    })
}

impl Case {
    fn graph(&self) -> Graph {
        let mut text = "schema: 1\nname: p\nstages:\n".to_owned();
        for (i, reads) in self.reads.iter().enumerate() {
            let deps: Vec<String> = reads.iter().map(|j| format!("out{j}")).collect();
            text += &format!(
                "  s{i}: {{cmd: run {i}, deps: [{}], outs: [out{i}], resources: {{cpu: {}}}}}\n",
                deps.join(", "),
                self.cores[i]
            );
        }
        let pipeline = load("p", &text, &LoadOptions::default()).expect("a valid pipeline");
        Graph::build(pipeline).expect("an acyclic graph")
    }

    fn executor(&self) -> FakeExecutor {
        let mut executor = FakeExecutor::new();
        for (i, end) in self.ends.iter().enumerate() {
            let out = format!("out{i}");
            let play = match end {
                End::Writes => Play::success().writes(&out, format!("result {i}")),
                End::WritesTooMuch => Play::success()
                    .writes(&out, format!("result {i}"))
                    .writes("extra", "x"),
                End::Fails => Play::exits(3).begins_by_writing(&out, "half"),
                End::Dies => Play::signaled(9).begins_by_writing(&out, "half"),
                End::WritesNothing => Play::success(),
            };
            executor = executor.play(&format!("s{i}"), play.seconds(f64::from(self.seconds[i])));
        }
        executor
    }

    /// What must become of each stage, worked out without a runner.
    fn expected(&self) -> Vec<&'static str> {
        let mut ends: Vec<&str> = Vec::new();
        for (i, reads) in self.reads.iter().enumerate() {
            let blocked = reads.iter().any(|j| ends[*j] != "ran");
            ends.push(match (blocked, self.ends[i]) {
                (true, _) => "blocked",
                (false, End::Writes | End::WritesTooMuch) => "ran",
                (false, _) => "failed",
            });
        }
        ends
    }
}

/// Remembers how each stage ended.
#[derive(Default)]
struct Ends(BTreeMap<String, Vec<&'static str>>);

impl Observer for Ends {
    fn event(&mut self, event: &Event<'_>) {
        if let Event::Finished { stage, outcome } = event {
            let word = match outcome {
                StageOutcome::Fresh => "fresh",
                StageOutcome::Restored { .. } => "restored",
                StageOutcome::Ran { .. } => "ran",
                StageOutcome::Failed(_) => "failed",
                StageOutcome::Blocked { .. } => "blocked",
                StageOutcome::Cancelled => "cancelled",
            };
            self.0.entry((*stage).to_owned()).or_default().push(word);
        }
    }
}

fn reproduce(
    case: &Case,
    graph: &Graph,
    folder: &std::path::Path,
    executor: &mut FakeExecutor,
) -> (Summary, Ends) {
    let ws = Workspace::open(folder, "default", graph, HostEnv::default()).expect("a store");
    let capacity = Capacity {
        cpu: 4,
        mem: u64::MAX,
        gpus: Vec::new(),
        jobs: case.jobs,
    };
    let options = RunOptions {
        capacity,
        keep_going: true,
        selected: graph.ids().iter().copied().collect(),
        forced: BTreeSet::new(),
        audit: None,
    };
    let mut ends = Ends::default();
    let summary = run(&ws, graph, &options, executor, &mut ends, &|| false);
    (summary.expect("no error of the machine"), ends)
}

/// Every out in the workspace with its bytes.
fn outs(case: &Case, folder: &std::path::Path) -> Vec<Option<Vec<u8>>> {
    (0..case.reads.len())
        .map(|i| fs::read_if_exists(&folder.join(format!("out{i}"))).expect("a readable file"))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_needed_stage_runs_once_after_its_inputs_whatever_runs_beside_it(case in cases()) {
        let graph = case.graph();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut executor = case.executor();
        let record = executor.record();
        let (summary, ends) = reproduce(&case, &graph, folder.path(), &mut executor);

        let expected = case.expected();
        for (i, word) in expected.iter().enumerate() {
            prop_assert_eq!(&ends.0[&format!("s{i}")], &vec![*word], "s{}", i);
        }
        prop_assert_eq!(summary.ran, expected.iter().filter(|word| **word == "ran").count());

        let started = record.started();
        let unique: BTreeSet<&String> = started.iter().collect();
        prop_assert_eq!(unique.len(), started.len(), "a stage was started twice");
        prop_assert!(record.most_at_once() <= case.jobs);
        for (i, reads) in case.reads.iter().enumerate() {
            let place = |i: usize| started.iter().position(|name| *name == format!("s{i}"));
            for j in reads {
                let (one, other) = (format!("s{i}"), format!("s{j}"));
                prop_assert!(!record.overlapped(&one, &other), "{} ran beside {}", one, other);
                prop_assert!(place(i).is_none() || place(*j) < place(i));
            }
        }
        for (i, out) in outs(&case, folder.path()).into_iter().enumerate() {
            let whole = (expected[i] == "ran").then(|| format!("result {i}").into_bytes());
            prop_assert_eq!(out, whole, "out{}", i);
        }

        // Again: what has a result is fresh, what failed is tried again.
        let (_, again) = reproduce(&case, &graph, folder.path(), &mut case.executor());
        for (i, word) in expected.iter().enumerate() {
            let word = if *word == "ran" { "fresh" } else { word };
            prop_assert_eq!(&again.0[&format!("s{i}")], &vec![word], "s{} again", i);
        }
    }
}

#[test]
fn an_interrupt_stops_what_runs_and_starts_nothing_more() {
    let case = Case {
        reads: vec![BTreeSet::new(), BTreeSet::from([0]), BTreeSet::new()],
        ends: vec![End::Writes; 3],
        seconds: vec![1; 3],
        cores: vec![4; 3],
        jobs: 1,
    };
    let graph = case.graph();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut executor = FakeExecutor::new().otherwise(Play::hangs());
    let record = executor.record();
    let ws =
        Workspace::open(folder.path(), "default", &graph, HostEnv::default()).expect("a store");
    let options = RunOptions {
        capacity: Capacity {
            cpu: 4,
            mem: u64::MAX,
            gpus: Vec::new(),
            jobs: 1,
        },
        keep_going: false,
        selected: graph.ids().iter().copied().collect(),
        forced: BTreeSet::new(),
        audit: None,
    };
    let started = record.clone();
    let summary = run(
        &ws,
        &graph,
        &options,
        &mut executor,
        &mut Ends::default(),
        &|| !started.started().is_empty(),
    )
    .expect("no error of the machine");
    assert!(summary.interrupted);
    assert_eq!((summary.ran, summary.cancelled), (0, 3));
    assert_eq!(record.started().len(), 1);
}
