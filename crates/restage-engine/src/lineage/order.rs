//! Puts runs in order: each after those whose outs it read.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::Direction::{Incoming, Outgoing};
use petgraph::graph::{DiGraph, NodeIndex};

/// Every node once. Edges go from reader to writer, and writers come first; where that leaves a
/// choice, the lower rank does. Records that contradict each other may form a cycle, which is cut
/// somewhere.
pub(super) fn writers_first<N>(
    graph: &DiGraph<N, ()>,
    rank: &dyn Fn(NodeIndex) -> Option<usize>,
) -> Vec<NodeIndex> {
    // Writers of each node that are not in order yet.
    let mut open: BTreeMap<NodeIndex, usize> = BTreeMap::new();
    let mut ready = BTreeSet::new();
    for node in graph.node_indices() {
        let writers = graph.neighbors_directed(node, Outgoing).count();
        open.insert(node, writers);
        if writers == 0 {
            ready.insert((rank(node), node));
        }
    }
    let mut order = Vec::with_capacity(open.len());
    loop {
        let next = ready.pop_first().map(|(_, node)| node);
        let Some(node) = next.or_else(|| open.keys().next().copied()) else {
            return order;
        };
        open.remove(&node);
        order.push(node);
        for reader in graph.neighbors_directed(node, Incoming) {
            if let Some(writers) = open.get_mut(&reader) {
                *writers -= 1;
                if *writers == 0 {
                    ready.insert((rank(reader), reader));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(nodes: usize, edges: &[(usize, usize)]) -> DiGraph<(), ()> {
        let mut graph = DiGraph::new();
        for _ in 0..nodes {
            graph.add_node(());
        }
        for (reader, writer) in edges {
            graph.update_edge(NodeIndex::new(*reader), NodeIndex::new(*writer), ());
        }
        graph
    }

    fn order(graph: &DiGraph<(), ()>) -> Vec<usize> {
        let order = writers_first(graph, &|node| Some(100 - node.index()));
        order.iter().map(|node| node.index()).collect()
    }

    #[test]
    fn the_rank_decides_where_the_edges_do_not() {
        assert_eq!(order(&graph(4, &[(3, 0)])), [2, 1, 0, 3]);
    }

    proptest! {
        #[test]
        fn every_run_comes_once_and_after_its_writers(
            edges in proptest::collection::vec((0..12usize, 0..12usize), 0..40),
            circles in any::<bool>(),
        ) {
            let edges: Vec<_> = edges.into_iter().filter(|(r, w)| circles || r > w).collect();
            let order = order(&graph(12, &edges));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..12).collect::<Vec<_>>());
            let at = |node: usize| order.iter().position(|other| *other == node);
            for (reader, writer) in edges.iter().filter(|_| !circles) {
                prop_assert!(at(*writer) < at(*reader));
            }
        }
    }
}
