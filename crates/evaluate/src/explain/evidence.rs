//! What explains the verdict on an image.

use std::io::Cursor;
use std::path::Path;

use artifacts::schema::{HeatMap, Spectrum};
use artifacts::{Label, atomic};
use image::{ImageFormat, RgbImage};

use crate::Error;

/// An image to explain.
pub(super) struct Picture<'a> {
    /// `[height, width, 3]`.
    pub(super) pixels: &'a [u8],
    /// Height and width.
    pub(super) size: [usize; 2],
    /// The encoded file, for a detector of branches.
    pub(super) file: &'a [u8],
    /// The path in the source.
    pub(super) path: &'a str,
    /// The beginning of the names of its files.
    pub(super) stem: String,
}

/// What explains the verdict on an image.
pub(super) struct Evidence {
    /// The heat maps that were written.
    pub(super) heat_maps: Vec<HeatMap>,
    /// The spectrum that was written.
    pub(super) spectrum: Option<Spectrum>,
    /// The maps that the sanity check compares with those of random weights.
    pub(super) own: Vec<model::HeatMap>,
}

/// Returns both classes, the predicted one first.
pub(super) fn both_classes(predicted: Label) -> [Label; 2] {
    let other = Label::ALL.into_iter().find(|&label| label != predicted).unwrap_or(predicted);
    [predicted, other]
}

/// Returns the maximum of a heat map, or 0 if there is no positive value.
pub(super) fn peak(map: &model::HeatMap) -> f64 {
    f64::from(map.values.iter().copied().fold(0.0, f32::max))
}

/// Returns the image with the given pixels, `[height, width, 3]`. `size` is its height and width.
///
/// # Panics
/// There are fewer pixels than the size requires.
pub fn stored_image(pixels: &[u8], size: [usize; 2]) -> RgbImage {
    let [height, width] = size;
    let at = |x: u32, y: u32| (y as usize * width + x as usize) * 3;
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        image::Rgb(std::array::from_fn(|channel| pixels[at(x, y) + channel]))
    })
}

/// Encodes an image as PNG.
///
/// # Errors
/// The image has no pixels.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>, Error> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// Writes an image as PNG.
///
/// # Errors
/// Errors of writing.
pub fn write_png(dir: &Path, name: &str, picture: &RgbImage) -> Result<(), Error> {
    Ok(atomic::write_file(&dir.join(name), &png(picture)?)?)
}
