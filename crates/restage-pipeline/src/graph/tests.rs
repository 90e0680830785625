//! The graph's behaviour, on pipelines written as YAML and on random ones.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::{Action, Dep, DepPattern, Diagnostic, LoadOptions, Out, Resources};
use restage_core::span::Location;

fn graph(stages: &str) -> Graph {
    build(stages).unwrap()
}

fn build(stages: &str) -> Result<Graph, Vec<Diagnostic>> {
    let text = format!("schema: 1\nname: test\nstages:\n{stages}");
    let pipeline = crate::load("pipeline.yaml", &text, &LoadOptions::default()).unwrap();
    Graph::build(pipeline)
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn names(graph: &Graph, ids: impl IntoIterator<Item = StageId>) -> Vec<&str> {
    ids.into_iter()
        .map(|id| graph.stage(id).name.as_str())
        .collect()
}

const DIAMOND: &str = "
  top: {cmd: t, deps: [left.csv, right.csv], outs: [top.csv]}
  left: {cmd: l, deps: [raw/a.bin], outs: [left.csv]}
  right: {cmd: r, deps: [raw], outs: [right.csv]}
  raw: {cmd: w, deps: [seed.txt], outs: [raw]}
  alone: {cmd: a, outs: [alone.csv]}
";

#[test]
fn a_stage_comes_after_what_it_reads_and_otherwise_as_declared() {
    let graph = graph(DIAMOND);
    let order = names(&graph, graph.topological().iter().copied());
    assert_eq!(order, ["raw", "left", "right", "top", "alone"]);
    let raw = graph.id("raw").unwrap();
    assert_eq!(
        names(&graph, graph.dependents(raw).iter().copied()),
        ["left", "right"]
    );
    let top = graph.id("top").unwrap();
    assert_eq!(
        names(&graph, graph.dependencies(top).iter().copied()),
        ["left", "right"]
    );
}

#[test]
fn a_path_inside_an_output_is_read_from_its_stage() {
    let graph = graph(DIAMOND);
    let (left, raw) = (graph.id("left").unwrap(), graph.id("raw").unwrap());
    assert_eq!(
        graph.inputs(left),
        [Input::Produced {
            stage: raw,
            out: 0,
            path: path("raw/a.bin")
        }]
    );
    assert_eq!(
        graph.inputs(raw),
        [Input::Source {
            path: path("seed.txt")
        }]
    );
    assert_eq!(graph.owner_of(&path("raw/x/y")), Some((raw, 0)));
    assert_eq!(graph.owner_of(&path("rawest")), None);
}

#[test]
fn a_pattern_reads_every_matching_output_but_its_own_and_what_is_on_disk() {
    let graph = graph(
        "
  a: {cmd: a, outs: [r/a.csv, r/a.txt]}
  b: {cmd: b, outs: [r/b.csv]}
  c: {cmd: c, outs: [r/x/c.csv]}
  all: {cmd: d, deps: [\"r/{b,a}.csv\", \"r/*.csv\"], outs: [r/all.csv]}
  deep: {cmd: e, deps: [\"r/**/*.csv\"], outs: [deep]}
",
    );
    let produced = |name: &str| -> Vec<String> {
        let inputs = graph.inputs(graph.id(name).unwrap()).iter();
        let of = |input: &Input| match input {
            Input::Produced { path, .. } => path.to_string(),
            Input::Notebook { path } => format!("notebook {path}"),
            Input::SourceGlob { pattern, .. } => format!("disk: {pattern}"),
            Input::Source { path } => format!("source: {path}"),
        };
        inputs.map(of).collect()
    };
    assert_eq!(
        produced("all"),
        ["r/a.csv", "r/b.csv", "disk: r/{b,a}.csv", "disk: r/*.csv"]
    );
    assert_eq!(
        produced("deep"),
        [
            "r/a.csv",
            "r/all.csv",
            "r/b.csv",
            "r/x/c.csv",
            "disk: r/**/*.csv"
        ]
    );
}

#[test]
fn two_stars_at_the_end_take_an_output_folder_as_a_whole() {
    let graph = graph(
        "
  folder: {cmd: a, outs: [r/folder]}
  whole: {cmd: b, deps: [\"r/folder/**\"], outs: [whole]}
  all: {cmd: c, deps: [\"r/**\"], outs: [all]}
",
    );
    let folder = graph.id("folder").unwrap();
    for name in ["whole", "all"] {
        let first = &graph.inputs(graph.id(name).unwrap())[0];
        assert_eq!(
            *first,
            Input::Produced {
                stage: folder,
                out: 0,
                path: path("r/folder")
            }
        );
    }
}

fn graph_of_seeds() -> Graph {
    graph(
        "
  one: {foreach: [a, b], seeds: [1, 2], cmd: x, outs: [\"one/${key}/${seed}\"]}
  two: {seeds: [7, 8], cmd: y, outs: [\"two/${seed}\"]}
",
    )
}

#[test]
fn targets_are_stages_variants_groups_and_outputs() {
    let graph = graph(
        "
  one: {foreach: [a, b], cmd: \"x ${key}\", outs: [\"one/${key}\"]}
  two: {cmd: y, deps: [one/a], outs: [two.csv]}
  three: {cmd: z, deps: [two.csv, one/b], outs: [three.csv]}
",
    );
    let select = |targets: &[&str], downstream| {
        let targets: Vec<String> = targets.iter().map(|target| (*target).to_owned()).collect();
        names(&graph, graph.select(&targets, downstream).unwrap()).join(" ")
    };
    assert_eq!(select(&[], false), "one@a one@b two three");
    assert_eq!(select(&["one"], false), "one@a one@b");
    assert_eq!(select(&["one@b"], false), "one@b");
    assert_eq!(select(&["./two.csv"], false), "one@a two");
    assert_eq!(select(&["one/b/inside"], false), "one@b");
    assert_eq!(select(&["two"], true), "one@a one@b two three");
    assert_eq!(select(&["three", "two"], false), "one@a one@b two three");
    let seeds = graph_of_seeds();
    let named = |target: &str| names(&seeds, seeds.named(target).unwrap()).join(" ");
    assert_eq!(named("one"), "one@a+1 one@a+2 one@b+1 one@b+2");
    assert_eq!(named("one@b"), "one@b+1 one@b+2");
    assert_eq!(named("one@a+2"), "one@a+2");
    assert_eq!(named("two+7"), "two+7");
    let error = graph.select(&["twoo".to_owned()], false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no stage, group of stages or output is called `twoo`"
    );
    assert_eq!(error.hint().unwrap(), "did you mean `two`?");
    let error = graph.named("nothing-like-it").unwrap_err();
    assert_eq!(
        error.hint().unwrap(),
        "the stages are `one`, `two`, `three`"
    );
}

#[test]
fn the_graph_is_drawn_for_graphviz_and_mermaid() {
    let graph = graph("  a: {cmd: a, outs: [x]}\n  b: {cmd: b, deps: [x], outs: [y]}\n");
    let stale = |id: StageId| {
        (id.index() == 1).then(|| Mark {
            note: "\"stale\"".to_owned(),
            class: "stale",
            fill: "#ff0000",
            border: "#800000",
        })
    };
    insta::assert_snapshot!(graph.to_dot(&stale), @r##"
    digraph "test" {
      rankdir=LR;
      node [shape=box, style=rounded, fontname="sans-serif"];
      s0 [label="a"];
      s1 [label="b\n\"stale\"", style="rounded,filled", fillcolor="#ff0000", color="#800000"];
      s0 -> s1;
    }
    "##);
    insta::assert_snapshot!(graph.to_mermaid(&stale), @r##"
    flowchart LR
      s0["a"]
      s1["b<br/>&quot;stale&quot;"]:::stale
      s0 --> s1
      classDef stale fill:#ff0000,stroke:#800000,color:#000000
    "##);
}

#[test]
fn a_chain_of_ten_thousand_stages_that_bites_its_tail_is_reported_not_overflown() {
    let stages: Vec<Stage> = (0..10_000)
        .map(|n| stage(n, &[format!("o{}", (n + 9_999) % 10_000)]))
        .collect();
    let errors = Graph::build(pipeline(stages)).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].notes.len(), 10_000);
}

#[test]
fn ten_thousand_stages_are_built_quickly() {
    let stages = ten_thousand();
    let start = Instant::now();
    let graph = Graph::build(pipeline(stages)).unwrap();
    let took = start.elapsed();
    assert_eq!(graph.topological().len(), 10_000);
    // Generous: unoptimised, on a loaded machine. Optimised it is 20 times faster; a
    // quadratic check would take minutes.
    assert!(took.as_secs_f64() < 5.0, "{took:?}");
}

/// Stages in layers of ten, each reading two outputs of the layer above.
fn ten_thousand() -> Vec<Stage> {
    (0..10_000)
        .map(|n: usize| match n {
            0..10 => stage(n, &[]),
            _ => stage(
                n,
                &[format!("o{}", n - 10), format!("o{}", n / 10 * 10 - 10)],
            ),
        })
        .collect()
}

fn pipeline(stages: Vec<Stage>) -> Pipeline {
    Pipeline {
        name: "test".to_owned(),
        profile: "default".to_owned(),
        stages,
        ..Pipeline::default()
    }
}

fn stage(n: usize, deps: &[String]) -> Stage {
    let location = Location {
        file: 0,
        offset: n,
        len: 1,
        line: n + 1,
    };
    let dep = |text: &String| Dep {
        pattern: DepPattern::Path(path(text)),
        optional: false,
        location,
    };
    Stage {
        name: format!("s{n}"),
        group: format!("s{n}"),
        desc: None,
        action: Action::command("true"),
        deps: deps.iter().map(dep).collect(),
        params: BTreeMap::new(),
        outs: vec![Out {
            path: path(&format!("o{n}")),
            volatile: false,
            place: crate::Place::default(),
            temporary: false,
            any_seed: None,
            location,
        }],
        env: BTreeMap::new(),
        pass_env: Default::default(),
        secrets: Vec::new(),
        tools: Vec::new(),
        resources: Resources {
            cpu: crate::Cores::whole(1),
            gpu: crate::Gpus::Count(0),
            mem: None,
        },
        location,
        ..Stage::default()
    }
}

/// Stages that read any others, declared in any order: cycles included.
fn any_stages() -> impl Strategy<Value = Vec<Vec<usize>>> {
    (1usize..12).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(0..n, 0..3), n))
}

fn pipeline_of(reads: &[Vec<usize>]) -> Pipeline {
    let stages = reads.iter().enumerate().map(|(n, reads)| {
        let deps: Vec<String> = reads.iter().map(|m| format!("o{m}")).collect();
        stage(n, &deps)
    });
    pipeline(stages.collect())
}

/// Whether a stage can be reached from itself, the slow way.
fn has_cycle(reads: &[Vec<usize>]) -> bool {
    (0..reads.len()).any(|start| {
        let (mut open, mut seen) = (reads[start].clone(), BTreeSet::new());
        while let Some(n) = open.pop() {
            if n == start {
                return true;
            }
            if seen.insert(n) {
                open.extend(&reads[n]);
            }
        }
        false
    })
}

proptest! {
    #[test]
    fn a_graph_is_built_exactly_if_there_is_no_cycle(reads in any_stages()) {
        prop_assert_eq!(Graph::build(pipeline_of(&reads)).is_err(), has_cycle(&reads));
    }

    #[test]
    fn the_order_respects_every_edge_and_selections_are_closed(
        reads in any_stages(), picks in prop::collection::vec(0usize..12, 0..3), downstream: bool,
    ) {
        // Reading only earlier stages: no cycle.
        let reads: Vec<Vec<usize>> = reads.iter().enumerate()
            .map(|(n, reads)| reads.iter().copied().filter(|m| *m < n).collect()).collect();
        let graph = Graph::build(pipeline_of(&reads)).unwrap();
        let position: BTreeMap<StageId, usize> =
            graph.topological().iter().enumerate().map(|(at, id)| (*id, at)).collect();
        prop_assert_eq!(position.len(), reads.len());
        for &id in graph.ids() {
            for up in graph.dependencies(id) {
                prop_assert!(position[up] < position[&id]);
                prop_assert!(graph.dependents(*up).contains(&id));
            }
        }
        let targets: Vec<String> = picks.iter().map(|n| format!("s{}", n % reads.len())).collect();
        let chosen = graph.select(&targets, downstream).unwrap();
        for &id in &chosen {
            prop_assert!(graph.dependencies(id).iter().all(|up| chosen.contains(up)));
        }
        for target in &targets {
            let id = graph.id(target).unwrap();
            prop_assert!(chosen.contains(&id));
            if downstream {
                prop_assert!(graph.dependents(id).iter().all(|down| chosen.contains(down)));
            }
        }
    }
}
