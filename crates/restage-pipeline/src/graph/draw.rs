//! The graph as text for Graphviz and Mermaid.

use std::collections::BTreeMap;

use super::{Graph, StageId};

/// How a stage is marked, by words and by colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Stands below the stage's name: colour alone tells not everyone.
    pub note: String,
    /// Name of the colours in Mermaid: a plain word.
    pub class: &'static str,
    /// Inside of the box: `#rrggbb`. Text on it is black.
    pub fill: &'static str,
    /// Its border: `#rrggbb`.
    pub border: &'static str,
}

impl Graph {
    /// For `dot`: a box for each stage, an arrow from writer to reader.
    pub fn to_dot(&self, mark: &dyn Fn(StageId) -> Option<Mark>) -> String {
        let escape = |text: &str| {
            text.replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n")
        };
        let mut text = format!("digraph \"{}\" {{\n", escape(&self.pipeline.name));
        text += "  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n";
        for &id in &self.ids {
            let name = escape(&self.stage(id).name);
            let box_of = match mark(id) {
                None => format!("label=\"{name}\""),
                Some(Mark {
                    note, fill, border, ..
                }) => format!(
                    "label=\"{name}\\n{}\", style=\"rounded,filled\", fillcolor=\"{fill}\", \
                     color=\"{border}\"",
                    escape(&note)
                ),
            };
            text += &format!("  s{} [{box_of}];\n", id.index());
        }
        for (from, to) in self.arrows() {
            text += &format!("  s{} -> s{};\n", from.index(), to.index());
        }
        text += "}\n";
        text
    }

    /// For Mermaid, which GitHub and many editors draw.
    pub fn to_mermaid(&self, mark: &dyn Fn(StageId) -> Option<Mark>) -> String {
        let escape = |text: &str| {
            let text = text.replace('&', "&amp;").replace('"', "&quot;");
            text.replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('\n', "<br/>")
        };
        let mut text = "flowchart LR\n".to_owned();
        let mut classes = BTreeMap::new();
        for &id in &self.ids {
            let name = escape(&self.stage(id).name);
            let box_of = match mark(id) {
                None => format!("[\"{name}\"]"),
                Some(mark) => {
                    let note = escape(&mark.note);
                    let class = mark.class;
                    classes.insert(class, mark);
                    format!("[\"{name}<br/>{note}\"]:::{class}")
                }
            };
            text += &format!("  s{}{box_of}\n", id.index());
        }
        for (from, to) in self.arrows() {
            text += &format!("  s{} --> s{}\n", from.index(), to.index());
        }
        for (class, Mark { fill, border, .. }) in classes {
            text += &format!("  classDef {class} fill:{fill},stroke:{border},color:#000000\n");
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
