//! Files that a pattern would match, but for the folder of another stage that they lie in: which files
//! that stage writes is not known before it has run, so that no pattern looks into it.

use std::collections::BTreeSet;
use std::path::Path;

use super::facts::FactsError;
use super::workspace::Workspace;
use restage_core::files::files_below;
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_pipeline::graph::{Graph, Input, StageId};

/// A pattern, and a file that it does not match though it reads as if it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFolder {
    /// The pattern.
    pub pattern: String,
    /// A stage that reads it.
    pub reader: String,
    /// The first such file.
    pub file: RelPath,
    /// The folder that it lies in.
    pub out: RelPath,
    /// The stage that writes it.
    pub writer: String,
}

/// Files of this kind that are there now, one for each pattern and folder of another stage.
/// `.restageignore` can name what is not meant.
pub fn in_folders(
    ws: &Workspace,
    graph: &Graph,
    selected: &BTreeSet<StageId>,
) -> Result<Vec<InFolder>, FactsError> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for &id in selected {
        for input in graph.inputs(id) {
            let Input::SourceGlob { pattern, .. } = input else {
                continue;
            };
            let Ok(glob) = Glob::new(pattern) else {
                continue;
            };
            if !seen.insert(pattern) {
                continue;
            }
            for &writer in graph.ids() {
                for out in &graph.stage(writer).outs {
                    let path = Path::new(out.path.as_str());
                    let reads = |input: &Input| matches!(input, Input::Produced { path, .. } if path.is_within(&out.path));
                    if writer == id
                        || !path.starts_with(glob.base_folder())
                        || !glob.may_match_in(path)
                        || graph.inputs(id).iter().any(reads)
                    {
                        continue;
                    }
                    if let Some(file) = first_match(ws, &glob, &out.path)? {
                        found.push(InFolder {
                            pattern: pattern.clone(),
                            reader: graph.stage(id).name.clone(),
                            file,
                            out: out.path.clone(),
                            writer: graph.stage(writer).name.clone(),
                        });
                    }
                }
            }
        }
    }
    Ok(found)
}

fn first_match(ws: &Workspace, glob: &Glob, out: &RelPath) -> Result<Option<RelPath>, FactsError> {
    let there = fs::metadata_if_exists(&out.under(&ws.root))?;
    if !there.is_some_and(|there| there.is_dir()) {
        return Ok(None);
    }
    let ignored = ws.ignored()?;
    let skip = |path: &RelPath| {
        let path = Path::new(path.as_str());
        ignored.matches(path, true) || ignored.matches(path, false)
    };
    if skip(out) {
        return Ok(None);
    }
    let files = files_below(&ws.root, out.as_str(), &skip)?.files;
    Ok(files.into_iter().find(|file| glob.matches(file)))
}
