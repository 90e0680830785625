//! What the patterns of claims, the page, the exports and `compare` match: outs and sources, but nothing
//! that is left over or another profile's (docs/adr/0021) or comes from another seed (docs/adr/0011).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::former::{Former, PassedOver};
use super::workspace::Workspace;
use restage_core::files::{HIDDEN, matching};
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_pipeline::OtherSeeds;
use restage_store::StoreError;

/// Where cargo puts what it builds: searched only if a stage writes there.
const TARGET: &str = "target";

/// Matches patterns in a workspace.
#[derive(Debug)]
pub struct Patterns {
    root: PathBuf,
    other_seeds: OtherSeeds,
    former: Arc<Former>,
    in_target: bool,
    passed_over: Mutex<BTreeMap<RelPath, PassedOver>>,
}

impl Patterns {
    /// As the workspace is now.
    pub fn of(ws: &Workspace) -> Result<Self, StoreError> {
        let mut outs = ws.outs.iter();
        Ok(Self {
            root: ws.root.clone(),
            other_seeds: ws.other_seeds.clone(),
            former: Arc::clone(ws.former()?),
            in_target: outs.any(|out| Path::new(out.as_str()).starts_with(TARGET)),
            passed_over: Mutex::default(),
        })
    }

    /// The files that a pattern matches, sorted. One without special characters names a file, wherever
    /// that comes from.
    pub fn matching(&self, pattern: &Glob) -> Result<Vec<RelPath>, StoreError> {
        if !Glob::is_glob(pattern.as_str())
            && let Ok(path) = RelPath::new(pattern.as_str())
        {
            let there = fs::metadata_if_exists(&path.under(&self.root))?;
            return Ok(there.into_iter().map(|_| path.clone()).collect());
        }
        let skip = |path: &Path, _: bool| {
            let path = path.to_str().and_then(|text| RelPath::new(text).ok());
            path.is_some_and(|path| {
                HIDDEN.contains(&path.as_str())
                    || (path.as_str() == TARGET && !self.in_target)
                    || self.other_seeds.wrote(&path)
            })
        };
        let mut files = Vec::new();
        for path in matching(&self.root, pattern, &skip)?.files {
            if !self.passes(&path, |_| true)? {
                files.push(path);
            }
        }
        Ok(files)
    }

    /// Whether a run wrote exactly what is at a path, and no stage declares it any more.
    pub fn is_left_over(&self, path: &RelPath) -> Result<bool, StoreError> {
        self.passes(path, |passed| !passed.elsewhere)
    }

    fn passes(
        &self,
        path: &RelPath,
        counts: impl Fn(&PassedOver) -> bool,
    ) -> Result<bool, StoreError> {
        let passed = self.former.passed_over(path)?.map(|(passed, _)| passed);
        let Some(passed) = passed.filter(counts) else {
            return Ok(false);
        };
        let mut all = self
            .passed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert(path.clone(), passed);
        Ok(true)
    }

    /// What was passed over where something was looked for so far.
    pub fn passed_over(&self) -> Vec<(RelPath, PassedOver)> {
        let all = self
            .passed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.clone().into_iter().collect()
    }
}
