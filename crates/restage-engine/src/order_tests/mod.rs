//! The order of a run: random pipelines, limits and ends of attempts, run in several ways and
//! compared with an oracle that knows no order.

mod checks;
mod generator;
mod oracle;

use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use tempfile::TempDir;

use self::checks::Log;
use self::generator::{Case, Schedule, World, cases};
use self::oracle::{Fate, Oracle};
use super::event::Summary;
use super::scheduler::{RunOptions, run};
use super::standing::Foreigners;
use super::tokens::Capacity;
use super::workspace::Workspace;
use restage_testing::FakeExecutor;
use restage_worker::HostEnv;

/// A folder in which a case is run in one way, and what should be known by then.
struct Place<'a> {
    case: &'a Case,
    schedule: &'a Schedule,
    folder: TempDir,
    executor: FakeExecutor,
    oracle: Oracle<'a>,
}

/// In memory if possible: a case flushes hundreds of files.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary folder")
}

impl<'a> Place<'a> {
    fn new(case: &'a Case, schedule: &'a Schedule) -> Self {
        Self {
            case,
            schedule,
            folder: folder(),
            executor: case.executor(schedule),
            oracle: Oracle::new(case),
        }
    }

    fn workspace(&self, world: &World) -> Workspace {
        let graph = self.case.graph(world);
        Workspace::open(self.folder.path(), "default", &graph, HostEnv::default()).expect("a store")
    }

    fn run(&mut self, world: &World, keep_going: bool, stop: &dyn Fn() -> bool) -> (Log, Summary) {
        for (k, value) in world.1.iter().enumerate() {
            let path = self.folder.path().join(format!("in{k}"));
            let text = format!("source {k} is {value}");
            if std::fs::read_to_string(&path).ok().as_ref() != Some(&text) {
                std::fs::write(path, text).expect("a source");
            }
        }
        let graph = self.case.graph(world);
        let options = RunOptions {
            capacity: Capacity {
                cpu: self.schedule.cpu,
                mem: self.schedule.mem << 20,
                gpus: Vec::new(),
                jobs: self.schedule.jobs,
            },
            keep_going,
            selected: graph.ids().iter().copied().collect(),
            forced: BTreeSet::new(),
            audit: None,
            launcher: None,
            foreigners: Foreigners::Refuse,
            elsewhere: None,
        };
        let ws = self.workspace(world);
        let mut log = Log::default();
        let (summary, _) = run(&ws, &graph, &options, &mut self.executor, &mut log, stop)
            .expect("no error of the machine");
        ws.save_cache();
        (log, summary)
    }

    /// Runs once more, and compares everything with the oracle.
    fn round(&mut self, world: &World, keep_going: bool) {
        let record = self.executor.record();
        let (events, since) = (record.events().len(), record.now());
        let (log, summary) = self.run(world, keep_going, &|| false);
        let stages = self.case.stages.len();
        let fates = log.fates(stages);

        checks::inputs_come_first(self.case, &log);
        checks::limits_hold(self.case, self.schedule, &record.events()[events..]);
        checks::blame_is_just(self.case, &log, &fates);
        if keep_going {
            checks::all_as_predicted(&self.oracle, world, &fates);
        } else {
            checks::ends_early(self.case, &self.oracle, world, &log, &fates);
        }
        let remade = |i| self.oracle.is_gone(i, world);
        if keep_going && self.schedule.is_wide() && !(0..stages).any(remade) {
            let after = |i| self.oracle.settled_after(i, world, self.schedule);
            let predicted = (0..stages).map(after).max().unwrap_or(0);
            assert_eq!(
                record.now() - since,
                f64::from(predicted),
                "a stage waited for nothing"
            );
        }
        let count = |of: fn(&Fate) -> bool| fates.iter().filter(|fate| of(fate)).count();
        let counted = [
            (summary.ran, count(|fate| matches!(fate, Fate::Ran(_)))),
            (
                summary.failed,
                count(|fate| matches!(fate, Fate::Failed(_))),
            ),
            (summary.fresh, count(|fate| *fate == Fate::Fresh)),
            (summary.restored, count(|fate| *fate == Fate::Restored)),
            (summary.blocked, count(|fate| *fate == Fate::Blocked)),
            (summary.cancelled, count(|fate| *fate == Fate::Cancelled)),
        ];
        assert!(
            counted.iter().all(|(said, seen)| said == seen),
            "{summary:?}"
        );

        let started: Vec<u32> = (0..stages).map(|i| log.started(i)).collect();
        self.oracle.learn(world, &fates, &started);
        checks::store_is_as_predicted(&self.oracle, &self.workspace(world), self.folder.path());
    }

