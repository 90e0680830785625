//! The colours that all figures share.
//! It must not know any model; their colours are parameters.

use plotters::style::RGBColor;

/// Titles, labels and numbers. `html/style.css` recolours these four in dark mode.
pub(super) const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
/// Subtitles, ticks and axes.
pub(super) const MUTED: RGBColor = RGBColor(0x57, 0x60, 0x6a);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xe3, 0xe6, 0xea);
/// The paper behind everything.
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// A share, 0 to 1, as one of ColorBrewer's `Blues`, from white to dark.
///
/// Small shares darken fastest: they are the mistakes that a confusion matrix is read for.
pub(super) fn blues(share: f64) -> RGBColor {
    const STOPS: [(f64, [f64; 3]); 6] = [
        (0.0, [255.0, 255.0, 255.0]),
        (0.05, [222.0, 235.0, 247.0]),
        (0.2, [158.0, 202.0, 225.0]),
        (0.5, [66.0, 146.0, 198.0]),
        (0.8, [8.0, 81.0, 156.0]),
        (1.0, [8.0, 48.0, 107.0]),
    ];
    let share = share.clamp(0.0, 1.0);
    let above = STOPS
        .iter()
        .position(|(stop, _)| *stop >= share)
        .unwrap_or(5)
        .max(1);
    let ((low, from), (high, to)) = (STOPS[above - 1], STOPS[above]);
    let within = (share - low) / (high - low);
    let channel =
        |channel: usize| (from[channel] + (to[channel] - from[channel]) * within).round() as u8;
    RGBColor(channel(0), channel(1), channel(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blues_run_from_white_to_dark() {
        assert_eq!(blues(0.0), RGBColor(255, 255, 255));
        assert_eq!(blues(0.05), RGBColor(222, 235, 247));
        assert_eq!(blues(1.0), RGBColor(8, 48, 107));
        assert_eq!(blues(7.0), blues(1.0));
    }
}
