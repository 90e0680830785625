//! Three-way merge of `pipeline.lock`, by profile and stage.
//! It must not know git, nor the disk.

use std::collections::BTreeSet;

use super::{LockEntry, LockFile};

/// What became of two sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// What both agree on.
    pub lock: LockFile,
    /// Stages that were left out because they don't agree, by profile and name.
    pub left_out: Vec<Disagreement>,
}

/// A stage about which two sides don't agree: it counts as not reproduced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The profile.
    pub profile: String,
    /// The stage.
    pub stage: String,
    /// How they differ.
    pub reason: Reason,
}

/// How two sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Each has another result.
    BothChanged,
    /// One has another result, the other has none any more.
    RemovedAndChanged,
}

/// Merges what two sides made of `base`: a stage that one side left alone is the other's; one
/// of which they made different things is left out.
pub fn merge(base: &LockFile, ours: &LockFile, theirs: &LockFile) -> Merged {
    let mut merged = Merged {
        lock: LockFile::default(),
        left_out: Vec::new(),
    };
    let names: BTreeSet<(&str, &str)> = [base, ours, theirs]
        .into_iter()
        .flat_map(LockFile::entries)
        .map(|(profile, stage, _)| (profile, stage))
        .collect();
    for (profile, stage) in names {
        let side = |lock| LockFile::get(lock, profile, stage);
        match settled(side(base), side(ours), side(theirs)) {
            Ok(Some(entry)) => {
                let stages = merged.lock.0.entry(profile.to_owned()).or_default();
                stages.insert(stage.to_owned(), entry.clone());
            }
            Ok(None) => {}
            Err(reason) => merged.left_out.push(Disagreement {
                profile: profile.to_owned(),
                stage: stage.to_owned(),
                reason,
            }),
        }
    }
    merged
}

fn settled<'a>(
    base: Option<&'a LockEntry>,
    ours: Option<&'a LockEntry>,
    theirs: Option<&'a LockEntry>,
) -> Result<Option<&'a LockEntry>, Reason> {
    if ours == theirs || theirs == base {
        Ok(ours)
    } else if ours == base {
        Ok(theirs)
    } else if ours.is_some() && theirs.is_some() {
        Err(Reason::BothChanged)
    } else {
        Err(Reason::RemovedAndChanged)
    }
}
