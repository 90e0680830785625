//! A line of means over seeds with a band of their deviation, on some chart.
//! It must not know what the numbers measure, nor the axes.

use plotters::style::RGBColor;
use plotters_backend::BackendCoord;

use super::DrawError;
use super::sheet::{self, Area};

/// One mean and, where several seeds make it, one standard deviation either way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// An epoch, a layer.
    pub(super) at: u64,
    pub(super) mean: f64,
    pub(super) band: Option<(f64, f64)>,
}

impl Point {
    /// What an axis must have room for.
    pub(super) fn values(self) -> impl Iterator<Item = f64> {
        let band = self.band.into_iter().flat_map(|(low, high)| [low, high]);
        std::iter::once(self.mean).chain(band)
    }
}

/// Fills the band along the points, apart where points without one lie between; `place` turns
/// a position and a value into a place on the paper.
///
/// # Errors
/// A deviation that is infinite, as that of values beyond 1e150 is.
pub(super) fn band(
    area: &Area<'_>,
    points: &[Point],
    color: RGBColor,
    place: impl Fn(u64, f64) -> BackendCoord,
) -> Result<(), DrawError> {
    let mut ends = points.iter().copied().flat_map(Point::values);
    if let Some(end) = ends.find(|end| !end.is_finite()) {
        return Err(DrawError(format!("a band would end at {end}")));
    }
    for stretch in points.split(|point| point.band.is_none()) {
        let edge = |end: fn((f64, f64)) -> f64| -> Vec<BackendCoord> {
            let banded = stretch
                .iter()
                .filter_map(|point| Some((point.at, point.band?)));
            banded.map(|(at, band)| place(at, end(band))).collect()
        };
        let (lower, upper) = (edge(|(low, _)| low), edge(|(_, high)| high));
        if !upper.is_empty() {
            sheet::band(area, &upper, &lower, color)?;
        }
    }
    Ok(())
}
