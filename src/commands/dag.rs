//! `restage dag`: the graph as text, dot, mermaid or JSON, each stage marked by its state.

use std::collections::BTreeSet;

use serde_json::json;

use crate::args::{Dag, DagFormat};
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::broken;
use crate::output::Output;
use crate::render::{WIDTH, painted_state, state};
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use crate::style::Style;
use restage_engine::{Decision, Plan};
use restage_pipeline::DepPattern;
use restage_pipeline::graph::{Graph, Mark, StageId};

pub(crate) fn dag(settings: &Settings, args: &Dag, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let plan = match args.no_status {
        true => None,
        false => planned(settings, &loaded, out),
    };
    let decision = |id: StageId| Some(&plan.as_ref()?.stages.get(&id)?.decision);
    let mark = |id: StageId| decision(id).map(mark);
    let graph = &loaded.graph;
    let text = match args.format {
        _ if settings.json => lines_json(graph, &decision),
        DagFormat::Text => text(graph, &decision, settings.out_style),
        DagFormat::Dot => graph.to_dot(&mark),
        DagFormat::Mermaid => graph.to_mermaid(&mark),
    };
    out.data(&text)?;
    Ok(Exit::Ok)
}

/// What is up to date. The graph can be drawn even if that can't be determined, for example because
/// inputs are missing.
fn planned(settings: &Settings, loaded: &Loaded, out: &mut Output) -> Option<Plan> {
    let look = || {
        let session = Session::look(settings, loaded)?;
        let plan = session.plan(&loaded.select(&[], false)?, &BTreeSet::new())?;
        session.workspace.save_cache();
        Ok(plan)
    };
    look()
        .map_err(|error: CliError| {
            out.warning("drawing the graph without states, which can't be determined:");
            out.error(&error);
        })
        .ok()
}

/// Pale colours that colour-blind readers can tell apart; the word below the name says the same.
fn mark(decision: &Decision) -> Mark {
    let (fill, border) = match decision {
        Decision::Fresh(_) => ("#d5efe0", "#2e8b57"),
        Decision::Restore(..) => ("#d6e6f7", "#2a6ebb"),
        Decision::Run(_) | Decision::Blocked(_) => ("#f9d6d0", "#c0392b"),
        Decision::Waits(_) => ("#fdf0c4", "#b8860b"),
        Decision::Gated(_) => ("#e4e4e4", "#6e6e6e"),
    };
    Mark {
        note: state(decision).to_owned(),
        class: state(decision),
        fill,
        border,
    }
}

fn reads(graph: &Graph, id: StageId) -> impl Iterator<Item = &str> {
    let deps = graph.stage(id).deps.iter();
    deps.map(|dep| match &dep.pattern {
        DepPattern::Path(path) => path.as_str(),
        DepPattern::Glob(pattern) => pattern,
    })
}

fn after(graph: &Graph, id: StageId) -> Vec<&str> {
    let up = graph.dependencies(id).iter();
    up.map(|up| graph.stage(*up).name.as_str()).collect()
}

fn lines_json<'a>(graph: &Graph, decision: &dyn Fn(StageId) -> Option<&'a Decision>) -> String {
    let line = |&id: &StageId| {
        let outs = graph.stage(id).outs.iter();
        let value = json!({
            "stage": graph.stage(id).name,
            "state": decision(id).map(state),
            "after": after(graph, id),
            "reads": reads(graph, id).collect::<Vec<_>>(),
            "writes": outs.map(|out| out.path.as_str()).collect::<Vec<_>>(),
        });
        format!("{value}\n")
    };
    graph.topological().iter().map(line).collect()
}

/// Stages in the order in which they can run, each with what it waits for.
fn text<'a>(
    graph: &Graph,
    decision: &dyn Fn(StageId) -> Option<&'a Decision>,
    style: Style,
) -> String {
    let mut text = String::new();
    for &id in graph.topological() {
        let stage = graph.stage(id);
        let name = style.bold(&stage.name);
        let indent = match decision(id) {
            None => "    ",
            Some(decision) => {
                text += &format!("{}  ", painted_state(decision, style));
                "         "
            }
        };
        text += &format!("{name}\n");
        if let Some(desc) = &stage.desc {
            let words: Vec<&str> = desc.split_whitespace().collect();
            for line in broken(&words, " ", WIDTH - indent.len()) {
                text += &format!("{indent}{}\n", style.dim(&line));
            }
        }
        let mut list = |label: &str, items: &[&str], between: &str| {
            for (i, line) in broken(items, between, WIDTH - indent.len() - 7)
                .iter()
                .enumerate()
            {
                let label = if i == 0 { label } else { "" };
                text += &format!("{indent}{label:6} {line}\n");
            }
        };
        list("after", &after(graph, id), ", ");
        for path in reads(graph, id) {
            // A pattern may name many things: `{a,b,c}`.
            list("reads", &path.split_inclusive(',').collect::<Vec<_>>(), "");
        }
        for output in &stage.outs {
            let volatile = if output.volatile { "  (volatile)" } else { "" };
            text += &format!("{indent}writes {}{volatile}\n", output.path);
        }
    }
    text
}
