//! Texts that the terminal and the plain renderer share: plans, failures, the last line.

use super::json::state;
use crate::format::{count, duration, grouped, rough_duration};
use crate::style::Style;
use restage_engine::{Access, Audited, Decision, Estimate, Failure, Plan, Reason, Summary};
use restage_pipeline::graph::Graph;

/// How many undeclared files of a stage are shown.
const MOST_FILES: usize = 20;

/// What is about to run, and about how long it takes.
pub(crate) fn plan_lines(graph: &Graph, plan: &Plan, guess: Estimate, style: Style) -> Vec<String> {
    let mut run: Vec<String> = Vec::new();
    let mut may: Vec<String> = Vec::new();
    let mut gated: Vec<String> = Vec::new();
    let mut blocked: Vec<String> = Vec::new();
    let (mut fresh, mut restore) = (0, 0);
    for (id, planned) in &plan.stages {
        let name = graph.stage(*id).name.clone();
        match &planned.decision {
            Decision::Run(_) => run.push(name),
            Decision::Blocked(_) => blocked.push(name),
            Decision::Waits(_) => may.push(name),
            Decision::Restore(..) => restore += 1,
            Decision::Fresh(_) => fresh += 1,
            Decision::Gated(_) => gated.push(name),
        }
    }
    let names = |names: &[String]| grouped(names.iter().map(String::as_str));
    let none = [
        ("gated, can't run here", gated),
        ("blocked, can't run", blocked),
    ];
    let none = none.iter().filter(|(_, stages)| !stages.is_empty());
    let none = none.map(|(why, stages)| format!("{why}: {}", names(stages)));
    if run.is_empty() && may.is_empty() {
        return none.collect();
    }
    let mut lines = Vec::new();
    if !run.is_empty() {
        lines.push(format!("{} {}", style.bold("to run:"), names(&run)));
    }
    lines.extend(none);
    if !may.is_empty() {
        lines.push(format!("then, if their inputs change: {}", names(&may)));
    }
    if fresh + restore > 0 {
        lines.push(format!("kept: {}", count(fresh + restore, "stage")));
    }
    let time = match (guess.seconds, guess.unknown) {
        (_, unknown) if unknown == run.len() + may.len() => {
            "time: unknown, none of these stages has run before".to_owned()
        }
        (seconds, 0) => format!("time: {}, as in their last runs", rough_duration(seconds)),
        (seconds, unknown) => format!(
            "time: {}, plus {} that never ran",
            rough_duration(seconds),
            count(unknown, "stage")
        ),
    };
    lines.push(time);
    lines
}

/// The state's name in its colour, padded to the longest.
pub(crate) fn painted_state(decision: &Decision, style: Style) -> String {
    let word = format!("{:7}", state(decision));
    match decision {
        Decision::Fresh(_) => style.good(&word),
        Decision::Restore(..) | Decision::Waits(_) | Decision::Gated(_) => style.busy(&word),
        Decision::Run(_) | Decision::Blocked(_) => style.bad(&word),
    }
}

/// Why a stage runs, on one line.
pub(crate) fn reason_text(reasons: &[Reason]) -> String {
    match reasons {
        [] => "no record of these inputs".to_owned(),
        [one] => one.to_string(),
        [one, rest @ ..] => format!("{one} (+{} more)", rest.len()),
    }
}

/// A failure as a block of lines.
pub(crate) fn failure(stage: &str, failure: &Failure, style: Style) -> String {
    block(&style.error("error:"), stage, failure, "", style)
}

/// A failed attempt before the next one, as a block of lines.
pub(crate) fn retry(stage: &str, failure: &Failure, style: Style) -> String {
    let word = style.warning("warning:");
    let text = block(&word, stage, failure, ", trying again", style);
    text.trim_end().to_owned()
}

fn block(word: &str, stage: &str, failure: &Failure, then: &str, style: Style) -> String {
    let number = match failure.attempts {
        0 | 1 => String::new(),
        all => format!(" (attempt {} of {all})", failure.attempt),
    };
    let mut text = format!("{word} stage `{stage}` {}{number}{then}\n", failure.reason);
    for line in &failure.tail {
        text += &format!("  {} {line}\n", style.dim("|"));
    }
    if let Some(log) = &failure.log {
        text += &format!("  log: {}\n", log.display());
    }
    if let Some(dir) = &failure.work_dir {
        text += &format!("  files kept in: {}\n", dir.display());
    }
    if let Some(hint) = &failure.hint {
        text += &format!("{} {hint}\n", style.hint("hint:"));
    }
    text
}

/// What a stage did besides what it declares.
pub(crate) fn audit(stage: &str, audited: &Audited, style: Style) -> Vec<String> {
    let word = style.warning("audit:");
    let mut lines = Vec::new();
    for file in audited.files.iter().take(MOST_FILES) {
        let (access, path) = (file.access, &file.path);
        let what = match access {
            Access::Missed => "which does not exist and is not declared",
            _ => "which it does not declare",
        };
        lines.push(format!("{word} `{stage}` {access} `{path}`, {what}"));
    }
    let more = audited.files.len().saturating_sub(MOST_FILES);
    if more > 0 {
        lines.push(format!("{word} and {more} more; `--json` lists all"));
    }
    if audited.unseen > 0 {
        let calls = count(
            usize::try_from(audited.unseen).unwrap_or(usize::MAX),
            "call",
        );
        lines.push(format!(
            "{word} `{stage}` made {calls} that could not be traced"
        ));
    }
    let mut advice = audited.advice.iter();
    lines.extend(
        advice
            .next()
            .map(|line| format!("{} {line}", style.hint("hint:"))),
    );
    lines.extend(advice.map(|line| format!("  {line}")));
    lines
}

/// `done: 3 ran, 1 restored, 8 fresh (12 s)`.
pub(crate) fn summary_line(summary: &Summary, style: Style) -> String {
    let mut parts = Vec::new();
    for (n, word) in [
        (summary.ran, "ran"),
        (summary.restored, "restored"),
        (summary.fresh, "fresh"),
        (summary.failed, "failed"),
        (summary.gated, "gated"),
        (summary.blocked, "blocked"),
        (summary.cancelled, "cancelled"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    let word = if summary.interrupted {
        style.bad("interrupted:")
    } else if summary.failed + summary.blocked > 0 {
        style.bad("failed:")
    } else {
        style.good("done:")
    };
    let what = if parts.is_empty() {
        "nothing to do".to_owned()
    } else {
        parts.join(", ")
    };
    format!("{word} {what} ({})", duration(summary.seconds))
}
