//! Random pipelines with a script for every attempt, and random ways to run them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Map, Value};

use restage_core::fs;
use restage_exec::Job;
use restage_pipeline::graph::Graph;
use restage_pipeline::{LoadOptions, load};
use restage_testing::{FakeExecutor, Play};

/// Sources and parameters that stages may share.
const SHARED: usize = 3;
/// Seconds of a hanging stage's timeout: longer than any attempt that ends by itself.
pub(super) const TIMEOUT: u32 = 100;

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Writes,
    WritesTooMuch,
    WritesNothing,
    Fails,
    Dies,
    Hangs,
    CannotStart,
}

impl End {
    pub(super) fn gives_a_result(self) -> bool {
        matches!(self, Self::Writes | Self::WritesTooMuch)
    }
}

/// How an out depends on what its stage is given.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Other inputs, other bytes.
    Mixes,
    /// One of two contents: now and then other inputs give the same bytes.
    Halves,
    /// Always the same bytes.
    Constant,
}

#[derive(Debug, Clone)]
pub(super) struct StageCase {
    /// Stages with a lower number whose outs it reads.
    pub(super) reads: BTreeSet<usize>,
    pub(super) sources: BTreeSet<usize>,
    pub(super) params: BTreeSet<usize>,
    pub(super) shape: Shape,
    pub(super) volatile: bool,
    /// Its out is given up when all that read it have a result. Only with attempts that all succeed: a
    /// failure would make it a matter of order who is blocked.
    pub(super) temporary: bool,
    pub(super) retries: u32,
    pub(super) cpu: u32,
    /// MiB.
    pub(super) mem: u64,
    /// Of its attempts, over all runs; the last one is repeated.
    pub(super) ends: Vec<End>,
    /// Its place in the file.
    place: u32,
}

/// One way to run a case. The results must not depend on it.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    pub(super) jobs: usize,
    pub(super) cpu: u32,
    /// MiB.
    pub(super) mem: u64,
    /// By stage and attempt.
    pub(super) seconds: Vec<Vec<u8>>,
}

impl Schedule {
    /// Whether stages wait for nothing but the outs that they read.
    pub(super) fn is_wide(&self) -> bool {
        self.jobs == usize::MAX
    }
}

/// The values of parameters and sources that a run finds.
pub(super) type World = (Vec<u8>, Vec<u8>);

#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) stages: Vec<StageCase>,
    /// What the runs find, one after the other, on one store.
    pub(super) rounds: Vec<World>,
    pub(super) schedules: Vec<Schedule>,
}

fn some_of(below: usize, most: usize) -> BoxedStrategy<BTreeSet<usize>> {
    match below {
        0 => Just(BTreeSet::new()).boxed(),
        n => proptest::collection::btree_set(0..n, 0..=most.min(n)).boxed(),
    }
}

fn ends(all_good: bool) -> BoxedStrategy<Vec<End>> {
    if all_good {
        return Just(vec![End::Writes]).boxed();
    }
    let end = prop_oneof![
        9 => Just(End::Writes), 1 => Just(End::WritesTooMuch), 1 => Just(End::WritesNothing),
        2 => Just(End::Fails), 1 => Just(End::Dies), 1 => Just(End::Hangs),
        1 => Just(End::CannotStart),
    ];
    proptest::collection::vec(end, 1..5).boxed()
}

fn stage(number: usize, all_good: bool) -> impl Strategy<Value = StageCase> {
    let shape = prop_oneof![
        4 => Just(Shape::Mixes), 1 => Just(Shape::Halves), 1 => Just(Shape::Constant),
    ];
    let wants = (0u32..3, 1u32..6, prop_oneof![Just(0u64), 1u64..100]);
    let inputs = (
        some_of(number, 3),
        some_of(SHARED, 2),
        some_of(SHARED, 1),
        shape,
    );
    let rest = (
        proptest::bool::weighted(0.25),
        proptest::bool::weighted(if all_good { 0.4 } else { 0.0 }),
        wants,
        ends(all_good),
        any::<u32>(),
    );
    (inputs, rest).prop_map(|(inputs, rest)| {
        let (reads, sources, params, shape) = inputs;
        let (volatile, temporary, (retries, cpu, mem), ends, place) = rest;
        StageCase {
            reads,
            sources,
            params,
            shape,
            volatile,
            temporary,
            retries,
            cpu,
            mem,
            ends,
            place,
        }
    })
}

fn schedule(stages: usize, wide: bool) -> BoxedStrategy<Schedule> {
    let attempts = proptest::collection::vec(0u8..9, 4);
    let seconds = proptest::collection::vec(attempts, stages);
    let limits = match wide {
        true => Just((usize::MAX, u32::MAX, u64::MAX >> 20)).boxed(),
        false => (1usize..=8, 1u32..9, 0u64..200).boxed(),
    };
    (limits, seconds)
        .prop_map(|((jobs, cpu, mem), seconds)| Schedule {
            jobs,
            cpu,
            mem,
            seconds,
        })
        .boxed()
}

fn world() -> impl Strategy<Value = World> {
    let values = || proptest::collection::vec(0u8..3, SHARED);
    (values(), values())
}

