//! What a run is told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::audit::Audit;
use crate::elsewhere::Elsewhere;
use crate::standing::Foreigners;
use crate::tokens::Capacity;
use restage_core::digest::Digest;
use restage_pipeline::graph::StageId;

/// What to run and with what.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// What may be used at once.
    pub capacity: Capacity,
    /// After a failure, go on with what does not depend on it.
    pub keep_going: bool,
    /// Stages to bring up to date.
    pub selected: BTreeSet<StageId>,
    /// Stages to run whatever is recorded.
    pub forced: BTreeSet<StageId>,
    /// Trace the stages that run, and report what they do not declare.
    pub audit: Option<Audit>,
    /// A program that becomes a launcher ([`restage_exec::launch`]): restage itself. `None`: no
    /// stage is kept apart.
    pub launcher: Option<PathBuf>,
    /// What becomes of files that no run wrote and that stand where outs go.
    pub foreigners: Foreigners,
    /// Where results are asked for that a stage would have to run for.
    pub elsewhere: Option<FromElsewhere>,
}

/// Results that lie elsewhere.
#[derive(Debug, Clone)]
pub struct FromElsewhere {
    /// Who is asked.
    pub elsewhere: Arc<dyn Elsewhere>,
    /// Keys that were asked for.
    pub asked: BTreeSet<Digest>,
}
