//! The page's tables, each with a caption and headed rows and columns.
//! It must not know how the numbers were made.

use maud::{Markup, html};

use super::model_color;
use crate::efficiency::Efficiency;
use crate::input::{DatasetRow, Model, Results};
use crate::number::{grouped, measured};
use crate::over_seeds::{self, Layer};
use crate::params::Params;
use crate::table::{MEASURES, Table1};

/// A table in a box that scrolls by itself where the screen is narrow.
fn table(caption: &str, head: Markup, body: Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { span { (caption) } }
                thead { (head) }
                tbody { (body) }
            }
        }
    }
}

/// A row of column headings.
fn headings(names: &[&str]) -> Markup {
    html! { tr { @for name in names { th scope="col" { (name) } } } }
}

/// A dash that is read as what it means.
fn number(text: &str) -> Markup {
    html! { td.number { @if text.is_empty() { span.none aria-label="none" { "–" } } @else { (text) } } }
}

pub(super) fn table1(table1: &Table1) -> Markup {
    let head = html! {
        tr {
            th rowspan="2" scope="col" { "Model" }
            @for measure in MEASURES { th.group colspan="2" scope="colgroup" { (measure) } }
            th.group rowspan="2" scope="col" { "Difference" br; "(points)" }
        }
        tr {
            @for _ in MEASURES { th scope="col" { "ours" } th scope="col" { "paper" } }
        }
    };
    let body = html! {
        @for row in &table1.rows {
            tr {
                th scope="row" { (row.legend) }
                @for (column, cell) in row.cells().iter().enumerate() {
                    @if column == 4 {
                        td.number { span title={ (grouped(row.parameters)) " trainable parameters" } { (cell) } }
                    } @else {
                        (number(cell))
                    }
                }
            }
        }
    };
    table(&format!("Table I. {}.", table1.caption()), head, body)
}

/// How much of the gradient reaches the first layer.
pub(super) fn gradients(results: &Results) -> Markup {
    let head = headings(&[
        "Model",
        "Layers",
        "First layer",
        "Last layer",
        "First / last, trained",
        "First / last, initial",
        "Smallest / largest, trained",
    ]);
    let body = html! {
        @for model in &results.models {
            @let rows = over_seeds::layers(&model.runs);
            tr {
                th scope="row" style=(model_color(model)) { span.swatch {} (model.label) }
                td.number { (rows.len()) }
                @if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
                    (number(&scientific(Some(first.trained.mean))))
                    (number(&scientific(Some(last.trained.mean))))
                    (number(&scientific(ratio(first.trained.mean, last.trained.mean))))
                    (number(&scientific(ratio(first.initial.mean, last.initial.mean))))
                    (number(&scientific(smallest_to_largest(&rows))))
                }
            }
        }
    };
    html! {
        (table("Gradient flow: L2 norms by layer, after training and at initialisation.", head, body))
        details {
            summary { "Every layer's norm" }
            @for model in &results.models { (layers(model)) }
        }
    }
}

fn layers(model: &Model) -> Markup {
    let body = html! {
        @for layer in over_seeds::layers(&model.runs) {
            tr {
                td.number { (layer.index) }
                th scope="row" { code { (layer.name) } }
                (number(&scientific(Some(layer.trained.mean))))
                (number(&scientific(Some(layer.initial.mean))))
            }
        }
    };
    table(
        &format!("{}: L2 norm of each layer's gradient.", model.label),
        headings(&["Index", "Layer", "After training", "At initialisation"]),
        body,
    )
}

fn smallest_to_largest(layers: &[Layer<'_>]) -> Option<f64> {
    let norms = || layers.iter().map(|layer| layer.trained.mean);
    ratio(norms().reduce(f64::min)?, norms().reduce(f64::max)?)
}

fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    let ratio = numerator / denominator;
    ratio.is_finite().then_some(ratio)
}

fn scientific(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.2e}"))
}

pub(super) fn ablation(results: &Results, params: &Params) -> Markup {
    let compared = &params.ablation;
    let with_skip = params.label(&compared.with_skip);
    let without_skip = params.label(&compared.without_skip);
    let body = html! {
        @for row in &results.ablation {
            tr {
                th scope="row" { (measure_name(&row.measure)) }
                (number(&spread(&row.with_skip, &row.with_skip_sd)))
                (number(&spread(&row.without_skip, &row.without_skip_sd)))
                (number(&spread(&row.difference, &row.difference_sd)))
            }
        }
    };
    html! {
        (table(
            &format!("{with_skip} against {without_skip}: the same network without its shortcuts."),
            headings(&["Measure", with_skip, without_skip, "Difference"]),
            body,
        ))
        p.note { "A dash: the threshold was never reached, or there is no such ratio." }
    }
}

/// A mean of the CSV with its standard deviation, if it has one.
fn spread(mean: &str, deviation: &str) -> String {
    match deviation {
        "" => shortened(mean),
        _ => format!("{} ± {}", shortened(mean), shortened(deviation)),
    }
}