/// Cases whose first two runs find the same world, and later ones another.
pub(super) fn cases(all_good: bool) -> impl Strategy<Value = Case> {
    (1usize..=12).prop_flat_map(move |n| {
        let stages: Vec<_> = (0..n).map(|number| stage(number, all_good)).collect();
        let schedules = (schedule(n, false), schedule(n, false), schedule(n, true));
        let rounds = proptest::collection::vec(world(), 3);
        (stages, rounds, schedules).prop_map(|(mut stages, mut rounds, (one, two, three))| {
            rounds.insert(1, rounds[0].clone());
            for i in 0..stages.len() {
                stages[i].temporary &= stages.iter().any(|reader| reader.reads.contains(&i));
            }
            Case {
                stages,
                rounds,
                schedules: vec![one, two, three],
            }
        })
    })
}

impl Case {
    /// The stages' pipeline, in a random order in the file.
    pub(super) fn graph(&self, (params, _): &World) -> Graph {
        let values: Vec<String> = (0..)
            .zip(params)
            .map(|(k, v)| format!("p{k}: {v}"))
            .collect();
        let mut text = format!(
            "schema: 1\nname: p\nparams: {{{}}}\nstages:\n",
            values.join(", ")
        );
        let mut order: Vec<usize> = (0..self.stages.len()).collect();
        order.sort_by_key(|i| self.stages[*i].place);
        for i in order {
            let stage = &self.stages[i];
            let params: Vec<String> = stage.params.iter().map(|k| format!("p{k}")).collect();
            let (volatile, temporary) = (stage.volatile, stage.temporary);
            text += &format!(
                "  s{i}: {{cmd: run {i}, deps: [{}], params: [{}], retries: {}, \
                 outs: [{{path: out{i}, volatile: {volatile}, temporary: {temporary}}}], \
                 resources: {{cpu: {}, mem: {}}}{}}}\n",
                stage.inputs().join(", "),
                params.join(", "),
                stage.retries,
                stage.cpu,
                stage.mem.max(1) << 20,
                match stage.ends.contains(&End::Hangs) {
                    true => format!(", timeout: {TIMEOUT}"),
                    false => String::new(),
                }
            );
        }
        let pipeline = load("p", &text, &LoadOptions::default()).expect("a valid pipeline");
        Graph::build(pipeline).expect("an acyclic graph")
    }

    /// Plays every attempt of every run.
    pub(super) fn executor(&self, schedule: &Schedule) -> FakeExecutor {
        let mut executor = FakeExecutor::new();
        for (i, stage) in self.stages.iter().enumerate() {
            for (end, seconds) in stage.ends.iter().zip(&schedule.seconds[i]) {
                let play = stage.play(i, *end, f64::from(*seconds));
                executor = executor.play(&format!("s{i}"), play);
            }
        }
        executor
    }
}

impl StageCase {
    /// Paths that it reads, sorted.
    pub(super) fn inputs(&self) -> Vec<String> {
        let sources = self.sources.iter().map(|k| format!("in{k}"));
        let outs = self.reads.iter().map(|i| format!("out{i}"));
        sources.chain(outs).collect()
    }

    /// What RESTAGE_PARAMS gives it.
    pub(super) fn given_params(&self, values: &[u8]) -> String {
        let pairs = self
            .params
            .iter()
            .map(|k| (format!("p{k}"), Value::from(values[*k])));
        Value::Object(pairs.collect::<Map<_, _>>()).to_string()
    }

    /// What it writes.
    pub(super) fn content(&self, number: usize, params: &str, inputs: &[String]) -> String {
        let mixed = blake3::hash(format!("{params} {inputs:?}").as_bytes());
        match self.shape {
            Shape::Mixes => format!("{number}: {}", mixed.to_hex()),
            Shape::Halves => format!("{number}: {}", mixed.as_bytes()[0] % 2),
            Shape::Constant => format!("{number}"),
        }
    }

    fn play(&self, number: usize, end: End, seconds: f64) -> Play {
        let out = format!("out{number}");
        let play = match end {
            End::WritesNothing => Play::success(),
            End::Fails => Play::exits(3).begins_by_writing(&out, "half"),
            End::Dies => Play::signaled(11).begins_by_writing(&out, "half"),
            End::Hangs => Play::hangs().begins_by_writing(&out, "half"),
            End::CannotStart => return Play::not_started("no such program"),
            End::Writes | End::WritesTooMuch => {
                let stage = self.clone();
                let writes = move |job: &Job| stage.work(number, end, job);
                Play::success().works(writes)
            }
        };
        play.seconds(seconds)
    }

    /// Computes the out from the files in the job's folder.
    fn work(&self, number: usize, end: End, job: &Job) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
        let read = |path: String| {
            let bytes = fs::read(&job.dir.join(path)).map_err(|error| error.to_string())?;
            String::from_utf8(bytes).map_err(|error| error.to_string())
        };
        let inputs: Vec<String> = self
            .inputs()
            .into_iter()
            .map(read)
            .collect::<Result<_, _>>()?;
        let params = job.env.get(std::ffi::OsStr::new("RESTAGE_PARAMS"));
        let params = params.map_or_else(String::new, |text| text.to_string_lossy().into_owned());
        let content = self.content(number, &params, &inputs);
        let mut files = vec![(PathBuf::from(format!("out{number}")), content.into_bytes())];
        if end == End::WritesTooMuch {
            files.push(("extra".into(), b"x".to_vec()));
        }
        Ok(files)
    }
}
