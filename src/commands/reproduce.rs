//! `restage reproduce`: runs what is out of date.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::push::push_after_run;
use crate::args::Reproduce;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::{count, size};
use crate::handed_over;
use crate::interrupts;
use crate::output::Output;
use crate::remotes::{self, FromRemote};
use crate::render::{JsonRenderer, Reading, plan_lines, reason_text, summary_line};
use crate::session::{PipelineFile, Session, launcher};
use crate::settings::Settings;
use restage_core::clock::{Instant, WallTime};
use restage_engine::{
    Audit, Decision, Elsewhere, Event, Facts, Foreigners, FromElsewhere, NoopRequest, Observer,
    Plan, RunOptions, Summary, UpToDate, bring, check_places, estimate, know, nothing_to_do,
    remember_noop, run,
};
use restage_exec::LocalExecutor;
use restage_pipeline::graph::StageId;
use restage_remote::Remotes;

pub(crate) fn reproduce(
    settings: &Settings,
    args: &Reproduce,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let started = Instant::now();
    let since = WallTime::file_clock();
    let file = PipelineFile::read(settings, &args.pipeline)?;
    let location = settings.location(&file.root)?;
    // Where the user stands decides what a path means.
    let mut targets = args.targets.clone();
    if !targets.is_empty() {
        targets.push(file.stands.display().to_string());
    }
    let request = NoopRequest {
        root: &file.root,
        location: &location,
        env: &settings.env,
        name: file.base_name(),
        pipeline: &file.text,
        profile: args.pipeline.profile.as_deref(),
        overrides: &args.pipeline.overrides,
        targets: &targets,
        downstream: args.downstream,
    };
    let request_digest = request.digest();
    // JSON lists every stage, an audit traces them, and --force runs them: those need a plan.
    let audit = audit(args)?;
    if !(args.dry_run || args.force || args.push || settings.json || audit.is_some())
        && let Some(mut summary) = nothing_to_do(&request)
    {
        summary.seconds = started.elapsed().as_secs_f64();
        return finish(&summary, settings, args, out);
    }
    let loaded = file.parse(&args.pipeline)?;
    if !args.quiet {
        loaded.warn_of_other_readings(out);
        loaded.warn_of_copied_params(out)?;
        loaded.warn_of_committed_local_file(out)?;
        loaded.warn_of_unknown_local_data(out);
    }
    let session = match args.dry_run {
        true => Session::look(settings, &loaded)?,
        false => Session::open(settings, &loaded)?,
    };
    let workspace = &session.workspace;
    if !args.dry_run {
        handed_over::take_in_all(&workspace.store, out)?;
    }
    let graph = &loaded.graph;
    let selected = loaded.select(&args.targets, args.downstream)?;
    let forced = match (args.force, args.targets.is_empty()) {
        (false, _) => BTreeSet::new(),
        // A download can't give anything else: its digest is known.
        (true, true) => loaded.without_downloads(&selected),
        (true, false) => loaded.named(&args.targets)?,
    };
    let capacity = settings.capacity(args.jobs);
    let foreigners = match (args.set_aside, args.replace) {
        (true, _) => Foreigners::SetAside,
        (_, true) => Foreigners::Replace,
        _ => Foreigners::Refuse,
    };

    if !args.quiet {
        session.warn_of_files_in_folders(&selected, out)?;
    }
    if args.dry_run {
        let plan = session.plan(&selected, &forced)?;
        workspace.save_cache();
        print_plan(&session, &plan, capacity.cpu, settings, out)?;
        check_places(workspace, graph, &plan, foreigners).map_err(|error| loaded.error(error))?;
        return Ok(Exit::Ok);
    }

    let elsewhere = match args.pull {
        true => pull_first(&session, args, &selected, &forced, out)?,
        false => None,
    };
    let mut executor = LocalExecutor::new();
    let interrupt = interrupts::watch(&executor)?;
    let options = RunOptions {
        capacity: capacity.clone(),
        keep_going: args.keep_going,
        selected,
        forced,
        audit,
        launcher: launcher(),
        foreigners,
        elsewhere,
    };
    let mut go = |observer: &mut dyn Observer| {
        run(workspace, graph, &options, &mut executor, observer, &|| {
            interrupt.load(Ordering::Relaxed)
        })
    };
    let result = session.observed(args.quiet, capacity.cpu, &mut go);
    let program = std::env::current_exe().ok();
    if let (Ok((summary, results)), Some(program)) = (&result, &program) {
        let done = UpToDate {
            selected: &options.selected,
            results,
            summary,
            since,
            program,
        };
        // Without it the next call only has to plan again.
        let _ = remember_noop(workspace, graph, &done, &request_digest);
    }
    workspace.save_cache();
    if result.is_err() && interrupt.load(Ordering::Relaxed) {
        // The terminal's Ctrl-C reaches cargo too, which then fails to build.
        out.note("interrupted\n");
        return Ok(Exit::Interrupted);
    }
    let (mut summary, _) = result.map_err(|error| loaded.error(error))?;
    let settled = summary.fresh + summary.restored == options.selected.len();
    if options.audit.is_some() && settled && !args.quiet {
        out.note("audit: no stage ran, so none was traced; `--force` runs up-to-date stages too\n");
    }
    summary.seconds = started.elapsed().as_secs_f64();
    let exit = finish(&summary, settings, args, out)?;
    push_last(&session, args, &options.selected, &summary, out)?;
    Ok(exit)
}

