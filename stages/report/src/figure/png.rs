//! Renders an SVG to a PNG with the embedded font and no other.
//! It must not know what the SVG shows.
//!
//! The bytes depend on the SVG alone. resvg computes in f32 with additions, products,
//! quotients and square roots, which every CPU rounds alike. Trigonometry of the platform
//! enters it only by arcs, turned text and filters, and approximate reciprocals only by
//! colour dodge and burn; `svg.rs` writes none of these.

use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

use super::DrawError;
use super::text::FAMILY;

/// Pixels of the PNG for each pixel of the SVG.
const SCALE: f32 = 2.0;

/// Renders at twice the SVG's size.
///
/// # Errors
/// An SVG that does not parse, or has no size.
pub(super) fn render(svg: &str) -> Result<Vec<u8>, DrawError> {
    let options = Options {
        font_family: FAMILY.to_owned(),
        fontdb: fonts(),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(|error| DrawError(error.to_string()))?;
    let size = tree.size();
    let mut pixmap = Pixmap::new(
        (size.width() * SCALE) as u32,
        (size.height() * SCALE) as u32,
    )
    .ok_or_else(|| DrawError("the figure is too large for a picture".to_owned()))?;
    resvg::render(
        &tree,
        Transform::from_scale(SCALE, SCALE),
        &mut pixmap.as_mut(),
    );
    pixmap
        .encode_png()
        .map_err(|error| DrawError(error.to_string()))
}

/// The embedded fonts alone: what is installed on a machine must not show.
fn fonts() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    FONTS
        .get_or_init(|| {
            let mut fonts = Database::new();
            fonts.load_font_data(dejavu::sans::regular().to_vec());
            fonts.load_font_data(dejavu::sans::bold().to_vec());
            fonts.set_sans_serif_family(FAMILY);
            Arc::new(fonts)
        })
        .clone()
}
