//! What is stale and why: a pure function of the graph and of facts.
//! It must not touch the disk, start anything or know the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::facts::{Facts, FactsError, InFolder};
use super::kept;
use super::notebook;
pub use super::obstacle::{Gone, Lack, Obstacle, Unreadable};
pub use super::reason::Reason;
use super::spec;
use super::stands::Gate;
use restage_core::digest::{DepContent, KeyAction, KeyDep, KeyGlob, KeyOut, StageKey, diff};
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::{Graph, Input, StageId};
use restage_pipeline::{Action, Dep, DepPattern, Gpus, Stage};
use restage_store::Record;
use restage_worker::OWN_NAME;

/// What becomes of one stage.
#[derive(Debug, Clone)]
pub enum Decision {
    /// There is a record for its key and its outs are in place.
    Fresh(Arc<Record>),
    /// There is a record for its key, but these outs are missing or edited in the workspace.
    Restore(Arc<Record>, Vec<String>),
    /// There is no record for its key.
    Run(Vec<Reason>),
    /// It can't run, and not for what it requires: something that it reads is not to be had.
    Blocked(Box<Obstacle>),
    /// Stages that it reads from will run. If their outs stay the same, it is fresh after all.
    Waits(BTreeSet<StageId>),
    /// It would have to run, and this machine lacks something that it requires.
    Gated(Box<Gate>),
}

/// The error of whoever needs the key of a stage that can't run.
pub(crate) fn no_key(stage: &Stage, obstacle: &Obstacle) -> FactsError {
    FactsError::NoKey {
        stage: stage.name.clone(),
        reason: obstacle.to_string(),
        hint: obstacle.hint(),
    }
}

/// A decision, and the key if that is known already.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What becomes of the stage.
    pub decision: Decision,
    /// Its key; unknown while it waits, and if it can't run.
    pub key: Option<Arc<StageKey>>,
    /// Whether this machine has all that it requires.
    pub can_run: bool,
    /// Temporary outs of its record that the store no longer has.
    pub not_kept: Vec<String>,
}

impl Planned {
    /// Whether it runs, or may.
    pub fn may_run(&self) -> bool {
        match self.decision {
            Decision::Run(_) => true,
            Decision::Waits(_) => self.can_run,
            Decision::Fresh(_)
            | Decision::Restore(..)
            | Decision::Blocked(_)
            | Decision::Gated(_) => false,
        }
    }

    /// The record of a stage that need not run.
    pub fn record(&self) -> Option<&Arc<Record>> {
        match &self.decision {
            Decision::Fresh(record) | Decision::Restore(record, _) => Some(record),
            Decision::Gated(gate) => gate.stands.as_ref().map(|stands| &stands.record),
            Decision::Run(_) | Decision::Blocked(_) | Decision::Waits(_) => None,
        }
    }
}

/// What becomes of each selected stage.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// By stage.
    pub stages: BTreeMap<StageId, Planned>,
    /// Stages whose outs were not kept and are read by a stage that runs.
    pub needed: BTreeSet<StageId>,
}

impl Plan {
    /// Stages that run, or may.
    pub fn pending(&self) -> impl Iterator<Item = StageId> {
        let stages = self.stages.iter();
        let pending = stages.filter(|(_, planned)| planned.may_run());
        pending.map(|(id, _)| *id)
    }

    /// Whether every stage has the result that a run would give it.
    pub fn is_fresh(&self) -> bool {
        self.stages.values().all(|planned| match &planned.decision {
            Decision::Fresh(_) => true,
            Decision::Gated(gate) => gate.stands.as_ref().is_some_and(|stands| stands.is_current),
            _ => false,
        })
    }
}

/// Decides for every selected stage. `forced` ones run whatever is recorded.
pub fn plan(
    graph: &Graph,
    selected: &BTreeSet<StageId>,
    forced: &BTreeSet<StageId>,
    facts: &dyn Facts,
) -> Result<Plan, FactsError> {
    facts.ask_tools(graph, selected);
    let plan = plan_with(graph, selected, forced, BTreeSet::new(), facts)?;
    let needed = kept::needed(graph, &plan);
    if needed.is_empty() {
        return Ok(plan);
    }
    let mut plan = plan_with(graph, selected, forced, needed, facts)?;
    let stages = &plan.stages;
    plan.needed.retain(|id| stages[id].not_kept.is_empty());
    Ok(plan)
}

