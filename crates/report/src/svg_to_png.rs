//! Renders SVG figures as PNG, for programs that do not read SVG.
//!
//! The font is built in, so a figure looks the same on every machine and does not depend on the installed fonts.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Family};
use resvg::usvg::{Options, Tree};

use crate::error::Error;

/// PNG pixels per SVG pixel: sharp enough for slides and print.
const SCALE: f32 = 3.0;

/// An SVG renderer with its font.
pub(crate) struct PngRenderer(Options<'static>);

impl PngRenderer {
    /// Loads the built-in font, DejaVu Sans Condensed. It is about as wide as the fonts that the figures are laid out
    /// for.
    pub(crate) fn new() -> PngRenderer {
        let mut fonts = Database::new();
        fonts.load_font_data(dejavu::sans_condensed::regular().to_vec());
        fonts.load_font_data(dejavu::sans_condensed::bold().to_vec());
        let family = fonts.faces().next().and_then(|face| face.families.first()).map(|(name, _)| name.clone());
        fonts.set_sans_serif_family(family.unwrap_or_default());
        let family = fonts.family_name(&Family::SansSerif).to_owned();
        PngRenderer(Options { fontdb: Arc::new(fonts), font_family: family, ..Options::default() })
    }

    /// Renders an SVG document as a PNG file. Errors name the figure as `name`.
    pub(crate) fn render(&self, name: &str, svg: &str) -> Result<Vec<u8>, Error> {
        let failed = |detail: String| Error::RenderPng { name: name.to_owned(), detail };
        let tree = Tree::from_str(svg, &self.0).map_err(|e| failed(e.to_string()))?;
        let side = |length: f32| (length * SCALE).ceil() as u32;
        let (width, height) = (side(tree.size().width()), side(tree.size().height()));
        let mut pixels = Pixmap::new(width, height)
            .ok_or_else(|| failed(format!("an image of {width} x {height} pixels cannot be allocated")))?;
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().map_err(|e| failed(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dark_pixels(text: &str) -> usize {
        let svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="80" height="20" font-family="Inter, sans-serif">
            <rect width="80" height="20" fill="#ffffff"/><text x="2" y="14" font-size="12" fill="#000000">{text}</text></svg>"##
        );
        let png = PngRenderer::new().render("test", &svg).unwrap();
        let image = image::load_from_memory(&png).unwrap().into_luma8();
        assert_eq!(image.dimensions(), (240, 60));
        image.pixels().filter(|pixel| pixel.0[0] < 128).count()
    }

    #[test]
    fn draws_text_with_the_built_in_font() {
        assert_eq!(dark_pixels(""), 0);
        assert!(dark_pixels("ROC-AUC") > 300);
    }

    #[test]
    fn rejects_malformed_svg_and_names_the_figure() {
        assert!(PngRenderer::new().render("roc", "<svg").unwrap_err().to_string().contains("roc"));
    }
}
