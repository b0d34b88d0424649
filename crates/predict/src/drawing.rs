//! Drawings of the evidence for a verdict, and of the picture itself.

use artifacts::Label;
use evaluate::explain::{self, branch_overlay, overlay};
use pixels::encode::{self, Subsampling};
use pixels::{Filter, Fit, RgbImage, resize_to};

use crate::check::Overlay;
use crate::error::Error;
use crate::judge::{Judge, Prepared};
use crate::row::Row;

/// The quality of a picture that is shown.
const QUALITY: u8 = 90;
/// Height and width of a heat map that is drawn alone.
const HEAT: [usize; 2] = [448, 448];
/// The part of a picture that a map of the whole picture covers.
const WHOLE: [f64; 4] = [0.0, 0.0, 1.0, 1.0];

/// Draws the evidence for `class`: Grad-CAM, or the map of each branch that has one.
pub(crate) fn overlays(
    judge: &mut Judge,
    row: &Row,
    image: &Prepared,
    class: Label,
    layer: &str,
) -> Result<Vec<Overlay>, Error> {
    // The drawing is named by the file's hash, because file names may hold any characters and need not be unique.
    let stem = row.file.map_or_else(|| "stdin".to_owned(), |hash| hash.short());
    let mut overlays = Vec::new();
    if let Some(picture) = &image.picture {
        for map in judge.detector.evidence_maps(picture)? {
            let evidence = map.for_class(class);
            overlays.push(Overlay {
                branch: Some(map.branch.name().to_owned()),
                class,
                name: format!("{stem}-{}-{class}.png", map.branch),
                png: explain::png(&branch_overlay(&map.image, &evidence))?,
                heat: explain::png(&explain::heat_picture(&evidence, HEAT))?,
                region: region_of_shape(image.size, [map.image.width(), map.image.height()]),
            });
        }
        return Ok(overlays);
    }
    for map in &judge.detector.heat_maps(&image.pixels, &[class], layer)? {
        overlays.push(Overlay {
            branch: None,
            class,
            name: format!("{stem}-{class}.png"),
            png: explain::png(&overlay(&image.pixels, judge.detector.size(), map))?,
            heat: explain::png(&explain::heat_picture(map, HEAT))?,
            region: if judge.recipe.fit == Fit::Crop { central_square(image.size) } else { WHOLE },
        });
    }
    Ok(overlays)
}

/// The part of a picture that a square from its middle covers.
fn central_square([width, height]: [u32; 2]) -> [f64; 4] {
    let side = f64::from(width.min(height));
    let margin = |length: u32| 0.5 * (1.0 - side / f64::from(length.max(1)));
    let (across, down) = (margin(width), margin(height));
    [across, down, 1.0 - across, 1.0 - down]
}

/// The part of a picture that the input of a branch covers: the whole picture if the input has its shape, or the square
/// in its middle if the input is square.
fn region_of_shape(size: [u32; 2], [width, height]: [u32; 2]) -> [f64; 4] {
    let is_square = |[width, height]: [u32; 2]| width == height;
    if is_square([width, height]) && !is_square(size) { central_square(size) } else { WHOLE }
}

/// Encodes a picture as JPEG whose longest side has at most `side` pixels.
pub(crate) fn picture(image: &RgbImage, side: u32) -> Result<Vec<u8>, Error> {
    let longest = image.width().max(image.height());
    let scaled = |length: u32| {
        let scaled = u64::from(length) * u64::from(side.max(1)) / u64::from(longest.max(1));
        u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
    };
    let shown = if longest > side {
        resize_to(image, scaled(image.width()), scaled(image.height()), Filter::Bilinear)
            .map_err(pixels::RecipeError::from)?
    } else {
        image.clone()
    };
    Ok(encode::jpeg(&shown, QUALITY, Subsampling::Quarter).map_err(pixels::RecipeError::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_shape_and_are_not_enlarged() {
        let decoded = |bytes: &[u8]| pixels::decode(bytes, &pixels::Limits::default()).unwrap().rgb;
        let image = RgbImage::from_fn(60, 20, |x, y| [x as u8, y as u8, 7]);
        let small = decoded(&picture(&image, 30).unwrap());
        assert_eq!((small.width(), small.height()), (30, 10));
        let same = decoded(&picture(&image, 100).unwrap());
        assert_eq!((same.width(), same.height()), (60, 20));
        let line = RgbImage::from_fn(500, 1, |x, _| [x as u8; 3]);
        assert_eq!(decoded(&picture(&line, 50).unwrap()).height(), 1);
    }

    #[test]
    fn a_square_input_covers_the_middle_of_a_wide_picture() {
        assert_eq!(region_of_shape([200, 100], [224, 224]), [0.25, 0.0, 0.75, 1.0]);
        assert_eq!(region_of_shape([100, 100], [224, 224]), WHOLE);
        assert_eq!(region_of_shape([200, 100], [200, 100]), WHOLE);
    }
}