/// The plan in which the stages of `needed` run if their outs were not kept. Where they can't, those who
/// must read these outs can't run either; others have nothing to do with it.
fn plan_with(
    graph: &Graph,
    selected: &BTreeSet<StageId>,
    forced: &BTreeSet<StageId>,
    needed: BTreeSet<StageId>,
    facts: &dyn Facts,
) -> Result<Plan, FactsError> {
    let mut plan = Plan {
        needed,
        ..Plan::default()
    };
    for &id in graph
        .topological()
        .iter()
        .filter(|id| selected.contains(id))
    {
        let running: BTreeSet<StageId> = graph
            .dependencies(id)
            .iter()
            .copied()
            .filter(|up| plan.stages.get(up).is_none_or(|p| p.record().is_none()))
            .collect();
        let planned = if running.is_empty() {
            let upstream = |up: StageId| plan.stages.get(&up).and_then(Planned::record).cloned();
            let needed = plan.needed.contains(&id);
            let must = Must {
                run: forced.contains(&id),
                have_outs: needed && kept::can_make(graph, &plan, id, facts),
            };
            let mut planned = decide_what(graph, id, must, &upstream, facts)?;
            let runs = matches!(planned.decision, Decision::Run(_)) && !plan.needed.is_empty();
            if runs && let Some(gone) = kept::out_of_reach(graph, &plan, id, facts) {
                planned = blocked(Obstacle::Gone(gone));
            }
            planned
        } else {
            Planned {
                decision: Decision::Waits(running),
                key: None,
                can_run: facts.lacks(graph.stage(id)).is_empty(),
                not_kept: Vec::new(),
            }
        };
        plan.stages.insert(id, planned);
    }
    Ok(plan)
}

/// Runs every selected stage on the recorded inputs, so that nothing waits.
pub(crate) fn plan_rerun(
    graph: &Graph,
    selected: &BTreeSet<StageId>,
    inputs: &BTreeMap<StageId, Arc<Record>>,
    facts: &dyn Facts,
) -> Result<Plan, FactsError> {
    let upstream = |up: StageId| inputs.get(&up).cloned();
    facts.ask_tools(graph, selected);
    let mut plan = Plan::default();
    for &id in selected {
        let planned = decide(graph, id, true, &upstream, facts)?;
        plan.stages.insert(id, planned);
    }
    Ok(plan)
}

/// What a stage must do, whatever is recorded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Must {
    /// Run.
    pub(crate) run: bool,
    /// Have all its outs: another stage reads one that was not kept.
    pub(crate) have_outs: bool,
}

/// Decides for one stage whose upstream records are all known.
pub(crate) fn decide(
    graph: &Graph,
    id: StageId,
    forced: bool,
    upstream: &dyn Fn(StageId) -> Option<Arc<Record>>,
    facts: &dyn Facts,
) -> Result<Planned, FactsError> {
    let must = Must {
        run: forced,
        have_outs: false,
    };
    decide_what(graph, id, must, upstream, facts)
}

/// The same, with all that may be demanded of it.
pub(crate) fn decide_what(
    graph: &Graph,
    id: StageId,
    must: Must,
    upstream: &dyn Fn(StageId) -> Option<Arc<Record>>,
    facts: &dyn Facts,
) -> Result<Planned, FactsError> {
    let stage = graph.stage(id);
    let key = match stage_key(graph, id, upstream, facts) {
        Ok(key) => Arc::new(key),
        Err(NoKey::Facts(error)) => return Err(error),
        Err(NoKey::Blocked(obstacle)) => return Ok(blocked(obstacle)),
    };
    let mut not_kept = Vec::new();
    let decision = match facts.record(&key.digest())? {
        _ if must.run => Decision::Run(vec![Reason::Forced]),
        // The key is ours; what a record says of its own key may be forged.
        Some(record) if !record.has_outs_of(&key) => Decision::Run(vec![Reason::OtherOuts]),
        Some(record) => {
            let placed = kept::placed(stage, record, must.have_outs, facts)?;
            not_kept = placed.not_kept;
            placed.decision
        }
        None => Decision::Run(reasons(&stage.name, &key, facts)),
    };
    let gate = match &decision {
        Decision::Run(_) => gate(stage, &key, facts)?,
        _ => None,
    };
    Ok(Planned {
        can_run: gate.is_none(),
        decision: gate.map_or(decision, |gate| Decision::Gated(Box::new(gate))),
        key: Some(key),
        not_kept,
    })
}

