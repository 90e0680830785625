//! Verdicts on claims: for the terminal, as Markdown, JSON lines and tests.

use serde_json::json;
use unicode_width::UnicodeWidthStr;

use crate::format::{count, grouped};
use crate::judge::{JudgedClaim, Mistake};
use crate::render::junit::{Case, Outcome};
use crate::render::width::visible;
use crate::style::Style;
use restage_claims::{Estimate, LEVEL, Runs, Verdict, interval_text, number_text};
use restage_pipeline::PaperValue;

/// The widest paper's value in the terminal's table.
const PAPER: usize = 14;

/// The rest of a line after the claim and both values: gaps and the longest verdict.
const REST: usize = 6 + 14;

/// The width of a line, without its indent.
const WIDTH: usize = 76;

impl JudgedClaim<'_> {
    fn with_unit(&self, value: Option<String>) -> String {
        match (value, &self.claim.unit) {
            (Some(value), Some(unit)) => format!("{value} {unit}"),
            (Some(value), None) => value,
            (None, _) => "-".to_owned(),
        }
    }

    pub(crate) fn paper(&self) -> String {
        match &self.claim.paper {
            Some(PaperValue::Text(text)) => text.clone(),
            Some(PaperValue::Number(number)) => self.with_unit(Some(number_text(*number))),
            None => "-".to_owned(),
        }
    }

    pub(crate) fn ours(&self) -> String {
        self.with_unit(self.plain_ours())
    }

    fn plain_ours(&self) -> Option<String> {
        self.judged.ours.map(|ours| match ours.half_width {
            Some(half_width) => interval_text(ours.value, half_width),
            None => number_text(ours.value),
        })
    }

    /// Without its unit where there is no room for it.
    fn ours_within(&self, most: usize) -> String {
        let full = self.ours();
        match self.plain_ours() {
            Some(plain) if full.width() > most => plain,
            _ => full,
        }
    }

    fn has_interval(&self) -> bool {
        self.judged
            .ours
            .is_some_and(|ours| ours.half_width.is_some())
    }

    /// The runs that our value comes from, if they are known.
    fn runs(&self) -> Option<String> {
        let Estimate {
            half_width, runs, ..
        } = self.judged.ours?;
        match (runs, half_width) {
            (Runs::Unknown, _) => None,
            (runs, Some(_)) => Some(runs.to_string()),
            (runs, None) => Some(format!("{runs}, no interval")),
        }
    }

    /// `, worse: was reproduced`.
    fn change(&self) -> String {
        match self.before {
            Some(before) if self.is_worse() => format!(" (was {before})"),
            Some(before) if self.is_better() => format!(" (better: was {before})"),
            _ => String::new(),
        }
    }
}

/// `2 reproduced, 1 not measured`.
fn counts(all: &[JudgedClaim<'_>]) -> String {
    let of = |verdict| {
        all.iter()
            .filter(|one| one.judged.verdict == verdict)
            .count()
    };
    let counted = Verdict::ALL.map(|verdict| (of(verdict), verdict));
    let parts: Vec<String> = counted
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, verdict)| format!("{n} {verdict}"))
        .collect();
    parts.join(", ")
}

/// A line for each claim, at most 80 columns; below it from how many runs values come, and why claims
/// are not measured. `words`: with what the paper says.
pub(crate) fn table(all: &[JudgedClaim<'_>], profile: &str, words: bool, style: Style) -> String {
    let papers: Vec<String> = all
        .iter()
        .map(|one| match one.paper() {
            paper if paper.width() > PAPER => "in words".to_owned(),
            paper => paper,
        })
        .collect();
    let names = all.iter().map(|one| one.claim.id.width().min(30));
    let width = names.max().unwrap_or(0).max(5);
    let paper_width = widest(&papers);
    let room = WIDTH + 4 - REST - width - paper_width;
    let ours: Vec<String> = all.iter().map(|one| one.ours_within(room)).collect();
    let ours_width = widest(&ours);
    let heading = format!(
        "{:width$}  {:>paper_width$}  {:>ours_width$}  verdict",
        "claim", "paper", "ours"
    );
    let mut text = format!("{}\n", style.dim(&heading));
    for (one, (paper, ours)) in all.iter().zip(papers.iter().zip(&ours)) {
        let verdict = one.judged.verdict.text();
        let verdict = match one.judged.verdict {
            Verdict::Reproduced => style.good(verdict),
            Verdict::DirectionOnly => style.busy(verdict),
            Verdict::NotReproduced => style.bad(verdict),
            Verdict::NotMeasured => style.dim(verdict),
        };
        text += &format!(
            "{:width$}  {paper:>paper_width$}  {ours:>ours_width$}  {verdict}\n",
            one.claim.id
        );
        if words {
            text += &format!("  {}\n", one.claim.says);
            if let Some(PaperValue::Text(words)) = &one.claim.paper {
                text += &format!("  paper: {words}\n");
            }
            if let Some(section) = &one.claim.section {
                text += &format!("  in {section}\n");
            }
        }
    }
    for (runs, ids) in by(all, |one| one.runs()) {
        text += &match runs.ends_with("interval") {
            true => format!("{runs}:\n"),
            false => format!("± is half the width of the {LEVEL} % t-interval over {runs}:\n"),
        };
        text += &lines(ids);
    }
    for (reason, ids) in by(all, |one| one.judged.reason.clone()) {
        text += &format!("not measured, {reason}:\n");
        text += &lines(ids);
    }
    for one in all.iter().filter(|one| one.is_worse() || one.is_better()) {
        let word = if one.is_worse() {
            style.bad("worse:")
        } else {
            style.good("better:")
        };
        let before = one.before.map_or("", Verdict::text);
        text += &format!(
            "{word} {} was {before}, now {}\n",
            one.claim.id, one.judged.verdict
        );
    }
    text + &format!(
        "profile {profile}, {}:\n  {}\n",
        count(all.len(), "claim"),
        counts(all)
    )
}

/// The width of a column of values.
fn widest(texts: &[String]) -> usize {
    let widths = texts.iter().map(|text| text.width());
    widths.max().unwrap_or(0).max("in words".len())
}

/// Names in lines of their own.
fn lines(ids: Vec<&str>) -> String {
    let (mut text, mut line) = (String::new(), String::new());
    for word in grouped(ids).split_inclusive(", ") {
        if line.width() + word.width() > WIDTH {
            text += &format!("  {}\n", line.trim_end());
            line.clear();
        }
        line += word;
    }
    text + &format!("  {line}\n")
}

/// Claims grouped by a text about them, in order of first appearance.
fn by<'a>(
    all: &'a [JudgedClaim<'_>],
    text: impl Fn(&JudgedClaim<'_>) -> Option<String>,
) -> Vec<(String, Vec<&'a str>)> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for one in all {
        let Some(text) = text(one) else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == text) {
            Some((_, ids)) => ids.push(&one.claim.id),
            None => groups.push((text, vec![&one.claim.id])),
        }
    }
    groups
}

