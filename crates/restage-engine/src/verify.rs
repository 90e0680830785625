//! Reruns up-to-date stages from their recorded inputs and compares their outputs with the record.
//!
//! A round runs in a temporary store below `.restage/tmp`, so that outs, history and `pipeline.lock`
//! stay as they are. A record changes in one case only: a stage that wrote something else is marked
//! nondeterministic, and both results are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::baseline::{Baseline, Verdict};
use super::error::RunError;
use super::event::{Observer, Summary};
use super::facts::FactsError;
use super::kept;
use super::plan::{Decision, plan};
use super::said::under;
use super::scheduler::{self, RunOptions};
use super::standing::Foreigners;
use super::tokens::Capacity;
use super::workspace::{Rerun, Workspace};
use restage_core::digest::Digest;
use restage_core::fs;
use restage_exec::Executor;
use restage_pipeline::graph::{Graph, StageId};
use restage_pipeline::{CompareRule, IsolationRule, TableFormat};
use restage_store::{Adoption, KeptApart, Placement, Record, Store};

/// How often we try to lock a key that another restage holds.
const BUSY_TICK: Duration = Duration::from_millis(250);

/// A stage that was rerun.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Its name.
    pub stage: String,
    /// Its key.
    pub key: Digest,
    /// Reruns that were compared with the record.
    pub reruns: u32,
    /// Its outs in declared order, each with the worst verdict of all reruns.
    pub outs: Vec<VerifiedOut>,
    /// Whether a second result is kept with the recorded one.
    pub kept: bool,
    /// Set if there is no recorded run: the result was adopted.
    pub adopted: Option<Adoption>,
    /// How the recorded run was kept apart, if its record says so.
    pub recorded_apart: Option<KeptApart>,
    /// How its reruns were.
    pub rerun_apart: Option<KeptApart>,
}

/// An out that a rerun wrote.
#[derive(Debug, Clone)]
pub struct VerifiedOut {
    /// Relative to the pipeline's folder.
    pub path: String,
    /// What was recorded.
    pub recorded: Digest,
    /// What the rerun wrote that the verdict is about.
    pub now: Digest,
    /// How they compare.
    pub verdict: Verdict,
    /// What to write, if it differs because it contains the path of the folder that the rerun ran in.
    pub hint: Option<String>,
}

impl Verified {
    /// The first out that differs by more than is allowed.
    pub fn differing(&self) -> Option<&VerifiedOut> {
        let differs = |out: &&VerifiedOut| matches!(out.verdict, Verdict::Differs(_));
        self.outs.iter().find(differs)
    }
}

/// Stages that are verified, and the verdicts so far.
#[derive(Debug)]
pub struct Verification<'a> {
    ws: &'a Workspace,
    graph: &'a Graph,
    rules: &'a [CompareRule],
    tables: &'a [TableFormat],
    /// Of the stages and all that they depend on.
    records: BTreeMap<StageId, Arc<Record>>,
    /// Stages that are rerun in the next round: they have neither failed nor differed.
    left: BTreeSet<StageId>,
    left_out: Vec<LeftOut>,
    found: BTreeMap<StageId, Verified>,
}

/// A stage that can't be rerun, because an input of it was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The stage's name.
    pub stage: String,
    /// The temporary out.
    pub input: String,
}

impl<'a> Verification<'a> {
    /// Checks that `stages` are fresh; `needed` are these and all that they depend on. The inner
    /// `Err` holds the names of those that are not. Whoever reads what was given up is an error if `named`,
    /// and otherwise left out.
    pub fn begin(
        ws: &'a Workspace,
        graph: &'a Graph,
        (rules, tables): (&'a [CompareRule], &'a [TableFormat]),
        (stages, named): (&BTreeSet<StageId>, bool),
        needed: &BTreeSet<StageId>,
    ) -> Result<Result<Self, Vec<String>>, FactsError> {
        let plan = plan(graph, needed, &BTreeSet::new(), ws)?;
        let fresh = |id: &StageId| {
            let planned = plan.stages.get(id);
            planned.is_some_and(|planned| matches!(planned.decision, Decision::Fresh(_)))
        };
        let stale: Vec<String> = stages
            .iter()
            .filter(|id| !fresh(id))
            .map(|id| graph.stage(*id).name.clone())
            .collect();
        if !stale.is_empty() {
            return Ok(Err(stale));
        }
        let (mut left, mut left_out) = (stages.clone(), Vec::new());
        for &id in stages {
            if let Some((path, writer)) = kept::gone_input(graph, &plan, id) {
                if !named {
                    left.remove(&id);
                    left_out.push(LeftOut {
                        stage: graph.stage(id).name.clone(),
                        input: path.to_string(),
                    });
                    continue;
                }
                return Err(FactsError::NoKey {
                    stage: graph.stage(id).name.clone(),
                    reason: format!(
                        "can't be verified: it reads `{path}`, which is temporary and was not kept"
                    ),
                    hint: Some(format!(
                        "remove `temporary: true` from `{path}` of stage `{writer}`, run `restage reproduce`, and \
                         verify again"
                    )),
                });
            }
        }
        let record = |(id, planned): (&StageId, &super::plan::Planned)| {
            Some((*id, Arc::clone(planned.record()?)))
        };
        Ok(Ok(Self {
            ws,
            graph,
            rules,
            tables,
            records: plan.stages.iter().filter_map(record).collect(),
            left,
            left_out,
            found: BTreeMap::new(),
        }))
    }

