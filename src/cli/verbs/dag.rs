//! `restage dag`: the graph as text, dot or mermaid.
//! It must not know what is stale.

use crate::cli::args::{Dag, DagFormat};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::settings::{Settings, load};
use crate::graph::Graph;
use crate::spec::DepPattern;

pub(crate) fn dag(settings: &Settings, args: &Dag, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = load(settings, &args.pipeline)?;
    let text = match args.format {
        DagFormat::Text => text(&loaded.graph),
        DagFormat::Dot => loaded.graph.to_dot(&|_| None),
        DagFormat::Mermaid => loaded.graph.to_mermaid(&|_| None),
    };
    out.data(&text)?;
    Ok(Exit::Ok)
}

/// Stages in the order in which they can run, each with what it waits for.
fn text(graph: &Graph) -> String {
    let mut text = String::new();
    for &id in graph.topological() {
        let stage = graph.stage(id);
        text += &stage.name;
        if let Some(desc) = &stage.desc {
            text += &format!("  ({desc})");
        }
        text.push('\n');
        let after: Vec<&str> = graph
            .dependencies(id)
            .iter()
            .map(|up| graph.stage(*up).name.as_str())
            .collect();
        if !after.is_empty() {
            text += &format!("    after  {}\n", after.join(", "));
        }
        for dep in &stage.deps {
            let shown = match &dep.pattern {
                DepPattern::Path(path) => path.as_str(),
                DepPattern::Glob(pattern) => pattern,
            };
            text += &format!("    reads  {shown}\n");
        }
        for output in &stage.outs {
            let volatile = if output.volatile { "  (volatile)" } else { "" };
            text += &format!("    writes {}{volatile}\n", output.path);
        }
    }
    text
}
