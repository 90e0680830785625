//! Puts recorded outs into the workspace, each the way that its stage declares (docs/adr/0015), and
//! loses nothing that stands there (docs/adr/0021).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::RunError;
use super::standing::{self, Aside, Foreigners, Stranger};
use super::workspace::Workspace;
use restage_core::digest::Kind;
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
    /// Paths of outs that are nowhere but in the store.
    temporary: Arc<BTreeSet<String>>,
    aside: Aside,
}

impl Publisher {
    pub(super) fn new(
        ws: &Workspace,
        graph: &Graph,
        foreigners: Foreigners,
    ) -> Result<Self, RunError> {
        let outs = graph.stages().iter().flat_map(|stage| &stage.outs);
        let linked = outs.clone().filter(|out| out.place == Place::Link);
        let temporary = outs.filter(|out| out.temporary);
        Ok(Self {
            temporary: Arc::new(temporary.map(|out| out.path.to_string()).collect()),
            store: ws.store.clone(),
            root: ws.root.clone(),
            linked: Arc::new(linked.map(|out| out.path.to_string()).collect()),
            aside: Aside::new(ws, graph, foreigners)?,
        })
    }

    /// Copies are noted in `unflushed`, to reach the disk with whatever else is flushed. The store
    /// has them all, so a power cut before that costs another restore, no more.
    pub(super) fn publish(
        &self,
        out: &RecordedOut,
        unflushed: &mut Unflushed,
    ) -> Result<(), RunError> {
        if self.temporary.contains(&out.path) {
            return Ok(());
        }
        let placement = match self.linked.contains(&out.path) {
            true => Placement::Linked,
            false => Placement::Plain,
        };
        let dest = self.root.join(&out.path);
        if let Some(parent) = dest.parent() {
            fs::create_dir_all(parent)?;
        }
        let objects = self.store.objects();
        let look = |inside: &Path, at: &Path| self.aside.make_way(out, inside, at);
        let stays = standing::stays(&dest)?;
        if stays && out.content.kind != Kind::Tree {
            // A link to a folder, and a file takes its place: what is in the folder stays there.
            let (name, at) = (PathBuf::from(&out.path), dest.clone());
            self.aside.take(&out.path, &[Stranger { name, at }])?;
        } else {
            // Now, too: a crash between the replacement and the look would lose it.
            look(Path::new(""), &dest)?;
        }
        if stays && out.content.kind == Kind::Tree {
            return Ok(objects.fill(&out.content, &dest, &look)?);
        }
        objects.replace(&out.content, &dest, placement, &look)?;
        if placement == Placement::Plain {
            unflushed.copy(dest, out.content);
        }
        Ok(())
    }

    /// The outs in whose way something stood since the last call, and what became of it.
    pub(super) fn take_moved(&self) -> Vec<(String, String)> {
        self.aside.take_moved()
    }
}
