//! A stage that can't run here, and the committed outs that stand for its result (docs/adr/0030).

use std::sync::Arc;

use restage_store::Record;

/// A stage that would have to run, and can't here.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// What it lacks: "no graphics card".
    pub lacks: Vec<String>,
    /// Its committed outs, if they are in the workspace.
    pub stands: Option<Stands>,
}

/// The outs that `pipeline.lock` names for a stage, in the workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Stands {
    /// A record of them that no store has: its key is the one that `pipeline.lock` names.
    pub record: Arc<Record>,
    /// Whether a run here would have this key too, so that they are what it would make.
    pub is_current: bool,
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.lacks.join(", "))?;
        f.write_str(match &self.stands {
            None => "; its outs are not those of `pipeline.lock`",
            Some(stands) if stands.is_current => "; its outs are those of `pipeline.lock`",
            Some(_) => {
                "; its outs are those of `pipeline.lock`, made from other inputs or on another machine"
            }
        })
    }
}
