//! `restage reproduce`: runs what is stale; also what other verbs need to look at a pipeline.
//! It must not decide what is stale; the plan does.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::args::Reproduce;
use crate::error::{CliError, from_facts, from_run, from_store};
use crate::exit::Exit;
use crate::interrupts;
use crate::output::Output;
use crate::render::{
    JsonRenderer, PlainRenderer, TtyRenderer, plan_lines, reason_text, summary_line,
};
use crate::settings::{Loaded, Settings, parse, read};
use restage_core::clock::{Instant, WallTime};
use restage_engine::{
    Audit, Decision, Event, Facts, NoopRequest, Observer, Plan, RunOptions, Summary, Workspace,
    estimate, nothing_to_do, plan, remember_noop, run,
};
use restage_exec::LocalExecutor;
use restage_pipeline::graph::{Graph, StageId};
use restage_store::Store;

pub(crate) fn reproduce(
    settings: &Settings,
    args: &Reproduce,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let started = Instant::now();
    let since = WallTime::file_clock();
    let text = read(settings, &args.pipeline)?;
    let location = settings.location(&text.root)?;
    let request = NoopRequest {
        root: &text.root,
        location: &location,
        env: &settings.env,
        pipeline: &text.text,
        profile: args.pipeline.profile.as_deref(),
        overrides: &args.pipeline.overrides,
        targets: &args.targets,
        downstream: args.downstream,
    };
    let request_digest = request.digest();
    // JSON lists every stage, an audit traces them, and --force runs them: those need a plan.
    let audit = audit(args)?;
    if !(args.dry_run || args.force || settings.json || audit.is_some())
        && let Some(mut summary) = nothing_to_do(&request)
    {
        summary.seconds = started.elapsed().as_secs_f64();
        return tell(&summary, settings, args, out);
    }
    let loaded = parse(text, &args.pipeline)?;
    let workspace = open_workspace(settings, &loaded)?;
    let graph = &loaded.graph;
    let selected = select(graph, &args.targets, args.downstream)?;
    let forced = match (args.force, args.targets.is_empty()) {
        (false, _) => BTreeSet::new(),
        (true, true) => selected.clone(),
        (true, false) => named(graph, &args.targets)?,
    };
    let capacity = settings.capacity(args.jobs);
    let durations = |stage: &str| workspace.last_seconds(stage);

    if args.dry_run {
        let plan = plan(graph, &selected, &forced, &workspace)
            .map_err(|e| from_facts(e, &loaded.file_name, &loaded.text))?;
        workspace.save_cache();
        if settings.json {
            let mut stdout = io::stdout().lock();
            JsonRenderer { out: &mut stdout }.event(&Event::Planned { graph, plan: &plan });
            return Ok(Exit::Ok);
        }
        let guess = estimate(graph, &plan, capacity.cpu, &|id| {
            durations(&graph.stage(id).name)
        });
        let mut text = String::new();
        for (id, planned) in &plan.stages {
            let why = match &planned.decision {
                Decision::Fresh(_) => continue,
                Decision::Restore(_, outs) => format!("restore {}", outs.join(", ")),
                Decision::Run(reasons) => format!("run, {}", reason_text(reasons)),
                Decision::Waits(_) => "run if its inputs change".to_owned(),
            };
            text += &format!("{}: {why}\n", graph.stage(*id).name);
        }
        for line in plan_lines(graph, &plan, guess, settings.out_style) {
            text += &format!("{line}\n");
        }
        if text.is_empty() {
            text = "nothing to do\n".to_owned();
        }
        out.data(&text)?;
        return Ok(Exit::Ok);
    }

    let mut executor = LocalExecutor::new();
    let interrupt = interrupts::watch(executor.killer())?;
    let options = RunOptions {
        capacity: capacity.clone(),
        keep_going: args.keep_going,
        selected,
        forced,
        audit,
    };
    let mut go = |observer: &mut dyn Observer| {
        run(
            &workspace,
            graph,
            &options,
            &mut executor,
            observer,
            &|| interrupt.load(Ordering::Relaxed),
        )
    };
    let result = watched(settings, args.quiet, capacity.cpu, &durations, &mut go);
    workspace.save_cache();
    if result.is_err() && interrupt.load(Ordering::Relaxed) {
        // The terminal's Ctrl-C reaches cargo too, which then fails to build.
        out.note("interrupted\n");
        return Ok(Exit::Interrupted);
    }
    let mut summary = result.map_err(|e| from_run(e, &loaded.file_name, &loaded.text))?;
    let settled = summary.fresh + summary.restored == options.selected.len();
    if options.audit.is_some() && settled && !args.quiet {
        out.note("audit: no stage ran, so none was traced; `--force` runs up-to-date stages too\n");
    }
    summary.seconds = started.elapsed().as_secs_f64();
    let program = std::env::current_exe().ok();
    if let Some(program) = program.as_deref().and_then(Path::to_str) {
        // Without it the next call only has to plan again.
        let selected = &options.selected;
        let request = &request_digest;
        let _ = remember_noop(
            &workspace, graph, selected, &summary, request, since, program,
        );
    }
    tell(&summary, settings, args, out)
}

