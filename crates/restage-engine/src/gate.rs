//! Stages that this machine can't run: what they lack, and what their committed outs are
//! (docs/adr/0030).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::facts::FactsError;
use super::stands::Stands;
use restage_core::clock::WallTime;
use restage_core::digest::{PathDigest, StageKey};
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_pipeline::{Gpus, Stage};
use restage_store::lockfile::LockEntry;
use restage_store::{Record, RecordedOut};
use restage_worker::HostEnv;

/// What a stage requires and this machine lacks.
pub(super) fn lacks(root: &Path, env: &HostEnv, stage: &Stage) -> Vec<String> {
    let requires = &stage.requires;
    let mut lacks = Vec::new();
    if requires.gpu {
        let have = env.cards().len();
        let wanted = stage.resources.gpu.needed(have).max(1);
        match (stage.resources.gpu, have) {
            _ if wanted <= have => {}
            (_, 0) => lacks.push("no graphics card".to_owned()),
            (Gpus::Card(number), _) => lacks.push(format!("no graphics card {number}")),
            (_, have) => lacks.push(format!("{have} of {wanted} graphics cards")),
        }
    }
    // Shells often pass an unset variable on as an empty one.
    let set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
    let unset = requires.env.iter().filter(|name| !set(name));
    lacks.extend(unset.map(|name| format!("`{name}` is not set")));
    let missing = requires.files.iter().filter(|path| {
        let there = in_full(env, path).map(|path| fs::exists(&root.join(path)));
        // What can't be looked at is not there for the stage either.
        !there.is_some_and(|there| there.unwrap_or(false))
    });
    lacks.extend(missing.map(|path| format!("there is no `{path}`")));
    lacks
}

/// A path with the caller's home in place of `~`; `None` where that is not known.
fn in_full(env: &HostEnv, path: &str) -> Option<PathBuf> {
    match path.strip_prefix("~/") {
        None => Some(PathBuf::from(path)),
        Some(below) => Some(PathBuf::from(env.get("HOME")?).join(below)),
    }
}

/// The outs that an entry of `pipeline.lock` names for a stage, if all of them are in the workspace.
/// `name` is the stage's in the store; `known`, what the store has of the run that the entry is of.
pub(super) fn stands(
    stage: &Stage,
    key: &StageKey,
    name: String,
    entry: &LockEntry,
    known: Option<&Record>,
    content: &dyn Fn(&RelPath) -> Result<Option<PathDigest>, FactsError>,
) -> Result<Option<Stands>, FactsError> {
    let ran_with = |path: &str, content: &PathDigest| {
        let mut outs = known.iter().flat_map(|record| &record.outs);
        outs.any(|out| out.path == path && out.content == *content)
    };
    let mut outs = Vec::new();
    for out in &stage.outs {
        let Some(locked) = entry.outs.get(out.path.as_str()) else {
            return Ok(None);
        };
        let Some(content) = content(&out.path)? else {
            return Ok(None);
        };
        // A volatile one has no digest there.
        if locked.is_some_and(|locked| locked != content.content_id()) {
            return Ok(None);
        }
        outs.push(RecordedOut {
            freed: false,
            path: out.path.to_string(),
            // No digest says that these are the bytes of that run, so that what reads them must not count as
            // a result of it: unless the store knows them, they count themselves.
            volatile: out.volatile && ran_with(out.path.as_str(), &content),
            content,
        });
    }
    let now = WallTime::now();
    let mut record = Record::new(key.clone(), name, outs, now, 0.0, None, Vec::new());
    let is_current = record.key == entry.key;
    record.key = entry.key;
    Ok(Some(Stands {
        record: Arc::new(record),
        is_current,
    }))
}
