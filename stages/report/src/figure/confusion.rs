//! A confusion matrix as a heat map: counts in cells shaded by the share of the true class.
//! It must not know how the counts were made.

use plotters::element::{PathElement, Rectangle};
use plotters::style::{Color, RGBColor};
use plotters_backend::FontTransform;
use plotters_backend::text_anchor::{HPos, VPos};

use super::sheet::{self, Area, HEADER, LABEL, MARGIN, TICK};
use super::svg::UNIT;
use super::text::Font;
use super::theme::{GRID, MUTED, blues};
use super::{DrawError, Figure};
use crate::input::{Confusion, Model};
use crate::over_seeds;

/// A cell, in pixels: wide, so that class names fit below without being turned.
const CELL: (i32, i32) = (72, 40);
const LEFT: i32 = MARGIN + 28 + 88;
const BELOW: i32 = 64;
const BAR: (i32, i32) = (34, 16);
const RIGHT: i32 = BAR.0 + BAR.1 + 64;
/// The shade above which ink on a cell must be light to be read.
const DARK: f64 = 0.55;
const CELL_INK: RGBColor = RGBColor(0x1b, 0x1f, 0x24);
const CELL_LIGHT: RGBColor = RGBColor(0xfd, 0xfd, 0xfd);
/// Zeros step back, so that mistakes stand out.
const CELL_ZERO: RGBColor = RGBColor(0xa8, 0xb0, 0xba);

/// Draws one model's matrix, the sum over its seeds.
pub(super) fn draw(model: &Model, data: &str, subtitle: &str) -> Result<Figure, DrawError> {
    let confusion = &over_seeds::confusion(&model.runs);
    let classes = i32::try_from(confusion.classes.len())
        .map_err(|_| DrawError("too many classes".to_owned()))?;
    let size = (
        LEFT + classes * CELL.0 + RIGHT,
        HEADER + classes * CELL.1 + BELOW,
    );
    let (title, sum) = match model.runs.len() {
        1 => (format!("Confusion matrix: {}", model.label), String::new()),
        seeds => (
            format!("Confusion matrix: {}, sum over {seeds} seeds", model.label),
            format!(" Counts are sums over {seeds} seeds."),
        ),
    };
    let elements = sheet::draw(size, &title, subtitle, |area| {
        cells(area, confusion)?;
        names(area, confusion, classes)?;
        bar(area, (LEFT + classes * CELL.0 + BAR.0) * UNIT, classes)
    })?;
    Ok(Figure {
        name: format!("confusion/{}", model.name),
        title,
        caption: format!(
            "Test images of each true class (rows) by the class that {} predicts (columns). A cell shows the count and is shaded by its share of the row.{sum} Data: {data}.",
            model.label
        ),
        size: (size.0.unsigned_abs(), size.1.unsigned_abs()),
        elements,
    })
}

/// The upper left corner of a cell, in units.
fn corner(row: usize, column: usize) -> (i32, i32) {
    // No more classes than the caller's `i32` counts.
    (
        (LEFT + column as i32 * CELL.0) * UNIT,
        (HEADER + row as i32 * CELL.1) * UNIT,
    )
}

fn cells(area: &Area<'_>, confusion: &Confusion) -> Result<(), DrawError> {
    for (row, counts) in confusion.counts.iter().enumerate() {
        let total: u64 = counts.iter().sum();
        for (column, &count) in counts.iter().enumerate() {
            let share = if total == 0 {
                0.0
            } else {
                count as f64 / total as f64
            };
            let (left, top) = corner(row, column);
            let (right, bottom) = corner(row + 1, column + 1);
            area.draw(&Rectangle::new(
                [(left, top), (right, bottom)],
                blues(share).filled(),
            ))?;
            let ink = if share > DARK {
                CELL_LIGHT
            } else if count == 0 {
                CELL_ZERO
            } else {
                CELL_INK
            };
            let mut font = Font::new(12.0, ink);
            if row == column {
                font = font.bold();
            }
            let (text, font) = font.fit(&count.to_string(), (CELL.0 - 8) * UNIT)?;
            let middle = ((left + right) / 2, (top + bottom) / 2);
            sheet::write(area, &text, font, middle, (HPos::Center, VPos::Center))?;
        }
    }
    let classes = confusion.classes.len();
    let inner = GRID.stroke_width(UNIT.unsigned_abs());
    for line in 1..classes {
        area.draw(&PathElement::new(
            [corner(line, 0), corner(line, classes)],
            inner,
        ))?;
        area.draw(&PathElement::new(
            [corner(0, line), corner(classes, line)],
            inner,
        ))?;
    }
    rim(area, corner(0, 0), corner(classes, classes))
}

