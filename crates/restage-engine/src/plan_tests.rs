//! Properties of the plan, with made-up facts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::facts::{Facts, FactsError, InFolder};
use super::plan::{Decision, Reason, decide, plan};
use restage_core::clock::WallTime;
use restage_core::digest::{Digest, Kind, PathDigest, StageKey};
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::{Graph, StageId};
use restage_pipeline::{LoadOptions, Stage, Tool, load};
use restage_store::{Record, RecordedOut};
use restage_worker::Card;

/// A world in memory.
#[derive(Default)]
struct World {
    sources: BTreeMap<String, Digest>,
    cards: Vec<Card>,
    records: RefCell<BTreeMap<Digest, Arc<Record>>>,
    last: RefCell<BTreeMap<String, Arc<StageKey>>>,
    /// Out path -> content in the workspace.
    workspace: RefCell<BTreeMap<String, Digest>>,
}

impl Facts for World {
    fn source(&self, path: &RelPath) -> Result<Option<Digest>, FactsError> {
        Ok(self.sources.get(path.as_str()).copied())
    }
    /// Knows patterns that end in `*` alone.
    fn glob(&self, pattern: &str) -> Result<Vec<(RelPath, Digest)>, FactsError> {
        let start = pattern.trim_end_matches('*');
        let found = self
            .sources
            .iter()
            .filter(|(path, _)| path.starts_with(start));
        Ok(found
            .map(|(path, digest)| (RelPath::new(path).expect("a path"), *digest))
            .collect())
    }
    fn code(&self, package: &str) -> Result<Digest, FactsError> {
        Ok(Digest::of(package.as_bytes()))
    }
    fn host_env(&self, _: &str) -> Option<String> {
        None
    }
    fn cards(&self) -> &[Card] {
        &self.cards
    }
    fn tool(&self, _: &Stage, tool: &Tool) -> Result<String, FactsError> {
        Ok(format!("version of {}", tool.line))
    }
    fn record(&self, key: &Digest) -> Result<Option<Arc<Record>>, FactsError> {
        Ok(self.records.borrow().get(key).cloned())
    }
    fn out_in_place(&self, out: &RecordedOut) -> Result<bool, FactsError> {
        Ok(self.workspace.borrow().get(&out.path) == Some(&out.content.digest))
    }
    fn out_in_store(&self, _: &RecordedOut) -> Result<bool, FactsError> {
        Ok(true)
    }
    fn part(&self, _: &RecordedOut, inside: &str) -> Result<InFolder, FactsError> {
        Ok(InFolder::NotThere(vec![format!("not-{inside}")]))
    }
    fn last_key(&self, stage: &str) -> Option<Arc<StageKey>> {
        self.last.borrow().get(stage).cloned()
    }
    fn last_seconds(&self, _: &str) -> Option<f64> {
        None
    }
}

/// A layered graph: stage `i` reads source `i` and the outs of `reads[i]` (all below `i`).
/// A stage of `constant` writes the same bytes whatever it reads.
#[derive(Debug, Clone)]
struct Case {
    reads: Vec<Vec<usize>>,
    constant: Vec<bool>,
    /// The value of each source, in each round.
    rounds: Vec<Vec<u8>>,
}

fn cases() -> impl Strategy<Value = Case> {
    (1usize..9).prop_flat_map(|n| {
        let reads: Vec<_> = (0..n)
            .map(|i| proptest::collection::vec(0..i.max(1), 0..=i.min(3)).boxed())
            .collect();
        (
            reads,
            proptest::collection::vec(proptest::bool::weighted(0.3), n),
            proptest::collection::vec(proptest::collection::vec(0u8..3, n), 1..6),
        )
            .prop_map(|(reads, constant, rounds)| Case {
                reads,
                constant,
                rounds,
            })
    })
}

fn graph(case: &Case) -> Graph {
    let mut text = "schema: 1\nname: p\nstages:\n".to_owned();
    for (i, reads) in case.reads.iter().enumerate() {
        let deps: BTreeSet<String> = reads.iter().map(|j| format!("out{j}")).collect();
        let deps: Vec<String> = deps.into_iter().chain([format!("in{i}")]).collect();
        text += &format!(
            "  s{i}: {{cmd: run {i}, deps: [{}], outs: [out{i}]}}\n",
            deps.join(", ")
        );
    }
    let pipeline = load("p", &text, &LoadOptions::default()).expect("a valid pipeline");
    Graph::build(pipeline).expect("an acyclic graph")
}

fn content(bytes: &[u8]) -> PathDigest {
    PathDigest {
        digest: Digest::of(bytes),
        kind: Kind::File { executable: false },
        size: bytes.len() as u64,
        files: 1,
    }
}

