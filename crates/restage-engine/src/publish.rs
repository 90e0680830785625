//! Puts recorded outs into the workspace, each the way that its stage declares (docs/adr/0015).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::RunError;
use super::workspace::Workspace;
use restage_core::fs;
use restage_pipeline::Place;
use restage_pipeline::graph::Graph;
use restage_store::{Placement, RecordedOut, Store, Unflushed};

/// Where recorded outs go.
#[derive(Clone)]
pub(super) struct Publisher {
    store: Store,
    root: PathBuf,
    /// Paths of outs that are links; all others are copies.
    linked: Arc<BTreeSet<String>>,
}

impl Publisher {
    pub(super) fn new(ws: &Workspace, graph: &Graph) -> Self {
        let outs = graph.stages().iter().flat_map(|stage| &stage.outs);
        let linked = outs.filter(|out| out.place == Place::Link);
        Self {
            store: ws.store.clone(),
            root: ws.root.clone(),
            linked: Arc::new(linked.map(|out| out.path.to_string()).collect()),
        }
    }

    /// Copies are noted in `unflushed`, to reach the disk with whatever else is flushed. The store
    /// has them all, so a power cut before that costs another restore, no more.
    pub(super) fn publish(
        &self,
        out: &RecordedOut,
        unflushed: &mut Unflushed,
    ) -> Result<(), RunError> {
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
            unflushed.copy(dest, out.content);
        }
        Ok(())
    }
}
