//! What the paper says and the verdicts on it: a table, and a line that counts them.

use maud::{Markup, html};

use super::{Claim, Mark};

const MARKS: [Mark; 4] = [Mark::Good, Mark::Half, Mark::Bad, Mark::Open];

/// The class of a mark's colours, and its sign.
fn look(mark: Mark) -> (&'static str, &'static str) {
    match mark {
        Mark::Good => ("good", "\u{2713}"),
        Mark::Half => ("half", "\u{25d0}"),
        Mark::Bad => ("bad", "\u{2717}"),
        Mark::Open => ("open", "\u{2013}"),
    }
}

/// How many claims have each verdict, as a bar and in words.
pub(super) fn tally(claims: &[Claim]) -> Markup {
    let counted = MARKS.map(|mark| {
        let of = claims.iter().filter(|claim| claim.mark == mark);
        let verdict = of.clone().next().map_or("", |claim| &claim.verdict);
        (mark, of.count(), verdict)
    });
    let share = |count: usize| 100.0 * count as f64 / claims.len() as f64;
    let start = |at: usize| {
        counted[..at]
            .iter()
            .map(|(_, count, _)| share(*count))
            .sum::<f64>()
    };
    html! {
        div.tally {
            svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" {
                @for (at, (mark, count, _)) in counted.iter().enumerate() {
                    @if *count > 0 {
                        rect class=(look(*mark).0) x=(format!("{:.3}", start(at))) y="0"
                            width=(format!("{:.3}", share(*count))) height="4" {}
                    }
                }
            }
            p {
                @for (mark, count, verdict) in counted.iter().filter(|(_, count, _)| *count > 0) {
                    span.verdict.(look(*mark).0) {
                        span.sign aria-hidden="true" { (look(*mark).1) }
                        " " (count) " " (verdict)
                    }
                    " "
                }
            }
        }
    }
}

/// Every claim.
pub(super) fn claims(claims: &[Claim]) -> Markup {
    html! {
        section #claims aria-labelledby="claims-heading" {
            h2 #claims-heading { "Claims" }
            p { "What the paper says, what was found here, and whether that counts as reproduced." }
            div.scroll role="group" aria-label="Claims" tabindex="0" {
                // On a phone CSS lays the rows out as cards; the roles keep them rows for screen
                // readers.
                table.sortable.claims role="table" {
                    thead role="rowgroup" {
                        tr role="row" {
                            th scope="col" role="columnheader" { "Claim" }
                            th.number scope="col" role="columnheader" { "Paper" }
                            th.number scope="col" role="columnheader" { "Here" }
                            th scope="col" role="columnheader" { "Verdict" }
                        }
                    }
                    tbody role="rowgroup" {
                        @for claim in claims {
                            tr role="row" { (row(claim)) }
                        }
                    }
                }
            }
        }
    }
}

fn row(claim: &Claim) -> Markup {
    let (class, sign) = look(claim.mark);
    html! {
        th scope="row" role="rowheader" {
            (claim.says)
            span.under {
                code { (claim.id) }
                @if let Some(section) = &claim.section { " \u{b7} " (section) }
            }
        }
        (value("Paper", &claim.paper))
        (value("Here", &claim.ours))
        td role="cell" data-value=(claim.mark as u8) {
            span.verdict.(class) {
                span.sign aria-hidden="true" { (sign) } " " (claim.verdict)
            }
            @if let Some(reason) = &claim.reason {
                span.under { (reason) }
            }
        }
    }
}

/// The paper's value or ours, which may be missing.
fn value(name: &str, text: &str) -> Markup {
    html! {
        td.number role="cell" data-name=(name) data-value=[text.is_empty().then_some("")] {
            @if text.is_empty() { span.none { "\u{2013}" } } @else { (text) }
        }
    }
}
