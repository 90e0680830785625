//! A run as JSON lines, for programs.
//! Field names are a promise: add, never rename.

use std::io::Write;

use serde_json::{Value, json};

use restage_engine::{Audited, Decision, Event, Failure, Observer, StageEvent, StageOutcome};

/// Writes one JSON object per line.
pub(crate) struct JsonRenderer<'a> {
    pub(crate) out: &'a mut dyn Write,
}

impl Observer for JsonRenderer<'_> {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Audited { stage, audited } => {
                let all = undeclared(stage, audited);
                all.iter().for_each(|value| self.line(value));
            }
            event => self.line(&encode(event)),
        }
    }
}

impl JsonRenderer<'_> {
    fn line(&mut self, value: &Value) {
        // A closed pipe must not end a run of hours.
        let _ = writeln!(self.out, "{value}").and_then(|()| self.out.flush());
    }
}

/// One event for each file, and one more for calls that could not be traced.
fn undeclared(stage: &str, audited: &Audited) -> Vec<Value> {
    let files = audited.files.iter().map(|file| {
        let (field, item) = file.add.clone().unzip();
        json!({
            "event": "undeclared", "stage": stage, "path": file.path,
            "deed": file.access.to_string(), "field": field, "add": item,
        })
    });
    let unseen = (audited.unseen > 0)
        .then(|| json!({"event": "unseen", "stage": stage, "calls": audited.unseen}));
    files.chain(unseen).collect()
}

fn encode(event: &Event<'_>) -> Value {
    match event {
        Event::Planned { graph, plan } => {
            let stages: Vec<Value> = plan
                .stages
                .iter()
                .map(|(id, planned)| {
                    json!({
                        "stage": graph.stage(*id).name,
                        "state": state(&planned.decision),
                        "reasons": reasons(&planned.decision),
                    })
                })
                .collect();
            json!({"event": "planned", "stages": stages})
        }
        Event::Building { packages } => json!({"event": "building", "packages": packages}),
        Event::BuildLine { text } => json!({"event": "build_line", "text": text}),
        Event::Built { seconds } => json!({"event": "built", "seconds": seconds}),
        Event::MakingEnvironment { name, kind } => {
            json!({"event": "making_environment", "environment": name, "kind": kind})
        }
        Event::EnvironmentMade {
            name,
            seconds,
            failed,
        } => json!({
            "event": "environment_made", "environment": name, "seconds": seconds, "failed": failed,
        }),
        Event::WaitingForOther { stage } => json!({"event": "waiting", "stage": stage}),
        Event::Started {
            stage,
            attempt,
            attempts,
            expected_seconds,
        } => json!({
            "event": "started", "stage": stage, "attempt": attempt, "attempts": attempts,
            "expected_seconds": expected_seconds,
        }),
        Event::Stage {
            stage,
            event: StageEvent::Message(text),
        } => {
            json!({"event": "message", "stage": stage, "text": text})
        }
        Event::Stage {
            stage,
            event: StageEvent::Progress(p),
        } => {
            let metrics: serde_json::Map<String, Value> = p
                .metrics
                .iter()
                .map(|m| (m.name.clone(), json!(m.value)))
                .collect();
            json!({
                "event": "progress", "stage": stage, "done": p.done, "total": p.total,
                "unit": p.unit, "fraction": p.fraction,
                "remaining_seconds": p.remaining_seconds, "metrics": metrics,
            })
        }
        Event::Retrying { stage, failure } => {
            let mut value = failure_value(failure);
            value["event"] = json!("retrying");
            value["stage"] = json!(stage);
            value
        }
        Event::Audited { stage, audited } => json!(undeclared(stage, audited)),
        Event::Finished { stage, outcome } => finished(stage, outcome),
        Event::Warning { stage, text } => json!({"event": "warning", "stage": stage, "text": text}),
        Event::Interrupted => json!({"event": "interrupted"}),
    }
}

fn finished(stage: &str, outcome: &StageOutcome) -> Value {
    let mut value = match outcome {
        StageOutcome::Fresh => json!({"outcome": "fresh"}),
        StageOutcome::Restored { outs } => json!({"outcome": "restored", "outs": outs}),
        StageOutcome::Ran { seconds, unchanged } => {
            json!({"outcome": "ran", "seconds": seconds, "unchanged": unchanged})
        }
        StageOutcome::Failed(failure) => {
            let mut value = failure_value(failure);
            value["outcome"] = json!("failed");
            value
        }
        StageOutcome::Gated(gate) => json!({
            "outcome": "gated", "lacks": gate.lacks, "stands": gate.stands.is_some(),
            "current": gate.stands.as_ref().map(|stands| stands.is_current),
        }),
        StageOutcome::Blocked { by } => json!({"outcome": "blocked", "by": by}),
        StageOutcome::Cancelled => json!({"outcome": "cancelled"}),
    };
    value["event"] = json!("finished");
    value["stage"] = json!(stage);
    value
}

fn failure_value(failure: &Failure) -> Value {
    json!({
        "reason": failure.reason,
        "attempt": failure.attempt,
        "attempts": failure.attempts,
        "hint": failure.hint,
        "work_dir": failure.work_dir,
        "log": failure.log,
        "tail": failure.tail,
    })
}

/// The state's name, as `status --json` gives it too.
pub(crate) fn state(decision: &Decision) -> &'static str {
    match decision {
        Decision::Fresh(_) => "fresh",
        Decision::Restore(..) => "restore",
        Decision::Run(_) => "stale",
        Decision::Blocked(_) => "blocked",
        Decision::Waits(_) => "waits",
        Decision::Gated(_) => "gated",
    }
}

/// Reasons as texts.
pub(crate) fn reasons(decision: &Decision) -> Vec<String> {
    match decision {
        Decision::Run(reasons) => reasons.iter().map(ToString::to_string).collect(),
        Decision::Blocked(obstacle) => vec![obstacle.to_string()],
        Decision::Restore(_, outs) => outs
            .iter()
            .map(|out| format!("out {out} differs or is missing"))
            .collect(),
        Decision::Gated(gate) => gate.lacks.clone(),
        Decision::Fresh(_) | Decision::Waits(_) => Vec::new(),
    }
}
