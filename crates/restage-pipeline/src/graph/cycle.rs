//! Stages that wait for each other: found, and shown as a path with its files.

use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::StageId;
use super::inputs::Read;
use crate::{Diagnostic, Stage};

/// One message for each knot of stages, showing a shortest cycle through its first stage.
pub(super) fn report(
    stages: &[Stage],
    edges: &DiGraph<(), ()>,
    reads: &[Vec<Read>],
    report: &mut Vec<Diagnostic>,
) {
    // Kosaraju's algorithm, since petgraph's Tarjan recurses as deep as the graph.
    for component in kosaraju_scc(edges) {
        let members: HashSet<StageId> = component
            .iter()
            .map(|node| StageId::new(node.index()))
            .collect();
        let Some(start) = component
            .iter()
            .map(|node| StageId::new(node.index()))
            .min()
        else {
            continue;
        };
        if let Some(path) = shortest(start, &members, reads) {
            report.push(message(&path, stages, reads));
        }
    }
}

/// A shortest way from a stage through what it reads back to itself, without its end.
fn shortest(
    start: StageId,
    members: &HashSet<StageId>,
    reads: &[Vec<Read>],
) -> Option<Vec<StageId>> {
    let mut came_from: HashMap<StageId, StageId> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(id) = queue.pop_front() {
        for read in &reads[id.index()] {
            if read.writer == start {
                let mut path = vec![id];
                while let Some(before) = path.last().and_then(|last| came_from.get(last)) {
                    path.push(*before);
                }
                path.reverse();
                return Some(path);
            }
            if members.contains(&read.writer) && !came_from.contains_key(&read.writer) {
                came_from.insert(read.writer, id);
                queue.push_back(read.writer);
            }
        }
    }
    None
}

fn message(path: &[StageId], stages: &[Stage], reads: &[Vec<Read>]) -> Diagnostic {
    let name = |id: StageId| format!("`{}`", stages[id.index()].name);
    let around = path.iter().chain(path.first());
    let shown: Vec<String> = around.map(|id| name(*id)).collect();
    let message = match path {
        [one] => format!("stage {} reads what it writes itself", name(*one)),
        _ => format!("stages form a cycle: {}", shown.join(" -> ")),
    };
    let at = path
        .first()
        .map(|id| stages[id.index()].location)
        .unwrap_or_default();
    let mut diagnostic = Diagnostic::new(at, message, "")
        .hint("remove one of these deps, or split the stage that both reads and writes");
    for (n, &id) in path.iter().enumerate() {
        let writer = path[(n + 1) % path.len()];
        let Some(read) = reads[id.index()].iter().find(|read| read.writer == writer) else {
            continue;
        };
        let file = &stages[writer.index()].outs[read.out].path;
        diagnostic = diagnostic.note_at(format!("{} reads {file}", name(id)), read.at);
    }
    diagnostic
}