/// A stage that can't run.
pub(super) fn blocked(obstacle: Obstacle) -> Planned {
    Planned {
        decision: Decision::Blocked(Box::new(obstacle)),
        key: None,
        can_run: false,
        not_kept: Vec::new(),
    }
}

/// What becomes of a stage that would have to run.
fn gate(stage: &Stage, key: &StageKey, facts: &dyn Facts) -> Result<Option<Gate>, FactsError> {
    let lacks = facts.lacks(stage);
    if lacks.is_empty() {
        return Ok(None);
    }
    let stands = facts.stands(stage, key)?;
    Ok(Some(Gate { lacks, stands }))
}

fn reasons(stage: &str, key: &StageKey, facts: &dyn Facts) -> Vec<Reason> {
    match facts.last_key(stage) {
        None => vec![Reason::NeverRan],
        Some(old) => diff(&old, key).into_iter().map(Reason::Changed).collect(),
    }
}

/// Why a stage has no key.
enum NoKey {
    /// No plan can be made.
    Facts(FactsError),
    /// Others can run.
    Blocked(Obstacle),
}

impl From<FactsError> for NoKey {
    fn from(error: FactsError) -> Self {
        Self::Facts(error)
    }
}

/// What was read of sources. Where the machine refuses that, it concerns nobody but their readers;
/// a source that is nothing to read, like a pipe or a bad link, is a mistake in the pipeline.
fn read<T>(found: Result<T, FactsError>) -> Result<T, NoKey> {
    found.map_err(|error| match error {
        FactsError::Fs(error) if !error.is_about_content() => {
            NoKey::Blocked(Obstacle::Unreadable(Unreadable {
                error: error.to_string(),
                hint: error.hint(),
            }))
        }
        FactsError::Data(error) => NoKey::Blocked(Obstacle::Data(error)),
        error => error.into(),
    })
}

/// Everything that can change the stage's result, and nothing else.
fn stage_key(
    graph: &Graph,
    id: StageId,
    upstream: &dyn Fn(StageId) -> Option<Arc<Record>>,
    facts: &dyn Facts,
) -> Result<StageKey, NoKey> {
    let stage = graph.stage(id);
    let mut deps = Vec::new();
    let mut globs = Vec::new();
    for input in graph.inputs(id) {
        match input {
            Input::Source { path } => {
                let content =
                    read(facts.source(path))?.ok_or_else(|| missing_input(stage, path.as_str()))?;
                deps.push(KeyDep {
                    path: path.to_string(),
                    content: DepContent::Bytes(content),
                });
            }
            Input::SourceGlob { pattern, required } => {
                let found = read(facts.glob(pattern))?;
                if found.is_empty() && *required {
                    return Err(no_match(stage, pattern).into());
                }
                globs.push(KeyGlob {
                    pattern: pattern.clone(),
                    paths: found.iter().map(|(path, _)| path.to_string()).collect(),
                });
                deps.extend(found.into_iter().map(|(path, content)| KeyDep {
                    path: path.to_string(),
                    content: DepContent::Bytes(content),
                }));
            }
            Input::Notebook { .. } => deps.extend(read(notebook::key_dep(stage, facts))?),
            Input::Produced {
                stage: producer,
                out,
                path,
            } => {
                let record = upstream(*producer)
                    .ok_or_else(|| FactsError::Unsettled(graph.stage(*producer).name.clone()))?;
                let content = produced(graph.stage(*producer), *out, path, &record, facts)?;
                deps.push(KeyDep {
                    path: path.to_string(),
                    content,
                });
            }
        }
    }
    if let Action::Command { .. } = &stage.action {
        let chosen = read(facts.toolchain())?.into_iter();
        deps.extend(chosen.map(|(path, content)| KeyDep {
            path: path.to_string(),
            content: DepContent::Bytes(content),
        }));
    }
    deps.sort();
    deps.dedup();
    let environment = facts.environment(stage);
    let environment = environment.map_err(|no| NoKey::Blocked(Obstacle::NoEnvironment(no)))?;
    Ok(StageKey {
        version: StageKey::VERSION,
        action: match &stage.action {
            Action::Program { package, args } => KeyAction::Program {
                package: package.clone(),
                code: facts.code(package)?,
                args: args.clone(),
            },
            Action::Fetch(fetch) => KeyAction::Fetch {
                sha256: fetch.sha256.clone(),
                unpack: fetch.unpack.clone(),
            },
            Action::Command(script) => KeyAction::Script {
                shell: stage.in_folder(script.shell.words()),
                lines: script.for_key(),
            },
        },
        params: stage.params.clone(),
        deps,
        globs,
        env: stage
            .env
            .iter()
            .map(|(name, value)| {
                let value = value.clone().or_else(|| facts.host_env(name));
                (name.clone(), value)
            })
            .chain(spec::own_name(stage).map(|name| (OWN_NAME.to_owned(), Some(name))))
            .collect(),
        outs: stage
            .outs
            .iter()
            .map(|out| KeyOut {
                path: out.path.to_string(),
                volatile: out.volatile,
            })
            .collect(),
        machine: machine(stage.resources.gpu, facts),
        tools: stage
            .tools
            .iter()
            .map(|tool| Ok((tool.line.clone(), facts.tool(stage, tool)?)))
            .collect::<Result<_, FactsError>>()?,
        secrets: stage.secrets.iter().map(|s| s.name.clone()).collect(),
        environment,
    })
}