fn record(key: &StageKey, out: RecordedOut) -> Record {
    let name = "p/s".to_owned();
    Record::new(
        key.clone(),
        name,
        vec![out],
        WallTime::now(),
        1.0,
        None,
        Vec::new(),
    )
}

/// Runs what the plan says, as the runner would; returns the stages that ran.
fn reproduce(world: &World, graph: &Graph, case: &Case) -> BTreeSet<usize> {
    let all: BTreeSet<StageId> = graph.topological().iter().copied().collect();
    let planned = plan(graph, &all, &BTreeSet::new(), world).expect("every source is there");
    let mut done: BTreeMap<StageId, Arc<Record>> = BTreeMap::new();
    let mut ran = BTreeSet::new();
    for &id in graph.topological() {
        let upstream = |up: StageId| done.get(&up).cloned();
        let now = decide(graph, id, false, &upstream, world).expect("upstream is settled");
        let said = &planned.stages[&id].decision;
        match said {
            Decision::Waits(_) => {}
            _ => assert_eq!(
                std::mem::discriminant(said),
                std::mem::discriminant(&now.decision)
            ),
        }
        let record = if let Some(record) = now.record() {
            Arc::clone(record)
        } else {
            let i = id.index();
            ran.insert(i);
            let key = now.key.expect("a settled stage has a key");
            let bytes = if case.constant[i] {
                vec![0]
            } else {
                key.digest().0.to_vec()
            };
            let out = RecordedOut {
                freed: false,
                path: format!("out{i}"),
                volatile: false,
                content: content(&bytes),
            };
            let record = Arc::new(record(&key, out));
            world
                .records
                .borrow_mut()
                .insert(key.digest(), Arc::clone(&record));
            world
                .last
                .borrow_mut()
                .insert(graph.stage(id).name.clone(), key);
            record
        };
        let place = |out: &RecordedOut| (out.path.clone(), out.content.digest);
        world
            .workspace
            .borrow_mut()
            .extend(record.outs.iter().map(place));
        done.insert(id, record);
    }
    ran
}

proptest! {
    /// The oracle remembers, for each stage, every combination of input contents it ever saw.
    #[test]
    fn a_stage_runs_exactly_when_its_inputs_were_never_seen_together(case in cases()) {
        let graph = graph(&case);
        let mut world = World::default();
        let mut seen: BTreeSet<(usize, Vec<Vec<u8>>)> = BTreeSet::new();
        for round in &case.rounds {
            for (i, value) in round.iter().enumerate() {
                world.sources.insert(format!("in{i}"), Digest::of(&[*value]));
            }
            let mut contents: Vec<Vec<u8>> = Vec::new();
            let mut expected = BTreeSet::new();
            for (i, reads) in case.reads.iter().enumerate() {
                let unique: BTreeSet<usize> = reads.iter().copied().collect();
                let mut inputs: Vec<Vec<u8>> = unique.iter().map(|j| contents[*j].clone()).collect();
                inputs.push(vec![round[i]]);
                contents.push(if case.constant[i] { vec![0] } else { inputs.concat() });
                if seen.insert((i, inputs)) {
                    expected.insert(i);
                }
            }
            prop_assert_eq!(reproduce(&world, &graph, &case), expected);
            prop_assert_eq!(reproduce(&world, &graph, &case), BTreeSet::new());
        }
    }
}

#[test]
fn a_lost_out_of_a_recorded_stage_is_restored_not_rerun() {
    let case = Case {
        reads: vec![vec![], vec![0]],
        constant: vec![false; 2],
        rounds: vec![],
    };
    let graph = graph(&case);
    let mut world = World::default();
    for i in 0..2 {
        world.sources.insert(format!("in{i}"), Digest::of(b"x"));
    }
    assert_eq!(reproduce(&world, &graph, &case), BTreeSet::from([0, 1]));
    world.workspace.borrow_mut().remove("out0");
    let all: BTreeSet<StageId> = graph.topological().iter().copied().collect();
    let planned = plan(&graph, &all, &BTreeSet::new(), &world).expect("every source is there");
    let decisions: Vec<&Decision> = planned.stages.values().map(|p| &p.decision).collect();
    assert!(
        matches!(decisions[..], [Decision::Restore(..), Decision::Fresh(_)]),
        "{decisions:?}"
    );
}

