//! How each stage must end, by a plain recursive definition. Nothing here has an order in time.

use std::collections::{BTreeMap, BTreeSet};

use super::generator::{Case, End, Schedule, TIMEOUT, World};

/// How a stage ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Fresh,
    Restored,
    /// Succeeds with this attempt of the run.
    Ran(u32),
    /// Gives up after this attempt of the run.
    Failed(u32),
    Blocked,
    /// Never started, or stopped.
    Cancelled,
}

/// A stage's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Result {
    /// Everything the stage was given: what a key is made of.
    given: String,
    pub(super) content: String,
    volatile: bool,
}

/// What is known from the runs so far.
#[derive(Debug, Clone)]
pub(super) struct Oracle<'a> {
    case: &'a Case,
    /// Attempts that each stage has made, over all runs.
    used: Vec<usize>,
    /// What each stage was given whenever it succeeded.
    results: BTreeMap<(usize, String), String>,
    /// Each out in the workspace.
    pub(super) placed: Vec<Option<String>>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(case: &'a Case) -> Self {
        Self {
            case,
            used: vec![0; case.stages.len()],
            results: BTreeMap::new(),
            placed: vec![None; case.stages.len()],
        }
    }

    /// How a stage's `n`th attempt of the next run ends, from 1.
    pub(super) fn end(&self, stage: usize, n: u32) -> End {
        let ends = &self.case.stages[stage].ends;
        ends[(self.used[stage] + n as usize - 1).min(ends.len() - 1)]
    }

    /// What the stage reads, if all of it can be made.
    fn given(&self, stage: usize, world: &World) -> Option<(String, Vec<String>)> {
        let spec = &self.case.stages[stage];
        let mut given = format!("{} ", spec.given_params(&world.0));
        let mut inputs: Vec<String> = Vec::new();
        for k in &spec.sources {
            inputs.push(format!("source {k} is {}", world.1[*k]));
        }
        given += &format!("{inputs:?}");
        for up in &spec.reads {
            let result = self.fate(*up, world).1?;
            // A volatile out counts as what its stage was given, whatever its bytes are.
            given += match result.volatile {
                true => &result.given,
                false => &result.content,
            };
            given += "\n";
            inputs.push(result.content);
        }
        Some((given, inputs))
    }

    /// How a stage ends if nothing stops the run, and its result.
    pub(super) fn fate(&self, stage: usize, world: &World) -> (Fate, Option<Result>) {
        let spec = &self.case.stages[stage];
        let Some((given, inputs)) = self.given(stage, world) else {
            return (Fate::Blocked, None);
        };
        let content = spec.content(stage, &spec.given_params(&world.0), &inputs);
        let result = Result {
            given: given.clone(),
            content: content.clone(),
            volatile: spec.volatile,
        };
        if self.results.contains_key(&(stage, given)) {
            let fate = match self.placed[stage].as_ref() == Some(&content) {
                true => Fate::Fresh,
                false => Fate::Restored,
            };
            return (fate, Some(result));
        }
        for attempt in 1..=spec.retries + 1 {
            match self.end(stage, attempt) {
                end if end.gives_a_result() => return (Fate::Ran(attempt), Some(result)),
                End::CannotStart => return (Fate::Failed(attempt), None),
                _ => {}
            }
        }
        (Fate::Failed(spec.retries + 1), None)
    }

    /// Seconds from a run's start until a stage is settled, where nothing has to wait for
    /// cores, memory or a place.
    pub(super) fn settled_after(&self, stage: usize, world: &World, schedule: &Schedule) -> u32 {
        let reads = self.case.stages[stage].reads.iter();
        let inputs = reads.map(|up| self.settled_after(*up, world, schedule));
        let (Fate::Ran(attempts) | Fate::Failed(attempts)) = self.fate(stage, world).0 else {
            return inputs.max().unwrap_or(0);
        };
        let seconds = |attempt: u32| match self.end(stage, attempt) {
            End::Hangs => TIMEOUT,
            End::CannotStart => 0,
            _ => {
                let ends = self.case.stages[stage].ends.len();
                let at = (self.used[stage] + attempt as usize - 1).min(ends - 1);
                u32::from(schedule.seconds[stage][at])
            }
        };
        inputs.max().unwrap_or(0) + (1..=attempts).map(seconds).sum::<u32>()
    }

    /// Takes note of a run: how each stage ended, and how often it was started.
    pub(super) fn learn(&mut self, world: &World, fates: &[Fate], started: &[u32]) {
        let before = self.clone();
        for (stage, fate) in fates.iter().enumerate() {
            self.used[stage] += started[stage] as usize;
            if let Fate::Ran(_) | Fate::Fresh | Fate::Restored = fate {
                let result = before.fate(stage, world).1;
                let result = result.expect("a stage with a result has one");
                self.placed[stage] = Some(result.content.clone());
                self.results.insert((stage, result.given), result.content);
            }
        }
    }

    /// Every stage that has a result with what it wrote, once for each time that it was given
    /// something new.
    pub(super) fn records(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = self
            .results
            .iter()
            .map(|((stage, _), content)| (format!("default/s{stage}"), content.clone()))
            .collect();
        all.sort();
        all
    }

    /// Every content that was ever a result.
    pub(super) fn contents(&self) -> BTreeSet<String> {
        self.results.values().cloned().collect()
    }
}
