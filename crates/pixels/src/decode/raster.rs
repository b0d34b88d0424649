//! Decoding of PNG, WebP, BMP, TIFF and GIF with the `image` crate.

use std::io::{Cursor, ErrorKind};

use ::image::error::{ImageError, LimitErrorKind};
use ::image::{ColorType, ImageDecoder, ImageFormat, ImageReader};

use super::{DecodeError, Format, Limits, Stored, Warning, gif, orientation, png, tiff};
use crate::RgbImage;

pub(super) fn decode(bytes: &[u8], format: Format, limits: &Limits) -> Result<Stored, DecodeError> {
    match format {
        Format::Tiff => tiff::check(bytes)?,
        Format::Png => {
            if let Some(ended) = png::with_end(bytes) {
                return match read(&ended, format, limits) {
                    Ok(image) => Ok(Stored { warning: Some(Warning::NoEndOfImage), ..image }),
                    // The file ends between two chunks of image data.
                    Err(DecodeError::Corrupt(why)) => Err(DecodeError::Truncated(why)),
                    Err(error) => Err(error),
                };
            }
        }
        _ => {}
    }
    read(bytes, format, limits)
}

fn read(bytes: &[u8], format: Format, limits: &Limits) -> Result<Stored, DecodeError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), image_format(format));
    reader.limits(allocation_limits(limits));
    let decoder = reader.into_decoder().map_err(|e| from_image(e, limits))?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    let orientation = orientation::read(bytes, format);
    let color = decoder.color_type();
    let to_rgb = converter(color)?;

    let size = usize::try_from(decoder.total_bytes()).map_err(|_| DecodeError::TooLarge {
        width,
        height,
        max_pixels: limits.max_pixels,
    })?;
    let mut samples = vec![0; size];
    decoder.read_image(&mut samples).map_err(|e| from_image(e, limits))?;
    let mut pixels = to_rgb(samples);
    if format == Format::Gif {
        gif::fill_outside_frame(bytes, width as usize, &mut pixels);
    }
    let rgb = RgbImage::new(width, height, pixels).map_err(|error| DecodeError::Corrupt(error.to_string()))?;
    Ok(Stored { rgb, orientation, warning: None })
}

fn image_format(format: Format) -> ImageFormat {
    match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::WebP => ImageFormat::WebP,
        Format::Bmp => ImageFormat::Bmp,
        Format::Tiff => ImageFormat::Tiff,
        Format::Gif => ImageFormat::Gif,
    }
}

/// Returns the limit on allocations by the decoders: two copies of the largest image with eight bytes per pixel.
fn allocation_limits(limits: &Limits) -> ::image::Limits {
    let mut allocation = ::image::Limits::default();
    allocation.max_alloc = Some(limits.max_pixels.saturating_mul(16).max(1 << 20));
    allocation
}

/// A function that converts the samples of a decoder to `[height, width, 3]` bytes.
type ToRgb = fn(Vec<u8>) -> Vec<u8>;

/// Returns the conversion from samples of `color`. 16-bit samples are in native byte order.
fn converter(color: ColorType) -> Result<ToRgb, DecodeError> {
    match color {
        ColorType::Rgb8 => Ok(|samples| samples),
        ColorType::L8 => Ok(|samples| bytes_to_rgb::<1, 1>(&samples, [0, 0, 0])),
        ColorType::La8 => Ok(|samples| bytes_to_rgb::<2, 1>(&samples, [0, 0, 0])),
        ColorType::Rgba8 => Ok(|samples| bytes_to_rgb::<4, 1>(&samples, [0, 1, 2])),
        ColorType::L16 => Ok(|samples| bytes_to_rgb::<1, 2>(&samples, [0, 0, 0])),
        ColorType::La16 => Ok(|samples| bytes_to_rgb::<2, 2>(&samples, [0, 0, 0])),
        ColorType::Rgb16 => Ok(|samples| bytes_to_rgb::<3, 2>(&samples, [0, 1, 2])),
        ColorType::Rgba16 => Ok(|samples| bytes_to_rgb::<4, 2>(&samples, [0, 1, 2])),
        other => Err(DecodeError::Unsupported(format!("{other:?} samples do not define which value is white"))),
    }
}

/// Selects three of `CHANNELS` channels. Samples have `WIDTH` bytes; the high byte of 16-bit samples is used.
fn bytes_to_rgb<const CHANNELS: usize, const WIDTH: usize>(samples: &[u8], channels: [usize; 3]) -> Vec<u8> {
    let high = if cfg!(target_endian = "little") { WIDTH - 1 } else { 0 };
    samples
        .chunks_exact(CHANNELS * WIDTH)
        .flat_map(|pixel| channels.map(|channel| pixel[channel * WIDTH + high]))
        .collect()
}

fn from_image(error: ImageError, limits: &Limits) -> DecodeError {
    match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated(error.to_string())
        }
        ImageError::Unsupported(error) => DecodeError::Unsupported(error.to_string()),
        ImageError::Limits(error) => match error.kind() {
            LimitErrorKind::DimensionError | LimitErrorKind::InsufficientMemory => DecodeError::Unsupported(format!(
                "decoding it takes more memory than an image of {} pixels may use",
                limits.max_pixels
            )),
            _ => DecodeError::Unsupported(error.to_string()),
        },
        error => DecodeError::Corrupt(error.to_string()),
    }
}
