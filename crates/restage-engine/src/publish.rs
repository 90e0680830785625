//! Puts recorded outs into the workspace, each the way that its stage declares (docs/adr/0015).

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::RunError;
use super::workspace::Workspace;
use restage_core::fs;
use restage_pipeline::Place;
use restage_pipeline::graph::Graph;
use restage_store::{Placement, RecordedOut, Store};

/// From this many copies on, one flush of the whole file system is cheaper than one per file.
const FLUSH_ALL_FROM: usize = 8;

/// Where recorded outs go.
#[derive(Clone)]
pub(super) struct Publisher {
    store: Store,
    root: PathBuf,
    /// Paths of outs that are links; all others are copies.
    linked: Arc<BTreeSet<String>>,
    /// Copies that may so far be only in memory.
    unflushed: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Publisher {
    pub(super) fn new(ws: &Workspace, graph: &Graph) -> Self {
        let outs = graph.stages().iter().flat_map(|stage| &stage.outs);
        let linked = outs.filter(|out| out.place == Place::Link);
        Self {
            store: ws.store.clone(),
            root: ws.root.clone(),
            linked: Arc::new(linked.map(|out| out.path.to_string()).collect()),
            unflushed: Arc::default(),
        }
    }

    pub(super) fn publish(&self, out: &RecordedOut) -> Result<(), RunError> {
        let placement = match self.linked.contains(&out.path) {
            true => Placement::Linked,
            false => Placement::Plain,
        };
        let dest = self.root.join(&out.path);
        if let Some(parent) = dest.parent() {
            fs::create_dir_all(parent)?;
        }
        let objects = self.store.objects();
        objects.materialize(&out.content, &dest, placement)?;
        if placement == Placement::Plain {
            self.unflushed().insert(dest);
        }
        Ok(())
    }

    /// Waits until published copies are on the disk, many at once. The store has them all, so a
    /// power cut before this costs another restore, no more. What somebody has removed since is
    /// passed over.
    pub(super) fn flush(&self) -> Result<(), RunError> {
        let copies = std::mem::take(&mut *self.unflushed());
        let all = copies.len() >= FLUSH_ALL_FROM;
        let mut devices = BTreeSet::new();
        for copy in &copies {
            let Some(found) = fs::metadata_if_exists(copy)? else {
                continue;
            };
            if all || found.is_dir() {
                if devices.insert(found.dev()) {
                    fs::sync_file_system(copy)?;
                }
            } else {
                fs::sync_file(copy)?;
                if let Some(parent) = copy.parent() {
                    fs::sync_dir(parent)?;
                }
            }
        }
        Ok(())
    }

    fn unflushed(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        // A set is valid after every statement, so a panic elsewhere does not spoil it.
        self.unflushed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
