//! `restage verify`: reruns up-to-date stages and compares what they write.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use serde_json::json;

use crate::args::Verify;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::grouped;
use crate::interrupts;
use crate::output::Output;
use crate::render::{verified_error, verified_json, verified_lines, verified_summary};
use crate::session::{Loaded, Session, launcher};
use crate::settings::Settings;
use restage_engine::{LeftOut, Observer, Summary, Verification, Verified};
use restage_exec::LocalExecutor;
use restage_pipeline::graph::StageId;

pub(crate) fn verify(
    settings: &Settings,
    args: &Verify,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let graph = &loaded.graph;
    let needed = loaded.select(&args.stages, false)?;
    let stages: BTreeSet<StageId> = match args.stages.as_slice() {
        // What was downloaded was checked by its SHA-256.
        [] => loaded.without_downloads(&needed),
        stages => loaded.named(stages)?,
    };
    let session = Session::open(settings, &loaded)?;
    let workspace = &session.workspace;
    let begun = Verification::begin(
        workspace,
        graph,
        (&loaded.pipeline().compare, &loaded.pipeline().tables),
        (&stages, !args.stages.is_empty()),
        &needed,
    )
    .map_err(|error| loaded.error(error))?;
    let mut verification = begun.map_err(|stale| not_fresh(&stale))?;

    warn_of_left_out(verification.left_out(), out);
    let verified = stages.len() - verification.left_out().len();

    let mut executor = LocalExecutor::new();
    let interrupt = interrupts::watch(&executor)?;
    let capacity = settings.capacity(args.jobs);
    let launcher = launcher();
    let mut total = Summary::default();
    for _ in 0..args.times {
        let mut go = |observer: &mut dyn Observer| {
            let (keep_going, launcher) = (args.keep_going, launcher.as_deref());
            let interrupted = || interrupt.load(Ordering::Relaxed);
            let executor = &mut executor;
            verification.round(
                &capacity,
                keep_going,
                launcher,
                executor,
                observer,
                &interrupted,
            )
        };
        let round = session.observed(args.quiet, capacity.cpu, &mut go);
        if round.is_err() && interrupt.load(Ordering::Relaxed) {
            out.note("interrupted\n");
            return Ok(Exit::Interrupted);
        }
        let round = round.map_err(|error| loaded.error(error))?;
        add(&mut total, &round);
        if round.interrupted || (round.failed > 0 && !args.keep_going) {
            break;
        }
    }
    workspace.save_cache();
    print_verdicts(
        &verification,
        &total,
        (loaded.profile(), verified),
        settings,
        args,
        out,
    )
}

fn warn_of_left_out(left_out: &[LeftOut], out: &mut Output) {
    let (Some(first), names) = (
        left_out.first(),
        left_out.iter().map(|one| one.stage.as_str()),
    ) else {
        return;
    };
    let (names, input) = (grouped(names), &first.input);
    let more = match left_out.iter().any(|one| one.input != *input) {
        true => " and its like",
        false => "",
    };
    out.warning(&format!(
        "not verified: {names}: what they read, `{input}`{more}, is temporary and was not kept"
    ));
    out.hint("to verify them remove `temporary: true`, run `restage reproduce`, and verify again");
}

fn not_fresh(stale: &[String]) -> CliError {
    let names = grouped(stale.iter().map(String::as_str));
    let are = if stale.len() == 1 { "is" } else { "are" };
    let error = std::io::Error::other(format!(
        "nothing to verify: {names} {are} not up to date, so there is no recorded result to \
         compare with"
    ));
    CliError::new(error, Exit::Different)
        .with_hint("nothing ran; run `restage reproduce` first, or name stages that are up to date")
}

fn add(total: &mut Summary, round: &Summary) {
    total.ran += round.ran;
    total.failed += round.failed;
    total.cancelled += round.cancelled;
    total.interrupted |= round.interrupted;
    total.machine_failed |= round.machine_failed;
    total.seconds += round.seconds;
}

/// Prints the verdicts, and returns the exit code.
fn print_verdicts(
    verification: &Verification<'_>,
    total: &Summary,
    (profile, stages): (&str, usize),
    settings: &Settings,
    args: &Verify,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let found: Vec<&Verified> = verification.found().collect();
    let differ = found.iter().filter(|v| v.differing().is_some()).count();
    if settings.json {
        let mut text = String::new();
        for stage in &found {
            text += &format!("{}\n", verified_json(stage));
        }
        let summary = json!({
            "event": "summary", "stages": stages, "verified": found.len(), "differ": differ,
            "reruns": total.ran, "failed": total.failed, "cancelled": total.cancelled,
            "interrupted": total.interrupted, "seconds": total.seconds,
        });
        out.data(&format!("{text}{summary}\n"))?;
    } else {
        out.data(&verified_lines(&found, settings.out_style))?;
        for stage in &found {
            if let Some(text) = verified_error(stage, settings.err_style) {
                out.note(&text);
            }
        }
        if total.failed > 0 {
            out.note("files of failed reruns are kept until the next restage command\n");
        }
        out.data(&format!(
            "{}\n",
            verified_summary(profile, stages, differ, args.times, total)
        ))?;
    }
    Ok(if total.interrupted {
        Exit::Interrupted
    } else if total.machine_failed {
        Exit::Machine
    } else if total.failed > 0 {
        Exit::StageFailed
    } else if differ > 0 {
        Exit::Different
    } else {
        Exit::Ok
    })
}