/// The last line, and the exit code.
fn tell(
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
    let helper = std::env::current_exe().map_err(|error| CliError::new(error, Exit::Machine))?;
    Ok(Some(Audit {
        helper,
        strict: args.strict,
    }))
}

/// Runs something that is watched, shown as the settings want it.
pub(crate) fn watched<T>(
    settings: &Settings,
    quiet: bool,
    cores: u32,
    durations: &dyn Fn(&str) -> Option<f64>,
    go: &mut dyn FnMut(&mut dyn Observer) -> T,
) -> T {
    let style = settings.err_style;
    if settings.json {
        let mut stdout = io::stdout();
        go(&mut JsonRenderer { out: &mut stdout })
    } else if settings.interactive && !quiet {
        go(&mut TtyRenderer::new(style, cores, durations))
    } else {
        let mut stderr = io::stderr();
        go(&mut PlainRenderer::new(
            &mut stderr,
            style,
            quiet,
            cores,
            durations,
        ))
    }
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
        "fresh": summary.fresh, "failed": summary.failed, "blocked": summary.blocked,
        "cancelled": summary.cancelled, "interrupted": summary.interrupted,
        "seconds": summary.seconds,
    })
}

/// The folder's store and caches.
pub(crate) fn open_workspace(settings: &Settings, loaded: &Loaded) -> Result<Workspace, CliError> {
    let waiting = || Output.note("waiting for another restage that has locked the store\n");
    let store = Store::open_patiently(&settings.location(&loaded.root)?, &waiting);
    Ok(Workspace::over(
        store.map_err(from_store)?,
        &loaded.root,
        &loaded.profile,
        &loaded.graph,
        settings.env.clone(),
    ))
}

/// What would become of the targets and what they need; results can be shown where that can't be
/// known, such as without the inputs: then `what` can't be, which is said.
pub(crate) fn plan_if_known(
    settings: &Settings,
    loaded: &Loaded,
    workspace: &Workspace,
    targets: &[String],
    what: &str,
    out: &mut Output,
) -> Result<Option<Plan>, CliError> {
    let selected = select(&loaded.graph, targets, false)?;
    let plan = plan(&loaded.graph, &selected, &BTreeSet::new(), workspace);
    let plan = plan.map_err(|error| {
        let error = from_facts(error, &loaded.file_name, &loaded.text);
        out.note(&format!(
            "{} {what} can't be determined:\n{}",
            settings.err_style.warning("warning:"),
            error.render(settings.err_style)
        ));
    });
    Ok(plan.ok())
}

/// The stages that targets stand for, with all that they need.
pub(crate) fn select(
    graph: &Graph,
    targets: &[String],
    downstream: bool,
) -> Result<BTreeSet<StageId>, CliError> {
    graph
        .select(targets, downstream)
        .map_err(|error| select_error(&error))
}

/// The stages that targets stand for, and no others.
pub(crate) fn named(graph: &Graph, targets: &[String]) -> Result<BTreeSet<StageId>, CliError> {
    let mut all = BTreeSet::new();
    for target in targets {
        all.extend(graph.named(target).map_err(|error| select_error(&error))?);
    }
    Ok(all)
}

fn select_error(error: &restage_pipeline::graph::SelectError) -> CliError {
    let usage = CliError::usage(error.to_string());
    match error.hint() {
        Some(hint) => usage.with_hint(hint),
        None => usage,
    }
}
