//! `restage pull`: brings results of a remote into the store.

use std::collections::BTreeSet;

use serde_json::json;

use crate::args::Pull as Arguments;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::{count, size};
use crate::output::Output;
use crate::remotes::{self, FromRemote};
use crate::render::Reading;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_core::suggest::list;
use restage_engine::{Elsewhere, bring, know};

pub(crate) fn pull(
    settings: &Settings,
    args: &Arguments,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let (remote, config) = remotes::remote(settings, &loaded.root, args.remote.as_deref())?;
    let trusted = remotes::trusted(settings, &config)?;
    let session = Session::open(settings, &loaded)?;
    let workspace = &session.workspace;
    let from = FromRemote::new(remote, &workspace.store, trusted);
    let selected = loaded.select(&args.targets, false)?;
    let reading = Reading::begins(settings);
    let known = know(workspace, &loaded.graph, &selected, &BTreeSet::new(), &from);
    let known = known.map_err(|error| loaded.error(error))?;
    drop(reading);
    let moving = Reading::of_objects(settings);
    let here = bring(workspace, &known, &from)?;
    drop(moving);
    workspace.save_cache();
    let failure = from.take_failure();
    for warning in from.take_warnings() {
        out.warning(&format!("`{}` {warning}", from.name()));
    }
    let amount = from.amount();
    let missing = known.plan.stages.iter().filter(|(_, planned)| {
        let record = planned.record();
        record.is_none_or(|record| {
            known.records.contains_key(&record.key) && !here.contains(&record.key)
        })
    });
    let missing: Vec<&str> = missing
        .map(|(id, _)| loaded.graph.stage(*id).name.as_str())
        .collect();
    if settings.json {
        let value = json!({
            "remote": from.name(), "pulled": amount.results, "files": amount.objects, "bytes": amount.bytes,
            "missing": missing,
        });
        out.data(&format!("{value}\n"))?;
    } else {
        let came = match amount.objects {
            0 => "no file was missing".to_owned(),
            objects => format!("{}, {}", count(objects, "file"), size(amount.bytes as f64)),
        };
        out.data(&format!(
            "pulled {} from {} ({came})\n",
            count(amount.results, "result"),
            from.name()
        ))?;
        if !missing.is_empty() {
            let names = list(missing.iter().copied());
            out.note(&format!("without a result: {names}\n"));
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(Exit::Ok),
    }
}