    /// Stages that are not rerun, in the order of the pipeline.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Reruns each stage once, independently of the others. `launcher` as in [`RunOptions`].
    pub fn round(
        &mut self,
        capacity: &Capacity,
        keep_going: bool,
        launcher: Option<&Path>,
        executor: &mut dyn Executor,
        observer: &mut dyn Observer,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Summary, RunError> {
        let ws = self.ws.for_rerun(Rerun {
            store: self.ws.store.throwaway("verify")?,
            inputs: self.records.clone(),
        });
        let options = RunOptions {
            capacity: capacity.clone(),
            keep_going,
            selected: self.left.clone(),
            forced: self.left.clone(),
            audit: None,
            launcher: launcher.map(Path::to_owned),
            foreigners: Foreigners::Refuse,
            elsewhere: None,
        };
        let ran = scheduler::run(&ws, self.graph, &options, executor, observer, interrupted);
        let compared = ran.and_then(|(summary, records)| {
            for &id in &options.selected {
                match records.get(&id) {
                    Some(record) => self.compare(id, record, ws.run_store(), interrupted)?,
                    None => drop(self.left.remove(&id)),
                }
            }
            Ok(summary)
        });
        // A failed stage's files stay for reading until the store is opened next.
        if !compared.as_ref().is_ok_and(|summary| summary.failed > 0) {
            let dir = ws.run_store().location().dir().to_owned();
            drop(ws);
            self.ws.store.workdirs().remove(&dir);
            return compared;
        }
        compared
    }

    /// What was found, in declared order.
    pub fn found(&self) -> impl Iterator<Item = &Verified> {
        self.found.values()
    }

    /// Compares a rerun with its record.
    fn compare(
        &mut self,
        id: StageId,
        rerun: &Record,
        scratch: &Store,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), RunError> {
        let Some(record) = self.records.get(&id).cloned() else {
            return Ok(());
        };
        let folder = scratch.location().dir().join("baseline");
        fs::create_dir_all(&folder)?;
        let baseline = Baseline {
            recorded: &self.ws.store,
            now: scratch,
            rules: self.rules,
            tables: self.tables,
            folder,
        };
        // What a stage sees of its folder's path has no links in it.
        let ran_below = fs::canonicalize(&scratch.workdirs().work())?;
        let mut outs = Vec::new();
        for (old, new) in record.outs.iter().zip(&rerun.outs) {
            let verdict = baseline.verdict(old, new)?;
            let file = match &verdict {
                Verdict::Differs(difference) => difference.file(),
                _ => None,
            };
            let names_folder = match file {
                Some(file) => baseline.contains(new, file, &ran_below)?,
                None => false,
            };
            outs.push(VerifiedOut {
                path: old.path.clone(),
                recorded: old.content.digest,
                now: new.content.digest,
                hint: file
                    .filter(|_| names_folder)
                    .map(|file| folder_hint(self.graph, id, &old.path, file)),
                verdict,
            });
        }
        let found = self.found.entry(id).or_insert_with(|| Verified {
            stage: self.graph.stage(id).name.clone(),
            key: record.key,
            reruns: 0,
            outs: outs.clone(),
            kept: false,
            adopted: record.adopted.clone(),
            recorded_apart: record.isolation.clone(),
            rerun_apart: rerun.isolation.clone(),
        });
        found.reruns += 1;
        for (worst, out) in found.outs.iter_mut().zip(outs) {
            if severity(&out.verdict) > severity(&worst.verdict) {
                *worst = out;
            }
        }
        if found.differing().is_some() {
            self.left.remove(&id);
            found.kept = keep(&self.ws.store, rerun, &baseline, interrupted)?;
        }
        Ok(())
    }
}

/// Adds what a rerun wrote to the record of its key. `false` if the user interrupts the wait for
/// another restage that works on the key.
fn keep(
    store: &Store,
    rerun: &Record,
    baseline: &Baseline<'_>,
    interrupted: &dyn Fn() -> bool,
) -> Result<bool, RunError> {
    let Some(lock) = store.locks().lock(&rerun.key, interrupted, BUSY_TICK)? else {
        return Ok(false);
    };
    for out in &rerun.outs {
        if !store.objects().has(&out.content)? {
            let place = baseline.folder.join("kept");
            fs::remove_all(&place)?;
            let from = baseline.now;
            from.objects()
                .materialize(&out.content, &place, Placement::Linked)?;
            store.objects().ingest(&place)?;
        }
    }
    Ok(store.keep_variant(&lock, &rerun.outs)?)
}

/// What to do about a file with the path of the folder that a stage ran in.
fn folder_hint(graph: &Graph, id: StageId, out: &str, file: &str) -> String {
    let stage = graph.stage(id);
    let rule = stage.isolation.unwrap_or(graph.pipeline().isolation);
    let line = match rule {
        IsolationRule::None => under(stage, "write `isolation: auto`"),
        _ => under(
            stage,
            &format!(
                "write `{{path: {out}, volatile: true}}` among its `outs`, if its bytes do not count"
            ),
        ),
    };
    format!(
        "`{file}` contains the path of the folder that the rerun ran in, which is another one in each run; in \
         namespaces it is always the workspace's: let the stage write relative paths, or\n  {line}"
    )
}

fn severity(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Volatile | Verdict::Identical => 0,
        Verdict::Within => 1,
        Verdict::Differs(_) => 2,
    }
}
