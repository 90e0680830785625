//! What every figure has around its plot: paper, title, subtitle, legend.
//! It must not know what is plotted.

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Text};
use plotters::style::{Color, RGBColor, ShapeStyle};
use plotters_backend::BackendCoord;
use plotters_backend::text_anchor::{HPos, VPos};

use super::DrawError;
use super::stroke::{Marker, Stroke, dashes};
use super::svg::{SvgBackend, UNIT};
use super::text::{self, Font};
use super::theme::{INK, MUTED, PAPER};

/// A drawing area in units, with absolute coordinates.
pub(super) type Area<'a> = DrawingArea<SvgBackend<'a>, Shift>;

/// Left and right of everything, in pixels.
pub(super) const MARGIN: i32 = 24;
/// Title and subtitle, in pixels.
pub(super) const HEADER: i32 = 66;
const LEGEND_ROW: i32 = 24;
const SAMPLE: i32 = 40;
const SAMPLE_GAP: i32 = 8;
const ENTRY_GAP: i32 = 30;
const MARKER_RADIUS: i32 = 4 * UNIT;
const LINE_WIDTH: i32 = 2 * UNIT;
/// Four bands over each other still let the grid and every curve through.
const BAND_OPACITY: f64 = 0.2;

pub(super) const LABEL: Font = Font::new(12.0, INK);
pub(super) const TICK: Font = Font::new(11.0, MUTED);

/// Draws a figure of this size in pixels: paper, header, then `content`.
pub(super) fn draw(
    (width, height): (i32, i32),
    title: &str,
    subtitle: &str,
    content: impl FnOnce(&Area<'_>) -> Result<(), DrawError>,
) -> Result<String, DrawError> {
    text::register()?;
    let mut elements = String::new();
    let size = (
        (width * UNIT).unsigned_abs(),
        (height * UNIT).unsigned_abs(),
    );
    let area = SvgBackend::new(&mut elements, size).into_drawing_area();
    area.fill(&PAPER)?;
    let room = (width - 2 * MARGIN) * UNIT;
    for (text, font, top) in [
        (title, Font::new(17.0, INK).bold(), 18),
        (subtitle, Font::new(12.0, MUTED), 42),
    ] {
        let (text, font) = font.fit(text, room)?;
        write(
            &area,
            &text,
            font,
            (MARGIN * UNIT, top * UNIT),
            (HPos::Left, VPos::Top),
        )?;
    }
    content(&area)?;
    area.present()?;
    drop(area);
    Ok(elements)
}

/// Writes one line of text; the point is in units.
pub(super) fn write(
    area: &Area<'_>,
    text: &str,
    font: Font,
    point: BackendCoord,
    (horizontal, vertical): (HPos, VPos),
) -> Result<(), DrawError> {
    area.draw(&Text::new(
        text.to_owned(),
        point,
        font.at(horizontal, vertical),
    ))?;
    Ok(())
}

/// A line of the legend: what a mark stands for.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) color: RGBColor,
    pub(super) mark: Mark,
}

/// What a legend explains.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// A curve of this stroke.
    Curve(Stroke),
    /// A hollow marker.
    Hollow,
    /// A band around a line.
    Band,
}

/// The legend's rows, which fit the width.
#[derive(Debug)]
pub(super) struct Legend {
    rows: Vec<Vec<(Entry, i32)>>,
}

impl Legend {
    /// Lays entries out in rows of at most `width` pixels.
    pub(super) fn new(entries: Vec<Entry>, width: i32) -> Result<Self, DrawError> {
        text::register()?;
        let room = (width - 2 * MARGIN) * UNIT;
        let mut rows: Vec<Vec<(Entry, i32)>> = Vec::new();
        let mut used = room;
        for mut entry in entries {
            let sample = (SAMPLE + SAMPLE_GAP) * UNIT;
            (entry.label, _) = LABEL.fit(&entry.label, room - sample)?;
            let needed = sample + LABEL.width(&entry.label)?;
            if used + ENTRY_GAP * UNIT + needed > room {
                rows.push(Vec::new());
                used = 0;
            } else {
                used += ENTRY_GAP * UNIT;
            }
            used += needed;
            if let Some(row) = rows.last_mut() {
                row.push((entry, needed));
            }
        }
        Ok(Self { rows })
    }

    /// In pixels.
    pub(super) fn height(&self) -> i32 {
        let rows = i32::try_from(self.rows.len()).unwrap_or(i32::MAX / LEGEND_ROW);
        rows * LEGEND_ROW
    }

