//! Compares a run with the oracle, and with rules that hold for every run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::generator::{Case, Schedule, World};
use super::oracle::{Fate, Oracle};
use crate::event::{Event, Observer, StageOutcome};
use crate::workspace::Workspace;
use restage_core::digest::Digest;
use restage_core::fs;

/// One line of a run's report.
#[derive(Debug, Clone, PartialEq)]
enum Line {
    Started(usize, u32),
    Settled(usize, Fate),
}

/// Remembers when stages were started and settled.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: Vec<Line>,
    /// The stage whose failure kept one from running.
    blamed: BTreeMap<usize, usize>,
}

fn number(stage: &str) -> usize {
    let digits = stage.strip_prefix('s').expect("a stage's name");
    digits.parse().expect("a stage's number")
}

impl Observer for Log {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { stage, attempt, .. } => {
                self.lines.push(Line::Started(number(stage), *attempt));
            }
            Event::Finished { stage, outcome } => {
                let i = number(stage);
                let fate = match outcome {
                    StageOutcome::Fresh => Fate::Fresh,
                    StageOutcome::Restored { .. } => Fate::Restored,
                    StageOutcome::Ran { .. } => Fate::Ran(self.started(i)),
                    StageOutcome::Failed(failure) => {
                        assert!(!failure.machine, "s{i}: {}", failure.reason);
                        assert_eq!(failure.attempt, self.started(i), "s{i}");
                        Fate::Failed(failure.attempt)
                    }
                    StageOutcome::Blocked { by } => {
                        self.blamed.insert(i, number(by));
                        Fate::Blocked
                    }
                    StageOutcome::Cancelled => Fate::Cancelled,
                    StageOutcome::Gated(gate) => panic!("s{i} is gated: {gate}"),
                };
                self.lines.push(Line::Settled(i, fate));
            }
            Event::Warning { stage, text } => {
                let known = text.contains("extra") || text.contains("waits for a core");
                assert!(known, "a warning about {stage}: {text}");
            }
            _ => {}
        }
    }
}

impl Log {
    /// Attempts that a stage has made.
    pub(super) fn started(&self, stage: usize) -> u32 {
        let of = |line: &&Line| matches!(line, Line::Started(i, _) if *i == stage);
        u32::try_from(self.lines.iter().filter(of).count()).expect("few attempts")
    }

    /// How each stage ended: each does so once, and makes no attempt after that.
    pub(super) fn fates(&self, stages: usize) -> Vec<Fate> {
        let mut fates = vec![None; stages];
        for line in &self.lines {
            match line {
                Line::Settled(i, fate) => {
                    let twice = fates[*i].replace(fate.clone());
                    assert_eq!(twice, None, "s{i} was settled twice");
                }
                // Its out was not kept, and a reader has to run after all.
                Line::Started(i, _) if fates[*i] == Some(Fate::Fresh) => fates[*i] = None,
                Line::Started(i, _) => assert_eq!(fates[*i], None, "s{i} ran though settled"),
            }
        }
        let settled = |(i, fate): (usize, Option<Fate>)| {
            fate.unwrap_or_else(|| panic!("nothing became of s{i}"))
        };
        fates.into_iter().enumerate().map(settled).collect()
    }

    fn place(&self, line: &Line) -> Option<usize> {
        self.lines.iter().position(|other| other == line)
    }
}

/// Attempts are numbered, and the first comes after all inputs have a result.
pub(super) fn inputs_come_first(case: &Case, log: &Log) {
    let mut settled: BTreeMap<usize, Fate> = BTreeMap::new();
    let mut attempts: BTreeMap<usize, u32> = BTreeMap::new();
    for line in &log.lines {
        match line {
            Line::Settled(i, fate) => {
                settled.insert(*i, fate.clone());
            }
            Line::Started(i, attempt) => {
                let count = attempts.entry(*i).or_default();
                *count += 1;
                assert_eq!(count, attempt, "s{i}");
                assert!(
                    *count <= case.stages[*i].retries + 1,
                    "s{i} tried too often"
                );
                for up in &case.stages[*i].reads {
                    let there = settled.get(up);
                    assert!(
                        matches!(there, Some(Fate::Fresh | Fate::Restored | Fate::Ran(_))),
                        "s{i} started while s{up} was {there:?}"
                    );
                }
            }
        }
    }
}

/// No stage runs twice at once, and together they hold no more than there is. A stage that wants
/// more than all counts as wanting all.
pub(super) fn limits_hold(case: &Case, schedule: &Schedule, events: &[restage_testing::Event]) {
    for event in events {
        let restage_testing::Event::Started { name, beside, .. } = event else {
            continue;
        };
        assert!(!beside.contains(name), "{name} runs beside itself");
        let unique: BTreeSet<&String> = beside.iter().collect();
        assert_eq!(unique.len(), beside.len(), "one of {beside:?} runs twice");
        assert!(beside.len() < schedule.jobs, "{name} beside {beside:?}");
        let all = || beside.iter().chain([name]).map(|name| number(name));
        let cpu: u64 = all()
            .map(|i| u64::from(case.stages[i].cpu.min(schedule.cpu)))
            .sum();
        let mem: u64 = all()
            .map(|i| case.stages[i].mem.max(1).min(schedule.mem))
            .sum();
        assert!(
            cpu <= u64::from(schedule.cpu),
            "{cpu} cores: {name} beside {beside:?}"
        );
        assert!(mem <= schedule.mem, "{mem} MiB: {name} beside {beside:?}");
    }
}

/// Everything is as predicted.
pub(super) fn all_as_predicted(oracle: &Oracle<'_>, world: &World, fates: &[Fate]) {
    for (i, fate) in fates.iter().enumerate() {
        assert_eq!(*fate, oracle.fate(i, world).0, "s{i}");
    }
}

