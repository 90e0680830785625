//! Fig. 1, 2, 4 and 5: accuracy and loss by epoch, side by side.
//! It must not know where the numbers come from.

use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::style::{Color, RGBColor, TRANSPARENT};
use plotters_backend::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::sheet::{self, Area, Entry, HEADER, LABEL, Legend, MARGIN, TICK};
use super::stroke::Stroke;
use super::svg::UNIT;
use super::theme::{GRID, MUTED};
use super::{DrawError, Figure};
use crate::input::{EpochRow, Model, Results};

const WIDTH: i32 = 980;
const PLOT_HEIGHT: i32 = 340;
const LEGEND_GAP: i32 = 10;
const FOOTER: i32 = 16;
/// Curves with more epochs than this have a marker at every so many.
const MOST_MARKERS: usize = 12;

/// Which images the curves are measured on.
#[derive(Clone, Copy)]
enum Split {
    Training,
    Validation,
}

impl Split {
    fn name(self) -> &'static str {
        match self {
            Self::Training => "Training",
            Self::Validation => "Validation",
        }
    }

    /// In percent.
    fn accuracy(self, row: &EpochRow) -> f64 {
        100.0
            * match self {
                Self::Training => row.train_accuracy,
                Self::Validation => row.val_accuracy,
            }
    }

    fn loss(self, row: &EpochRow) -> f64 {
        match self {
            Self::Training => row.train_loss,
            Self::Validation => row.val_loss,
        }
    }
}

/// Draws figure 1 or 2 (the main models), 4 or 5 (all); odd 1 and even 4 show training.
pub(super) fn draw(number: u8, results: &Results, subtitle: &str) -> Result<Figure, DrawError> {
    let split = if matches!(number, 1 | 4) {
        Split::Training
    } else {
        Split::Validation
    };
    let all = number > 3;
    let models: Vec<&Model> = results
        .models
        .iter()
        .filter(|model| all || model.main)
        .collect();
    let name = split.name();
    let which = if all { ", all models" } else { "" };
    let title = format!("Fig. {number}. {name} accuracy and loss{which}");
    let entries = models
        .iter()
        .map(|model| Entry {
            label: model.label.clone(),
            color: color(model),
            stroke: Some(Stroke::of(model.place)),
        })
        .collect();
    let legend = Legend::new(entries, WIDTH)?;
    let height = HEADER + PLOT_HEIGHT + LEGEND_GAP + legend.height() + FOOTER;
    let elements = sheet::draw((WIDTH, height), &title, subtitle, |area| {
        let panel_width = (WIDTH - 2 * MARGIN) / 2;
        let panel = |column: i32| {
            let left = (MARGIN + column * panel_width) * UNIT;
            area.clone().margin(
                HEADER * UNIT,
                (LEGEND_GAP + legend.height() + FOOTER) * UNIT,
                left,
                (WIDTH - MARGIN - (column + 1) * panel_width) * UNIT,
            )
        };
        plot(
            area,
            &panel(0),
            &models,
            &format!("{name} accuracy (%)"),
            100.0,
            |row| split.accuracy(row),
        )?;
        plot(
            area,
            &panel(1),
            &models,
            &format!("{name} loss (cross-entropy, nats)"),
            f64::INFINITY,
            |row| split.loss(row),
        )?;
        legend.draw(area, HEADER + PLOT_HEIGHT + LEGEND_GAP)
    })?;
    Ok(Figure {
        name: format!("fig{number}"),
        title,
        caption: caption(split, &models, &results.data),
        size: (WIDTH.unsigned_abs(), height.unsigned_abs()),
        elements,
    })
}

/// One panel: a value of each epoch, by model.
fn plot(
    area: &Area<'_>,
    panel: &Area<'_>,
    models: &[&Model],
    unit: &str,
    cap: f64,
    value: impl Fn(&EpochRow) -> f64,
) -> Result<(), DrawError> {
    let rows = || models.iter().flat_map(|model| &model.history);
    let first = rows().map(|row| row.epoch).min().unwrap_or(1);
    let last = rows().map(|row| row.epoch).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(panel)
        .margin_right(18 * UNIT)
        .margin_top(6 * UNIT)
        .set_label_area_size(LabelAreaPosition::Left, 60 * UNIT)
        .set_label_area_size(LabelAreaPosition::Bottom, 46 * UNIT)
        .build_cartesian_2d(
            Axis::counts(first, last, 10),
            Axis::around(rows().map(&value), cap),
        )?;
    chart
        .configure_mesh()
        .x_desc("Epoch")
        .y_desc(unit)
        .axis_desc_style(LABEL.at(HPos::Center, VPos::Center))
        .label_style(TICK.at(HPos::Center, VPos::Center))
        .axis_style(MUTED.stroke_width(UNIT.unsigned_abs()))
        .bold_line_style(GRID.stroke_width(UNIT.unsigned_abs()))
        .light_line_style(TRANSPARENT)
        .set_all_tick_mark_size(5 * UNIT)
        .draw()?;
    for (index, model) in models.iter().enumerate() {
        let path: Vec<_> = model
            .history
            .iter()
            .map(|row| chart.backend_coord(&(f64::from(row.epoch), value(row))))
            .collect();
        let stroke = Stroke::of(model.place);
        sheet::curve(area, &path, color(model), stroke)?;
        // Every curve ends with its marker; before that each has its own epochs, so that
        // markers seldom cover each other.
        let every = path.len().div_ceil(MOST_MARKERS).max(1);
        let turn = every * index / models.len();
        for (left, point) in path.iter().rev().enumerate() {
            if left == 0 || (left % every == turn && 2 * left >= every) {
                sheet::marker(area, *point, color(model), stroke.marker)?;
            }
        }
    }
    Ok(())
}

pub(super) fn color(model: &Model) -> RGBColor {
    let (red, green, blue) = model.color.rgb;
    RGBColor(red, green, blue)
}

fn caption(split: Split, models: &[&Model], data: &str) -> String {
    let images = match split {
        Split::Training => "training",
        Split::Validation => "validation",
    };
    let labels: Vec<&str> = models.iter().map(|model| model.label.as_str()).collect();
    format!(
        "Accuracy (left) and cross-entropy loss (right) on the {images} images of {data}, by epoch. Models: {}.",
        labels.join(", ")
    )
}
