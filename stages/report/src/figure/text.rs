//! The figures' font: embedded, measured, and fitted into a width.
//! It must not know what is written.

use std::sync::OnceLock;

use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBColor, TextStyle, register_font};
use plotters_backend::text_anchor::{HPos, Pos, VPos};

use super::DrawError;
use super::svg::UNIT;

/// The embedded font's name, and what another viewer may take instead.
///
/// An SVG keeps its text as text: it can be searched, read aloud and copied, and is a
/// tenth of the size. Verdana has DejaVu Sans' widths. The PNG is always drawn with the
/// embedded font.
pub(super) const FAMILIES: &str = "DejaVu Sans, Verdana, Arial, sans-serif";
pub(super) const FAMILY: &str = "DejaVu Sans";

/// DejaVu Sans' ascent and descent in em; plotters' font sizes are line heights.
pub(super) const LINE_HEIGHT: f64 = 2384.0 / 2048.0;

/// A text's size (em, in pixels), weight and colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Font {
    pub(super) em: f64,
    pub(super) bold: bool,
    pub(super) color: RGBColor,
}

impl Font {
    pub(super) const fn new(em: f64, color: RGBColor) -> Self {
        Self {
            em,
            bold: false,
            color,
        }
    }

    pub(super) const fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    fn description(self) -> FontDesc<'static> {
        let style = if self.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        let size = self.em * LINE_HEIGHT * f64::from(UNIT);
        FontDesc::new(FontFamily::Name(FAMILY), size, style)
    }

    /// The style for plotters, anchored at a point of the text's box.
    pub(super) fn at(self, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
        let mut style = TextStyle::from(self.description());
        style.color = self.color.to_backend_color();
        style.pos = Pos::new(horizontal, vertical);
        style
    }

    /// The width of a text, in units.
    pub(super) fn width(self, text: &str) -> Result<i32, DrawError> {
        let ((left, _), (right, _)) = self
            .description()
            .layout_box(text)
            .map_err(|error| DrawError(error.to_string()))?;
        Ok(right - left)
    }

    /// The text and font that fit into `width` units: smaller down to three quarters, then cut.
    pub(super) fn fit(self, text: &str, width: i32) -> Result<(String, Self), DrawError> {
        let needed = self.width(text)?;
        if needed <= width {
            return Ok((text.to_owned(), self));
        }
        let shrink = (f64::from(width) / f64::from(needed)).max(0.75);
        let smaller = Self {
            em: self.em * shrink,
            ..self
        };
        let mut kept: Vec<char> = text.chars().collect();
        let mut fitted = text.to_owned();
        while smaller.width(&fitted)? > width && !kept.is_empty() {
            kept.pop();
            fitted = kept.iter().chain(&['…']).collect();
        }
        Ok((fitted, smaller))
    }
}

/// Makes the embedded font known to plotters, once.
pub(super) fn register() -> Result<(), DrawError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, dejavu::sans::regular()).is_ok()
            && register_font(FAMILY, FontStyle::Bold, dejavu::sans::bold()).is_ok()
    });
    if registered {
        Ok(())
    } else {
        Err(DrawError("the embedded font is not valid".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use plotters::style::BLACK;

    use super::*;

    #[test]
    fn a_text_too_wide_shrinks_first_and_is_cut_then() {
        register().unwrap();
        let font = Font::new(12.0, BLACK);
        let width = font.width("automobile").unwrap();
        let (text, same) = font.fit("automobile", width).unwrap();
        assert_eq!((text.as_str(), same.em), ("automobile", 12.0));
        let (text, smaller) = font.fit("automobile", width * 9 / 10).unwrap();
        assert_eq!(text, "automobile");
        assert!(smaller.em < 12.0 && smaller.em > 10.0);
        let (text, cut) = font.fit("automobile", width / 2).unwrap();
        assert_eq!((text.as_str(), cut.em), ("auto…", 9.0));
        assert_eq!(font.fit("automobile", 0).unwrap().0, "…");
    }
}
