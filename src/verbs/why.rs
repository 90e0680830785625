//! `restage why STAGE`: why it would run, or what its result was made from.

use std::collections::BTreeSet;

use serde_json::json;

use crate::args::Why;
use crate::error::{CliError, from_facts, from_store};
use crate::exit::Exit;
use crate::format::{duration, grouped};
use crate::output::Output;
use crate::render::{state, state_reasons};
use crate::settings::{Loaded, Settings, load};
use crate::verbs::reproduce::{named, open_workspace, select};
use crate::verbs::since::{Since, since};
use restage_core::style::Style;
use restage_engine::{Decision, Planned, plan};
use restage_pipeline::graph::StageId;

pub(crate) fn why(settings: &Settings, args: &Why, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = load(settings, &args.pipeline)?;
    let workspace = open_workspace(settings, &loaded)?;
    let target = [args.stage.clone()];
    let selected = select(&loaded.graph, &target, false)?;
    let named = named(&loaded.graph, &target)?;
    let plan = plan(&loaded.graph, &selected, &BTreeSet::new(), &workspace)
        .map_err(|error| from_facts(error, &loaded.file_name, &loaded.text))?;
    workspace.save_cache();
    for id in named {
        let Some(planned) = plan.stages.get(&id) else {
            continue;
        };
        let results = workspace.results(&loaded.graph.stage(id).name);
        let results = results.map_err(from_store)?;
        let name = &loaded.graph.stage(id).name;
        let since = since(name, planned, &results, args.since.as_deref())?;
        let text = if settings.json {
            line_json(&loaded, id, planned, since.as_ref())
        } else {
            block(&loaded, id, planned, since.as_ref(), settings.out_style)
        };
        out.data(&text)?;
    }
    Ok(Exit::Ok)
}

fn line_json(loaded: &Loaded, id: StageId, planned: &Planned, since: Option<&Since>) -> String {
    let key = planned.key.as_ref();
    let inputs: serde_json::Map<String, serde_json::Value> = key
        .map(|key| {
            key.explain()
                .into_iter()
                .map(|(k, v)| (k, json!(v)))
                .collect()
        })
        .unwrap_or_default();
    let value = json!({
        "stage": loaded.graph.stage(id).name,
        "state": state(&planned.decision),
        "reasons": state_reasons(&planned.decision),
        "key": key.map(|key| key.digest().to_string()),
        "inputs": inputs,
        "since": since.map(Since::to_json),
    });
    format!("{value}\n")
}

fn block(
    loaded: &Loaded,
    id: StageId,
    planned: &Planned,
    since: Option<&Since>,
    style: Style,
) -> String {
    let name = style.bold(&loaded.graph.stage(id).name);
    let mut text = match &planned.decision {
        Decision::Fresh(record) => format!(
            "{name} is {}: ran {} in {} on {}\n",
            style.good("fresh"),
            record.started,
            duration(record.seconds),
            record.host
        ),
        Decision::Restore(record, outs) => {
            let mut text = format!(
                "{name} would be {} from its run of {}:\n",
                style.busy("restored"),
                record.started
            );
            for out in outs {
                text += &format!("  `{out}` is missing or edited\n");
            }
            text
        }
        Decision::Run(reasons) => {
            let mut text = format!("{name} is {}:\n", style.bad("stale"));
            for reason in reasons {
                text += &format!("  {reason}\n");
            }
            text
        }
        Decision::Waits(on) => {
            let names = on.iter().map(|up| loaded.graph.stage(*up).name.as_str());
            format!(
                "{name} {} for {}: it runs if their outputs change\n",
                style.busy("waits"),
                grouped(names)
            )
        }
    };
    text += &since.map(Since::to_text).unwrap_or_default();
    if let Some(key) = &planned.key {
        text += &format!("its key is {}, made from:\n", key.digest().short());
        let lines = key.explain();
        let width = lines
            .iter()
            .map(|(label, _)| label.len())
            .max()
            .unwrap_or(0)
            .min(48);
        for (label, value) in lines {
            text += &format!("  {} {value}\n", style.dim(&format!("{label:width$}")));
        }
    }
    text
}
