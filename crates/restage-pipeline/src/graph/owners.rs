//! Who writes which path.

use std::collections::HashMap;

use super::StageId;
use crate::Stage;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;

/// All declared outputs: by path, in order, and the folders above them.
#[derive(Debug, Default)]
pub(super) struct Owners {
    by_path: HashMap<String, (StageId, usize)>,
    /// Sorted by bytes, so that paths of one prefix are neighbours.
    sorted: Vec<(RelPath, StageId, usize)>,
    /// Each folder that has an output somewhere below it, and one such output.
    folders: HashMap<String, (StageId, usize)>,
}

impl Owners {
    pub(super) fn new(stages: &[Stage]) -> Self {
        let mut owners = Self::default();
        for (index, stage) in stages.iter().enumerate() {
            let id = StageId::new(index);
            for (n, out) in stage.outs.iter().enumerate() {
                owners
                    .by_path
                    .entry(out.path.as_str().to_owned())
                    .or_insert((id, n));
                owners.sorted.push((out.path.clone(), id, n));
                for folder in above(out.path.as_str()) {
                    if !owners.folders.contains_key(folder) {
                        owners.folders.insert(folder.to_owned(), (id, n));
                    }
                }
            }
        }
        owners.sorted.sort();
        owners
    }

    /// The output that is exactly this path.
    pub(super) fn exactly(&self, path: &str) -> Option<(StageId, usize)> {
        self.by_path.get(path).copied()
    }

    /// The output that is a folder above this path. With several (which is an error) the
    /// innermost.
    pub(super) fn around(&self, path: &str) -> Option<(StageId, usize)> {
        above(path).find_map(|folder| self.exactly(folder))
    }

    /// The output that is this path, or a folder above it.
    pub(super) fn of(&self, path: &str) -> Option<(StageId, usize)> {
        self.exactly(path).or_else(|| self.around(path))
    }

    /// An output below this folder.
    pub(super) fn below(&self, folder: &str) -> Option<(StageId, usize)> {
        self.folders.get(folder).copied()
    }

    /// The outputs that a pattern matches, sorted by path. `folder/**` also matches the
    /// output `folder` as a whole.
    pub(super) fn matching(&self, glob: &Glob) -> Vec<&(RelPath, StageId, usize)> {
        let whole = glob
            .as_str()
            .strip_suffix("/**")
            .and_then(|base| Glob::new(base).ok());
        let prefix = glob.literal_prefix();
        // `folder` sorts before its prefix `folder/`: begin where it would stand.
        let least = prefix.strip_suffix('/').unwrap_or(prefix);
        let start = self
            .sorted
            .partition_point(|(path, ..)| path.as_str() < least);
        self.sorted[start..]
            .iter()
            .take_while(|(path, ..)| path.as_str().starts_with(least))
            .filter(|(path, ..)| {
                glob.matches(path) || whole.as_ref().is_some_and(|whole| whole.matches(path))
            })
            .collect()
    }
}

/// The folders above a path, innermost first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(at, _)| &path[..at])
}
