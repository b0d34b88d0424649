//! Statistics of an image that do not depend on what it shows or where: residuals, spectra and DCT coefficients.
//!
//! The features are computed on the central window of at most [`MAX_SIDE`] pixels, at native resolution, of luma and of
//! the two colour differences of JFIF. They show how pixels were made: the noise of sensors, the up-sampling of
//! generators (peaks in the spectrum at periods of 2, 4 and 8 pixels), and JPEG compression.

mod blocks;
mod features;
mod peaks;
mod picture;
mod planes;
mod residuals;
mod tiles;

use pixels::RgbImage;

use self::features::Features;
use self::planes::Window;

pub use self::picture::{Peak, Spectrum, spectrum};

/// The longest side of the window in pixels.
pub const MAX_SIDE: u32 = 256;

/// The shortest side of an image that has features, in pixels: the side of a tile of the spectra.
pub const MIN_SIDE: u32 = planes::TILE as u32;

/// Computes the features of an image, in the order of [`feature_names`]. All are finite. `None` if a side is shorter
/// than [`MIN_SIDE`].
pub fn features(image: &RgbImage) -> Option<Vec<f32>> {
    Some(describe(image, Features::without_names())?.values)
}

/// Returns the names of the features, made to be shown to people.
pub fn feature_names() -> Vec<String> {
    let image = RgbImage::from_fn(MIN_SIDE, MIN_SIDE, |_, _| [0; 3]);
    let Some(features) = describe(&image, Features::with_names()) else { unreachable!("the image is large enough") };
    features.names
}

fn describe(image: &RgbImage, mut features: Features) -> Option<Features> {
    if image.width().min(image.height()) < MIN_SIDE {
        return None;
    }
    let window = Window::central(image, MAX_SIDE);
    residuals::describe(&window, &mut features);
    tiles::describe(&window, &mut features);
    blocks::describe(&window, &mut features);
    Some(features)
}
