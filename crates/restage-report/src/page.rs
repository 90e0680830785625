//! The document: head, header, sections and footer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::claims::{claims, tally};
use super::items::item;
use super::runs::runs;
use super::{Page, Section};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("sort.js");

/// The whole HTML document; the same page gives the same bytes.
pub fn html(page: &Page) -> String {
    let ids = ids(&page.sections);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(page.made_by);
                title { (page.title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the results" }
                (top(page, &ids))
                main #main {
                    @if !page.claims.is_empty() {
                        (claims(&page.claims))
                    }
                    @for (id, section) in ids.iter().zip(&page.sections) {
                        (results(id, section, page))
                    }
                    @if !page.runs.is_empty() {
                        (runs(page))
                    }
                }
                footer {
                    p { "Made by " (page.made_by) " from the files that it names. It loads nothing, and works offline." }
                }
                p #said .unseen role="status" {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

/// Allows only what is in the page: its pictures, its style sheet and its script.
fn policy() -> String {
    let digest = |text: &str| BASE64.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; \
         base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

fn top(page: &Page, ids: &[String]) -> Markup {
    html! {
        header {
            h1 { (page.title) }
            @for paragraph in &page.text {
                p.lead { (paragraph) }
            }
            @if !page.notices.is_empty() {
                div.notice role="note" {
                    @for notice in &page.notices {
                        p { (notice) }
                    }
                }
            }
            @if !page.facts.is_empty() {
                dl.facts {
                    @for fact in &page.facts {
                        div {
                            dt { (fact.name) }
                            dd title=[fact.full.as_deref()] { (fact.value) }
                        }
                    }
                }
            }
            @if !page.claims.is_empty() {
                (tally(&page.claims))
            }
            nav aria-label="Contents" {
                ul {
                    @if !page.claims.is_empty() {
                        li { a href="#claims" { "Claims" } }
                    }
                    @for (id, section) in ids.iter().zip(&page.sections) {
                        li { a href={ "#" (id) } { (section.title) } }
                    }
                    @if !page.runs.is_empty() {
                        li { a href="#runs" { "How it was made" } }
                    }
                }
            }
        }
    }
}

fn results(id: &str, section: &Section, page: &Page) -> Markup {
    let heading = format!("{id}-heading");
    html! {
        section id=(id) aria-labelledby=(heading) {
            h2 id=(heading) { (section.title) }
            @for paragraph in &section.text {
                p { (paragraph) }
            }
            @for file in &section.items {
                (item(file, &page.runs))
            }
        }
    }
}

/// A unique id for each section, which stays the same as long as its title does.
fn ids(sections: &[Section]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::with_capacity(sections.len());
    for section in sections {
        let words = section.title.to_lowercase();
        let words = words.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        let base = format!("s-{}", words.join("-"));
        let mut id = base.clone();
        let mut number = 2;
        while ids.contains(&id) {
            id = format!("{base}-{number}");
            number += 1;
        }
        ids.push(id);
    }
    ids
}
