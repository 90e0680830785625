//! The tables and figures of the page, with their provenance below.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{Markup, html};

use super::number::{Format, cell_text, format, number};
use super::runs::{anchor, chain};
use super::{Figure, Item, Origin, Run, Table};

/// A row's name up to this many characters stays on one line if there is room.
const SHORT: usize = 30;

/// One item. Several tables are each folded, several figures are side by side.
pub(super) fn item(item: &Item, runs: &[Run]) -> Markup {
    match item {
        Item::Tables {
            caption,
            folded,
            tables,
        } => html! {
            @if let (Some(caption), true) = (caption, tables.len() > 1) {
                p.caption { (caption) }
            }
            @for table in tables {
                @let name = table.title.as_deref().or(caption.as_deref()).unwrap_or(first(&table.origins));
                @if *folded || tables.len() > 1 {
                    details.folded {
                        summary { (name) span.rows { " (" (table.rows.len()) " rows)" } }
                        (self::table(table, None, name, runs))
                    }
                } @else {
                    (self::table(table, caption.as_deref(), name, runs))
                }
            }
        },
        Item::Figures { caption, figures } => html! {
            @if let ([_, _, ..], Some(caption)) = (&figures[..], caption) {
                p.caption { (caption) }
            }
            div.gallery[figures.len() > 1] {
                @for figure in figures {
                    @let caption = if figures.len() > 1 { figure.title.as_deref() } else { caption.as_deref() };
                    (self::figure(figure, caption, runs))
                }
            }
        },
    }
}

fn figure(figure: &Figure, caption: Option<&str>, runs: &[Run]) -> Markup {
    let source = format!(
        "data:{};base64,{}",
        figure.media,
        BASE64.encode(&figure.bytes)
    );
    html! {
        figure {
            div.card tabindex="0" role="group" aria-label="Figure; scrolls where it is wider than the page" {
                img src=(source) alt=(figure.alt);
            }
            @if let Some(caption) = caption {
                figcaption { (caption) }
            }
            (origin(&figure.origin, runs))
        }
    }
}

fn table(table: &Table, caption: Option<&str>, name: &str, runs: &[Run]) -> Markup {
    let cells = |at: usize| {
        table
            .rows
            .iter()
            .map(move |row| row.get(at).map_or("", String::as_str))
    };
    let formats: Vec<Format> = (0..table.headings.len())
        .map(|at| format(cells(at)))
        .collect();
    let is_short = cells(0).all(|name| name.chars().count() <= SHORT);
    html! {
        div.tabled {
            div.scroll role="group" aria-label=(name) tabindex="0" {
                table.sortable.short[is_short] {
                    @if let Some(caption) = caption {
                        caption { span { (caption) } }
                    }
                    thead {
                        tr {
                            @for (heading, format) in table.headings.iter().zip(&formats) {
                                th.number[*format != Format::Text] scope="col" { (heading) }
                            }
                        }
                    }
                    tbody {
                        @for (at, row) in table.rows.iter().enumerate() {
                            tr {
                                @for (column, (text, format)) in row.iter().zip(&formats).enumerate() {
                                    (cell(text, *format, column == 0, table.best.contains(&(at, column))))
                                }
                            }
                        }
                    }
                }
            }
            @for one in &table.origins {
                (origin(one, runs))
            }
        }
    }
}

/// Sorts by the file's own text, which its tooltip shows.
fn cell(text: &str, format: Format, is_name: bool, is_best: bool) -> Markup {
    let words = cell_text(text, format);
    let is_number = format != Format::Text;
    let text = text.trim();
    let other = words != text;
    let full = (other && !text.is_empty()).then_some(text);
    let value = full.filter(|text| number(text).is_some());
    let content = html! {
        @if is_best { strong.best title="the best of its column" { (words) } }
        @else if words.is_empty() { span.none { "\u{2013}" } }
        @else { (words) }
    };
    html! {
        @if is_name {
            th.number[is_number] scope="row" title=[full] data-value=[value] { (content) }
        } @else if words.is_empty() {
            td.number[is_number] data-value="" { (content) }
        } @else {
            td.number[is_number] title=[full] data-value=[value] { (content) }
        }
    }
}

/// The path of the first file.
fn first(origins: &[Origin]) -> &str {
    origins.first().map_or("", |origin| origin.path.as_str())
}

/// Where a file comes from, folded.
fn origin(origin: &Origin, runs: &[Run]) -> Markup {
    let run = origin.run.and_then(|at| Some((at, runs.get(at)?)));
    html! {
        details.origin {
            summary {
                @if !origin.sound { span.verdict.bad { span.sign aria-hidden="true" { "!" } " " } }
                "Where this comes from"
            }
            dl {
                dt { "File" }
                dd { code { (origin.path) } }
                dt { "Digest" }
                dd { code.digest { (origin.digest) } }
                dt { "Standing" }
                dd.warning[!origin.sound] { (origin.standing) }
                @if let Some((at, run)) = run {
                    dt { "Written by" }
                    dd {
                        a href={ "#" (anchor(at)) } { (run.stage) }
                        ", " span title=(run.started.1) { (run.started.0) }
                        ", in " span title=(run.took.1) { (run.took.0) }
                        " on " (run.host)
                    }
                    @for (name, text) in &run.command {
                        dt { (name) }
                        dd { code { (text) } }
                    }
                    dt { "Key" }
                    dd { code.digest { (run.key) } }
                }
                @if origin.chain.len() > 1 {
                    dt { "Chain" }
                    dd { (chain(&origin.chain, runs)) }
                }
            }
        }
    }
}
