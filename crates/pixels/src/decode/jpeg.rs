//! Decoding of JPEGs.
//!
//! Each file is first read completely: its segments ([`walk`]) and the entropy-coded data of its scans ([`scan`]),
//! whose blocks are counted. So an incomplete file is rejected before memory for pixels is allocated. Reading takes
//! about a third of the time of decoding.
//!
//! Then zune-jpeg decodes the ordinary codings. For the others, of which zune-jpeg decodes some to noise without an
//! error, [`reconstruct`] computes the pixels from the coefficients, which equal those of libjpeg-turbo bit for bit.
//! [`is_safe_for_zune`] tells them apart. `tests/golden/jpeg` has all of them.
//!
//! zune-jpeg is called directly and not through the crate `image`, because that wrapper copies the file, parses its
//! header four times, and accepts truncated files.
//!
//! The pixels of zune-jpeg differ from those of Pillow 13, which uses libjpeg-turbo, in rounding, and sometimes in the
//! last column. Both upsample chroma with the same triangle filter. libjpeg-turbo rounds once, alternately up and down.
//! zune-jpeg rounds after each direction, with halves up. On average its Cb and Cr are a quarter of a level too high
//! (an eighth for 4:2:2), so that red and blue are too high and green is too low. No option changes that, and version
//! 0.5.16-rc3 behaves in the same way. The table shows the differences in levels for two photographs saved by Pillow
//! with qualities 50 to 100, and in brackets for noise:
//!
//! | colour          | greatest | mean                | R, G, B with their sign                   |
//! | --------------- | -------- | ------------------- | ----------------------------------------- |
//! | 4:2:0           | 5        | 0.15 to 0.30 (0.39) | +0.19, -0.14, +0.24 (+0.35, -0.26, +0.45) |
//! | 4:2:2           | 4        | 0.06 to 0.15 (0.21) | +0.10, -0.07, +0.12 (+0.18, -0.13, +0.22) |
//! | 4:4:4           | 3        | 0.01 to 0.02 (0.05) | up to 0.01                                |
//! | grey, RGB, CMYK | 1        | up to 0.01 (0.02)   | up to 0.01                                |
//!
//! Known fault: in one of 60 JPEGs of a mixed set (4:2:0, progressive, 488 pixels wide), six pixels of the last column
//! differ by 6 to 9 levels. The likely cause is that zune-jpeg filters chroma across the edge of the image, into the
//! padding of the last block, which libjpeg-turbo leaves out. `tests/peers/pillow_pixels.py` finds such files.

mod bits;
mod idct;
mod marker_search;
mod markers;
mod reconstruct;
mod scan;
mod walk;

use std::panic::catch_unwind;

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use self::markers::Component;
use self::reconstruct::Coefficients;
use self::scan::Nothing;
use self::walk::{Colour, Jpeg};
use super::{DecodeError, Format, Limits, Stored, Warning, orientation};
use crate::RgbImage;

/// The largest side that a JPEG header can express. [`Limits`] bounds the number of pixels.
const MAX_SIDE: usize = u16::MAX as usize;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Stored, DecodeError> {
    let (jpeg, Nothing) = walk::read(bytes, limits)?;
    // If zune-jpeg reports an error or panics, it is wrong: the file has been read completely.
    let ordinary = if is_safe_for_zune(&jpeg) { catch_unwind(|| with_zune(bytes).ok()).ok().flatten() } else { None };
    let (width, height) = (jpeg.frame.width, jpeg.frame.height);
    let rgb = match ordinary.and_then(|pixels| RgbImage::new(width, height, pixels).ok()) {
        Some(rgb) => rgb,
        None => RgbImage::new(width, height, exactly(bytes, limits)?)
            .map_err(|error| DecodeError::Corrupt(error.to_string()))?,
    };
    let orientation = orientation::read(bytes, Format::Jpeg);
    let warning = if jpeg.unread > 0 {
        Some(Warning::UnreadData { bytes: jpeg.unread })
    } else {
        (!jpeg.has_end).then_some(Warning::NoEndOfImage)
    };
    Ok(Stored { rgb, orientation, warning })
}

/// Whether zune-jpeg decodes a complete file right. `tests/golden/jpeg` contains the codings for which it does not.
fn is_safe_for_zune(jpeg: &Jpeg) -> bool {
    let frame = &jpeg.frame;
    // Sequential files with several scans become noise (etemesi254/zune-image, issues 419, 422, 442 and 448).
    let has_safe_scans = frame.is_progressive || jpeg.is_interleaved;
    let is_full = |c: &Component| (c.h, c.v) == (1, 1);
    let has_safe_sampling = match &frame.components[..] {
        [_] => true,
        [luma, chroma @ ..] if jpeg.colour() == Colour::YCbCr => {
            let is_usual = matches!((luma.h, luma.v), (1, 1) | (2, 1) | (2, 2) | (1, 2) | (4, 1));
            // libjpeg repeats the samples of narrower components.
            let is_wide = luma.h != 2 || chroma.iter().all(|c| c.width > 2);
            is_usual && chroma.iter().all(is_full) && is_wide
        }
        components => components.iter().all(is_full),
    };
    has_safe_scans && has_safe_sampling && !jpeg.has_late_tables && zune_colour(jpeg) == Some(jpeg.colour())
}

/// How zune-jpeg takes the components to encode colours. `None` if it does not decode them.
fn zune_colour(jpeg: &Jpeg) -> Option<Colour> {
    let ids: Vec<u8> = jpeg.frame.components.iter().map(|component| component.id).collect();
    Some(match (ids.len(), jpeg.adobe) {
        (_, Some(3..)) => return None,
        (1, _) => Colour::Grey,
        (3, _) if ids == *b"RGB" => Colour::Rgb,
        (3, Some(0)) => Colour::Rgb,
        (3, _) => Colour::YCbCr,
        (_, Some(2)) => Colour::Ycck,
        _ => Colour::Cmyk,
    })
}

/// Decodes any complete file to the pixels of libjpeg-turbo. Takes about three times as long as zune-jpeg.
fn exactly(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, DecodeError> {
    let (jpeg, coefficients): (Jpeg, Coefficients) = walk::read(bytes, limits)?;
    Ok(reconstruct::pixels(&jpeg, &coefficients))
}

fn with_zune(bytes: &[u8]) -> Result<Vec<u8>, DecodeErrors> {
    // Not strict: photographs often have stray bytes between segments, and Pillow ignores them too.
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options).decode()
}

#[cfg(test)]
mod tests;
