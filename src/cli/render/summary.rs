//! Texts that the terminal and the plain renderer share: plans, failures, the last line.
//! It must not know where they are written.

use super::json::state;
use crate::cli::format::{count, duration, grouped, rough_duration};
use crate::cli::style::Style;
use crate::graph::Graph;
use crate::runner::{Decision, Estimate, Failure, Plan, Reason, Summary};

/// What is about to run, and about how long it takes.
pub(crate) fn plan_lines(graph: &Graph, plan: &Plan, guess: Estimate, style: Style) -> Vec<String> {
    let mut run: Vec<String> = Vec::new();
    let mut may: Vec<String> = Vec::new();
    let (mut fresh, mut restore) = (0, 0);
    for (id, planned) in &plan.stages {
        let name = graph.stage(*id).name.clone();
        match &planned.decision {
            Decision::Run(_) => run.push(name),
            Decision::Waits(_) => may.push(name),
            Decision::Restore(..) => restore += 1,
            Decision::Fresh(_) => fresh += 1,
        }
    }
    if run.is_empty() && may.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{} {}",
        style.bold("to run:"),
        grouped(run.iter().map(String::as_str))
    )];
    if !may.is_empty() {
        lines.push(format!(
            "then, where inputs changed: {}",
            grouped(may.iter().map(String::as_str))
        ));
    }
    if fresh + restore > 0 {
        lines.push(format!("kept: {}", count(fresh + restore, "stage")));
    }
    let time = match (guess.seconds, guess.unknown) {
        (_, unknown) if unknown == run.len() + may.len() => {
            "time: not known yet, no stage of these has run before".to_owned()
        }
        (seconds, 0) => format!(
            "time: {}, as these stages took last",
            rough_duration(seconds)
        ),
        (seconds, unknown) => format!(
            "time: {} and {} that never ran",
            rough_duration(seconds),
            count(unknown, "stage")
        ),
    };
    lines.push(time);
    lines
}

/// The state's name in its colour, as wide as the widest.
pub(crate) fn painted_state(decision: &Decision, style: Style) -> String {
    let word = format!("{:7}", state(decision));
    match decision {
        Decision::Fresh(_) => style.good(&word),
        Decision::Restore(..) | Decision::Waits(_) => style.busy(&word),
        Decision::Run(_) => style.bad(&word),
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
    let mut text = format!(
        "{} stage `{stage}` {}\n",
        style.error("error:"),
        failure.reason
    );
    for line in &failure.tail {
        text += &format!("  {} {line}\n", style.dim("|"));
    }
    if let Some(log) = &failure.log {
        text += &format!("  log: {}\n", log.display());
    }
    if let Some(dir) = &failure.work_dir {
        text += &format!("  its files are kept in: {}\n", dir.display());
    }
    if let Some(hint) = &failure.hint {
        text += &format!("{} {hint}\n", style.hint("hint:"));
    }
    text
}

/// `done: 3 ran, 1 restored, 8 fresh (12 s)`.
pub(crate) fn summary_line(summary: &Summary, style: Style) -> String {
    let mut parts = Vec::new();
    for (n, word) in [
        (summary.ran, "ran"),
        (summary.restored, "restored"),
        (summary.fresh, "fresh"),
        (summary.failed, "failed"),
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
