//! Image files to RGB.
//!
//! The result equals Pillow 13.0.0's `Image.open(f).convert("RGB")`, JPEGs excepted. These were at most five levels off.
//! Where colour is stored at a quarter of the resolution, as in most photographs, the mean difference is 0.15 to 0.4 levels:
//! red and blue are too high by some 0.2, green too low by 0.14. `decode/jpeg.rs` says why, and has the figures of each kind.
//!
//! These differences are deliberate:
//! - 16-bit grey is divided by 256, as Pillow does with 16-bit RGB. Pillow clips it at 255, which turns nearly every pixel white.
//! - The EXIF orientation is applied, so that a picture is upright whoever took it. Pillow leaves that to its caller.
//! - A JPEG without its end-of-image marker is truncated. Pillow takes it where only the marker is missing.
//! - Floating-point TIFFs are refused: nothing in them says which value is white.
//!
//! And these are what the `image` crate cannot read: TIFFs in palette colour, LAB, uncompressed YCbCr, or grey with alpha, and
//! those compressed with Zstandard. They are refused as unsupported.
//!
//! Alpha is dropped, not composited, as `convert("RGB")` does. The file's content says its format; its name is not looked at.

mod error;
mod jpeg;
mod raster;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageFormat};

pub use self::error::DecodeError;
use crate::RgbImage;

/// What a file may cost before it is refused. Checked on the header, before any pixel is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most pixels, width times height.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// One hundred million pixels: more than any camera in the public data sets, 300 MB as RGB.
    fn default() -> Self {
        Self { max_pixels: 100_000_000 }
    }
}

/// The longest side that is read. A sliver of one by a hundred million pixels is no photograph, and to resize it would
/// take gigabytes: a weight for each of its rows, and a widened copy of them.
const MAX_SIDE: u32 = 100_000;

impl Limits {
    /// The most bytes that a file is read of: no image within the limit on pixels takes more than 16-bit RGBA and its header.
    pub fn max_file_bytes(&self) -> u64 {
        self.max_pixels.saturating_mul(8).saturating_add(1 << 20)
    }

    fn check(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        if width == 0 || height == 0 {
            return Err(DecodeError::Corrupt(format!("its size is {width}x{height}")));
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(DecodeError::TooLarge { width, height, max_pixels: self.max_pixels });
        }
        if width.max(height) > MAX_SIDE {
            return Err(DecodeError::TooLong { width, height, max_side: MAX_SIDE });
        }
        Ok(())
    }
}

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Format {
    Jpeg,
    Png,
    WebP,
    Bmp,
    Tiff,
    Gif,
}

impl Format {
    /// The lowercase name, as in `jpeg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
            Self::Gif => "gif",
        }
    }

    /// The format of `bytes`, by their first bytes.
    ///
    /// # Errors
    /// If there are no bytes, or if they begin like no format that is read.
    pub fn of(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::Empty);
        }
        match ::image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => Ok(Self::Jpeg),
            Ok(ImageFormat::Png) => Ok(Self::Png),
            Ok(ImageFormat::WebP) => Ok(Self::WebP),
            Ok(ImageFormat::Bmp) => Ok(Self::Bmp),
            Ok(ImageFormat::Tiff) => Ok(Self::Tiff),
            Ok(ImageFormat::Gif) => Ok(Self::Gif),
            Ok(other) => Err(DecodeError::Unsupported(format!("{other:?} images are not read"))),
            Err(_) => Err(DecodeError::NotAnImage),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A decoded file.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The picture, upright.
    pub rgb: RgbImage,
    /// Columns as stored in the file, before the orientation is applied.
    pub width: u32,
    /// Rows as stored in the file, before the orientation is applied.
    pub height: u32,
    /// What the content is, whatever the file is called.
    pub format: Format,
}

/// What a decoder of one format hands back: pixels as stored, and how to turn them.
struct Stored {
    rgb: RgbImage,
    orientation: Orientation,
}

/// Decodes an image file that is in memory; of an animation, its first frame.
///
/// # Errors
/// [`DecodeError`] if the bytes are not an image that is read here, are cut short or damaged, or exceed `limits`.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let format = Format::of(bytes)?;
    let stored = contain_panics(|| match format {
        Format::Jpeg => jpeg::decode(bytes, limits),
        _ => raster::decode(bytes, format, limits),
    })?;
    let (width, height) = (stored.rgb.width(), stored.rgb.height());
    Ok(Decoded { rgb: upright(stored.rgb, stored.orientation), width, height, format })
}

/// Turns a panic of a decoder into an error: a bug that one hostile file among a hundred thousand sets off must cost that
/// file, not the run. Nothing of the decoder survives, so no broken state can be seen afterwards.
fn contain_panics<T>(decoder: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(decoder))
        .unwrap_or_else(|_| Err(DecodeError::Corrupt("it made the decoder panic".into())))
}

fn upright(rgb: RgbImage, orientation: Orientation) -> RgbImage {
    if orientation == Orientation::NoTransforms {
        return rgb;
    }
    let (width, height) = (rgb.width(), rgb.height());
    let buffer = ::image::RgbImage::from_raw(width, height, rgb.into_data()).expect("an RgbImage fills its shape");
    let mut turned = DynamicImage::ImageRgb8(buffer);
    turned.apply_orientation(orientation);
    RgbImage::new(turned.width(), turned.height(), turned.into_bytes()).expect("turning keeps every pixel")
}
