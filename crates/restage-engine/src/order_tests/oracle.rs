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
    /// Temporary outs that are still there.
    kept: BTreeMap<(usize, String), String>,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(case: &'a Case) -> Self {
        Self {
            case,
            used: vec![0; case.stages.len()],
            results: BTreeMap::new(),
            placed: vec![None; case.stages.len()],
            kept: BTreeMap::new(),
        }
    }

    /// How a stage's `n`th attempt of the next run ends, from 1.
    pub(super) fn end(&self, stage: usize, n: u32) -> End {
        let ends = &self.case.stages[stage].ends;
        ends[(self.used[stage] + n as usize - 1).min(ends.len() - 1)]
    }

    /// What the stage reads, if all of it can be made.
    fn given(&self, stage: usize, world: &World) -> Option<(String, Vec<String>)> {
        self.given_of(stage, world, &|up| self.fate(up, world).1)
    }

    /// A stage's result if every stage succeeds.
    fn best(&self, stage: usize, world: &World) -> Option<Result> {
        let (given, inputs) = self.given_of(stage, world, &|up| self.best(up, world))?;
        let spec = &self.case.stages[stage];
        Some(Result {
            content: spec.content(stage, &spec.given_params(&world.0), &inputs),
            given,
            volatile: spec.volatile,
        })
    }

    fn given_of(
        &self,
        stage: usize,
        world: &World,
        result: &dyn Fn(usize) -> Option<Result>,
    ) -> Option<(String, Vec<String>)> {
        let spec = &self.case.stages[stage];
        let mut given = format!("{} ", spec.given_params(&world.0));
        let mut inputs: Vec<String> = Vec::new();
        for k in &spec.sources {
            inputs.push(format!("source {k} is {}", world.1[*k]));
        }
        given += &format!("{inputs:?}");
        for up in &spec.reads {
            let result = result(*up)?;
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

    /// Whether a stage has a result for what it is given, and its out is not there.
    pub(super) fn is_gone(&self, stage: usize, world: &World) -> bool {
        let Some(Result { given, .. }) = self.best(stage, world) else {
            return false;
        };
        let key = (stage, given);
        self.case.stages[stage].temporary
            && self.results.get(&key).is_some_and(|content| {
                let mut kept = self.kept.iter();
                // Whatever it was made of: the same bytes are the same object.
                !kept.any(|((of, _), kept)| *of == stage && kept == content)
            })
    }

    /// Whether a stage that runs reads what a stage wrote.
    fn is_needed(&self, stage: usize, world: &World) -> bool {
        let mut readers = (0..self.case.stages.len())
            .filter(|reader| self.case.stages[*reader].reads.contains(&stage));
        readers.any(|reader| {
            let Some(Result { given, .. }) = self.best(reader, world) else {
                return false;
            };
            let is_new = !self.results.contains_key(&(reader, given));
            is_new || (self.is_gone(reader, world) && self.is_needed(reader, world))
        })
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
                _ if self.is_gone(stage, world) && self.is_needed(stage, world) => Fate::Ran(1),
                _ if spec.temporary => Fate::Fresh,
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
                let spec = &self.case.stages[stage];
                if spec.temporary {
                    let has_result = |reader: usize| {
                        matches!(fates[reader], Fate::Ran(_) | Fate::Fresh | Fate::Restored)
                    };
                    let mut readers = (0..fates.len())
                        .filter(|reader| self.case.stages[*reader].reads.contains(&stage));
                    let key = (stage, result.given.clone());
                    match (readers.all(has_result), fate) {
                        (true, _) => drop(self.kept.remove(&key)),
                        (false, Fate::Ran(_)) => {
                            drop(self.kept.insert(key, result.content.clone()));
                        }
                        (false, _) => {}
                    }
                } else {
                    self.placed[stage] = Some(result.content.clone());
                }
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

    /// Every content that was ever a result and was not given up.
    pub(super) fn contents(&self) -> BTreeSet<String> {
        let results = self.results.iter();
        let lasting = results.filter(|((stage, _), _)| !self.case.stages[*stage].temporary);
        let lasting = lasting.map(|(_, content)| content);
        lasting.chain(self.kept.values()).cloned().collect()
    }
}
