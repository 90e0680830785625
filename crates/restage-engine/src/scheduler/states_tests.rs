//! Whatever order stages move in, what follows from their states fits them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use restage_core::clock::WallTime;
use restage_core::digest::KeyAction;
use restage_pipeline::{LoadOptions, load};

/// A chain with a branch, a stage on two others, and one alone.
const PIPELINE: &str = "
schema: 1
name: p
stages:
  join: {cmd: run, deps: [b, c], outs: [j]}
  a: {cmd: run, outs: [a]}
  b: {cmd: run, deps: [a], outs: [b]}
  c: {cmd: run, deps: [a], outs: [c]}
  end: {cmd: run, deps: [j, x], outs: [e]}
  alone: {cmd: run, outs: [x]}
";

fn graph() -> Graph {
    let pipeline = load("p", PIPELINE, &LoadOptions::default()).expect("a valid pipeline");
    Graph::build(pipeline).expect("an acyclic graph")
}

fn key() -> Arc<StageKey> {
    Arc::new(StageKey {
        version: StageKey::VERSION,
        action: KeyAction::Script {
            shell: vec!["sh".to_owned()],
            lines: vec!["run".to_owned()],
        },
        params: BTreeMap::new(),
        deps: Vec::new(),
        globs: Vec::new(),
        env: BTreeMap::new(),
        outs: Vec::new(),
        machine: BTreeMap::new(),
        tools: BTreeMap::new(),
        secrets: Default::default(),
        environment: None,
    })
}

fn record() -> Arc<Record> {
    let (key, now) = (key().as_ref().clone(), WallTime::now());
    Arc::new(Record::new(
        key,
        "s".to_owned(),
        Vec::new(),
        now,
        1.0,
        None,
        Vec::new(),
    ))
}

/// One of each state, running as job `job`.
fn every_state(job: u64) -> Vec<State<()>> {
    let blame = graph().topological()[0];
    vec![
        State::Waiting,
        State::Due,
        State::Ready(key()),
        State::Busy {
            key: key(),
            tried: Instant::now(),
        },
        State::Running(JobId(job), ()),
        State::Ended,
        State::Committing(record()),
        State::Settled(Settled::Result(record())),
        State::Settled(Settled::NoResult { blame }),
    ]
}

/// Compares what `States` derives with what the states alone say.
fn agrees(states: &States<'_, ()>) {
    let those = |of: fn(&State<()>) -> bool| -> BTreeSet<StageId> {
        let all = states.states.iter();
        all.filter(|(_, state)| of(state))
            .map(|(id, _)| *id)
            .collect()
    };
    let due: BTreeSet<StageId> = states.due.iter().copied().collect();
    assert_eq!(due, those(|state| matches!(state, State::Due)));
    assert_eq!(due.len(), states.due.len(), "one is due twice");

    let ready = those(|state| matches!(state, State::Ready(_) | State::Busy { .. }));
    let mut ready: Vec<StageId> = ready.into_iter().collect();
    ready.sort_by_key(|id| states.rank[id.index()]);
    assert_eq!(states.ready(), ready);

    for (job, id) in &states.jobs {
        assert!(matches!(states.get(*id), State::Running(its, ()) if its == job));
    }
    let running = those(|state| matches!(state, State::Running(..)));
    assert_eq!(states.jobs.len(), running.len());

    let open = those(State::is_open);
    assert_eq!(states.open, open.len());
    for (id, state) in &states.states {
        let waits = states.inputs(*id).iter().any(|up| open.contains(up));
        if state.is_open() {
            assert_eq!(matches!(state, State::Waiting), waits, "{state}");
        }
    }
}

proptest! {
    #[test]
    fn what_follows_from_the_states_is_right_after_every_legal_move(
        picks in proptest::collection::vec(any::<Index>(), 0..60),
        left_out in any::<Index>(),
        independent in any::<bool>(),
        seconds in proptest::collection::vec(0.0f64..9.0, 6),
    ) {
        let graph = graph();
        let all = graph.topological();
        let left_out = *left_out.get(all);
        let stages = all.iter().copied().filter(|id| *id != left_out);
        let seconds = |id: StageId| Some(seconds[id.index()]);
        let mut states = States::new(&graph, stages, independent, &seconds);
        agrees(&states);
        for (job, pick) in (0..).zip(&picks) {
            let ids: Vec<StageId> = states.states.keys().copied().collect();
            let mut moves = Vec::new();
            for id in ids {
                // `set` itself ends a wait.
                let becomes = |next: &State<()>| {
                    states.get(id).may_become(next) && !matches!(next, State::Due)
                };
                let next = every_state(job).into_iter();
                moves.extend(next.filter(becomes).map(|next| (id, next)));
            }
            if moves.is_empty() {
                break;
            }
            let (id, next) = moves.swap_remove(pick.index(moves.len()));
            states.set(id, next);
            agrees(&states);
        }
    }
}

#[test]
#[should_panic(expected = "stage `b` is waiting and cannot become running")]
fn a_stage_cannot_run_before_its_inputs_have_ended() {
    let graph = graph();
    let all = graph.topological().iter().copied();
    let mut states = States::new(&graph, all, false, &|_| None);
    let b = graph.id("b").expect("a stage");
    states.set(b, State::Running(JobId(1), ()));
}

#[test]
fn the_longest_remaining_path_comes_first_then_the_declared_order() {
    let graph = graph();
    let all = graph.topological().iter().copied();
    let mut states: States<'_, ()> = States::new(&graph, all, true, &|_| Some(1.0));
    for &id in graph.topological() {
        states.set(id, State::Ready(key()));
    }
    let names = states.ready().into_iter();
    let names: Vec<&str> = names.map(|id| graph.stage(id).name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "join", "alone", "end"]);
}

#[test]
fn a_result_that_is_lost_is_waited_for_again_by_those_that_have_not_started() {
    let graph = graph();
    let all = graph.topological().iter().copied();
    let mut states = States::<()>::new(&graph, all.clone(), false, &|_| None);
    let first = all
        .clone()
        .find(|id| !graph.dependents(*id).is_empty())
        .unwrap();
    // Everything before and including it has a result, and its readers are ready.
    for id in all {
        if matches!(states.get(id), State::Due) {
            let ready = graph.dependencies(id).contains(&first);
            states.set(
                id,
                match ready {
                    true => State::Ready(key()),
                    false => State::Settled(Settled::Result(record())),
                },
            );
        }
    }
    let reader = *graph.dependents(first).first().unwrap();
    let open = states.open;
    states.reopen(first, reader);
    agrees(&states);
    assert_eq!(states.open, open + 1);
    assert!(matches!(states.get(first), State::Due));
    assert!(states.record(first).is_none());
    assert!(matches!(states.get(reader), State::Waiting));
    states.set(first, State::Settled(Settled::Result(record())));
    agrees(&states);
}