/// After the first failure no stage starts, not even for another try. Running stages end by
/// themselves, and what they settle downstream without running is settled.
pub(super) fn ends_early(
    case: &Case,
    oracle: &Oracle<'_>,
    world: &World,
    log: &Log,
    fates: &[Fate],
) {
    let failure = |line: &Line| matches!(line, Line::Settled(_, Fate::Failed(_)));
    let failed_at = log.lines.iter().position(failure).unwrap_or(usize::MAX);
    for line in log.lines.iter().skip(failed_at.saturating_add(1)) {
        assert!(
            !matches!(line, Line::Started(..)),
            "{line:?} after a failure"
        );
    }
    for (i, fate) in fates.iter().enumerate() {
        let predicted = oracle.fate(i, world).0;
        let without = |up: &usize| matches!(fates[*up], Fate::Failed(_) | Fate::Blocked);
        match fate {
            Fate::Fresh | Fate::Restored | Fate::Ran(_) => assert_eq!(*fate, predicted, "s{i}"),
            Fate::Failed(attempts) => {
                let place = log.place(&Line::Settled(i, fate.clone()));
                let first = place.expect("its line") == failed_at;
                let cut = !first && (1..=*attempts).all(|n| !oracle.end(i, n).gives_a_result());
                assert!(
                    cut || *fate == predicted,
                    "s{i} gave up after {attempts}, not {predicted:?}"
                );
            }
            Fate::Blocked => {
                assert!(
                    case.stages[i].reads.iter().any(without),
                    "s{i} is blocked by none"
                );
            }
            Fate::Cancelled => {
                assert_eq!(log.started(i), 0, "s{i} was stopped");
                assert_ne!(
                    failed_at,
                    usize::MAX,
                    "s{i} was cancelled without a failure"
                );
                let waits = |up: &usize| matches!(fates[*up], Fate::Cancelled);
                let runs = matches!(predicted, Fate::Ran(_) | Fate::Failed(_));
                let reads = &case.stages[i].reads;
                assert!(
                    runs || reads.iter().any(waits),
                    "s{i} needed no run: {predicted:?}"
                );
            }
        }
    }
}

/// A blocked stage names one that failed and that it needs.
pub(super) fn blame_is_just(case: &Case, log: &Log, fates: &[Fate]) {
    fn needs(case: &Case, stage: usize, other: usize) -> bool {
        let reads = &case.stages[stage].reads;
        reads.contains(&other) || reads.iter().any(|up| needs(case, *up, other))
    }
    for (&stage, &by) in &log.blamed {
        assert!(matches!(fates[by], Fate::Failed(_)), "s{by} did not fail");
        assert!(needs(case, stage, by), "s{stage} does not need s{by}");
    }
}

/// Outs in the workspace and everything in the store are what the oracle predicts, and no more.
pub(super) fn store_is_as_predicted(oracle: &Oracle<'_>, ws: &Workspace, folder: &Path) {
    for (i, placed) in oracle.placed.iter().enumerate() {
        let out = fs::read_if_exists(&folder.join(format!("out{i}"))).expect("readable");
        let text = out.map(|bytes| String::from_utf8(bytes).expect("text"));
        assert_eq!(text, *placed, "out{i}");
    }
    assert!(!fs::exists(&folder.join("extra")).expect("readable"));

    let mut records: Vec<(String, Digest)> = Vec::new();
    for record in ws.store.records().all().expect("readable records") {
        assert!(record.variants.is_empty() && !record.nondeterministic);
        assert_eq!(record.outs.len(), 1);
        records.push((record.stage.clone(), record.outs[0].content.digest));
    }
    records.sort();
    let predicted = oracle.records().into_iter();
    let mut predicted: Vec<_> = predicted
        .map(|(stage, content)| (stage, Digest::of(content.as_bytes())))
        .collect();
    predicted.sort();
    assert_eq!(records, predicted, "records");

    let digest = |content: &String| Digest::of(content.as_bytes()).to_string();
    let predicted: BTreeSet<String> = oracle.contents().iter().map(digest).collect();
    assert_eq!(objects(folder), predicted, "objects");
    for left in ["claims", "tmp", "quarantine"] {
        assert_eq!(
            files(&folder.join(".restage").join(left)),
            [""; 0],
            "{left}"
        );
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::walk(folder).expect("a readable folder");
    let files = entries.iter().filter(|entry| !entry.metadata.is_dir());
    files
        .map(|entry| entry.path.display().to_string())
        .collect()
}

fn objects(folder: &Path) -> BTreeSet<String> {
    let names = files(&folder.join(".restage/objects"));
    names
        .into_iter()
        .map(|name| name.replace('/', ""))
        .collect()
}

/// What must be equal for all ways to run a case: published files, `pipeline.lock`, objects, and
/// records without their times.
pub(super) fn results(ws: &Workspace, folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for name in fs::read_dir(folder).expect("a readable folder") {
        let path = folder.join(&name);
        if !fs::metadata(&path).expect("an entry").is_dir() {
            let bytes = fs::read(&path).expect("a readable file");
            let text = String::from_utf8(bytes).expect("text");
            all.insert(name.to_string_lossy().into_owned(), text);
        }
    }
    for name in objects(folder) {
        all.insert(format!("object {name}"), String::new());
    }
    for record in ws.store.records().all().expect("readable records") {
        let (stage, inputs, outs) = (&record.stage, &record.inputs, &record.outs);
        let text = format!("{stage} {inputs:?} {outs:?} {:?}", record.undeclared);
        all.insert(format!("record {}", record.key), text);
    }
    all
}
