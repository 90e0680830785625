//! Fig. 1, 2, 4 and 5: accuracy and loss by epoch, side by side, as means over seeds.
//! It must not know where the numbers come from.

use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::style::{Color, RGBColor, TRANSPARENT};
use plotters_backend::text_anchor::{HPos, VPos};
use results::EpochRow;

use super::axis::Axis;
use super::series::{self, Point};
use super::sheet::{self, Area, Entry, HEADER, LABEL, Legend, MARGIN, Mark, TICK};
use super::stroke::Stroke;
use super::svg::UNIT;
use super::theme::{GRID, MUTED};
use super::{DrawError, Figure};
use crate::input::{Model, Results};
use crate::over_seeds::{self, Epoch};

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
                Self::Training => row.train_accuracy.0,
                Self::Validation => row.val_accuracy.0,
            }
    }

    fn loss(self, row: &EpochRow) -> f64 {
        match self {
            Self::Training => row.train_loss.0,
            Self::Validation => row.val_loss.0,
        }
    }
}

/// A model with what its runs say of each epoch.
struct Curve<'a> {
    model: &'a Model,
    epochs: Vec<Epoch<'a>>,
}

impl Curve<'_> {
    /// The means and bands of a value; a band ends where values do, at 0 and at `cap`.
    fn points(&self, cap: f64, value: impl Fn(&EpochRow) -> f64) -> Vec<Point> {
        let points = self.epochs.iter().filter_map(|epoch| {
            let sample = epoch.sample(&value)?;
            Some(Point {
                at: epoch.epoch,
                mean: sample.mean,
                band: sample
                    .band()
                    .map(|(low, high)| (low.max(0.0), high.min(cap))),
            })
        });
        points.collect()
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
    let curves: Vec<Curve<'_>> = models
        .iter()
        .map(|model| Curve {
            model,
            epochs: over_seeds::epochs(&model.runs),
        })
        .collect();
    let some_end = curves
        .iter()
        .any(|curve| curve.epochs.iter().any(|epoch| epoch.run_ends));
    let mut entries: Vec<Entry> = models.iter().map(|model| entry(model)).collect();
    if let Some(seeds) = &results.seeds {
        entries.push(Entry {
            label: format!("mean ± one standard deviation over {seeds}"),
            color: MUTED,
            mark: Mark::Band,
        });
    }
    if some_end {
        entries.push(Entry {
            label: "hollow: a run ends, the mean goes on over the others".to_owned(),
            color: MUTED,
            mark: Mark::Hollow,
        });
    }
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
            &curves,
            &format!("{name} accuracy (%)"),
            100.0,
            |row| split.accuracy(row),
        )?;
        plot(
            area,
            &panel(1),
            &curves,
            &format!("{name} loss (cross-entropy, nats)"),
            f64::INFINITY,
            |row| split.loss(row),
        )?;
        legend.draw(area, HEADER + PLOT_HEIGHT + LEGEND_GAP)
    })?;
    Ok(Figure {
        name: format!("fig{number}"),
        title,
        caption: caption(split, &models, results, some_end),
        size: (WIDTH.unsigned_abs(), height.unsigned_abs()),
        elements,
    })
}

/// One panel: a value of each epoch, by model.
fn plot(
    area: &Area<'_>,
    panel: &Area<'_>,
    curves: &[Curve<'_>],
    unit: &str,
    cap: f64,
    value: impl Fn(&EpochRow) -> f64,
) -> Result<(), DrawError> {
    let lines: Vec<Vec<Point>> = curves
        .iter()
        .map(|curve| curve.points(cap, &value))
        .collect();
    let points = || lines.iter().flatten();
    let first = points().map(|point| point.at).min().unwrap_or(1);
    let last = points().map(|point| point.at).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(panel)
        .margin_right(18 * UNIT)
        .margin_top(6 * UNIT)
        .set_label_area_size(LabelAreaPosition::Left, 60 * UNIT)
        .set_label_area_size(LabelAreaPosition::Bottom, 46 * UNIT)
        .build_cartesian_2d(
            Axis::counts(first, last, 10),
            Axis::around(points().flat_map(|point| point.values()), cap),
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
    let place = |at: u64, value: f64| chart.backend_coord(&(at as f64, value));
    for (curve, points) in curves.iter().zip(&lines) {
        series::band(area, points, color(curve.model), place)?;
    }
    for (index, (curve, points)) in curves.iter().zip(&lines).enumerate() {
        let path: Vec<_> = points
            .iter()
            .map(|point| place(point.at, point.mean))
            .collect();
        let (color, stroke) = (color(curve.model), Stroke::of(curve.model.place));
        sheet::curve(area, &path, color, stroke)?;
        // Every curve ends with its marker; before that each has its own epochs, so that
        // markers seldom cover each other.
        let every = path.len().div_ceil(MOST_MARKERS).max(1);
        let turn = every * index / curves.len();
        for (left, point) in path.iter().rev().enumerate() {
            if left == 0 || (left % every == turn && 2 * left >= every) {
                sheet::marker(area, *point, color, stroke.marker)?;
            }
        }
        for (point, epoch) in path.iter().zip(&curve.epochs) {
            if epoch.run_ends {
                sheet::hollow_marker(area, *point, color, stroke.marker)?;
            }
        }
    }
    Ok(())
}

/// A model's line of the legend.
pub(super) fn entry(model: &Model) -> Entry {
    Entry {
        label: model.legend.clone(),
        color: color(model),
        mark: Mark::Curve(Stroke::of(model.place)),
    }
}

pub(super) fn color(model: &Model) -> RGBColor {
    let (red, green, blue) = model.color.rgb;
    RGBColor(red, green, blue)
}

fn caption(split: Split, models: &[&Model], results: &Results, some_end: bool) -> String {
    let images = match split {
        Split::Training => "training",
        Split::Validation => "validation",
    };
    let labels: Vec<&str> = models.iter().map(|model| model.legend.as_str()).collect();
    let mut over = results.seeds.as_ref().map_or_else(String::new, |seeds| {
        format!(" Lines are means over {seeds}, bands one standard deviation either way.")
    });
    if some_end {
        over.push_str(
            " Runs end at different epochs: a hollow marker stands where one ends, and from there on the mean is over those that are left, without a band once it is only one.",
        );
    }
    format!(
        "Accuracy (left) and cross-entropy loss (right) on the {images} images of {}, by epoch. Models: {}.{over}",
        results.data,
        labels.join(", ")
    )
}
