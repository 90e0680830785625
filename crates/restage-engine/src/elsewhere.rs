//! Results that lie elsewhere, behind an address: asked for by key before anything runs (docs/adr/0034).
//!
//! Records are asked for first, those that `pipeline.lock` names all at once, then those of stages that would run by
//! the plan so far. Bytes follow for what the last of these plans uses.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::environments::Unnamed;
use super::facts::{Facts, FactsError, InFolder};
use super::plan::{Decision, Plan, Planned, plan};
use super::stands::Stands;
use super::workspace::Workspace;
use restage_core::digest::{Digest, KeyEnvironment, Kind, StageKey};
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::{Graph, StageId};
use restage_pipeline::{Stage, Tool};
use restage_store::lockfile::LockFile;
use restage_store::{Record, RecordedOut, StoreError};
use restage_worker::Card;

/// Where results of others are. It is never needed: what fails is said by [`Elsewhere::take_warnings`], and counts as
/// not there.
pub trait Elsewhere: std::fmt::Debug + Send + Sync {
    /// What people call it.
    fn name(&self) -> &str;
    /// The records of these keys that may be used.
    fn records(&self, keys: &[Digest]) -> Vec<Arc<Record>>;
    /// Brings the manifest of a folder into the store. Returns whether it could.
    fn manifest(&self, folder: &Digest) -> bool;
    /// Brings results into the store. Returns the keys of those that are there now.
    fn bring(&self, records: &[Arc<Record>]) -> BTreeSet<Digest>;
    /// What there is to say since the last call.
    fn take_warnings(&self) -> Vec<String>;
}

/// What is known of results that lie elsewhere.
#[derive(Debug)]
pub struct Known {
    /// What would become of the stages, were these results here.
    pub plan: Plan,
    /// Records that lie elsewhere and not here, or whose bytes do, by their keys.
    pub records: BTreeMap<Digest, Arc<Record>>,
    /// Every key that was asked for.
    asked: BTreeSet<Digest>,
}

impl Known {
    /// The records that the plan uses, with the paths of outs that are in the workspace as they should be.
    fn used(&self) -> impl Iterator<Item = (&Arc<Record>, &[String])> {
        self.plan.stages.values().filter_map(|planned| {
            let (record, missing) = match &planned.decision {
                Decision::Fresh(record) => (record, [].as_slice()),
                Decision::Restore(record, missing) => (record, missing.as_slice()),
                _ => return None,
            };
            Some((self.records.get(&record.key)?, missing))
        })
    }

    /// The keys that need not be asked for again: there is nothing, or it was used. What was found and not used may be
    /// once more is known.
    pub fn settled(&self) -> BTreeSet<Digest> {
        let used: BTreeSet<Digest> = self.used().map(|(record, _)| record.key).collect();
        let settled = |key: &&Digest| used.contains(*key) || !self.records.contains_key(*key);
        self.asked.iter().filter(settled).copied().collect()
    }
}

/// Asks for the results of the selected stages. Nothing is brought but manifests of folders that are read in parts.
pub fn know(
    ws: &Workspace,
    graph: &Graph,
    selected: &BTreeSet<StageId>,
    forced: &BTreeSet<StageId>,
    elsewhere: &dyn Elsewhere,
) -> Result<Known, FactsError> {
    let facts = WithElsewhere {
        ws,
        elsewhere,
        records: RefCell::default(),
    };
    let mut asked = BTreeSet::new();
    let lock = LockFile::read(&ws.lock_file()).unwrap_or_default();
    let unforced = selected.difference(forced);
    let committed =
        unforced.filter_map(|id| Some(lock.get(&ws.profile, &graph.stage(*id).name)?.key));
    facts.ask(&committed.collect(), &mut asked)?;
    loop {
        let plan = plan(graph, selected, forced, &facts)?;
        let wanted = plan.stages.iter().filter(|(id, _)| !forced.contains(id));
        let wanted: BTreeSet<Digest> = wanted.filter_map(|(_, planned)| lacks(planned)).collect();
        // Another plan differs only if something was found.
        if !facts.ask(&wanted, &mut asked)? {
            return Ok(Known {
                plan,
                records: facts.records.into_inner(),
                asked,
            });
        }
    }
}

/// The key of a stage that has no result.
fn lacks(planned: &Planned) -> Option<Digest> {
    match planned.decision {
        Decision::Run(_) | Decision::Gated(_) => planned.key.as_ref().map(|key| key.digest()),
        _ => None,
    }
}

