//! What an import gives: the pipeline's text, and what is to be said of it.

use super::lock::Instance;

/// What became of one or several `dvc.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// `pipeline.yaml`.
    pub text: String,
    /// The stages in it.
    pub stages: Vec<String>,
    /// Their instances, for [`DvcLock::files`](super::DvcLock::files).
    pub instances: Vec<Instance>,
    /// What has no equivalent in it, in the order of files and lines.
    pub unmapped: Vec<Unmapped>,
    /// What has another form in it.
    pub changes: Vec<Change>,
    /// Files that parameters come from.
    pub from: Vec<String>,
    /// Stages that were left out.
    pub left_out: Vec<String>,
    /// Whether a path leads out of the pipeline's folder: a folder above it may be the right one.
    pub leads_outside: bool,
}

impl Imported {
    /// The stages that don't do what they did, whether they were left out or not.
    pub fn not_working(&self) -> Vec<&str> {
        let broken = self.unmapped.iter().filter(|item| item.breaks);
        let mut names: Vec<&str> = broken.filter_map(|item| item.stage.as_deref()).collect();
        names.dedup();
        names
    }
}

/// Something in `dvc.yaml` that has no equivalent in `pipeline.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmapped {
    /// The `dvc.yaml`, as it was named.
    pub file: String,
    /// In it.
    pub line: usize,
    /// Its stage, if it belongs to one.
    pub stage: Option<String>,
    /// What it is.
    pub field: String,
    /// Why, or what to do instead.
    pub advice: String,
    /// Whether its stage does not do without it what it did.
    pub breaks: bool,
}

/// Something that is in `pipeline.yaml` in another form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The `dvc.yaml`, as it was named.
    pub file: String,
    /// Of the stage in it.
    pub line: usize,
    /// The stage.
    pub stage: String,
    /// What changed.
    pub text: String,
}

/// Collected on the way.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) unmapped: Vec<Unmapped>,
    pub(super) changes: Vec<Change>,
    pub(super) leads_outside: bool,
}
