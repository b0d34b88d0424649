//! Decoding of image files to RGB.
//!
//! The result equals `Image.open(f).convert("RGB")` of Pillow 13.0.0, except for JPEGs. JPEGs in rare codings, e.g. with
//! several scans that are not progressive, also equal it. Other JPEGs differ by at most five levels. For JPEGs with 4:2:0 chroma subsampling, as in most photographs, the mean difference is 0.15 to 0.4 levels.
//! Red and blue are then too high by about 0.2 and green is too low by 0.14. `decode/jpeg.rs` explains the cause and
//! lists the differences for each kind of JPEG.
//!
//! Deliberate differences from Pillow:
//! - 16-bit grey is divided by 256, like 16-bit RGB in Pillow. Pillow clips it at 255, which makes nearly every pixel
//!   white.
//! - The orientation in EXIF, or else in XMP, is applied as by Pillow's `ImageOps.exif_transpose`. Pillow leaves that to
//!   its caller.
//! - A JPEG is read only if its image is complete, see below. Pillow fills what is missing with grey if the end-of-image
//!   marker is there, or smooths it in progressive files.
//! - Floating-point TIFFs are rejected, because they do not define which value is white. TIFFs whose first image is a
//!   preview, such as camera raw files, are rejected too; Pillow reads the preview.
//!
//! The `image` crate cannot read TIFFs with palette, LAB, uncompressed YCbCr or grey-alpha colour, or with Zstandard
//! compression. They are rejected as unsupported.
//!
//! # Damage
//!
//! All compressed data of a JPEG are read, and its blocks of 8x8 samples are counted. If the data end early, contain an
//! invalid code, or lack scans, the file is rejected, and the message names the share of the blocks that is missing. If
//! only the end-of-image marker is missing, or if bytes are left over, the file is decoded with a [`Warning`]. Damage
//! that turns codes into other valid codes is not noticed, because JPEGs have no checksum.
//!
//! PNGs have checksums, so that all damage to pixels is an error. A PNG whose compressed data are whole, with their
//! checksums, is decoded with a [`Warning`] if it lacks only its end, the chunk `IEND`. WebP, BMP, TIFF and GIF have none. Their decoders
//! report data that end early or cannot be decompressed, but not changed values.
//!
//! Alpha is dropped and not composited, as in `convert("RGB")`. The format is determined from the content, not the
//! name.

mod error;
mod file_kind;
mod gif;
mod jpeg;
mod orientation;
mod png;
mod raster;
mod signature;
mod tiff;

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageFormat};
use serde::{Deserialize, Serialize};

pub use self::error::DecodeError;
pub use self::file_kind::FileKind;
use crate::RgbImage;

/// Limits on the size of an image. They are checked against the header, before memory for pixels is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of pixels, width times height.
    pub max_pixels: u64,
}

impl Default for Limits {
    /// 100 million pixels: more than any image of the public data sets has, and 300 MB as RGB.
    fn default() -> Self {
        Self { max_pixels: 100_000_000 }
    }
}

/// The longest side of an image in pixels. Resizing an image of 1 by 100 million pixels would take gigabytes for the
/// filter weights of the long side.
const MAX_SIDE: u32 = 100_000;

impl Limits {
    /// Returns the largest number of bytes that is read from a file: the size of an uncompressed 16-bit RGBA image of
    /// `max_pixels` pixels with its header.
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

/// A supported image format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Format {
    Jpeg,
    Png,
    WebP,
    Bmp,
    Tiff,
    Gif,
}

impl Format {
    /// Returns the lowercase name, e.g. `jpeg`.
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

