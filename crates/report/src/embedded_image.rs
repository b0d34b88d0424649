//! Images embedded in the page as `data:` URLs.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageError, ImageFormat, ImageReader, Limits};

use crate::error::Error;

/// JPEG quality. The page needs no exact pixels, which are in the evaluation's folder.
const QUALITY: u8 = 90;
/// The maximum width and height of an image in pixels.
const MAX_SIDE: u32 = 4096;

/// An image for an `img` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EmbeddedImage {
    /// `data:image/…;base64,…`.
    pub(crate) data_url: String,
    /// Width in pixels.
    pub(crate) width: u32,
    /// Height in pixels.
    pub(crate) height: u32,
}

/// Embeds a PNG file, re-encoded as JPEG if that is smaller. Errors name the file as `name`.
pub(crate) fn from_png(name: &str, png: &[u8]) -> Result<EmbeddedImage, Error> {
    let mut reader = ImageReader::with_format(Cursor::new(png), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    let decoded = reader.decode().map_err(|source| unreadable(name, source))?.into_rgb8();
    let jpeg = encode_jpeg(name, decoded.as_raw(), decoded.width(), decoded.height())?;
    let (kind, bytes) = if jpeg.len() < png.len() { ("jpeg", jpeg.as_slice()) } else { ("png", png) };
    Ok(embed(kind, bytes, decoded.width(), decoded.height()))
}

/// Embeds RGB pixels, `[height, width, 3]`, as JPEG. Errors name the image as `name`.
pub(crate) fn from_rgb_pixels(name: &str, width: u32, height: u32, pixels: &[u8]) -> Result<EmbeddedImage, Error> {
    Ok(embed("jpeg", &encode_jpeg(name, pixels, width, height)?, width, height))
}

fn encode_jpeg(name: &str, pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, Error> {
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    encoder.encode(pixels, width, height, ExtendedColorType::Rgb8).map_err(|source| unreadable(name, source))?;
    Ok(jpeg)
}

fn embed(kind: &str, bytes: &[u8], width: u32, height: u32) -> EmbeddedImage {
    EmbeddedImage { data_url: format!("data:image/{kind};base64,{}", STANDARD.encode(bytes)), width, height }
}

fn unreadable(name: &str, source: ImageError) -> Error {
    Error::Image { path: name.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn png(image: &RgbImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn embeds_png_or_jpeg_whichever_is_smaller() {
        let flat = from_png("flat.png", &png(&RgbImage::new(32, 16))).unwrap();
        assert!(flat.data_url.starts_with("data:image/png;base64,"));
        assert_eq!((flat.width, flat.height), (32, 16));
        let noise = RgbImage::from_fn(64, 64, |x, y| {
            image::Rgb([((x * 37) ^ (y * 91)) as u8, (x * y * 7) as u8, (x ^ (y * 3)) as u8])
        });
        assert!(from_png("noise.png", &png(&noise)).unwrap().data_url.starts_with("data:image/jpeg;base64,"));
    }

    #[test]
    fn rejects_a_file_that_is_not_an_image_and_names_it() {
        let error = from_png("images/0.png", b"\x89PNG and nothing more").unwrap_err();
        assert!(error.to_string().contains("images/0.png"), "{error}");
    }
}
