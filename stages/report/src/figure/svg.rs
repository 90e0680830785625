//! A plotters backend that writes SVG: tenths of a pixel, and text that any font fits.
//! It must not know what is drawn.
//!
//! plotters' own SVG backend rounds to whole pixels, which makes curves jagged, and has
//! circles and rotations that a renderer needs the platform's trigonometry for. Here a
//! coordinate is a tenth of a pixel, a circle is four Bézier curves, and a rotation is a
//! matrix of zeros and ones: whoever renders it needs nothing but exact arithmetic.

use std::convert::Infallible;
use std::fmt::Write as _;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontStyle, FontTransform,
};

use super::text::LINE_HEIGHT;

/// How many units of the drawing make a pixel of the figure.
pub(super) const UNIT: i32 = 10;

/// Writes SVG elements, without the `<svg>` around them, into a string.
#[derive(Debug)]
pub(super) struct SvgBackend<'a> {
    elements: &'a mut String,
    size: (u32, u32),
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl<'a> SvgBackend<'a> {
    /// Appends to `elements`; `size` is in units.
    pub(super) fn new(elements: &'a mut String, size: (u32, u32)) -> Self {
        Self { elements, size }
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        self.elements
            .write_fmt(element)
            .expect("writing to a string cannot fail");
        self.elements.push('\n');
    }
}

/// Units as pixels: `1234` is `123.4`.
fn pixels(units: i32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let (whole, tenth) = (units.unsigned_abs() / 10, units.unsigned_abs() % 10);
    if tenth == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{tenth}")
    }
}

fn points(path: impl IntoIterator<Item = BackendCoord>) -> String {
    let mut text = String::new();
    for (x, y) in path {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("{},{}", pixels(x), pixels(y)));
    }
    text
}

