//! The degradations of the robustness sweep, and their levels.

use std::fmt;

use pixels::degrade::{self, DegradeError, Degraded};
use pixels::{Filter, RgbImage, resize_to};
use rand::Rng;

/// One kind of degradation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// JPEG compression; the level is the quality.
    Jpeg,
    /// Lossy WebP compression; the level is the quality.
    Webp,
    /// Resizing by a factor and back to the former size; the level is the factor.
    Resize,
    /// Resizing by a factor, as for a thumbnail; the level is the factor.
    Shrink,
    /// Gaussian blur; the level is its standard deviation in pixels.
    Blur,
    /// Gaussian noise; the level is its standard deviation in grey levels of 0 to 255.
    Noise,
    /// Centre crop; the level is the share of each side that is kept.
    Crop,
    /// Sharing on social media; the level is the number of times. Each time, the image is resized to four fifths, and
    /// at most 1080 pixels on the longer side, and saved as JPEG of quality 75. Real services do something similar;
    /// these values are our own and reproduce no service exactly.
    SocialMedia,
}

/// All operations, in the order of the report.
pub(crate) const OPERATIONS: [Operation; 8] = [
    Operation::Jpeg,
    Operation::Webp,
    Operation::Resize,
    Operation::Shrink,
    Operation::Blur,
    Operation::Noise,
    Operation::Crop,
    Operation::SocialMedia,
];

/// The largest longer side of a shared image in pixels.
const SHARED_SIDE: f64 = 1080.0;
/// The factor by which sharing resizes an image.
const SHARED_SCALE: f64 = 0.8;
/// The JPEG quality of a shared image.
const SHARED_QUALITY: u8 = 75;

impl Operation {
    /// The name in `robustness.json`.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Jpeg => "jpeg",
            Operation::Webp => "webp",
            Operation::Resize => "resize",
            Operation::Shrink => "shrink",
            Operation::Blur => "blur",
            Operation::Noise => "noise",
            Operation::Crop => "crop",
            Operation::SocialMedia => "social_media",
        }
    }

    /// The unit of the levels.
    pub fn unit(self) -> &'static str {
        match self {
            Operation::Jpeg | Operation::Webp => "quality",
            Operation::Resize | Operation::Shrink => "factor",
            Operation::Blur => "sigma in pixels",
            Operation::Noise => "sigma in levels of 255",
            Operation::Crop => "share of each side kept",
            Operation::SocialMedia => "times shared",
        }
    }

    /// The levels, mildest first.
    pub fn levels(self) -> &'static [f64] {
        match self {
            Operation::Jpeg | Operation::Webp => &[95.0, 90.0, 80.0, 70.0, 60.0, 50.0, 40.0, 30.0],
            Operation::Resize => &[2.0, 1.5, 0.75, 0.5, 0.35, 0.25],
            Operation::Shrink => &[0.75, 0.5, 0.25],
            Operation::Blur => &[0.5, 1.0, 1.5, 2.0, 3.0],
            Operation::Noise => &[2.0, 5.0, 10.0, 20.0],
            Operation::Crop => &[0.95, 0.9, 0.8, 0.7, 0.6, 0.5],
            Operation::SocialMedia => &[1.0, 2.0, 3.0],
        }
    }

    /// Finds an operation and one of its levels by a text such as `jpeg 70`. `None` if there are no such operation and
    /// level.
    pub fn parse(text: &str) -> Option<(Operation, f64)> {
        let (name, level) = text.split_once(' ')?;
        let operation = OPERATIONS.into_iter().find(|operation| operation.name() == name)?;
        let level: f64 = level.trim().parse().ok()?;
        operation.levels().contains(&level).then_some((operation, level))
    }

    /// Applies the operation to an image.
    ///
    /// # Errors
    /// The image cannot be degraded in this way, for example because it is too large for WebP.
    pub fn apply(self, image: &RgbImage, level: f64, rng: &mut impl Rng) -> Result<Degraded, DegradeError> {
        let changed = match self {
            Operation::Jpeg => return degrade::to_jpeg(image, level as u8),
            Operation::Webp => return degrade::to_webp(image, level as u8),
            Operation::Resize => degrade::resize_and_back(image, level as f32, Filter::default()),
            Operation::Shrink => Ok(scaled(image, level)),
            Operation::Blur => degrade::gaussian_blur(image, level as f32),
            Operation::Noise => degrade::noise(image, level as f32, rng),
            Operation::Crop => crop_middle(image, level),
            Operation::SocialMedia => {
                let unshared = Degraded::from(image.clone());
                return (0..level as u32).try_fold(unshared, |shared, _| share_once(shared.image));
            }
        };
        changed.map(Degraded::from)
    }
}