#[test]
fn a_record_that_names_other_outs_than_its_stage_declares_is_no_result() {
    let case = Case {
        reads: vec![vec![]],
        constant: vec![false],
        rounds: vec![],
    };
    let graph = graph(&case);
    let mut world = World::default();
    world.sources.insert("in0".to_owned(), Digest::of(b"x"));
    assert_eq!(reproduce(&world, &graph, &case), BTreeSet::from([0]));
    for honest in world.records.borrow_mut().values_mut() {
        let mut out = honest.outs[0].clone();
        out.path = "elsewhere".to_owned();
        *honest = Arc::new(record(&world.last.borrow()["s0"], out));
    }
    let all: BTreeSet<StageId> = graph.topological().iter().copied().collect();
    let planned = plan(&graph, &all, &BTreeSet::new(), &world).expect("every source is there");
    let decisions: Vec<&Decision> = planned.stages.values().map(|p| &p.decision).collect();
    assert!(
        matches!(decisions[..], [Decision::Run(why)] if why == &[Reason::OtherOuts]),
        "{decisions:?}"
    );
}

/// The key's facts of the machine, for a stage with these `resources` on these kinds of cards.
fn machine(gpu: &str, kinds: &[&str]) -> Option<String> {
    let text = format!(
        "schema: 1\nname: p\nstages:\n  s: {{cmd: run, outs: [o], resources: {{gpu: {gpu}}}}}\n"
    );
    let graph = Graph::build(load("p", &text, &LoadOptions::default()).expect("a pipeline"));
    let graph = graph.expect("a graph");
    let card = |(place, kind): (usize, &&str)| Card {
        name: place.to_string(),
        kind: (*kind).to_owned(),
    };
    let world = World {
        cards: kinds.iter().enumerate().map(card).collect(),
        ..World::default()
    };
    let all: BTreeSet<StageId> = graph.topological().iter().copied().collect();
    let planned = plan(&graph, &all, &BTreeSet::new(), &world).expect("a plan");
    let planned = planned.stages.values().next().expect("a stage");
    let key = planned.key.as_ref().expect("a key");
    key.machine.get("gpu").cloned()
}

#[test]
fn the_kinds_of_cards_that_a_stage_may_get_are_part_of_its_key() {
    for (gpu, kinds, expected) in [
        ("0", &["H100"][..], None),
        ("cpu", &["H100"], None),
        ("1", &["H100", "H100"], Some("H100")),
        ("cuda", &["T4", "H100"], Some("H100 or T4")),
        ("cuda:1", &["H100", "T4"], Some("T4")),
        ("auto", &["H100"], Some("H100")),
        ("auto", &[], None),
    ] {
        assert_eq!(machine(gpu, kinds).as_deref(), expected, "{gpu}, {kinds:?}");
    }
}

#[test]
fn a_pattern_enters_the_key_with_the_names_of_its_matches_and_their_bytes() {
    let text = "schema: 1\nname: p\nstages:\n  s: {cmd: x, deps: ['d/*', one], outs: [out]}\n";
    let pipeline = load("p", text, &LoadOptions::default()).expect("a valid pipeline");
    let graph = Graph::build(pipeline).expect("an acyclic graph");
    let sources = ["d/a", "d/b", "one"].map(|path| (path.to_owned(), Digest::of(path.as_bytes())));
    let world = World {
        sources: BTreeMap::from(sources),
        ..World::default()
    };
    let id = graph.topological()[0];
    let planned = decide(&graph, id, false, &|_| None, &world).expect("every source is there");
    let key = planned.key.expect("nothing is waited for");
    let glob = &key.globs[..];
    assert!(matches!(glob, [glob] if glob.pattern == "d/*" && glob.paths == ["d/a", "d/b"]));
    let deps: Vec<&str> = key.deps.iter().map(|dep| dep.path.as_str()).collect();
    assert_eq!(deps, ["d/a", "d/b", "one"]);
}

#[test]
fn a_stage_that_never_ran_says_so_and_a_plan_with_one_is_not_fresh() {
    let case = Case {
        reads: vec![vec![]],
        constant: vec![false],
        rounds: vec![vec![1]],
    };
    let graph = graph(&case);
    let mut world = World::default();
    world.sources.insert("in0".to_owned(), Digest::of(b"1"));
    let all: BTreeSet<StageId> = graph.topological().iter().copied().collect();
    let planned = plan(&graph, &all, &BTreeSet::new(), &world).expect("every source is there");
    let decision = &planned.stages[&graph.topological()[0]].decision;
    assert!(matches!(&decision, Decision::Run(why) if *why == [Reason::NeverRan]));
    assert!(!planned.is_fresh());
    reproduce(&world, &graph, &case);
    let planned = plan(&graph, &all, &BTreeSet::new(), &world).expect("every source is there");
    assert!(planned.is_fresh());
    let forced = plan(&graph, &all, &all, &world).expect("every source is there");
    let decision = &forced.stages[&graph.topological()[0]].decision;
    assert!(matches!(&decision, Decision::Run(why) if *why == [Reason::Forced]));
}
