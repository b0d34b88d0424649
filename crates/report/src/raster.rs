//! Figures as PNG, for programs that do not read SVG.
//!
//! The same drawing is rendered, with one font that is built in: a figure is then the same picture on every machine,
//! fonts installed or not.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Family};
use resvg::usvg::{Options, Tree};

use crate::error::Error;

/// Pixels of the picture for each of the drawing: sharp on a slide and on paper.
const SCALE: f32 = 3.0;

/// Renders drawings.
pub(crate) struct Rasteriser(Options<'static>);

impl Rasteriser {
    /// Reads the built-in font: DejaVu Sans Condensed, as wide as the fonts that the drawings are laid out for.
    pub(crate) fn new() -> Rasteriser {
        let mut fonts = Database::new();
        fonts.load_font_data(dejavu::sans_condensed::regular().to_vec());
        fonts.load_font_data(dejavu::sans_condensed::bold().to_vec());
        let family = fonts.faces().next().and_then(|face| face.families.first()).map(|(name, _)| name.clone());
        fonts.set_sans_serif_family(family.unwrap_or_default());
        let family = fonts.family_name(&Family::SansSerif).to_owned();
        Rasteriser(Options { fontdb: Arc::new(fonts), font_family: family, ..Options::default() })
    }

    /// An SVG document, `name`, as PNG.
    pub(crate) fn png(&self, name: &str, svg: &str) -> Result<Vec<u8>, Error> {
        let failed = |detail: String| Error::Raster { name: name.to_owned(), detail };
        let tree = Tree::from_str(svg, &self.0).map_err(|e| failed(e.to_string()))?;
        let side = |length: f32| (length * SCALE).ceil() as u32;
        let (width, height) = (side(tree.size().width()), side(tree.size().height()));
        let mut pixels =
            Pixmap::new(width, height).ok_or_else(|| failed(format!("{width} x {height} pixels are no picture")))?;
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
        let png = Rasteriser::new().png("test", &svg).unwrap();
        let picture = image::load_from_memory(&png).unwrap().into_luma8();
        assert_eq!(picture.dimensions(), (240, 60));
        picture.pixels().filter(|pixel| pixel.0[0] < 128).count()
    }

    #[test]
    fn words_are_drawn_with_the_built_in_font() {
        assert_eq!(dark_pixels(""), 0);
        assert!(dark_pixels("ROC-AUC") > 300);
    }

    #[test]
    fn what_is_no_drawing_is_an_error_that_names_the_figure() {
        assert!(Rasteriser::new().png("roc", "<svg").unwrap_err().to_string().contains("roc"));
    }
}