/// `fill="#rrggbb"` or `stroke="#rrggbb"`, with its opacity if it has one.
fn paint(attribute: &str, color: BackendColor) -> String {
    let (red, green, blue) = color.rgb;
    let opacity = if color.alpha < 1.0 {
        format!(r#" {attribute}-opacity="{:.3}""#, color.alpha)
    } else {
        String::new()
    };
    format!(r##"{attribute}="#{red:02x}{green:02x}{blue:02x}"{opacity}"##)
}

fn stroke<S: BackendStyle>(style: &S) -> String {
    let width = i32::try_from(style.stroke_width()).unwrap_or(i32::MAX);
    format!(
        r#"fill="none" {} stroke-width="{}""#,
        paint("stroke", style.color()),
        pixels(width)
    )
}

fn fill_or_stroke<S: BackendStyle>(style: &S, fill: bool) -> String {
    if fill {
        paint("fill", style.color())
    } else {
        stroke(style)
    }
}

fn invisible<S: BackendStyle>(style: &S) -> bool {
    style.color().alpha == 0.0
}

/// Text or an attribute's value with the characters that XML gives a meaning replaced.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no way to write these, not even escaped.
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

impl DrawingBackend for SvgBackend<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        self.element(format_args!(
            r#"<rect x="{}" y="{}" width="0.1" height="0.1" {}/>"#,
            pixels(x),
            pixels(y),
            paint("fill", color)
        ));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if !invisible(style) {
            self.element(format_args!(
                r#"<rect x="{}" y="{}" width="{}" height="{}" {}/>"#,
                pixels(left),
                pixels(top),
                pixels(right.saturating_sub(left)),
                pixels(bottom.saturating_sub(top)),
                fill_or_stroke(style, fill)
            ));
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        if !invisible(style) {
            self.element(format_args!(
                r#"<polyline points="{}" {}/>"#,
                points(path),
                stroke(style)
            ));
        }
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        if !invisible(style) {
            self.element(format_args!(
                r#"<polygon points="{}" {}/>"#,
                points(path),
                paint("fill", style.color())
            ));
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn {
        if invisible(style) {
            return Ok(());
        }
        let radius = i32::try_from(radius).unwrap_or(i32::MAX / 2);
        // The distance of the control points that brings four cubic curves within 0.03% of
        // a circle: 4/3 (sqrt(2) - 1).
        let control = i32::try_from(i64::from(radius) * 5523 / 10_000).unwrap_or(i32::MAX / 2);
        let (r, c) = (pixels(radius), pixels(control));
        let (rest, minus_rest) = (pixels(radius - control), pixels(control - radius));
        let minus_r = pixels(-radius);
        self.element(format_args!(
            r#"<path d="M{} {}c0 {c} {minus_rest} {r} {minus_r} {r}s{minus_r} {minus_rest} {minus_r} {minus_r}s{rest} {minus_r} {r} {minus_r}s{r} {rest} {r} {r}z" {}/>"#,
            pixels(x.saturating_add(radius)),
            pixels(y),
            fill_or_stroke(style, fill),
        ));
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        (x, y): BackendCoord,
    ) -> Drawn {
        if style.color().alpha == 0.0 {
            return Ok(());
        }
        let em = style.size() / LINE_HEIGHT;
        let anchor = style.anchor();
        let align = match anchor.h_pos {
            HPos::Left => "",
            HPos::Center => r#" text-anchor="middle""#,
            HPos::Right => r#" text-anchor="end""#,
        };
        // Where the baseline lies: capitals and digits of most fonts are about 0.73 em high.
        let shift = match anchor.v_pos {
            VPos::Top => 0.8,
            VPos::Center => 0.36,
            VPos::Bottom => -0.22,
        };
        let down = (shift * em).round() as i32;
        let place = match style.transform() {
            FontTransform::None => {
                format!(
                    r#"x="{}" y="{}""#,
                    pixels(x),
                    pixels(y.saturating_add(down))
                )
            }
            turned => {
                let matrix = match turned {
                    FontTransform::Rotate90 => "0 1 -1 0",
                    FontTransform::Rotate180 => "-1 0 0 -1",
                    FontTransform::None | FontTransform::Rotate270 => "0 -1 1 0",
                };
                format!(
                    r#"y="{}" transform="matrix({matrix} {} {})""#,
                    pixels(down),
                    pixels(x),
                    pixels(y)
                )
            }
        };
        let weight = match style.style() {
            FontStyle::Bold => r#" font-weight="bold""#,
            FontStyle::Normal | FontStyle::Oblique | FontStyle::Italic => "",
        };
        self.element(format_args!(
            r#"<text {place} font-size="{}"{weight}{align} {}>{}</text>"#,
            pixels(em.round() as i32),
            paint("fill", style.color()),
            escape(text)
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use plotters_backend::BackendColor;

    use super::*;

    #[test]
    fn units_are_written_as_tenths_of_a_pixel() {
        let cases = [
            (0, "0"),
            (10, "1"),
            (1234, "123.4"),
            (-5, "-0.5"),
            (-20, "-2"),
            (7, "0.7"),
        ];
        for (units, expected) in cases {
            assert_eq!(pixels(units), expected);
        }
    }

    #[test]
    fn text_cannot_leave_its_element_or_attribute() {
        assert_eq!(
            escape("<b> & \"it's\"\u{7}</b>"),
            "&lt;b&gt; &amp; &quot;it's&quot; &lt;/b&gt;"
        );
    }

    #[test]
    fn a_circle_is_four_curves() {
        let mut elements = String::new();
        let color = BackendColor {
            alpha: 1.0,
            rgb: (0, 0, 0),
        };
        SvgBackend::new(&mut elements, (100, 100))
            .draw_circle((100, 100), 40, &color, true)
            .unwrap();
        assert_eq!(
            elements,
            "<path d=\"M14 10c0 2.2 -1.8 4 -4 4s-4 -1.8 -4 -4s1.8 -4 4 -4s4 1.8 4 4z\" fill=\"#000000\"/>\n"
        );
    }
}
