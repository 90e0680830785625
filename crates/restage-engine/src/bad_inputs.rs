//! What is wrong with an input, and who did it.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::RunError;
use super::facts::Facts;
use super::shared_inputs::Spoiled;
use super::workspace::Workspace;
use restage_core::digest::{DepContent, StageKey};
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::{Graph, Input, StageId};

/// What to do about a stage that writes into its input.
pub(super) const COPY_FIRST: &str = "nothing was recorded, and the file in the store was set aside; a stage that \
                          changes an input must copy it first (`cp -r --no-preserve=mode in.csv mine.csv`)";

/// Stages of which one did something.
pub(super) fn who(graph: &Graph, stages: &BTreeSet<StageId>) -> String {
    let name = |id: &StageId| format!("`{}`", graph.stage(*id).name);
    let names: Vec<String> = stages.iter().map(name).collect();
    match &names[..] {
        [] => "somebody".to_owned(),
        [name] => format!("stage {name}"),
        [most @ .., last] => format!("one of its readers, {} or {last},", most.join(", ")),
    }
}

/// What a stage did that read an input which was written to meanwhile; `end` is how it failed, if it did.
pub(super) fn spoiled(
    graph: &Graph,
    id: StageId,
    dir: &Path,
    spoiled: &Spoiled,
    end: Option<String>,
) -> String {
    let path = &spoiled.file.path;
    let path = path.strip_prefix(dir).unwrap_or(path).display();
    let text = match spoiled.writers == BTreeSet::from([id]) {
        true => format!("wrote into its input `{path}`"),
        false => {
            let who = who(graph, &spoiled.writers);
            format!("read `{path}`, into which {who} wrote meanwhile")
        }
    };
    match end {
        Some(end) => format!("{end}, and {text}"),
        None => text,
    }
}

/// A source whose content no longer matches the key.
pub(super) fn moved_input(
    ws: &Workspace,
    graph: &Graph,
    id: StageId,
    key: &StageKey,
) -> Result<Option<String>, RunError> {
    let same = |path: &RelPath, content: DepContent| {
        key.deps
            .iter()
            .any(|dep| dep.path == path.as_str() && dep.content == content)
    };
    for input in graph.inputs(id) {
        match input {
            Input::Source { path } => {
                let now = ws.source(path)?;
                if !now.is_some_and(|digest| same(path, DepContent::Bytes(digest))) {
                    return Ok(Some(path.to_string()));
                }
            }
            Input::SourceGlob { pattern, .. } => {
                let now = ws.glob(pattern)?;
                for (path, digest) in &now {
                    if !same(path, DepContent::Bytes(*digest)) {
                        return Ok(Some(path.to_string()));
                    }
                }
                let before = key.globs.iter().find(|glob| glob.pattern == *pattern);
                if before.is_some_and(|glob| glob.paths.len() != now.len()) {
                    return Ok(Some(pattern.clone()));
                }
            }
            Input::Notebook { path } => {
                let now = ws.notebook(path)?;
                if !now.is_some_and(|digest| same(path, DepContent::Bytes(digest))) {
                    return Ok(Some(path.to_string()));
                }
            }
            Input::Produced { .. } => {}
        }
    }
    Ok(None)
}