fn rim(
    area: &Area<'_>,
    (left, top): (i32, i32),
    (right, bottom): (i32, i32),
) -> Result<(), DrawError> {
    area.draw(&PathElement::new(
        [
            (left, top),
            (right, top),
            (right, bottom),
            (left, bottom),
            (left, top),
        ],
        MUTED.stroke_width(UNIT.unsigned_abs()),
    ))?;
    Ok(())
}

fn names(area: &Area<'_>, confusion: &Confusion, classes: i32) -> Result<(), DrawError> {
    let bottom = (HEADER + classes * CELL.1) * UNIT;
    for (place, class) in confusion.classes.iter().enumerate() {
        let (left, top) = corner(place, place);
        let (text, font) = TICK.fit(class, (CELL.0 - 4) * UNIT)?;
        let below = (left + CELL.0 * UNIT / 2, bottom + 8 * UNIT);
        sheet::write(area, &text, font, below, (HPos::Center, VPos::Top))?;
        let (text, font) = TICK.fit(class, 84 * UNIT)?;
        let beside = ((LEFT - 8) * UNIT, top + CELL.1 * UNIT / 2);
        sheet::write(area, &text, font, beside, (HPos::Right, VPos::Center))?;
    }
    let middle = (LEFT + classes * CELL.0 / 2) * UNIT;
    sheet::write(
        area,
        "Predicted class",
        LABEL,
        (middle, bottom + 34 * UNIT),
        (HPos::Center, VPos::Top),
    )?;
    turned(
        area,
        "True class",
        ((MARGIN + 8) * UNIT, (HEADER + classes * CELL.1 / 2) * UNIT),
    )
}

/// A label that reads upwards.
fn turned(area: &Area<'_>, text: &str, point: (i32, i32)) -> Result<(), DrawError> {
    let style = LABEL
        .at(HPos::Center, VPos::Center)
        .transform(FontTransform::Rotate270);
    area.draw(&plotters::element::Text::new(text.to_owned(), point, style))?;
    Ok(())
}

/// The scale of shades, from 0 at the bottom to 100 % at the top.
fn bar(area: &Area<'_>, left: i32, classes: i32) -> Result<(), DrawError> {
    const SHADES: i32 = 100;
    let (top, bottom) = (HEADER * UNIT, (HEADER + classes * CELL.1) * UNIT);
    let right = left + BAR.1 * UNIT;
    let height = |share: i32| bottom - (bottom - top) * share / SHADES;
    // Each shade reaches to the bottom and is covered by the next: side by side they would
    // show seams wherever a renderer's pixels don't meet theirs.
    for shade in (0..SHADES).rev() {
        let color = blues((f64::from(shade) + 0.5) / f64::from(SHADES));
        let corners = [(left, height(shade + 1)), (right, bottom)];
        area.draw(&Rectangle::new(corners, color.filled()))?;
    }
    rim(area, (left, top), (right, bottom))?;
    let tick = MUTED.stroke_width(UNIT.unsigned_abs());
    for share in (0..=SHADES).step_by(25) {
        let y = height(share);
        area.draw(&PathElement::new([(right, y), (right + 4 * UNIT, y)], tick))?;
        sheet::write(
            area,
            &share.to_string(),
            TICK,
            (right + 8 * UNIT, y),
            (HPos::Left, VPos::Center),
        )?;
    }
    turned(
        area,
        "Share of the true class (%)",
        (right + 42 * UNIT, (top + bottom) / 2),
    )
}
