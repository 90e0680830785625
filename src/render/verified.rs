//! What a verification found: a line for each out, an error for each stage that differs.

use serde_json::{Value, json};

use crate::format::{all_are, count, duration, thousands};
use crate::render::diff;
use crate::style::Style;
use restage_engine::{Difference, Summary, Verdict, Verified, VerifiedOut};

/// How many differences of a table an error shows.
const MOST: usize = 3;

/// `identical  train  weights.bin`, a line for each out.
pub(crate) fn verified_lines(found: &[&Verified], style: Style) -> String {
    let width = found.iter().map(|v| v.stage.len()).max().unwrap_or(0);
    let mut text = String::new();
    for stage in found {
        for out in &stage.outs {
            let word = format!("{:<9}", word(&out.verdict));
            let word = match out.verdict {
                Verdict::Identical => style.good(&word),
                Verdict::Within => style.busy(&word),
                Verdict::Differs(_) => style.bad(&word),
                Verdict::Volatile => style.dim(&word),
            };
            text += &format!("{word}  {:width$}  {}\n", stage.stage, out.path);
        }
    }
    text
}

/// `profile quick: all 3 stages are reproducible (1 rerun each, 2.1 s)`.
pub(crate) fn verified_summary(
    profile: &str,
    stages: usize,
    differ: usize,
    times: u16,
    total: &Summary,
) -> String {
    let mut parts = Vec::new();
    for (n, word) in [
        (differ, "not reproducible"),
        (total.failed, "failed"),
        (total.cancelled, "not rerun"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {word}"));
        }
    }
    let time = duration(total.seconds);
    if parts.is_empty() {
        let (all, reruns) = (all_are(stages, "stage"), count(usize::from(times), "rerun"));
        return format!("profile {profile}: {all} reproducible ({reruns} each, {time})");
    }
    let parts = parts.join(", ");
    format!(
        "profile {profile}: of {}: {parts} ({time})",
        count(stages, "stage")
    )
}

/// The error about a stage that wrote something else; `None` if it did not.
pub(crate) fn verified_error(found: &Verified, style: Style) -> Option<String> {
    let out = found.differing()?;
    let mut text = format!(
        "{} stage `{}` is not reproducible: `{}` differs from {}\n",
        style.error("error:"),
        found.stage,
        out.path,
        match &found.adopted {
            Some(_) => "what was adopted",
            None => "the recorded run",
        },
    );
    let (recorded, now) = (out.recorded.short(), out.now.short());
    text += &format!("  recorded: {recorded}   now: {now}\n");
    for line in difference(out).lines() {
        text += &format!("  {line}\n");
    }
    text += &match &found.adopted {
        Some(adopted) => format!("  no run made it: {adopted}\n"),
        None => format!(
            "  same key {}, so nothing we track changed\n",
            found.key.short()
        ),
    };
    let mut apart = vec![("recorded", &found.recorded_apart)];
    match found.recorded_apart == found.rerun_apart {
        true => apart[0].0 = "recorded and rerun",
        false => apart.push(("rerun", &found.rerun_apart)),
    }
    for (what, apart) in apart {
        if let Some(apart) = apart.as_ref().filter(|apart| !apart.is_full()) {
            text += &format!("  {what} {apart}\n");
        }
    }
    if found.kept {
        text += "  the recorded outs are kept, and the new ones next to them in .restage\n";
    }
    let hint = out.hint.as_deref().unwrap_or(match &found.adopted {
        Some(_) => "whoever adopted it may have made it with another version, setting or input",
        None => {
            "common causes: the time, a random seed, thread order, an undeclared environment variable"
        }
    });
    text += &format!("{} {hint}\n", style.hint("hint:"));
    Some(text)
}

/// The first difference of an out; empty if there is none.
fn difference(out: &VerifiedOut) -> String {
    let Verdict::Differs(difference) = &out.verdict else {
        return String::new();
    };
    // A file inside a folder is named; the out itself is named already.
    let inside = |path: &str| match path == out.path {
        true => String::new(),
        false => format!("{path}: "),
    };
    match difference {
        Difference::Table(diff) => diff::text_of(diff, MOST, Style { colour: false }),
        Difference::Bytes {
            path,
            offset,
            recorded,
            now,
        } => {
            let sizes = match recorded == now {
                true => thousands(*now),
                false => format!("{}, now {}", thousands(*recorded), thousands(*now)),
            };
            let at = thousands(*offset);
            format!("{}first different byte: {at} of {sizes}\n", inside(path))
        }
        Difference::NotKept { path } => {
            format!("`{path}` differs from the recorded one, which is temporary and was not kept")
        }
        Difference::Kind {
            path,
            recorded,
            now,
        } => format!("{}{recorded} was recorded, now it is {now}\n", inside(path)),
    }
}

/// A stage as a JSON line.
pub(crate) fn verified_json(found: &Verified) -> Value {
    let outs: Vec<Value> = found.outs.iter().map(out_json).collect();
    let verdicts = found.outs.iter().map(|out| &out.verdict);
    let within = verdicts.clone().any(|v| matches!(v, Verdict::Within));
    let verdict = match (found.differing(), within) {
        (Some(_), _) => "differs",
        (None, true) => "within",
        (None, false) => "identical",
    };
    json!({
        "event": "verified", "stage": found.stage, "key": found.key.to_string(),
        "adopted": found.adopted, "reruns": found.reruns, "verdict": verdict, "outs": outs, "kept": found.kept,
        "isolation": {"recorded": found.recorded_apart, "rerun": found.rerun_apart},
    })
}

fn out_json(out: &VerifiedOut) -> Value {
    let mut value = json!({
        "path": out.path, "verdict": word(&out.verdict),
        "recorded": out.recorded.to_string(), "now": out.now.to_string(),
    });
    if matches!(out.verdict, Verdict::Differs(_)) {
        value["text"] = json!(difference(out));
        value["hint"] = json!(out.hint);
    }
    if let Verdict::Differs(Difference::Bytes { offset, .. }) = out.verdict {
        value["first_different_byte"] = json!(offset);
    }
    value
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Volatile => "volatile",
        Verdict::Identical => "identical",
        Verdict::Within => "within",
        Verdict::Differs(_) => "differs",
    }
}
