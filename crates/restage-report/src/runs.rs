//! The runs behind a page: a table, and a card for each with all its inputs.

use maud::{Markup, html};

use super::{Page, Run};

/// The id of a run's card, for links.
pub(super) fn anchor(run: usize) -> String {
    format!("run-{}", run + 1)
}

/// `download → train@a, train@b → table`, each a link to its card.
pub(super) fn chain(chain: &[usize], runs: &[Run]) -> Markup {
    html! {
        ol.chain {
            @for at in chain {
                @if let Some(run) = runs.get(*at) {
                    li { a href={ "#" (anchor(*at)) } { (run.stage) } }
                }
            }
        }
    }
}

/// How it was made.
pub(super) fn runs(page: &Page) -> Markup {
    html! {
        section #runs aria-labelledby="runs-heading" {
            h2 #runs-heading { "How it was made" }
            p {
                "Each result on this page is a file that one of these runs wrote, from the files of "
                "runs before it. A key stands for all that can change a result: command, code, "
                "parameters and inputs."
            }
            div.scroll role="group" aria-label="Runs" tabindex="0" {
                table.sortable {
                    thead {
                        tr {
                            th scope="col" { "Stage" }
                            th scope="col" { "Started" }
                            th.number scope="col" { "Took" }
                            th.number scope="col" { "Memory" }
                            th scope="col" { "Machine" }
                            th scope="col" { "Key" }
                        }
                    }
                    tbody {
                        @for (at, run) in page.runs.iter().enumerate() {
                            tr { (row(at, run)) }
                        }
                    }
                }
            }
            h3 { "Every run in full" }
            @for (at, run) in page.runs.iter().enumerate() {
                (card(at, run, &page.runs))
            }
            @if !page.sources.is_empty() {
                (sources(page))
            }
        }
    }
}

fn row(at: usize, run: &Run) -> Markup {
    html! {
        th scope="row" {
            a href={ "#" (anchor(at)) } { (run.stage) }
            @for remark in &run.remarks {
                span.under.warning { (remark) }
            }
        }
        td.when title=(run.started.1) data-value=(run.started.1) { (run.started.0) }
        td.number title=(run.took.1) data-value=(seconds(&run.took.1)) { (run.took.0) }
        @match &run.memory {
            Some((memory, bytes)) => {
                td.number title=(bytes) data-value=(seconds(bytes)) { (memory) }
            }
            None => td.number data-value="" { span.none { "\u{2013}" } },
        }
        td { (run.host) }
        td title=(run.key) { code { (short(&run.key)) } }
    }
}

fn card(at: usize, run: &Run, runs: &[Run]) -> Markup {
    html! {
        details.run id=(anchor(at)) {
            summary { (run.stage) span.rows { " " (short(&run.key)) } }
            dl {
                dt { "Key" }
                dd { code.digest { (run.key) } }
                dt { "Ran" }
                dd {
                    (run.started.1) ", " (run.took.1) ", on " (run.host)
                    @if let Some(apart) = &run.apart { ", " (apart) }
                    @if let Some((_, bytes)) = &run.memory { ", " (bytes) " of memory" }
                }
                @for remark in &run.remarks {
                    dt { "Remark" }
                    dd.warning { (remark) }
                }
                @for (name, text) in &run.command {
                    dt { (name) }
                    dd { code { (text) } }
                }
            }
            @if !run.given.is_empty() {
                (list("What it was given", run.given.iter().map(|(name, value)| {
                    (html! { (name) }, html! { (value) })
                })))
            }
            @if !run.reads.is_empty() {
                (list("What it read", run.reads.iter().map(|(path, digest, from)| {
                    let writer = from.and_then(|at| Some((at, runs.get(at)?)));
                    (html! {
                        (path)
                        @if let Some((at, writer)) = writer {
                            " of " a href={ "#" (anchor(at)) } { (writer.stage) }
                        }
                    }, html! { (digest) })
                })))
            }
            @if !run.wrote.is_empty() {
                (list("What it wrote", run.wrote.iter().map(|(path, digest)| {
                    (html! { (path) }, html! { (digest) })
                })))
            }
        }
    }
}

fn list(name: &str, lines: impl Iterator<Item = (Markup, Markup)>) -> Markup {
    html! {
        h4 { (name) }
        div.scroll role="group" aria-label=(name) tabindex="0" {
            table.plain {
                tbody {
                    @for (left, right) in lines {
                        tr { th scope="row" { (left) } td { code { (right) } } }
                    }
                }
            }
        }
    }
}

fn sources(page: &Page) -> Markup {
    html! {
        h3 { "What no stage wrote" }
        div.scroll role="group" aria-label="Sources" tabindex="0" {
            table.plain {
                thead {
                    tr {
                        th scope="col" { "Source" }
                        th scope="col" { "Digest" }
                        th scope="col" { "Now" }
                    }
                }
                tbody {
                    @for source in &page.sources {
                        tr {
                            th scope="row" { code { (source.path) } }
                            td title=(source.digest) { code { (short(&source.digest)) } }
                            td { (source.about) }
                        }
                    }
                }
            }
        }
    }
}

/// The number at the start of a text such as `4.5 s`, to sort by.
fn seconds(text: &str) -> &str {
    text.split(' ').next().unwrap_or(text)
}

/// The first digits of a digest.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
