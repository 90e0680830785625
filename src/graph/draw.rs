//! The graph as text for Graphviz and Mermaid.
//! It must not know where that is written.

use super::{Graph, StageId};

impl Graph {
    /// For `dot`: a box for each stage, an arrow from writer to reader. What `annotate` says
    /// of a stage stands below its name.
    pub fn to_dot(&self, annotate: &dyn Fn(StageId) -> Option<String>) -> String {
        let escape = |text: &str| {
            text.replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n")
        };
        let mut text = format!("digraph \"{}\" {{\n", escape(&self.pipeline.name));
        text += "  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n";
        for &id in &self.ids {
            let mut label = escape(&self.stage(id).name);
            if let Some(more) = annotate(id) {
                label += "\\n";
                label += &escape(&more);
            }
            text += &format!("  s{} [label=\"{label}\"];\n", id.index());
        }
        for (from, to) in self.arrows() {
            text += &format!("  s{} -> s{};\n", from.index(), to.index());
        }
        text += "}\n";
        text
    }

    /// For Mermaid, which GitHub and many editors draw.
    pub fn to_mermaid(&self, annotate: &dyn Fn(StageId) -> Option<String>) -> String {
        let escape = |text: &str| {
            let text = text.replace('&', "&amp;").replace('"', "&quot;");
            text.replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('\n', "<br/>")
        };
        let mut text = "flowchart LR\n".to_owned();
        for &id in &self.ids {
            let mut label = escape(&self.stage(id).name);
            if let Some(more) = annotate(id) {
                label += "<br/>";
                label += &escape(&more);
            }
            text += &format!("  s{}[\"{label}\"]\n", id.index());
        }
        for (from, to) in self.arrows() {
            text += &format!("  s{} --> s{}\n", from.index(), to.index());
        }
        text
    }

    fn arrows(&self) -> impl Iterator<Item = (StageId, StageId)> {
        self.edges
            .edge_indices()
            .filter_map(|edge| self.edges.edge_endpoints(edge))
            .map(|(from, to)| (StageId::new(from.index()), StageId::new(to.index())))
    }
}