/// A Markdown table.
pub(crate) fn markdown(all: &[JudgedClaim<'_>], profile: &str) -> String {
    let cell = |text: &str| {
        let text = text
            .replace('\\', "\\\\")
            .replace('|', "\\|")
            .replace('<', "&lt;");
        visible(&text.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let mut text = format!("Profile `{profile}`: {}.\n\n", counts(all));
    text += "| claim | the paper says | paper | ours | verdict |\n|---|---|--:|--:|---|\n";
    for one in all {
        let reason = one
            .judged
            .reason
            .as_deref()
            .map_or(String::new(), |why| format!(": {why}"));
        let mark = if one.is_worse() { "**" } else { "" };
        let verdict = format!("{mark}{}{mark}{}{reason}", one.judged.verdict, one.change());
        let runs = one.runs();
        let runs = runs.map_or(String::new(), |runs| format!(" ({runs})"));
        let cells = [
            &one.claim.id,
            &one.claim.says,
            &one.paper(),
            &(one.ours() + &runs),
            &verdict,
        ];
        text += &format!("| {} |\n", cells.map(|text| cell(text)).join(" | "));
    }
    if all.iter().any(JudgedClaim::has_interval) {
        text += &format!("\n± is half the width of the {LEVEL} % t-interval of the mean.\n");
    }
    text
}

/// A line for each claim, then a count.
pub(crate) fn json(all: &[JudgedClaim<'_>], profile: &str) -> String {
    let mut text = String::new();
    for one in all {
        let paper = match &one.claim.paper {
            Some(PaperValue::Number(number)) => json!(number),
            Some(PaperValue::Text(words)) => json!(words),
            None => json!(null),
        };
        let ours = one.judged.ours;
        let (runs, paired) = match ours.map(|ours| ours.runs) {
            None | Some(Runs::Unknown) => (json!(null), json!(null)),
            Some(Runs::Single(n)) => (json!([n]), json!(null)),
            Some(Runs::Pairs(n)) => (json!([n, n]), json!(true)),
            Some(Runs::Independent(n, m)) => (json!([n, m]), json!(false)),
        };
        let line = json!({
            "event": "claim", "profile": profile, "id": one.claim.id, "says": one.claim.says,
            "where": one.claim.section, "unit": one.claim.unit, "paper": paper,
            "ours": ours.map(|ours| ours.value), "half_width": ours.and_then(|ours| ours.half_width),
            "runs": runs, "paired": paired, "verdict": one.judged.verdict.text(),
            "reason": one.judged.reason, "committed": one.before.map(Verdict::text),
            "worse": one.is_worse(), "volatile": one.claim.volatile,
        });
        text += &format!("{line}\n");
    }
    let worse = all.iter().filter(|one| one.is_worse()).count();
    text + &format!(
        "{}\n",
        json!({"event": "claims", "claims": all.len(), "worse": worse})
    )
}

/// A line for each claim that the tables can't answer.
pub(crate) fn mistakes(all: &[Mistake<'_>], profile: &str) -> String {
    let line = |one: &Mistake<'_>| {
        let line = json!({
            "event": "mistake", "profile": profile, "id": one.claim.id, "says": one.claim.says,
            "reason": one.message, "line": one.location.line,
        });
        format!("{line}\n")
    };
    all.iter().map(line).collect()
}

/// A test for each claim: worse than committed failed, not measured was skipped.
pub(crate) fn cases(all: &[JudgedClaim<'_>]) -> Vec<Case> {
    let case = |one: &JudgedClaim<'_>| {
        let message = format!("{}{}", one.judged.verdict, one.change());
        let reason = one.judged.reason.clone().unwrap_or_default();
        let runs = one.runs();
        let runs = runs.map_or(String::new(), |runs| format!(" ({runs})"));
        let out = format!(
            "{message}: paper {}, ours {}{runs}\n{}",
            one.paper(),
            one.ours(),
            one.claim.says
        );
        Case {
            name: one.claim.id.clone(),
            outcome: match one.judged.verdict {
                _ if one.is_worse() => Outcome::Failed {
                    message,
                    text: reason,
                },
                Verdict::NotMeasured => Outcome::Skipped { message: reason },
                _ => Outcome::Passed,
            },
            out: Some(out),
        }
    };
    all.iter().map(case).collect()
}