/// Brings what the plan uses into the store. Bytes that the workspace has are taken from there. Returns the keys of
/// results that are here now.
pub fn bring(
    ws: &Workspace,
    known: &Known,
    elsewhere: &dyn Elsewhere,
) -> Result<BTreeSet<Digest>, StoreError> {
    let mut records = Vec::new();
    for (record, missing) in known.used() {
        for out in record
            .kept_outs()
            .filter(|out| !missing.contains(&out.path))
        {
            if let Ok(path) = RelPath::new(&out.path) {
                let objects = ws.store.objects();
                objects.keep_placed(&path.under(&ws.root), &out.content)?;
            }
        }
        records.push(Arc::clone(record));
    }
    match records.is_empty() {
        true => Ok(BTreeSet::new()),
        false => Ok(elsewhere.bring(&records)),
    }
}

/// The workspace, with records that lie elsewhere as if they were here.
struct WithElsewhere<'a> {
    ws: &'a Workspace,
    elsewhere: &'a dyn Elsewhere,
    records: RefCell<BTreeMap<Digest, Arc<Record>>>,
}

impl WithElsewhere<'_> {
    /// Asks for those of these keys that were not asked for. Returns whether anything new was found.
    fn ask(
        &self,
        keys: &BTreeSet<Digest>,
        asked: &mut BTreeSet<Digest>,
    ) -> Result<bool, FactsError> {
        let mut wanted = Vec::new();
        for key in keys.difference(asked) {
            if !self.is_whole(key)? {
                wanted.push(*key);
            }
        }
        asked.extend(wanted.iter().copied());
        if wanted.is_empty() {
            return Ok(false);
        }
        let found = self.elsewhere.records(&wanted);
        let any = !found.is_empty();
        let found = found.into_iter().map(|record| (record.key, record));
        self.records.borrow_mut().extend(found);
        Ok(any)
    }

    /// Whether the store has a record of a key, and all its bytes.
    fn is_whole(&self, key: &Digest) -> Result<bool, FactsError> {
        let Some(record) = self.ws.record(key)? else {
            return Ok(false);
        };
        for out in record.kept_outs() {
            if !self.ws.out_in_store(out)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether bytes of this out can be had.
    fn has(&self, out: &RecordedOut) -> bool {
        let records = self.records.borrow();
        let mut outs = records.values().flat_map(|record| record.kept_outs());
        outs.any(|there| there.content == out.content)
    }
}

impl Facts for WithElsewhere<'_> {
    fn source(&self, path: &RelPath) -> Result<Option<Digest>, FactsError> {
        self.ws.source(path)
    }

    fn glob(&self, pattern: &str) -> Result<Vec<(RelPath, Digest)>, FactsError> {
        self.ws.glob(pattern)
    }

    fn toolchain(&self) -> Result<Vec<(RelPath, Digest)>, FactsError> {
        self.ws.toolchain()
    }

    fn notebook(&self, path: &RelPath) -> Result<Option<Digest>, FactsError> {
        self.ws.notebook(path)
    }

    fn code(&self, package: &str) -> Result<Digest, FactsError> {
        self.ws.code(package)
    }

    fn host_env(&self, name: &str) -> Option<String> {
        self.ws.host_env(name)
    }

    fn cards(&self) -> &[Card] {
        self.ws.cards()
    }

    fn environment(&self, stage: &Stage) -> Result<Option<KeyEnvironment>, Unnamed> {
        Facts::environment(self.ws, stage)
    }

    fn ask_tools(&self, graph: &Graph, stages: &BTreeSet<StageId>) {
        self.ws.ask_tools(graph, stages);
    }

    fn lacks(&self, stage: &Stage) -> Vec<String> {
        self.ws.lacks(stage)
    }

    fn stands(&self, stage: &Stage, key: &StageKey) -> Result<Option<Stands>, FactsError> {
        self.ws.stands(stage, key)
    }

    fn tool(&self, stage: &Stage, tool: &Tool) -> Result<String, FactsError> {
        self.ws.tool(stage, tool)
    }

    fn record(&self, key: &Digest) -> Result<Option<Arc<Record>>, FactsError> {
        match self.ws.record(key)? {
            None => Ok(self.records.borrow().get(key).cloned()),
            here => Ok(here),
        }
    }

    fn out_in_place(&self, out: &RecordedOut) -> Result<bool, FactsError> {
        self.ws.out_in_place(out)
    }

    fn out_in_store(&self, out: &RecordedOut) -> Result<bool, FactsError> {
        Ok(self.ws.out_in_store(out)? || self.has(out))
    }

    fn part(&self, out: &RecordedOut, inside: &str) -> Result<InFolder, FactsError> {
        match self.ws.part(out, inside) {
            Err(FactsError::Store(error))
                if error.lost_object().is_some()
                    && out.content.kind == Kind::Tree
                    && self.has(out)
                    && self.elsewhere.manifest(&out.content.digest) =>
            {
                self.ws.part(out, inside)
            }
            found => found,
        }
    }

    fn last_key(&self, stage: &str) -> Option<Arc<StageKey>> {
        self.ws.last_key(stage)
    }

    fn last_seconds(&self, stage: &str) -> Option<f64> {
        self.ws.last_seconds(stage)
    }
}
