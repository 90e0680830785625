//! Fig. 3: the L2 norm of each layer's gradient after training, on a log axis.
//! It must not know where the numbers come from.

use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::style::Color;
use plotters_backend::text_anchor::{HPos, VPos};
use seeds::Sample;

use super::axis::Axis;
use super::curves::{color, entry};
use super::series::{self, Point};
use super::sheet::{self, Entry, HEADER, LABEL, Legend, MARGIN, Mark, TICK};
use super::stroke::Stroke;
use super::svg::UNIT;
use super::theme::{GRID, MUTED};
use super::{DrawError, Figure};
use crate::input::{Model, Results};
use crate::over_seeds::{self, Layer};

const WIDTH: i32 = 980;
const PLOT_HEIGHT: i32 = 400;
const LEGEND_GAP: i32 = 10;
const FOOTER: i32 = 16;

/// Draws figure 3.
///
/// Norms of several seeds may lie decades apart, so that an arithmetic mean would be the
/// largest one's: the line is their geometric mean, and the band one standard deviation of the
/// logarithm either way, which the log axis shows as it is.
///
/// A gradient of exactly 0 has no place on a log axis, and makes the geometric mean 0: it is
/// drawn on the axis' floor, the decade below the smallest other norm, with a hollow marker
/// that the legend explains.
pub(super) fn draw(results: &Results, subtitle: &str) -> Result<Figure, DrawError> {
    let models = results.models.iter();
    let lines: Vec<(&Model, Vec<Layer>)> = models
        .map(|model| (model, over_seeds::layers(&model.runs)))
        .collect();
    let layers = || lines.iter().flat_map(|(_, layers)| layers);
    let any_zero = layers().any(|layer| layer.trained.logarithm.is_none());
    let decades = decades(layers().map(|layer| layer.trained.logarithm));
    let floor = decades.low();
    let title = "Fig. 3. Gradient norm by layer after training".to_owned();
    let mut entries: Vec<Entry> = results.models.iter().map(entry).collect();
    if let Some(seeds) = &results.seeds {
        entries.push(Entry {
            label: format!("geometric mean ×/÷ one geometric standard deviation over {seeds}"),
            color: MUTED,
            mark: Mark::Band,
        });
    }
    if any_zero {
        entries.push(Entry {
            label: "hollow: a gradient of exactly 0".to_owned(),
            color: MUTED,
            mark: Mark::Hollow,
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
        let first = layers().map(|layer| layer.index).min().unwrap_or(1);
        let last = layers().map(|layer| layer.index).max().unwrap_or(1);
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
        let place = |at: u64, height: f64| chart.backend_coord(&(at as f64, height));
        for (model, layers) in &lines {
            let points: Vec<Point> = layers.iter().map(|layer| point(layer, floor)).collect();
            series::band(area, &points, color(model), place)?;
        }
        for (model, layers) in &lines {
            let (color, stroke) = (color(model), Stroke::of(model.place));
            let path: Vec<_> = layers
                .iter()
                .map(|layer| point(layer, floor))
                .map(|point| place(point.at, point.mean))
                .collect();
            sheet::curve(area, &path, color, stroke)?;
            for (point, layer) in path.iter().zip(layers) {
                match layer.trained.logarithm {
                    Some(_) => sheet::marker(area, *point, color, stroke.marker)?,
                    None => sheet::hollow_marker(area, *point, color, stroke.marker)?,
                }
            }
        }
        legend.draw(area, HEADER + PLOT_HEIGHT + LEGEND_GAP)
    })?;
    let over = results.seeds.as_ref().map_or_else(String::new, |seeds| {
        format!(" Lines are geometric means over {seeds}, bands one standard deviation of the logarithm either way.")
    });
    let zero = match (any_zero, &results.seeds) {
        (false, _) => "",
        (true, None) => " Hollow markers on the axis' floor stand for gradients of exactly 0.",
        (true, Some(_)) => {
            " Hollow markers on the axis' floor stand for gradients of exactly 0 with at least one seed."
        }
    };
    Ok(Figure {
        name: "fig3".to_owned(),
        title,
        caption: format!(
            "L2 norm of the loss gradient with respect to each layer's weights, at the best weights, on a logarithmic axis. Layers are counted from the input; networks differ in depth, so a curve ends at its network's last layer.{over}{zero} Data: {}.",
            results.data
        ),
        size: (WIDTH.unsigned_abs(), height.unsigned_abs()),
        elements,
    })
}

/// The log10 of a layer's norm; the floor where it has none.
fn point(layer: &Layer, floor: f64) -> Point {
    let logarithm = layer.trained.logarithm;
    Point {
        at: layer.index,
        mean: logarithm.map_or(floor, |logarithm| logarithm.mean),
        band: logarithm.and_then(|logarithm| logarithm.band()),
    }
}

/// An axis around these log10 of norms and their bands, down to a decade below them if any is
/// none, for a norm of 0.
fn decades(logarithms: impl Iterator<Item = Option<Sample>> + Clone) -> Axis {
    let heights = logarithms.clone().flatten().flat_map(|logarithm| {
        let (low, high) = logarithm.band().unwrap_or((logarithm.mean, logarithm.mean));
        [low, high]
    });
    let floor = logarithms.clone().any(|logarithm| logarithm.is_none());
    let floor = floor.then(|| {
        let lowest = heights.clone().reduce(f64::min).unwrap_or(0.0);
        lowest.floor() as i32 - 1
    });
    Axis::decades(heights, floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_norms_get_a_floor_a_decade_below_the_smallest_other() {
        let low = |layers: &[&[f64]]| {
            let logarithms = layers.iter().map(|logarithms| {
                let logarithms = logarithms.iter().copied();
                Sample::of(logarithms)
            });
            decades(logarithms).low()
        };
        assert!(low(&[&[-1.7], &[0.7]]) > -2.0);
        assert_eq!(low(&[&[], &[-1.7], &[-0.3]]), -3.0);
        assert_eq!(low(&[&[], &[]]), -1.0);
        // A band reaches below the mean.
        assert_eq!(low(&[&[], &[-1.9, -1.5], &[-0.3]]), -3.0);
        assert_eq!(low(&[&[], &[-2.4, -1.5], &[-0.3]]), -4.0);
    }
}
