//! Pictures inside the page, as `data:` addresses.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageError, ImageFormat, ImageReader, Limits};

use crate::error::Error;

/// Quality of the JPEGs in the page: they are to be looked at, and the exact pixels stay in the evaluation's folder.
const QUALITY: u8 = 90;
/// No example is larger than this on a side.
const MAX_SIDE: u32 = 4096;

/// A picture that an `img` element can show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// `data:image/…;base64,…`.
    pub(crate) address: String,
    /// Width in pixels.
    pub(crate) width: u32,
    /// Height in pixels.
    pub(crate) height: u32,
}

/// Packs a PNG called `name` into an address: as it is, or as a JPEG where that is smaller.
pub(crate) fn pack(name: &str, png: &[u8]) -> Result<Picture, Error> {
    let mut reader = ImageReader::with_format(Cursor::new(png), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    let decoded = reader.decode().map_err(|source| bad(name, source))?.into_rgb8();
    let jpeg = to_jpeg(name, decoded.as_raw(), decoded.width(), decoded.height())?;
    let (kind, bytes) = if jpeg.len() < png.len() { ("jpeg", jpeg.as_slice()) } else { ("png", png) };
    Ok(picture(kind, bytes, decoded.width(), decoded.height()))
}

/// Packs pixels, RGB, `[height, width, 3]`, of an image called `name`.
pub(crate) fn of_pixels(name: &str, width: u32, height: u32, pixels: &[u8]) -> Result<Picture, Error> {
    Ok(picture("jpeg", &to_jpeg(name, pixels, width, height)?, width, height))
}

fn to_jpeg(name: &str, pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, Error> {
    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    encoder.encode(pixels, width, height, ExtendedColorType::Rgb8).map_err(|source| bad(name, source))?;
    Ok(jpeg)
}

fn picture(kind: &str, bytes: &[u8], width: u32, height: u32) -> Picture {
    Picture { address: format!("data:image/{kind};base64,{}", STANDARD.encode(bytes)), width, height }
}

fn bad(name: &str, source: ImageError) -> Error {
    Error::Picture { path: name.to_owned(), source }
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
    fn the_smaller_encoding_is_taken() {
        let flat = pack("flat.png", &png(&RgbImage::new(32, 16))).unwrap();
        assert!(flat.address.starts_with("data:image/png;base64,"));
        assert_eq!((flat.width, flat.height), (32, 16));
        let noise = RgbImage::from_fn(64, 64, |x, y| {
            image::Rgb([((x * 37) ^ (y * 91)) as u8, (x * y * 7) as u8, (x ^ (y * 3)) as u8])
        });
        assert!(pack("noise.png", &png(&noise)).unwrap().address.starts_with("data:image/jpeg;base64,"));
    }

    #[test]
    fn a_file_that_is_no_picture_is_an_error_that_names_it() {
        let error = pack("images/0.png", b"\x89PNG and nothing more").unwrap_err();
        assert!(error.to_string().contains("images/0.png"), "{error}");
    }
}