    /// Draws the rows, each centred, from `top` (pixels) down.
    pub(super) fn draw(&self, area: &Area<'_>, top: i32) -> Result<(), DrawError> {
        let width = i32::try_from(area.dim_in_pixel().0).unwrap_or(i32::MAX);
        let mut y = top * UNIT + LEGEND_ROW * UNIT / 2;
        for row in &self.rows {
            let gaps = ENTRY_GAP * UNIT * (i32::try_from(row.len()).unwrap_or(i32::MAX) - 1);
            let needed: i32 = row.iter().map(|(_, needed)| needed).sum::<i32>() + gaps;
            let mut x = (width - needed) / 2;
            for (entry, needed) in row {
                entry.draw(area, (x, y))?;
                x += needed + ENTRY_GAP * UNIT;
            }
            y += LEGEND_ROW * UNIT;
        }
        Ok(())
    }
}

impl Entry {
    fn draw(&self, area: &Area<'_>, (x, y): BackendCoord) -> Result<(), DrawError> {
        let middle = (x + SAMPLE * UNIT / 2, y);
        let line = [(x, y), (x + SAMPLE * UNIT, y)];
        match self.mark {
            Mark::Curve(stroke) => {
                curve(area, &line, self.color, stroke)?;
                marker(area, middle, self.color, stroke.marker)?;
            }
            Mark::Hollow => hollow_marker(area, middle, self.color, Marker::Circle)?,
            Mark::Band => {
                let half = LEGEND_ROW * UNIT * 3 / 10;
                let edge = |down| line.map(|(x, y)| (x, y + down));
                band(area, &edge(-half), &edge(half), self.color)?;
                let style: ShapeStyle = self.color.stroke_width(LINE_WIDTH.unsigned_abs());
                area.draw(&PathElement::new(line, style))?;
            }
        }
        write(
            area,
            &self.label,
            LABEL,
            (x + (SAMPLE + SAMPLE_GAP) * UNIT, y),
            (HPos::Left, VPos::Center),
        )
    }
}

/// Draws a polyline in a stroke's pattern; points are in units.
pub(super) fn curve(
    area: &Area<'_>,
    path: &[BackendCoord],
    color: RGBColor,
    stroke: Stroke,
) -> Result<(), DrawError> {
    for dash in dashes(path, stroke.pattern) {
        let style: ShapeStyle = color.stroke_width(LINE_WIDTH.unsigned_abs());
        area.draw(&PathElement::new(dash, style))?;
    }
    Ok(())
}

/// Fills what lies between two lines of equally many points, so that a curve below still shows.
///
/// A single pair of points has no breadth: its band is as broad as a marker.
pub(super) fn band(
    area: &Area<'_>,
    upper: &[BackendCoord],
    lower: &[BackendCoord],
    color: RGBColor,
) -> Result<(), DrawError> {
    let corners: Vec<BackendCoord> = match (upper, lower) {
        ([(x, top)], [(_, bottom)]) => {
            let (left, right) = (x - MARKER_RADIUS, x + MARKER_RADIUS);
            vec![
                (left, *top),
                (right, *top),
                (right, *bottom),
                (left, *bottom),
            ]
        }
        _ => upper.iter().chain(lower.iter().rev()).copied().collect(),
    };
    area.draw(&Polygon::new(corners, color.mix(BAND_OPACITY).filled()))?;
    Ok(())
}

/// A filled marker with a thin rim of paper, which keeps crossing curves apart.
pub(super) fn marker(
    area: &Area<'_>,
    center: BackendCoord,
    color: RGBColor,
    marker: Marker,
) -> Result<(), DrawError> {
    shape(area, center, PAPER, marker, MARKER_RADIUS + UNIT)?;
    shape(area, center, color, marker, MARKER_RADIUS)
}

/// An outlined marker, for a value that is not at its place.
pub(super) fn hollow_marker(
    area: &Area<'_>,
    center: BackendCoord,
    color: RGBColor,
    marker: Marker,
) -> Result<(), DrawError> {
    shape(area, center, color, marker, MARKER_RADIUS + UNIT)?;
    shape(area, center, PAPER, marker, MARKER_RADIUS - UNIT)
}

fn shape(
    area: &Area<'_>,
    center: BackendCoord,
    color: RGBColor,
    marker: Marker,
    radius: i32,
) -> Result<(), DrawError> {
    let corners = marker.corners(center, radius);
    if corners.is_empty() {
        area.draw(&Circle::new(center, radius, color.filled()))?;
    } else {
        area.draw(&Polygon::new(corners, color.filled()))?;
    }
    Ok(())
}
