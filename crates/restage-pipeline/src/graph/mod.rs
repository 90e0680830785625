//! The stages and what flows between them: built once, then sealed.
//! It knows neither YAML, nor the disk, nor what has already run.

mod build;
mod clash;
mod cycle;
mod draw;
mod inputs;
mod owners;
mod select;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::{Data, Pipeline, Stage};
use restage_core::rel_path::RelPath;

pub use draw::Mark;
use owners::Owners;
pub use select::SelectError;

/// One stage instance of one graph; ordered as the file declares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(u32);

impl StageId {
    /// Its position among [`Graph::stages`].
    pub fn index(self) -> usize {
        self.0 as usize
    }

    fn new(index: usize) -> Self {
        Self(
            u32::try_from(index)
                .expect("a pipeline has fewer than 2^32 stages: they are in memory"),
        )
    }
}

/// Something that a stage reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file or folder that no stage writes.
    Source {
        /// Where it is.
        path: RelPath,
    },
    /// Every file on disk that a pattern matches and that no stage writes: whoever expands it
    /// passes over paths that have an owner ([`Graph::owner_of`]) or had one by another seed
    /// ([`crate::OtherSeeds`]).
    SourceGlob {
        /// The pattern, for [`restage_core::glob::Glob`].
        pattern: String,
        /// Whether there must be one: no other stage's out matches, and the dep is not optional.
        required: bool,
    },
    /// A notebook that it runs, which no stage writes: of its bytes only cells and kernel count.
    Notebook {
        /// Where it is.
        path: RelPath,
    },
    /// An output of another stage, or a part of it.
    Produced {
        /// Who writes it.
        stage: StageId,
        /// Which of that stage's `outs`.
        out: usize,
        /// What is read: that output, or a path inside it.
        path: RelPath,
    },
}

/// The pipeline as a graph without cycles, in which every path has at most one writer. There
/// is no way to change it.
#[derive(Debug)]
pub struct Graph {
    pipeline: Pipeline,
    ids: Vec<StageId>,
    inputs: Vec<Vec<Input>>,
    /// From writer to reader, node index = stage index.
    edges: petgraph::graph::DiGraph<(), ()>,
    dependencies: Vec<Vec<StageId>>,
    dependents: Vec<Vec<StageId>>,
    topological: Vec<StageId>,
    owners: Owners,
    by_name: HashMap<String, StageId>,
}

impl Graph {
    /// The pipeline, with what it says apart from its stages.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// All stages in declared order.
    pub fn stages(&self) -> &[Stage] {
        &self.pipeline.stages
    }

    /// One stage.
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.pipeline.stages[id.index()]
    }

    /// All ids in declared order.
    pub fn ids(&self) -> &[StageId] {
        &self.ids
    }

    /// The stage instance of this exact name.
    pub fn id(&self, name: &str) -> Option<StageId> {
        self.by_name.get(name).copied()
    }

    /// Every stage after all that it reads from; declared order where nothing else decides.
    pub fn topological(&self) -> &[StageId] {
        &self.topological
    }

    /// What a stage reads, each thing once: in the order of its deps, and by path within a
    /// pattern's matches, whose [`Input::SourceGlob`] comes last.
    pub fn inputs(&self, id: StageId) -> &[Input] {
        &self.inputs[id.index()]
    }

    /// The stages that it reads from, without those further up; ascending.
    pub fn dependencies(&self, id: StageId) -> &[StageId] {
        &self.dependencies[id.index()]
    }

    /// The stages that read from it, without those further down; ascending.
    pub fn dependents(&self, id: StageId) -> &[StageId] {
        &self.dependents[id.index()]
    }

    /// The data from outside the pipeline's folder that a path is placed in.
    pub fn data_at(&self, path: &RelPath) -> Option<&Data> {
        let mut data = self.pipeline.data.iter();
        data.find(|data| path.is_within(&data.place))
    }

    /// The data that a stage reads, each once.
    pub fn data_of(&self, id: StageId) -> Vec<&Data> {
        let reads = |data: &&Data| {
            self.inputs(id).iter().any(|input| match input {
                Input::Source { path } => path.is_within(&data.place),
                Input::SourceGlob { pattern, .. } => data.holds_pattern(pattern),
                Input::Produced { .. } | Input::Notebook { .. } => false,
            })
        };
        self.pipeline.data.iter().filter(reads).collect()
    }

    /// The output that a path is, or lies in: its stage, and which of that stage's `outs`.
    pub fn owner_of(&self, path: &RelPath) -> Option<(StageId, usize)> {
        self.owners.of(path.as_str())
    }
}
