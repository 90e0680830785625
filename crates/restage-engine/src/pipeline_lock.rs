//! Writes what is reproduced now into `pipeline.lock`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::error::RunError;
use super::event::{Event, Observer};
use super::plan::{Decision, plan};
use super::workspace::Workspace;
use restage_core::fs;
use restage_pipeline::graph::{Graph, StageId};
use restage_store::{Record, StoreError, lockfile};

/// Results by profile and stage.
type KnownResults = BTreeMap<(String, String), Arc<Record>>;

/// Writes the results of a run. A damaged file is set aside and rebuilt: it decides nothing, and
/// the records know what it knew.
pub(super) fn write(
    ws: &Workspace,
    graph: &Graph,
    results: &BTreeMap<StageId, Arc<Record>>,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    let path = ws.lock_file();
    let _turn = lockfile::Turn::wait(ws.store.location().dir())?;
    match update(ws, graph, results, &path) {
        Err(StoreError::LockFile { reason, .. }) if !graph.pipeline().data.is_empty() => {
            let text = format!(
                "could not be read ({reason}), and it says what data is pinned to: it was left as it is; put it \
                 back from git, or delete it"
            );
            observer.event(&Event::Warning {
                stage: &ws.lock_name,
                text: &text,
            });
            Ok(())
        }
        Err(StoreError::LockFile { reason, .. }) => {
            let aside = ws.root.join(".restage/pipeline.lock.damaged");
            fs::rename(&path, &aside)?;
            let text = format!(
                "could not be read ({reason}); it was moved to `{}` and rebuilt from the records \
                 of this store",
                aside.display()
            );
            observer.event(&Event::Warning {
                stage: &ws.lock_name,
                text: &text,
            });
            lockfile::rebuild(
                &ws.store.location().own_tmp(),
                &path,
                known_results(ws, graph)?,
            )?;
            Ok(update(ws, graph, results, &path)?)
        }
        result => Ok(result?),
    }
}

fn update(
    ws: &Workspace,
    graph: &Graph,
    results: &BTreeMap<StageId, Arc<Record>>,
    path: &Path,
) -> Result<(), StoreError> {
    let entries = results
        .iter()
        .map(|(id, record)| (graph.stage(*id).name.clone(), Arc::clone(record)));
    let stages = graph.stages().iter();
    let known: BTreeSet<String> = stages.map(|stage| stage.name.clone()).collect();
    lockfile::update(
        &ws.store.location().own_tmp(),
        path,
        &ws.profile,
        entries,
        &known,
        ws.new_pins(),
        |lock| ws.left_over(lock),
    )
}

/// What the store knows of every profile, and what is up to date here, by profile and stage. A
/// record that two profiles share names one of them, so the plan is asked too.
fn known_results(ws: &Workspace, graph: &Graph) -> Result<KnownResults, StoreError> {
    let mut known = KnownResults::new();
    for (name, record) in ws.store.records().current()? {
        if let Some((profile, stage)) = name.split_once('/') {
            known.insert((profile.to_owned(), stage.to_owned()), record);
        }
    }
    let all = graph.topological().iter().copied().collect();
    // Stages that were not asked for may have no inputs: then none of them is up to date.
    let plan = plan(graph, &all, &BTreeSet::new(), ws).unwrap_or_default();
    for (id, planned) in plan.stages {
        if let Decision::Fresh(record) = planned.decision {
            let stage = graph.stage(id).name.clone();
            known.insert((ws.profile.clone(), stage), record);
        }
    }
    Ok(known)
}