    /// Determines the format of a file from its first bytes.
    ///
    /// # Errors
    /// The file is empty or not in a supported format.
    pub fn of(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::Empty);
        }
        if let Some(error) = signature::unsupported(bytes) {
            return Err(error);
        }
        match ::image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => Ok(Self::Jpeg),
            Ok(ImageFormat::Png) => Ok(Self::Png),
            Ok(ImageFormat::WebP) => Ok(Self::WebP),
            Ok(ImageFormat::Bmp) => Ok(Self::Bmp),
            Ok(ImageFormat::Tiff) => Ok(Self::Tiff),
            Ok(ImageFormat::Gif) => Ok(Self::Gif),
            // `signature` names the other formats. Some signatures of `image` are too short: "P2" also begins words.
            _ => Err(signature::unknown(bytes)),
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
    /// The image after EXIF orientation.
    pub rgb: RgbImage,
    /// The width in the file, before EXIF orientation.
    pub width: u32,
    /// The height in the file, before EXIF orientation.
    pub height: u32,
    /// The format, determined from the content.
    pub format: Format,
    /// A fault of the file that does not affect the pixels, as far as can be told.
    pub warning: Option<Warning>,
}

/// A fault of a file whose image is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Warning {
    /// A JPEG has no end-of-image marker, or a PNG no `IEND` chunk, as if its last bytes were cut off.
    #[error("the file lacks its end, but the image is complete")]
    NoEndOfImage,
    /// A JPEG has more compressed data than the image needs. Damage in the middle of the data is a possible cause.
    #[error("{bytes} bytes of compressed data are left over, so that the image may be damaged")]
    #[expect(missing_docs, reason = "the name is the documentation")]
    UnreadData { bytes: u64 },
}

/// The result of a decoder: the image before EXIF orientation, and the orientation.
struct Stored {
    rgb: RgbImage,
    orientation: Orientation,
    warning: Option<Warning>,
}

/// Decodes an image file. The result for an animation is its first frame.
///
/// # Errors
/// The file is not an image in a supported format, is truncated or damaged, or exceeds `limits`.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let format = Format::of(bytes)?;
    let stored = decode_file(bytes, format, limits)?;
    let (width, height) = (stored.rgb.width(), stored.rgb.height());
    let rgb = upright(stored.rgb, stored.orientation);
    Ok(Decoded { rgb, width, height, format, warning: stored.warning })
}

fn decode_file(bytes: &[u8], format: Format, limits: &Limits) -> Result<Stored, DecodeError> {
    catch_panics(|| match format {
        Format::Jpeg => jpeg::decode(bytes, limits),
        _ => raster::decode(bytes, format, limits),
    })
}

/// Decodes an image file without applying its orientation: the pixels as they lie in the file.
///
/// # Errors
/// Those of [`decode`].
pub fn decode_stored(bytes: &[u8], limits: &Limits) -> Result<RgbImage, DecodeError> {
    Ok(decode_file(bytes, Format::of(bytes)?, limits)?.rgb)
}

/// Converts a panic of a decoder to an error, so that one file that triggers a bug does not end a run over 100,000
/// files. The decoder is dropped, so no broken state remains. The panic is not printed, because its text does not name
/// the file.
fn catch_panics<T>(decoder: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    thread_local! {
        static IS_DECODING: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_DECODING.get() {
                print(info);
            }
        }));
    });
    IS_DECODING.set(true);
    let result = catch_unwind(AssertUnwindSafe(decoder));
    IS_DECODING.set(false);
    result.unwrap_or_else(|_| {
        Err(DecodeError::Corrupt("it triggers a fault of the decoder, as damaged files and rare variants do".into()))
    })
}

/// Applies the EXIF orientation.
fn upright(rgb: RgbImage, orientation: Orientation) -> RgbImage {
    if orientation == Orientation::NoTransforms {
        return rgb;
    }
    let (width, height) = (rgb.width(), rgb.height());
    let buffer =
        ::image::RgbImage::from_raw(width, height, rgb.into_data()).expect("the data of an RgbImage match its shape");
    let mut turned = DynamicImage::ImageRgb8(buffer);
    turned.apply_orientation(orientation);
    RgbImage::new(turned.width(), turned.height(), turned.into_bytes()).expect("orientation keeps the number of pixels")
}
