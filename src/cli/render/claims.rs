//! Verdicts on claims: for the terminal, as Markdown, JSON lines and tests.
//! It must not judge.

use serde_json::json;
use unicode_width::UnicodeWidthStr;

use crate::claims::{Judged, Verdict, shown};
use crate::cli::format::{count, grouped};
use crate::cli::render::junit::{Case, Outcome};
use crate::cli::style::Style;
use crate::spec::{Claim, PaperValue};

/// Of the paper's and our value in the terminal's table.
const VALUE: usize = 14;

/// Of a line, without its indent.
const WIDTH: usize = 76;

/// A claim, its verdict, and the committed one.
pub(crate) struct Shown<'a> {
    pub(crate) claim: &'a Claim,
    pub(crate) judged: Judged,
    pub(crate) before: Option<Verdict>,
}

impl Shown<'_> {
    /// Whether it got worse than what is committed.
    pub(crate) fn is_worse(&self) -> bool {
        !self.claim.volatile
            && self
                .before
                .is_some_and(|before| self.judged.verdict < before)
    }

    fn is_better(&self) -> bool {
        !self.claim.volatile
            && self
                .before
                .is_some_and(|before| self.judged.verdict > before)
    }

    fn with_unit(&self, value: Option<String>) -> String {
        match (value, &self.claim.unit) {
            (Some(value), Some(unit)) => format!("{value} {unit}"),
            (Some(value), None) => value,
            (None, _) => "-".to_owned(),
        }
    }

    fn paper(&self) -> String {
        match &self.claim.paper {
            Some(PaperValue::Text(text)) => text.clone(),
            Some(PaperValue::Number(number)) => self.with_unit(Some(shown(*number))),
            None => "-".to_owned(),
        }
    }

    fn ours(&self) -> String {
        self.with_unit(self.judged.ours.map(shown))
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
fn counts(all: &[Shown<'_>]) -> String {
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

/// A line a claim, at most 80 columns; below it why claims are not measured. `words`: with what the
/// paper says.
pub(crate) fn table(all: &[Shown<'_>], profile: &str, words: bool, style: Style) -> String {
    let width = all
        .iter()
        .map(|one| one.claim.id.width())
        .max()
        .unwrap_or(0)
        .clamp(5, 30);
    let heading = format!(
        "{:width$}  {:>VALUE$}  {:>VALUE$}  verdict",
        "claim", "paper", "ours"
    );
    let mut text = format!("{}\n", style.dim(&heading));
    for one in all {
        let fits = |value: String| {
            if value.width() > VALUE {
                "in words".to_owned()
            } else {
                value
            }
        };
        let (paper, ours) = (fits(one.paper()), fits(one.ours()));
        let verdict = one.judged.verdict.text();
        let verdict = match one.judged.verdict {
            Verdict::Reproduced => style.good(verdict),
            Verdict::DirectionOnly => style.busy(verdict),
            Verdict::NotReproduced => style.bad(verdict),
            Verdict::NotMeasured => style.dim(verdict),
        };
        text += &format!(
            "{:width$}  {paper:>VALUE$}  {ours:>VALUE$}  {verdict}\n",
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
    for (reason, ids) in reasons(all) {
        text += &format!("not measured, {reason}:\n");
        let mut line = String::new();
        for word in grouped(ids).split_inclusive(", ") {
            if line.width() + word.width() > WIDTH {
                text += &format!("  {}\n", line.trim_end());
                line.clear();
            }
            line += word;
        }
        text += &format!("  {line}\n");
    }
    for one in all.iter().filter(|one| one.is_worse() || one.is_better()) {
        let word = if one.is_worse() {
            style.bad("worse:")
        } else {
            style.good("better:")
        };
        let before = one.before.map_or("", Verdict::text);
        text += &format!(
            "{word} {} was {before}, is {}\n",
            one.claim.id, one.judged.verdict
        );
    }
    text + &format!(
        "profile {profile}, {}:\n  {}\n",
        count(all.len(), "claim"),
        counts(all)
    )
}

/// Claims by the reason for which they are not measured.
fn reasons<'a>(all: &'a [Shown<'_>]) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in all {
        let Some(reason) = one.judged.reason.as_deref() else {
            continue;
        };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, ids)) => ids.push(&one.claim.id),
            None => reasons.push((reason, vec![&one.claim.id])),
        }
    }
    reasons
}

/// A Markdown table.
pub(crate) fn markdown(all: &[Shown<'_>], profile: &str) -> String {
    let cell = |text: &str| {
        let text = text
            .replace('\\', "\\\\")
            .replace('|', "\\|")
            .replace('<', "&lt;");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
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
        let cells = [
            &one.claim.id,
            &one.claim.says,
            &one.paper(),
            &one.ours(),
            &verdict,
        ];
        text += &format!("| {} |\n", cells.map(|text| cell(text)).join(" | "));
    }
    text
}

/// A line a claim, then a count.
pub(crate) fn json(all: &[Shown<'_>], profile: &str) -> String {
    let mut text = String::new();
    for one in all {
        let paper = match &one.claim.paper {
            Some(PaperValue::Number(number)) => json!(number),
            Some(PaperValue::Text(words)) => json!(words),
            None => json!(null),
        };
        let line = json!({
            "event": "claim", "profile": profile, "id": one.claim.id, "says": one.claim.says,
            "where": one.claim.section, "unit": one.claim.unit, "paper": paper,
            "ours": one.judged.ours, "verdict": one.judged.verdict.text(),
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

/// A test a claim: worse than committed failed, not measured was skipped.
pub(crate) fn cases(all: &[Shown<'_>]) -> Vec<Case> {
    let case = |one: &Shown<'_>| {
        let said = format!("{}{}", one.judged.verdict, one.change());
        let reason = one.judged.reason.clone().unwrap_or_default();
        let out = format!(
            "{said}: paper {}, ours {}\n{}",
            one.paper(),
            one.ours(),
            one.claim.says
        );
        Case {
            name: one.claim.id.clone(),
            outcome: match one.judged.verdict {
                _ if one.is_worse() => Outcome::Failed {
                    message: said,
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
