//! `restage fsck`: checks every stored byte and says what the next run will make again.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::args::Fsck;
use crate::error::CliError;
use crate::exit::Exit;
use crate::find;
use crate::format::{count, duration, grouped, size};
use crate::maintenance::Maintenance;
use crate::output::Output;
use crate::settings::Settings;
use crate::style::Style;
use restage_core::clock::Instant;
use restage_engine::{NextRun, next_run};
use restage_store::fsck::{self, CheckStep, Finding, OutState, Remedy, Report};

/// Outs that a finding lists before it counts the rest.
const MOST_OUTS: usize = 3;

pub(crate) fn fsck(settings: &Settings, args: &Fsck, out: &mut Output) -> Result<Exit, CliError> {
    let started = Instant::now();
    let file = find::pipeline(settings, args.file.as_deref())?.path;
    let Some(maintenance) = Maintenance::open(settings, &file)? else {
        if !settings.json {
            out.note("nothing has run here yet, so there is nothing to check\n");
        }
        return Ok(Exit::Ok);
    };
    let mut report = check(settings, &maintenance)?;
    let mut next = Vec::new();
    let profiles = match report.findings.is_empty() && report.outs.is_empty() {
        true => Vec::new(),
        false => maintenance.profiles(settings, &file),
    };
    let profiles: Vec<_> = profiles.into_iter().flatten().collect();
    // What is temporary is never put into the workspace.
    let stages = profiles.iter().flat_map(|loaded| loaded.graph.stages());
    for out in stages
        .flat_map(|stage| &stage.outs)
        .filter(|out| out.temporary)
    {
        let path = out.path.as_str();
        if report.outs.get(path) == Some(&OutState::Missing) {
            report.outs.remove(path);
        }
    }
    for loaded in profiles {
        // What can't be planned can't run: `reproduce` will say why.
        if let Ok(stages) = next_run(&maintenance.workspace(settings, &loaded), &loaded.graph)
            && stages != NextRun::default()
        {
            next.push((loaded.profile().to_owned(), stages));
        }
    }
    let text = if settings.json {
        lines_json(&report, &next)
    } else {
        let seconds = started.elapsed().as_secs_f64();
        page(&report, &next, seconds, settings.out_style)
    };
    out.data(&text)?;
    Ok(if report.findings.is_empty() {
        Exit::Ok
    } else {
        Exit::Different
    })
}

fn check(settings: &Settings, maintenance: &Maintenance) -> Result<Report, CliError> {
    let target = if settings.interactive && !settings.json {
        ProgressDrawTarget::stderr_with_hz(8)
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = "checking {bar:24.cyan/dim} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}";
    let style = ProgressStyle::with_template(style).expect("the template is a constant");
    let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
    let report = fsck::check(&maintenance.store, &maintenance.root, &|step| match step {
        CheckStep::Begin(bytes) => bar.set_length(bytes),
        CheckStep::Read(bytes) => bar.inc(bytes),
    });
    bar.finish_and_clear();
    Ok(report?)
}

fn lines_json(report: &Report, next: &[(String, NextRun)]) -> String {
    let mut lines = Vec::new();
    for finding in &report.findings {
        let needs = finding.needed_by.iter();
        let needs = needs.map(|need| json!({"stage": need.stage, "out": need.out}));
        lines.push(json!({
            "event": "finding",
            "kind": finding.problem.kind(),
            "digest": finding.problem.digest().map(ToString::to_string),
            "problem": finding.problem.to_string(),
            "needed_by": needs.collect::<Vec<_>>(),
            "remedy": finding.remedy.kind(),
            "moved_to": match &finding.remedy {
                Remedy::SetAside(path) => Some(path.display().to_string()),
                _ => None,
            },
            "healed_from": match &finding.remedy {
                Remedy::Healed(path) => Some(path),
                _ => None,
            },
        }));
    }
    for (path, state) in &report.outs {
        lines.push(json!({"event": "out", "path": path, "state": word(*state)}));
    }
    for (
        profile,
        NextRun {
            runs,
            restores,
            waits,
        },
    ) in next
    {
        lines.push(json!({
            "event": "next", "profile": profile,
            "runs": runs, "restores": restores, "waits": waits,
        }));
    }
    for (what, count) in &report.removable {
        lines.push(json!({"event": "removable", "what": what, "count": count}));
    }
    let checked = report.checked;
    lines.push(json!({
        "event": "summary", "findings": report.findings.len(), "objects": checked.objects,
        "bytes": checked.bytes, "records": checked.records, "outs": checked.outs,
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn word(state: OutState) -> &'static str {
    match state {
        OutState::Edited => "edited",
        OutState::Missing => "missing",
    }
}

/// What was found, what the next run will do about it, and a summary.
fn page(report: &Report, next: &[(String, NextRun)], seconds: f64, style: Style) -> String {
    let mut text: String = report.findings.iter().map(|f| block(f, style)).collect();
    for state in [OutState::Edited, OutState::Missing] {
        let outs = report.outs.iter().filter(|(_, s)| **s == state);
        let outs: Vec<String> = outs.map(|(path, _)| format!("`{path}`")).collect();
        if !outs.is_empty() {
            let word = style.busy(word(state));
            text += &format!(
                "{word} since the last `restage reproduce`: {}\n",
                listed(&outs)
            );
        }
    }
    for (
        profile,
        NextRun {
            runs,
            restores,
            waits,
        },
    ) in next
    {
        let groups = [("run", runs), ("restore", restores), ("maybe run", waits)];
        let groups = groups.iter().filter(|(_, stages)| !stages.is_empty());
        let does: Vec<String> = groups
            .map(|(verb, stages)| {
                let stages = grouped(stages.iter().map(String::as_str));
                format!("{verb} {stages}")
            })
            .collect();
        let does = does.join("; ");
        text += &format!("the next `restage reproduce -p {profile}` will {does}\n");
    }
    for (what, n) in &report.removable {
        text += &style.dim(&format!("{what}: {n} (`restage gc` removes them)"));
        text.push('\n');
    }
    let checked = report.checked;
    let read = format!(
        "{} ({}), {} and {} checked in {}",
        count(checked.objects, "object"),
        size(checked.bytes as f64),
        count(checked.records, "record"),
        count(checked.outs, "out"),
        duration(seconds)
    );
    text += &match report.findings.len() {
        0 => format!("{}: {read}\n", style.good("no problems")),
        n => format!(
            "{}: {read}\n",
            style.bad(&format!("{} found", count(n, "problem")))
        ),
    };
    text
}

fn block(finding: &Finding, style: Style) -> String {
    let mut text = format!("{}\n", finding.problem);
    if !finding.needed_by.is_empty() {
        let needs = finding.needed_by.iter();
        let needs: Vec<String> = needs
            .map(|need| format!("`{}` of {}", need.out, need.stage))
            .collect();
        text += &format!("  holds {}\n", listed(&needs));
    }
    let done = finding.remedy.to_string();
    let done = match finding.remedy {
        Remedy::Healed(_) | Remedy::MadeReadOnly => style.good(&done),
        Remedy::Lost => style.bad(&done),
        _ => style.busy(&done),
    };
    text + &format!("  {done}\n")
}

/// The first few, and how many more there are.
fn listed(items: &[String]) -> String {
    let shown = &items[..items.len().min(MOST_OUTS)];
    let more = items.len() - shown.len();
    let text = shown.join(", ");
    match more {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
