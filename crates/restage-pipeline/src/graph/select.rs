//! Targets on the command line, and the stages that they stand for.

use std::collections::BTreeSet;

use super::{Graph, StageId};
use restage_core::rel_path::RelPath;
use restage_core::suggest;

/// A target that is nothing in this pipeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no stage, group of stages or output is called `{target}`")]
pub struct SelectError {
    /// As it was given.
    pub target: String,
    /// What it may have meant, or what there is.
    advice: Option<String>,
}

impl SelectError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        self.advice.clone()
    }
}

impl Graph {
    /// The stages to consider for some targets: they and everything that they need. With
    /// `downstream` also everything that depends on them (and what that needs). No target
    /// means every stage. The result is closed under [`Graph::dependencies`].
    ///
    /// # Errors
    /// The first target that names nothing.
    pub fn select(
        &self,
        targets: &[String],
        downstream: bool,
    ) -> Result<BTreeSet<StageId>, SelectError> {
        if targets.is_empty() {
            return Ok(self.ids.iter().copied().collect());
        }
        let mut chosen = BTreeSet::new();
        for target in targets {
            chosen.extend(self.named(target)?);
        }
        if downstream {
            chosen = self.reach(chosen, |id| self.dependents(id));
        }
        Ok(self.reach(chosen, |id| self.dependencies(id)))
    }

    /// The stages that one target names, and no others: a stage (`train@resnet18+43`), a variant
    /// with all its seeds (`train@resnet18`), a group (`train`), an output, or a path inside an
    /// output.
    ///
    /// # Errors
    /// The target names nothing.
    pub fn named(&self, target: &str) -> Result<BTreeSet<StageId>, SelectError> {
        if let Some(id) = self.id(target) {
            return Ok(BTreeSet::from([id]));
        }
        let group: BTreeSet<StageId> = self
            .ids
            .iter()
            .copied()
            .filter(|id| {
                let stage = self.stage(*id);
                stage.group == target || stage.variant() == target
            })
            .collect();
        if !group.is_empty() {
            return Ok(group);
        }
        let namespace = format!("{target}.");
        let ids = self.ids.iter().copied();
        let included = |id: &StageId| {
            let stage = self.stage(*id);
            !stage.folder.is_empty() && stage.group.starts_with(&namespace)
        };
        let included: BTreeSet<StageId> = ids.filter(included).collect();
        if !included.is_empty() {
            return Ok(included);
        }
        let owner = RelPath::new(target)
            .ok()
            .and_then(|path| self.owner_of(&path));
        owner
            .map(|(id, _)| BTreeSet::from([id]))
            .ok_or_else(|| SelectError {
                target: target.to_owned(),
                advice: self.advice(target),
            })
    }

    fn advice(&self, target: &str) -> Option<String> {
        let names = || {
            self.stages()
                .iter()
                .flat_map(|stage| [stage.group.as_str(), stage.variant(), stage.name.as_str()])
        };
        let outs = self
            .stages()
            .iter()
            .flat_map(|stage| &stage.outs)
            .map(|out| out.path.as_str());
        if let Some(found) = suggest::closest(target, names().chain(outs)) {
            return Some(format!("did you mean `{found}`?"));
        }
        let mut groups: Vec<&str> = self
            .stages()
            .iter()
            .map(|stage| stage.group.as_str())
            .collect();
        groups.dedup();
        (!groups.is_empty()).then(|| format!("the stages are {}", suggest::list(groups)))
    }

    fn reach<'a>(
        &'a self,
        mut found: BTreeSet<StageId>,
        next: impl Fn(StageId) -> &'a [StageId],
    ) -> BTreeSet<StageId> {
        let mut open: Vec<StageId> = found.iter().copied().collect();
        while let Some(id) = open.pop() {
            open.extend(next(id).iter().copied().filter(|id| found.insert(*id)));
        }
        found
    }
}