/// What an out, or a part of one, gives to a stage that reads it at `path`.
fn produced(
    producer: &Stage,
    out: usize,
    path: &RelPath,
    record: &Record,
    facts: &dyn Facts,
) -> Result<DepContent, NoKey> {
    let lost = || FactsError::Unsettled(producer.name.clone());
    let declared = producer.outs.get(out).ok_or_else(lost)?;
    let mut recorded = record.outs.iter();
    let recorded = recorded
        .find(|recorded| recorded.path == declared.path.as_str())
        .ok_or_else(lost)?;
    let content = match path.inside(&declared.path) {
        None => recorded.content.content_id(),
        Some(inside) => match facts.part(recorded, inside)? {
            InFolder::There(content) => content,
            InFolder::NotThere(files) => {
                return Err(NoKey::Blocked(Obstacle::Lacks(Lack {
                    path: path.to_string(),
                    writer: producer.name.clone(),
                    out: declared.path.to_string(),
                    files,
                })));
            }
        },
    };
    Ok(match declared.volatile && recorded.volatile {
        true => DepContent::VolatileOf(record.key),
        false => DepContent::Bytes(content),
    })
}

fn no_match(stage: &Stage, pattern: &str) -> FactsError {
    let declared = |dep: &&Dep| matches!(&dep.pattern, DepPattern::Glob(p) if p == pattern);
    let dep = stage.deps.iter().find(declared);
    FactsError::NoMatch {
        stage: stage.name.clone(),
        pattern: pattern.to_owned(),
        location: dep.map_or(stage.location, |dep| dep.location),
    }
}

fn missing_input(stage: &Stage, path: &str) -> FactsError {
    let location = stage
        .deps
        .iter()
        .find(|dep| matches!(&dep.pattern, DepPattern::Path(p) if p.as_str() == path))
        .map_or(stage.location, |dep| dep.location);
    FactsError::MissingInput {
        stage: stage.name.clone(),
        path: path.to_owned(),
        location,
    }
}

/// What changes the bits of a stage that computes on graphics cards: their kinds. Which card it
/// gets is not known yet, so all that it may get are named.
fn machine(gpus: Gpus, facts: &dyn Facts) -> BTreeMap<String, String> {
    let cards = facts.cards();
    let kinds: BTreeSet<&str> = match gpus {
        Gpus::Unstated | Gpus::Count(0) => None,
        Gpus::Card(number) => cards.get(number as usize..=number as usize),
        Gpus::Count(_) | Gpus::Auto => Some(cards),
    }
    .unwrap_or_default()
    .iter()
    .map(|card| card.kind.as_str())
    .collect();
    if kinds.is_empty() {
        return BTreeMap::new();
    }
    let kinds: Vec<&str> = kinds.into_iter().collect();
    BTreeMap::from([("gpu".to_owned(), kinds.join(" or "))])
}
