//! The page: every table and figure in one file that asks nothing of the network.
//! It must not know how tables and figures are made.
//!
//! maud escapes whatever it is given; only the figures, which escape their own text, and
//! the style sheet go in as they are.

mod figures;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::efficiency::Efficiency;
use crate::figure::Figure;
use crate::input::{Model, Results};
use crate::number::{percent, percent_sample, points};
use crate::params::Params;
use crate::table::Table1;

/// All that the page shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    pub(crate) results: &'a Results,
    pub(crate) params: &'a Params,
    pub(crate) profile: &'a str,
    pub(crate) table: &'a Table1,
    pub(crate) efficiency: &'a [Efficiency],
    pub(crate) figures: &'a [Figure],
}

const STYLE: &str = include_str!("style.css");

/// The whole HTML document.
pub(crate) fn page(content: &Content<'_>) -> String {
    let Content {
        results, profile, ..
    } = content;
    let title = format!("Residual learning on {} (profile {profile})", results.data);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the results" }
                (header(content))
                main #main {
                    (section("table1", "Table I", tables::table1(content.table)))
                    (section("figures", "Training and gradient flow", html! {
                        @for figure in content.figures.iter().filter(|figure| figure.name.starts_with("fig")) {
                            (figures::figure(figure))
                            @if figure.name == "fig3" { (tables::gradients(results)) }
                        }
                    }))
                    (section("ablation", "Ablation: skip connections", tables::ablation(results, content.params)))
                    (section("efficiency", "Efficiency", tables::efficiency(content.efficiency)))
                    (section("classes", "Class by class", classes(content)))
                    (section("dataset", "Dataset", tables::dataset(results)))
                }
                footer {
                    p {
                        "Reproduction of Liu & Goh, “ResNet: Enabling Deep Convolutional Neural Networks through Residual Learning”. "
                        "Made by restage from the CSV files beside this page."
                    }
                }
            }
        }
    };
    markup.into_string()
}

fn header(content: &Content<'_>) -> Markup {
    html! {
        header {
            h1 { "Residual learning, reproduced" }
            p.facts {
                span.badge { "Data: " strong { (content.results.data) } }
                " "
                span.badge { "Profile: " strong { (content.profile) } }
            }
            @if let Some(caveat) = content.table.caveat() {
                p.caveat role="note" { (caveat) }
            }
            @if let Some(seeds) = &content.results.seeds {
                p { "Numbers are means over " (seeds) "; ± is one standard deviation." }
            }
            ul.tiles aria-label="Test accuracy by model" {
                @for (row, model) in content.table.rows.iter().zip(&content.results.models) {
                    li style=(model_color(model)) {
                        span.tile-label { (row.legend) }
                        span.tile-number { (percent_sample(row.test_accuracy)) }
                        span.tile-paper {
                            @match (row.paper, row.difference()) {
                                (Some(paper), Some(difference)) => {
                                    "paper " (percent(paper.test_accuracy)) " (" (points(difference)) ")"
                                }
                                _ => "not in the paper",
                            }
                        }
                    }
                }
            }
            nav aria-label="Sections" {
                @for (id, name) in [
                    ("table1", "Table I"), ("figures", "Figures"), ("ablation", "Ablation"),
                    ("efficiency", "Efficiency"), ("classes", "Classes"), ("dataset", "Dataset"),
                ] {
                    a href={ "#" (id) } { (name) }
                    " "
                }
            }
        }
    }
}

fn section(id: &str, name: &str, body: Markup) -> Markup {
    let heading = format!("{id}-heading");
    html! {
        section id=(id) aria-labelledby=(heading) {
            h2 id=(heading) { (name) }
            (body)
        }
    }
}

/// Each model's confusion matrix and class report.
fn classes(content: &Content<'_>) -> Markup {
    html! {
        @for model in &content.results.models {
            @let name = format!("confusion/{}", model.name);
            h3 style=(model_color(model)) { span.swatch {} (model.label) }
            @for figure in content.figures.iter().filter(|figure| figure.name == name) {
                (figures::figure(figure))
            }
            (tables::class_report(model))
        }
    }
}

/// The model's colour as a CSS variable.
fn model_color(model: &Model) -> String {
    let (red, green, blue) = model.color.rgb;
    format!("--model: #{red:02x}{green:02x}{blue:02x}")
}
