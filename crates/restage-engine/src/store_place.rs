//! Where a store must not lie: in a file or folder that a stage reads or writes.
//!
//! It would change what is read while it is read, and be replaced with what is written.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::RunError;
use restage_core::fs::{self, FsError};
use restage_core::rel_path::RelPath;
use restage_pipeline::DepPattern;
use restage_pipeline::graph::Graph;
use restage_store::Location;

/// Refuses a store in what a stage of the pipeline at `root` reads or writes. Nothing needs to be
/// there yet. Patterns pass over the store.
pub fn check_store(root: &Path, location: &Location, graph: &Graph) -> Result<(), RunError> {
    let root = fs::canonicalize(root)?;
    let mut folders = location.real()?;
    // In the pipeline's folder nothing is declared there.
    folders.remove(&root.join(".restage"));
    for dir in folders {
        let place = Place::of(&root, dir)?;
        for stage in graph.stages() {
            let read = stage.deps.iter().filter_map(|dep| match &dep.pattern {
                DepPattern::Path(path) => Some(path),
                DepPattern::Glob(_) => None,
            });
            let written = stage.outs.iter().map(|out| &out.path);
            let read = read.map(|path| ("reads", path));
            for (does, path) in read.chain(written.map(|path| ("writes", path))) {
                if place.is_within(path)? {
                    return Err(RunError::StorePlace {
                        stage: stage.name.clone(),
                        does,
                        path: path.to_string(),
                        dir: place.dir,
                    });
                }
            }
        }
    }
    Ok(())
}

/// A folder of a store.
struct Place {
    root: PathBuf,
    dir: PathBuf,
    /// Its path below the root, if it has one.
    below: Option<RelPath>,
    /// Device and inode of it and of the folders that it lies in: a declared path may be a link.
    above: BTreeSet<(u64, u64)>,
}

impl Place {
    fn of(root: &Path, dir: PathBuf) -> Result<Self, FsError> {
        let mut above = BTreeSet::new();
        for folder in dir.ancestors() {
            above.extend(identity(folder)?);
        }
        let below = dir.strip_prefix(root).ok().and_then(Path::to_str);
        Ok(Self {
            root: root.to_owned(),
            below: below.and_then(|path| RelPath::new(path).ok()),
            dir,
            above,
        })
    }

    fn is_within(&self, path: &RelPath) -> Result<bool, FsError> {
        if self
            .below
            .as_ref()
            .is_some_and(|below| below.is_within(path))
        {
            return Ok(true);
        }
        let there = identity(&path.under(&self.root))?;
        Ok(there.is_some_and(|there| self.above.contains(&there)))
    }
}

fn identity(path: &Path) -> Result<Option<(u64, u64)>, FsError> {
    let found = fs::metadata_if_exists(path)?;
    Ok(found.map(|found| (found.dev(), found.ino())))
}
