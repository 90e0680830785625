//! `restage why STAGE`: why it would run, or what its result was made from.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::args::Why;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::{count, duration, grouped};
use crate::output::Output;
use crate::render::lineage::apart;
use crate::render::{state, state_reasons, visible};
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use crate::style::Style;
use restage_core::digest::{Change, StageKey, diff};
use restage_engine::{Decision, Planned};
use restage_pipeline::graph::StageId;
use restage_store::Record;

pub(crate) fn why(settings: &Settings, args: &Why, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let session = Session::look(settings, &loaded)?;
    let workspace = &session.workspace;
    let target = [args.stage.clone()];
    let selected = loaded.select(&target, false)?;
    let named = loaded.named(&target)?;
    let plan = session.plan(&selected, &BTreeSet::new())?;
    workspace.save_cache();
    for id in named {
        let Some(planned) = plan.stages.get(&id) else {
            continue;
        };
        let name = &loaded.graph.stage(id).name;
        let results = workspace.results(name)?;
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
        "adopted": planned.record().and_then(|record| record.adopted.as_ref()),
        "isolation": planned.record().and_then(|record| record.isolation.as_ref()),
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
        Decision::Fresh(record) if record.adopted.is_some() => {
            let adoption = record.adopted.as_ref();
            format!(
                "{name} is {}: {} on {}, not run\n",
                style.good("fresh"),
                adoption.map(ToString::to_string).unwrap_or_default(),
                record.host
            )
        }
        Decision::Fresh(record) => format!(
            "{name} is {}: ran {} in {} on {}{}\n",
            style.good("fresh"),
            record.started,
            duration(record.seconds),
            record.host,
            apart(record)
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
                text += &format!("  {}\n", visible(&reason.to_string()));
            }
            text
        }
        Decision::Blocked(obstacle) => {
            let text = visible(&obstacle.to_string());
            format!("{name} is {}:\n  {text}\n", style.bad("blocked"))
        }
        Decision::Gated(gate) => {
            format!("{name} is {}: {gate}\n", style.busy("gated"))
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
    for out in &planned.not_kept {
        text += &format!(
            "  `{out}` was not kept: it is temporary, and all that read it have a result\n"
        );
    }
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
            // A command may have several lines.
            let value: Vec<String> = value.split('\n').map(visible).collect();
            let value = value.join("\n");
            text += &format!("  {} {value}\n", style.dim(&format!("{label:width$}")));
        }
    }
    text
}

/// Results listed when the requested one doesn't exist.
const SHOWN: usize = 8;

/// An earlier result, and how the stage differs from it.
struct Since {
    record: Arc<Record>,
    changes: Vec<Change>,
    /// If the stage has a current result: how many outs it has, and those whose bytes differ from
    /// the earlier result.
    outs: Option<(usize, Vec<String>)>,
    /// Whether the reasons of a stale stage have already said how it differs from this result.
    explained: bool,
}

/// Compares a stage as planned with an earlier result: the one that `wanted` names, otherwise the
/// last one that is not current. `results` are the stage's, the current one first.
fn since(
    stage: &str,
    planned: &Planned,
    results: &[Arc<Record>],
    wanted: Option<&str>,
) -> Result<Option<Since>, CliError> {
    let stands = planned.record();
    // A stage that waits has no key yet: its last result is compared.
    let waits = matches!(planned.decision, Decision::Waits(_)).then(|| results.first());
    let now = stands.or(waits.flatten());
    let key = now.map(|record| &record.inputs).or(planned.key.as_deref());
    let other = |record: &&Arc<Record>| now.is_none_or(|now| now.key != record.key);
    let record = match wanted {
        Some(wanted) => Some(find(stage, results, wanted)?),
        None => results.iter().find(other),
    };
    let (Some(record), Some(key)) = (record, key) else {
        return Ok(None);
    };
    let explained = now.is_none() && results.first().is_some_and(|last| last.key == record.key);
    Ok(Some(compared(record, key, now, explained)))
}

fn compared(
    record: &Arc<Record>,
    key: &StageKey,
    now: Option<&Arc<Record>>,
    explained: bool,
) -> Since {
    let outs = now.map(|now| {
        let before = |path: &str| record.outs.iter().find(|out| out.path == path);
        let other = now
            .outs
            .iter()
            .filter(|out| before(&out.path).is_none_or(|before| before.content != out.content));
        (now.outs.len(), other.map(|out| out.path.clone()).collect())
    });
    Since {
        record: Arc::clone(record),
        changes: diff(&record.inputs, key),
        outs,
        explained,
    }
}

/// By the start of a key, or the last that began before a date.
fn find<'a>(
    stage: &str,
    results: &'a [Arc<Record>],
    wanted: &str,
) -> Result<&'a Arc<Record>, CliError> {
    let is_date = wanted.contains('-');
    let found: Vec<&Arc<Record>> = if is_date {
        // Of several that began in the same second, `max_by_key` takes the last: the current one.
        let before = results
            .iter()
            .rev()
            .filter(|record| record.started.as_str() < wanted);
        before
            .max_by_key(|record| &record.started)
            .into_iter()
            .collect()
    } else {
        let all = results.iter();
        all.filter(|record| record.key.to_string().starts_with(wanted))
            .collect()
    };
    match found[..] {
        [one] => return Ok(one),
        [] => {}
        _ => {
            return Err(CliError::usage(format!(
                "several results of `{stage}` have a key that begins with `{wanted}`"
            ))
            .with_hint("give more of the key"));
        }
    }
    let what = match is_date {
        true => format!("stage `{stage}` has no result from before {wanted}"),
        false => format!("stage `{stage}` has no result whose key begins with `{wanted}`"),
    };
    let shown = results.iter().take(SHOWN);
    let shown: Vec<String> = shown
        .map(|record| format!("\n  {}  {}", record.key.short(), record.started))
        .collect();
    Err(CliError::usage(what).with_hint(match shown.len() {
        0 => "it never ran here under this profile".to_owned(),
        _ => format!("its results, the current one first:{}", shown.concat()),
    }))
}

impl Since {
    fn to_text(&self) -> String {
        let (key, started) = (self.record.key.short(), &self.record.started);
        if self.explained {
            return format!("  since its result of {started}, key {key}\n");
        }
        let mut text = format!("since its result of {started}, key {key}:\n");
        for change in &self.changes {
            text += &format!("  {change}\n");
        }
        if self.changes.is_empty() {
            text += "  no input changed\n";
        }
        if let Some((all, other)) = &self.outs {
            text += &match other.len() {
                0 => format!("  same bytes in {}\n", count(*all, "out")),
                n => format!(
                    "  different bytes in {n} of {}: {}\n",
                    count(*all, "out"),
                    other.join(", ")
                ),
            };
        }
        text
    }

    fn to_json(&self) -> Value {
        let changes = self.changes.iter();
        let changes = changes.map(|c| json!({"label": c.label, "old": c.old, "new": c.new}));
        json!({
            "key": self.record.key.to_string(),
            "started": self.record.started,
            "changes": changes.collect::<Vec<_>>(),
            "other_outs": self.outs.as_ref().map(|(_, other)| other),
        })
    }
}
