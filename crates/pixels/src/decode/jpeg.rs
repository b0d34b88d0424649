//! Decoding of JPEGs, to the pixels of libjpeg-turbo bit for bit.
//!
//! [`walk`] reads the segments and [`scan`] the entropy-coded data of the scans, whose blocks are counted: a file that
//! does not contain all of them is rejected. [`blocks`] and [`idct`] turn coefficients into samples. [`to_rgb`] turns
//! samples into pixels.
//!
//! `tests/golden/jpeg` has the codings and the pixels of libjpeg-turbo. `tests/peers/pillow_pixels.py` compares other
//! files. `cargo xtask bench --only ingest.decode` measures the time.

mod bits;
mod blocks;
mod idct;
mod marker_search;
mod markers;
mod scan;
mod to_rgb;
mod walk;

use super::{DecodeError, Format, Limits, Stored, Warning, orientation};
use crate::RgbImage;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Stored, DecodeError> {
    let jpeg = walk::read(bytes, limits)?;
    let rgb = RgbImage::new(jpeg.frame.width, jpeg.frame.height, to_rgb::pixels(&jpeg))
        .map_err(|error| DecodeError::Corrupt(error.to_string()))?;
    let orientation = orientation::read(bytes, Format::Jpeg);
    let warning = if jpeg.unread > 0 {
        Some(Warning::UnreadData { bytes: jpeg.unread })
    } else {
        (!jpeg.has_end).then_some(Warning::NoEndOfImage)
    };
    Ok(Stored { rgb, orientation, warning })
}

#[cfg(test)]
mod tests;
