//! Fig. 3: the L2 norm of each layer's gradient after training, on a log axis.
//! It must not know where the numbers come from.

use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::style::Color;
use plotters_backend::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::curves::color;
use super::sheet::{self, Entry, HEADER, LABEL, Legend, MARGIN, TICK};
use super::stroke::Stroke;
use super::svg::UNIT;
use super::theme::{GRID, MUTED};
use super::{DrawError, Figure};
use crate::input::Results;

const WIDTH: i32 = 980;
const PLOT_HEIGHT: i32 = 400;
const LEGEND_GAP: i32 = 10;
const FOOTER: i32 = 16;

/// Draws figure 3.
///
/// A gradient of exactly 0 has no place on a log axis: it is drawn on the axis' floor, the
/// decade below the smallest other norm, with a hollow marker that the legend explains.
pub(super) fn draw(results: &Results, subtitle: &str) -> Result<Figure, DrawError> {
    let models = &results.models;
    let rows = || models.iter().flat_map(|model| &model.gradients);
    let any_zero = rows().any(|row| row.trained_l2 == 0.0);
    let decades = decades(rows().map(|row| row.trained_l2));
    let floor = decades.low();
    let title = "Fig. 3. Gradient norm by layer after training".to_owned();
    let mut entries: Vec<Entry> = models
        .iter()
        .map(|model| Entry {
            label: model.label.clone(),
            color: color(model),
            stroke: Some(Stroke::of(model.place)),
        })
        .collect();
    if any_zero {
        entries.push(Entry {
            label: "hollow: a gradient of exactly 0".to_owned(),
            color: MUTED,
            stroke: None,
        });
    }
    let legend = Legend::new(entries, WIDTH)?;
    let height = HEADER + PLOT_HEIGHT + LEGEND_GAP + legend.height() + FOOTER;
    let elements = sheet::draw((WIDTH, height), &title, subtitle, |area| {
        let panel = area.clone().margin(
            HEADER * UNIT,
            (LEGEND_GAP + legend.height() + FOOTER) * UNIT,
            MARGIN * UNIT,
            MARGIN * UNIT,
        );
        let first = rows().map(|row| row.layer_index).min().unwrap_or(1);
        let last = rows().map(|row| row.layer_index).max().unwrap_or(1);
        let mut chart = ChartBuilder::on(&panel)
            .margin_right(14 * UNIT)
            .margin_top(6 * UNIT)
            .set_label_area_size(LabelAreaPosition::Left, 66 * UNIT)
            .set_label_area_size(LabelAreaPosition::Bottom, 46 * UNIT)
            .build_cartesian_2d(Axis::counts(first, last, 21), decades)?;
        chart
            .configure_mesh()
            .x_desc("Layer, from input to output")
            .y_desc("L2 norm of the gradient (log scale)")
            .axis_desc_style(LABEL.at(HPos::Center, VPos::Center))
            .label_style(TICK.at(HPos::Center, VPos::Center))
            .axis_style(MUTED.stroke_width(UNIT.unsigned_abs()))
            .bold_line_style(GRID.stroke_width(UNIT.unsigned_abs()))
            .light_line_style(GRID.mix(0.5).stroke_width(UNIT.unsigned_abs() / 2))
            .set_all_tick_mark_size(5 * UNIT)
            .draw()?;
        for model in models {
            let stroke = Stroke::of(model.place);
            let points: Vec<_> = model
                .gradients
                .iter()
                .map(|row| {
                    let height = log10(row.trained_l2).unwrap_or(floor);
                    chart.backend_coord(&(f64::from(row.layer_index), height))
                })
                .collect();
            sheet::curve(area, &points, color(model), stroke)?;
            for (point, row) in points.iter().zip(&model.gradients) {
                if row.trained_l2 > 0.0 {
                    sheet::marker(area, *point, color(model), stroke.marker)?;
                } else {
                    sheet::hollow_marker(area, *point, color(model), stroke.marker)?;
                }
            }
        }
        legend.draw(area, HEADER + PLOT_HEIGHT + LEGEND_GAP)
    })?;
    let zero = if any_zero {
        " Hollow markers on the axis' floor stand for gradients of exactly 0."
    } else {
        ""
    };
    Ok(Figure {
        name: "fig3".to_owned(),
        title,
        caption: format!(
            "L2 norm of the loss gradient with respect to each layer's weights, at the best weights, on a logarithmic axis. Layers are counted from the input; networks differ in depth, so a curve ends at its network's last layer.{zero} Data: {}.",
            results.data
        ),
        size: (WIDTH.unsigned_abs(), height.unsigned_abs()),
        elements,
    })
}

/// An axis around the norms above 0, down to a decade below them if any norm is 0.
fn decades(norms: impl Iterator<Item = f64> + Clone) -> Axis {
    let logarithms = norms.clone().filter_map(log10);
    let floor = norms.clone().any(|norm| norm == 0.0).then(|| {
        let lowest = logarithms.clone().reduce(f64::min).unwrap_or(0.0);
        lowest.floor() as i32 - 1
    });
    Axis::decades(logarithms, floor)
}

/// By `libm`, for the platform's may differ in the last bit; none for 0.
fn log10(norm: f64) -> Option<f64> {
    (norm > 0.0).then(|| libm::log10(norm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_norms_get_a_floor_a_decade_below_the_smallest_other() {
        let low = |norms: &[f64]| decades(norms.iter().copied()).low();
        assert!(low(&[0.02, 5.0]) > -2.0);
        assert_eq!(low(&[0.0, 0.02, 0.5]), -3.0);
        assert_eq!(low(&[0.0, 0.0]), -1.0);
    }
}
