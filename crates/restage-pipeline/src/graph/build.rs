//! From the pipeline to the sealed graph.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use petgraph::graph::{DiGraph, NodeIndex};

use super::inputs::{Read, inputs};
use super::owners::Owners;
use super::{Graph, StageId, clash, cycle};
use crate::{Diagnostic, Pipeline};

impl Graph {
    /// Connects readers to writers.
    ///
    /// # Errors
    /// Every path with two writers, every path inside another output, every folder or pattern
    /// that is read before it can be known, every cycle; at once, sorted by place.
    pub fn build(pipeline: Pipeline) -> Result<Self, Vec<Diagnostic>> {
        let stages = &pipeline.stages;
        let mut report = Vec::new();
        let ids: Vec<StageId> = (0..stages.len()).map(StageId::new).collect();
        let mut by_name: HashMap<String, StageId> = HashMap::with_capacity(ids.len());
        for &id in &ids {
            let stage = &stages[id.index()];
            if let Some(first) = by_name.get(&stage.name) {
                report.push(clash::same_name(stage, &stages[first.index()]));
            } else {
                by_name.insert(stage.name.clone(), id);
            }
        }
        let owners = Owners::new(stages);
        clash::shared_outs(stages, &owners, &mut report);
        clash::data_places(&pipeline.data, stages, &owners, &mut report);
        let (all_inputs, all_reads): (Vec<_>, Vec<Vec<Read>>) = ids
            .iter()
            .map(|id| inputs(*id, stages, &owners, &mut report))
            .unzip();
        clash::temporary_for_nobody(stages, &all_reads, &mut report);
        let dependencies: Vec<Vec<StageId>> = all_reads
            .iter()
            .map(|reads| {
                let mut writers: Vec<_> = reads.iter().map(|read| read.writer).collect();
                writers.sort_unstable();
                writers.dedup();
                writers
            })
            .collect();
        let mut dependents = vec![Vec::new(); ids.len()];
        let mut edges = DiGraph::with_capacity(ids.len(), ids.len() * 2);
        for _ in &ids {
            edges.add_node(());
        }
        for &id in &ids {
            for writer in &dependencies[id.index()] {
                // Readers come in ascending order, so these lists are sorted.
                dependents[writer.index()].push(id);
                edges.add_edge(
                    NodeIndex::new(writer.index()),
                    NodeIndex::new(id.index()),
                    (),
                );
            }
        }
        let topological = sort(&dependencies, &dependents);
        if topological.len() < ids.len() {
            cycle::report(stages, &edges, &all_reads, &mut report);
        }
        if !report.is_empty() {
            report.sort_by(|a, b| (a.location, &a.message).cmp(&(b.location, &b.message)));
            report.dedup_by(|a, b| (a.location, &a.message) == (b.location, &b.message));
            return Err(report);
        }
        Ok(Self {
            ids,
            inputs: all_inputs,
            edges,
            dependencies,
            dependents,
            topological,
            owners,
            by_name,
            pipeline,
        })
    }
}

/// Kahn's algorithm; among the ready ones the first declared goes first. Shorter than the
/// input if there is a cycle.
fn sort(dependencies: &[Vec<StageId>], dependents: &[Vec<StageId>]) -> Vec<StageId> {
    let mut missing: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let ready = missing
        .iter()
        .enumerate()
        .filter(|(_, missing)| **missing == 0);
    let mut ready: BinaryHeap<Reverse<StageId>> = ready
        .map(|(index, _)| Reverse(StageId::new(index)))
        .collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(Reverse(id)) = ready.pop() {
        order.push(id);
        for next in &dependents[id.index()] {
            missing[next.index()] -= 1;
            if missing[next.index()] == 0 {
                ready.push(Reverse(*next));
            }
        }
    }
    order
}
