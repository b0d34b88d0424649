//! Decoding of JPEGs with zune-jpeg.
//!
//! zune-jpeg is called directly and not through the crate `image`, because that wrapper copies the file, parses its
//! header four times, and accepts truncated files.
//!
//! The pixels differ from those of Pillow 13, which uses libjpeg-turbo, only in rounding. Both upsample chroma with the
//! same triangle filter. libjpeg-turbo rounds once, alternately up and down. zune-jpeg rounds after each direction,
//! with halves up. On average its Cb and Cr are a quarter of a level too high (an eighth for 4:2:2), so that red and
//! blue are too high and green is too low. No option changes that, and version 0.5.16-rc3 behaves in the same way. The
//! table shows the differences in levels for two photographs saved by Pillow with qualities 50 to 100, and in brackets
//! for noise:
//!
//! | colour          | greatest | mean                | R, G, B with their sign                   |
//! | --------------- | -------- | ------------------- | ----------------------------------------- |
//! | 4:2:0           | 5        | 0.15 to 0.30 (0.39) | +0.19, -0.14, +0.24 (+0.35, -0.26, +0.45) |
//! | 4:2:2           | 4        | 0.06 to 0.15 (0.21) | +0.10, -0.07, +0.12 (+0.18, -0.13, +0.22) |
//! | 4:4:4           | 3        | 0.01 to 0.02 (0.05) | up to 0.01                                |
//! | grey, RGB, CMYK | 1        | up to 0.01 (0.02)   | up to 0.01                                |

use ::image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{DecodeError, Limits, Stored};
use crate::RgbImage;

/// The marker codes, which follow a byte 0xFF (ITU-T T.81, table B.1).
mod marker {
    pub(super) const TEM: u8 = 0x01;
    pub(super) const RST0: u8 = 0xD0;
    pub(super) const SOI: u8 = 0xD8;
    pub(super) const EOI: u8 = 0xD9;
}

/// The largest side that a JPEG header can express. [`Limits`] bounds the number of pixels.
const MAX_SIDE: usize = u16::MAX as usize;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Stored, DecodeError> {
    // Not strict: photographs often have stray bytes between segments, and Pillow ignores them too.
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(from_zune)?;
    let (width, height) = decoder.dimensions().ok_or_else(|| DecodeError::Corrupt("it has no frame header".into()))?;
    // Both sides are 16-bit fields of the frame header.
    let (width, height) = (width as u32, height as u32);
    limits.check(width, height)?;
    if !has_end_of_image(bytes) {
        return Err(DecodeError::Truncated("the JPEG has no end-of-image marker".into()));
    }
    let pixels = decoder.decode().map_err(from_zune)?;
    let rgb = RgbImage::new(width, height, pixels).map_err(|error| {
        // JPEG allows two components but defines no colours for them; the decoder returns them unchanged.
        DecodeError::Unsupported(error.to_string())
    })?;
    let orientation =
        decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif)).unwrap_or(Orientation::NoTransforms);
    Ok(Stored { rgb, orientation })
}

fn from_zune(error: DecodeErrors) -> DecodeError {
    match error {
        DecodeErrors::ExhaustedData => DecodeError::Truncated("the JPEG ends within a segment".into()),
        DecodeErrors::IoErrors(error) => DecodeError::Truncated(format!("{error:?}")),
        DecodeErrors::Unsupported(scheme) => DecodeError::Unsupported(format!("{scheme:?}")),
        error => DecodeError::Corrupt(format!("{error:?}")),
    }
}

/// Whether an end-of-image marker follows the first scan.
///
/// In entropy-coded data, each `FF` is followed by a stuffed `00` or a restart code, so that a truncated file does not
/// contain the marker by chance. Segments are skipped, because an embedded thumbnail contains an end-of-image marker
/// too. Bytes after the marker are ignored, because cameras store previews there.
fn has_end_of_image(bytes: &[u8]) -> bool {
    let mut position = 0;
    while let Some(found) = next_marker(bytes, position) {
        let (code, after) = found;
        match code {
            marker::EOI => return true,
            // These markers have no segment.
            marker::TEM | marker::RST0..=marker::SOI => position = after,
            // Skips a segment by its length. Entropy-coded data after a scan header has no length, so that
            // `next_marker` searches it.
            _ => match bytes.get(after..after + 2) {
                Some(&[high, low]) => {
                    position = after + usize::from(u16::from_be_bytes([high, low])).max(2);
                }
                _ => return false,
            },
        }
    }
    false
}

/// Finds the first marker at or after `position`. Returns its code and the position after it.
fn next_marker(bytes: &[u8], mut position: usize) -> Option<(u8, usize)> {
    loop {
        position += memchr::memchr(0xFF, bytes.get(position..)?)? + 1;
        match *bytes.get(position)? {
            // A stuffed byte in data, or a fill byte before a marker.
            0x00 | 0xFF => {}
            code => return Some((code, position + 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 12] = [
        0xFF, 0xD8, 0xFF, 0xE1, 0, 4, 0xFF,
        0xD9, // an APP1 segment whose content looks like an end-of-image marker
        0xFF, 0xDA, 0, 2, // a start of scan
    ];

    #[test]
    fn finds_the_end_of_image_marker_only_after_the_scan() {
        let with = |tail: &[u8]| has_end_of_image(&[&HEADER[..], tail].concat());
        assert!(with(&[1, 2, 0xFF, 0xD9]));
        assert!(with(&[1, 0xFF, 0x00, 0xFF, 0xD3, 2, 0xFF, 0xFF, 0xD9, 7, 7]));
        assert!(!with(&[1, 2, 3]));
        assert!(!with(&[1, 2, 0xFF]));
        assert!(!with(&[1, 0xFF, 0x00, 0xD9]));
        assert!(!with(&[0xFF, 0xC4, 0, 4, 0xFF, 0xD9]), "within a Huffman table");
        assert!(!has_end_of_image(&[]));
        assert!(!has_end_of_image(&[0xFF]));
    }
}