    fn results(&self, world: &World) -> std::collections::BTreeMap<String, String> {
        checks::results(&self.workspace(world), self.folder.path())
    }
}

/// Each way to run it gives what the oracle predicts in every round, and all end in the same store.
fn same_however_it_is_run(case: &Case) {
    let mut ends = Vec::new();
    for schedule in &case.schedules {
        let mut place = Place::new(case, schedule);
        for world in &case.rounds {
            place.round(world, true);
        }
        ends.push(place.results(&case.rounds[0]));
    }
    for end in &ends[1..] {
        assert_eq!(*end, ends[0]);
    }
}

/// Stops at the first failure, again and again, then keeps going despite them.
fn stops_in_order(case: &Case) {
    for schedule in &case.schedules {
        let mut place = Place::new(case, schedule);
        for world in &case.rounds {
            place.round(world, false);
        }
        place.round(&case.rounds[0], true);
    }
}

/// Interrupted after `asked` checks, it reaches the store of an undisturbed run when run again.
fn goes_on_after_an_interrupt(case: &Case, asked: usize) {
    let world = &case.rounds[0];
    let mut undisturbed = Place::new(case, &case.schedules[0]);
    undisturbed.round(world, true);
    let expected = undisturbed.results(world);
    for schedule in &case.schedules {
        let mut place = Place::new(case, schedule);
        let left = Cell::new(asked);
        let stop = || {
            left.set(left.get().saturating_sub(1));
            left.get() == 0
        };
        let (log, summary) = place.run(world, true, &stop);
        let fates = log.fates(case.stages.len());
        checks::inputs_come_first(case, &log);
        for (i, fate) in fates.iter().enumerate() {
            let may =
                matches!(fate, Fate::Ran(1)) || (*fate == Fate::Cancelled && summary.interrupted);
            assert!(may, "s{i}: {fate:?}");
        }
        let started: Vec<u32> = (0..case.stages.len()).map(|i| log.started(i)).collect();
        place.oracle.learn(world, &fates, &started);
        checks::store_is_as_predicted(&place.oracle, &place.workspace(world), place.folder.path());
        place.round(world, true);
        assert_eq!(place.results(world), expected);
    }
}

/// So many cases, or as many as PROPTEST_CASES says.
fn config(cases: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(cases),
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn whatever_runs_beside_it_each_stage_ends_as_its_inputs_and_its_script_say(
        case in cases(false)
    ) {
        same_however_it_is_run(&case);
    }

    #[test]
    fn what_was_not_kept_is_made_again_only_for_a_stage_that_runs(case in cases(true)) {
        same_however_it_is_run(&case);
    }

    #[test]
    fn after_a_failure_nothing_new_starts_and_what_runs_ends(case in cases(false)) {
        stops_in_order(&case);
    }

    #[test]
    fn an_interrupted_run_goes_on_to_the_store_of_an_undisturbed_one(
        case in cases(true), asked in 1usize..20
    ) {
        goes_on_after_an_interrupt(&case, asked);
    }
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    #[ignore = "takes minutes: make torture"]
    fn a_thousand_pipelines_end_the_same_however_they_are_run_stopped_and_interrupted(
        case in cases(false), good in cases(true), asked in 1usize..20
    ) {
        same_however_it_is_run(&case);
        stops_in_order(&case);
        goes_on_after_an_interrupt(&good, asked);
    }
}
