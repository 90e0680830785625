//! A figure on the page: the drawing itself, scrollable where it is wider than the screen.
//! It must not know what the figure shows.

use maud::{Markup, PreEscaped, html};

use crate::figure::Figure;

/// The figure with its caption.
pub(super) fn figure(figure: &Figure) -> Markup {
    html! {
        figure {
            div.scroll tabindex="0" role="region" aria-label=(figure.title) {
                (PreEscaped(figure.inline_svg()))
            }
            figcaption { (figure.caption) }
        }
    }
}