/// Pushes what there is now, if somebody wants that.
fn push_last(
    session: &Session<'_>,
    args: &Reproduce,
    selected: &BTreeSet<StageId>,
    summary: &Summary,
    out: &mut Output,
) -> Result<(), CliError> {
    if summary.interrupted {
        return Ok(());
    }
    if args.push {
        return push_after_run(session, selected, args.remote.as_deref(), args.quiet, out);
    }
    if summary.ran == 0 {
        return Ok(());
    }
    let remotes = match Remotes::read(&session.loaded.root) {
        Ok(remotes) => remotes,
        Err(error) => {
            out.warning(&format!("nothing was pushed: {error}"));
            return Ok(());
        }
    };
    for name in remotes.after_a_run() {
        push_after_run(session, selected, Some(name), args.quiet, out)?;
    }
    Ok(())
}

/// Brings what a remote has of the stages that would run, and says whom to ask for more.
fn pull_first(
    session: &Session<'_>,
    args: &Reproduce,
    selected: &BTreeSet<StageId>,
    forced: &BTreeSet<StageId>,
    out: &mut Output,
) -> Result<Option<FromElsewhere>, CliError> {
    let (settings, loaded, workspace) = (session.settings, session.loaded, &session.workspace);
    let (remote, config) = remotes::remote(settings, &loaded.root, args.remote.as_deref())?;
    let trusted = remotes::trusted(settings, &config)?;
    let from = FromRemote::new(remote, &workspace.store, trusted);
    let reading = Reading::begins(settings);
    let known = know(workspace, &loaded.graph, selected, forced, &from);
    let known = known.map_err(|error| loaded.error(error))?;
    drop(reading);
    let moving = Reading::of_objects(settings);
    bring(workspace, &known, &from)?;
    drop(moving);
    if args.remote_required
        && let Some(error) = from.take_failure()
    {
        return Err(error.into());
    }
    for warning in from.take_warnings() {
        out.warning(&format!("`{}` {warning}", from.name()));
    }
    let amount = from.amount();
    if amount.results > 0 && !args.quiet && !settings.json {
        out.note(&format!(
            "pulled {} from {} ({}, {})\n",
            count(amount.results, "result"),
            from.name(),
            count(amount.objects, "file"),
            size(amount.bytes as f64)
        ));
    }
    Ok(Some(FromElsewhere {
        elsewhere: Arc::new(from),
        asked: known.settled(),
    }))
}

/// What would happen to each stage that is not up to date, and how long it would take.
fn print_plan(
    session: &Session<'_>,
    plan: &Plan,
    cores: u32,
    settings: &Settings,
    out: &mut Output,
) -> Result<(), CliError> {
    let graph = &session.loaded.graph;
    if settings.json {
        let mut stdout = io::stdout().lock();
        JsonRenderer { out: &mut stdout }.event(&Event::Planned { graph, plan });
        return Ok(());
    }
    let guess = estimate(graph, plan, cores, &|id| {
        session.workspace.last_seconds(&graph.stage(id).name)
    });
    let mut text = String::new();
    for (id, planned) in &plan.stages {
        let why = match &planned.decision {
            Decision::Fresh(_) => continue,
            Decision::Restore(_, outs) => format!("restore {}", outs.join(", ")),
            Decision::Run(reasons) => format!("run, {}", reason_text(reasons)),
            Decision::Blocked(obstacle) => format!("blocked, {obstacle}"),
            Decision::Waits(_) => "run if its inputs change".to_owned(),
            Decision::Gated(gate) => format!("gated, {gate}"),
        };
        text += &format!("{}: {why}\n", graph.stage(*id).name);
    }
    for line in plan_lines(graph, plan, guess, settings.out_style) {
        text += &format!("{line}\n");
    }
    if text.is_empty() {
        text = "nothing to do\n".to_owned();
    }
    out.data(&text)
}

/// Prints the last line, and returns the exit code.
fn finish(
    summary: &Summary,
    settings: &Settings,
    args: &Reproduce,
    out: &mut Output,
) -> Result<Exit, CliError> {
    if settings.json {
        out.data(&format!("{}\n", summary_json(summary)))?;
    } else if !args.quiet {
        out.note(&format!("{}\n", summary_line(summary, settings.err_style)));
    }
    Ok(exit_of(summary))
}

/// What `--audit` and `--strict` ask for.
fn audit(args: &Reproduce) -> Result<Option<Audit>, CliError> {
    if !(args.audit || args.strict) {
        return Ok(None);
    }
    let helper = std::env::current_exe().map_err(CliError::machine)?;
    Ok(Some(Audit {
        helper,
        strict: args.strict,
    }))
}

fn exit_of(summary: &Summary) -> Exit {
    if summary.interrupted {
        Exit::Interrupted
    } else if summary.machine_failed {
        Exit::Machine
    } else if summary.failed + summary.blocked + summary.cancelled > 0 {
        Exit::StageFailed
    } else {
        Exit::Ok
    }
}

fn summary_json(summary: &Summary) -> serde_json::Value {
    serde_json::json!({
        "event": "summary", "ran": summary.ran, "restored": summary.restored,
        "fresh": summary.fresh, "failed": summary.failed, "gated": summary.gated,
        "blocked": summary.blocked,
        "cancelled": summary.cancelled, "interrupted": summary.interrupted,
        "seconds": summary.seconds,
    })
}