/// A number of the CSV with fewer digits; anything else as it stands.
fn shortened(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(value) if cell.contains('e') => format!("{value:.2e}"),
        Ok(value) if cell.contains('.') => format!("{value:.4}"),
        _ => cell.parse().map_or_else(|_| cell.to_owned(), grouped),
    }
}

/// `epochs_to_val_accuracy_0.5` as words; an unknown measure as it stands.
fn measure_name(measure: &str) -> String {
    if let Some(threshold) = measure.strip_prefix("epochs_to_val_accuracy_") {
        return format!("First epoch with validation accuracy ≥ {threshold}");
    }
    match measure {
        "test_accuracy" => "Test accuracy",
        "test_loss" => "Test loss",
        "best_val_accuracy" => "Validation accuracy of the best epoch",
        "best_epoch" => "Best epoch (by validation loss)",
        "epochs_run" => "Epochs run",
        "first_to_last_gradient_ratio_trained" => "Gradient, first / last layer, trained",
        "first_to_last_gradient_ratio_initial" => "Gradient, first / last layer, initial",
        "smallest_to_largest_gradient_ratio_trained" => "Gradient, smallest / largest, trained",
        "parameters" => "Trainable parameters",
        other => other,
    }
    .to_owned()
}

pub(super) fn efficiency(rows: &[Efficiency]) -> Markup {
    let cell = |value: Option<f64>| number(&value.map_or_else(String::new, measured));
    let body = html! {
        @for row in rows {
            tr {
                th scope="row" { (row.label) }
                (cell(row.seconds_per_epoch))
                (cell(row.images_per_second))
                (cell(row.peak_memory_mib))
                (cell(row.latency_ms))
                (cell(row.batch_latency_ms))
            }
        }
    };
    html! {
        (table(
            "Cost of training and inference on the machine that made this report.",
            headings(&[
                "Model",
                "Epoch (s)",
                "Training (images/s)",
                "Peak memory (MiB)",
                "Latency, 1 image (ms)",
                "Latency, batch of 64 (ms)",
            ]),
            body,
        ))
        p.note { "Medians over epochs and repetitions; the peak is the highest of any epoch. These numbers vary from run to run." }
    }
}

pub(super) fn class_report(model: &Model) -> Markup {
    let share = |share: f64| number(&format!("{share:.3}"));
    let body = html! {
        @for row in over_seeds::classes(&model.runs) {
            tr.average[row.class.ends_with("_average")] {
                th scope="row" { (row.class.replace('_', " ")) }
                (share(row.precision))
                (share(row.recall))
                (share(row.f1))
                (number(&grouped(row.support)))
            }
        }
    };
    html! {
        (table(
            &format!("{}: precision, recall and F1 by class on the test images.", model.label),
            headings(&["Class", "Precision", "Recall", "F1", "Images"]),
            body,
        ))
        @for run in &model.runs {
            @let summary = &run.summary;
            p.note {
                @if model.runs.len() > 1 { "Seed " (run.seed) ". " }
                "Test loss " (format!("{:.4}", summary.test_loss))
                "; weights of epoch " (summary.best_epoch) " of " (summary.epochs_run)
                ", chosen by validation loss (validation accuracy " (crate::number::percent(summary.best_val_accuracy)) ")."
            }
        }
    }
}

pub(super) fn dataset(results: &Results) -> Markup {
    let channels = html! {
        @for row in &results.channels {
            tr {
                th scope="row" { (row.channel) }
                (number(&format!("{:.4}", row.mean)))
                (number(&format!("{:.4}", row.std)))
            }
        }
    };
    let (splits, classes, sources) = splits_classes_sources(&results.dataset);
    let mut head = vec!["Class"];
    head.extend(&splits);
    let count = |split: &str, class: &str| {
        results
            .dataset
            .iter()
            .filter(|row| row.split == split && row.class == class)
            .map(|row| row.images)
            .sum::<u64>()
    };
    let body = html! {
        @for class in &classes {
            tr {
                th scope="row" { (class) }
                @for split in &splits { (number(&grouped(count(split, class)))) }
            }
        }
    };
    html! {
        (table(&format!("Images by class and split of {}.", results.data), headings(&head), body))
        p.note { "Source: " (sources.join(", ")) "." }
        (table("Mean and standard deviation of each colour channel.", headings(&["Channel", "Mean", "Standard deviation"]), channels))
    }
}

/// Splits, classes and sources, each in the order they first appear.
fn splits_classes_sources(rows: &[DatasetRow]) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
    let distinct = |value: fn(&DatasetRow) -> &str| {
        let mut values = Vec::new();
        for row in rows {
            if !values.contains(&value(row)) {
                values.push(value(row));
            }
        }
        values
    };
    (
        distinct(|row| &row.split),
        distinct(|row| &row.class),
        distinct(|row| &row.source),
    )
}
