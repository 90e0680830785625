//! `restage status`: what is up to date and what would run.

use std::collections::BTreeSet;

use serde_json::json;

use super::clean::undeclared;
use crate::args::Status;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::{all_are, count, grouped};
use crate::output::Output;
use crate::render::{painted_state, reason_text, state, state_reasons};
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use crate::style::Style;
use restage_core::suggest::list;
use restage_engine::{Decision, EnvironmentState, Plan, environments};
use restage_store::StoreError;
use restage_store::lockfile::{self, LockFile};

pub(crate) fn status(
    settings: &Settings,
    args: &Status,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let session = Session::look(settings, &loaded)?;
    let workspace = &session.workspace;
    let selected = loaded.select(&args.targets, false)?;
    let plan = session.plan(&selected, &BTreeSet::new())?;
    workspace.save_cache();
    note_damaged_lock(&loaded, out)?;
    note_undeclared(args, &session, out)?;
    session.warn_of_files_in_folders(&selected, out)?;
    loaded.warn_of_other_readings(out);
    loaded.warn_of_copied_params(out)?;
    loaded.warn_of_committed_local_file(out)?;
    loaded.warn_of_unknown_local_data(out);
    let pending: Vec<_> = plan.pending().map(|id| loaded.graph.stage(id)).collect();
    let environments = environments(workspace, pending.into_iter())?;
    let text = if settings.json {
        lines_json(&loaded, &plan)
    } else {
        not_built(&environments) + &table(&loaded, &plan, settings.out_style)
    };
    out.data(&text)?;
    Ok(if args.check && !plan.is_fresh() {
        Exit::Different
    } else {
        Exit::Ok
    })
}

/// A `pipeline.lock` that can't be read makes nothing stale, but should not be committed.
fn note_damaged_lock(loaded: &Loaded, out: &mut Output) -> Result<(), CliError> {
    let name = lockfile::name(loaded.base_name());
    match LockFile::read(&loaded.root.join(&name)) {
        Ok(_) => {}
        Err(StoreError::LockFile { reason, .. }) => out.warning(&format!(
            "`{name}` can't be read: {reason}\n  no result is lost; `restage \
             reproduce` sets it aside and rebuilds it"
        )),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Outs that no stage declares any more are no sources, and look as if they were results.
fn note_undeclared(args: &Status, session: &Session<'_>, out: &mut Output) -> Result<(), CliError> {
    // What another profile declares is unknown where that can't be read.
    let Ok(former) = undeclared(&args.pipeline, session) else {
        return Ok(());
    };
    let names: Vec<String> = former
        .iter()
        .map(|one| format!("`{}` of {}", one.path, one.stage))
        .collect();
    if let Some((first, more)) = names.split_first() {
        let more = match more.len() {
            0 => String::new(),
            n => format!(" and {}", count(n, "other out")),
        };
        out.warning(&format!(
            "no stage declares {first}{more} any more\n  no pattern matches what runs wrote there; \
             `restage clean -n` lists all of it, `restage clean` removes it"
        ));
    }
    Ok(())
}

fn lines_json(loaded: &Loaded, plan: &Plan) -> String {
    plan.stages
        .iter()
        .map(|(id, planned)| {
            let value = json!({
                "stage": loaded.graph.stage(*id).name,
                "profile": loaded.profile(),
                "state": state(&planned.decision),
                "reasons": state_reasons(&planned.decision),
                "key": planned.key.as_ref().map(|key| key.digest().to_string()),
                "not_kept": planned.not_kept,
            });
            format!("{value}\n")
        })
        .collect()
}

/// A line for each environment that a stage which runs, or may, waits for.
fn not_built(environments: &[EnvironmentState]) -> String {
    let missing = environments.iter().filter(|one| one.built == Some(false));
    let lines = missing.map(|one| {
        let lock = one.lock.as_ref();
        let lock = lock.map(|(file, digest)| format!(" ({file} {})", digest.short()));
        format!(
            "environment {}: not built{}\n",
            one.name,
            lock.unwrap_or_default()
        )
    });
    lines.collect()
}

/// A line for each stage, in declared order, then a count.
fn table(loaded: &Loaded, plan: &Plan, style: Style) -> String {
    let graph = &loaded.graph;
    let width = plan
        .stages
        .keys()
        .map(|id| graph.stage(*id).name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    let (mut fresh, mut stale) = (0, 0);
    for (id, planned) in &plan.stages {
        let name = &graph.stage(*id).name;
        let why = match &planned.decision {
            Decision::Fresh(_) => match planned.not_kept.is_empty() {
                true => String::new(),
                false => format!(
                    "not kept: {}",
                    list(planned.not_kept.iter().map(String::as_str))
                ),
            },
            Decision::Restore(_, outs) => {
                let (one, more) = (&outs[0], outs.len() - 1);
                let rest = if more > 0 {
                    format!(" (+{more} more)")
                } else {
                    String::new()
                };
                format!("`{one}` is missing or edited{rest}")
            }
            Decision::Run(reasons) => reason_text(reasons),
            Decision::Blocked(obstacle) => obstacle.to_string(),
            Decision::Gated(gate) => gate.to_string(),
            Decision::Waits(on) => {
                let names = on.iter().map(|up| graph.stage(*up).name.as_str());
                format!("on {}", grouped(names))
            }
        };
        if matches!(planned.decision, Decision::Fresh(_)) {
            fresh += 1;
        } else {
            stale += 1;
        }
        let word = painted_state(&planned.decision, style);
        let line = format!("{word}  {name:width$}  {why}");
        text += &format!("{}\n", line.trim_end());
    }
    text += &match stale {
        0 => format!(
            "profile {}: {} fresh\n",
            loaded.profile(),
            all_are(fresh, "stage")
        ),
        _ => {
            let all = count(fresh + stale, "stage");
            let are = match (fresh, stale) {
                (1, _) | (0, 1) => "is",
                _ => "are",
            };
            format!(
                "profile {}: {fresh} of {all} {are} fresh\n",
                loaded.profile()
            )
        }
    };
    text
}