impl fmt::Display for Operation {
    /// Writes the name and the levels: `jpeg 95, 90`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let levels: Vec<String> = self.levels().iter().map(f64::to_string).collect();
        write!(f, "{} {}", self.name(), levels.join(", "))
    }
}

fn crop_middle(image: &RgbImage, fraction: f64) -> Result<RgbImage, DegradeError> {
    let kept = |side: u32| ((f64::from(side) * fraction).round() as u32).clamp(1, side);
    let (width, height) = (kept(image.width()), kept(image.height()));
    degrade::crop(image, (image.width() - width) / 2, (image.height() - height) / 2, width, height)
}

fn share_once(image: RgbImage) -> Result<Degraded, DegradeError> {
    let longer = f64::from(image.width().max(image.height()));
    degrade::to_jpeg(&scaled(&image, SHARED_SCALE.min(SHARED_SIDE / longer)), SHARED_QUALITY)
}

/// Resizes an image by a factor. Each side keeps at least one pixel.
fn scaled(image: &RgbImage, factor: f64) -> RgbImage {
    let side = |side: u32| ((f64::from(side) * factor).round() as u32).max(1);
    // Resizing fails only for sides of 0 pixels.
    resize_to(image, side(image.width()), side(image.height()), Filter::default()).unwrap_or_else(|_| image.clone())
}

#[cfg(test)]
mod tests {
    use artifacts::random::stream;
    use pixels::Limits;

    use super::*;

    fn picture() -> RgbImage {
        RgbImage::from_fn(60, 40, |x, y| [(x * 4) as u8, (y * 6) as u8, ((x * y) % 251) as u8])
    }

    #[test]
    fn every_level_of_every_operation_changes_the_image() {
        let picture = picture();
        for operation in OPERATIONS {
            for &level in operation.levels() {
                let degraded = operation.apply(&picture, level, &mut stream(0, "test", &[])).unwrap();
                assert_ne!(degraded.image, picture, "{} {level}", operation.name());
                // The file holds the degraded image.
                if let Some(file) = degraded.file {
                    assert_eq!(pixels::decode(&file, &Limits::default()).unwrap().rgb, degraded.image);
                }
            }
        }
    }

    #[test]
    fn finds_operations_by_name_and_level() {
        for operation in OPERATIONS {
            for &level in operation.levels() {
                let text = format!("{} {level}", operation.name());
                assert_eq!(Operation::parse(&text), Some((operation, level)));
            }
        }
        for unknown in ["jpeg", "jpeg 71", "jpeg x", "sharpen 1", ""] {
            assert_eq!(Operation::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn crop_keeps_the_middle_and_sharing_shrinks() {
        let picture = picture();
        let mut rng = stream(0, "test", &[]);
        let half = Operation::Crop.apply(&picture, 0.5, &mut rng).unwrap().image;
        assert_eq!((half.width(), half.height()), (30, 20));
        assert_eq!(half.data()[..3], picture.data()[(10 * 60 + 15) * 3..][..3]);
        let small = Operation::Shrink.apply(&picture, 0.5, &mut rng).unwrap().image;
        assert_eq!((small.width(), small.height()), (30, 20));
        let shared = Operation::SocialMedia.apply(&picture, 2.0, &mut rng).unwrap().image;
        assert_eq!((shared.width(), shared.height()), (38, 26));
    }
}
