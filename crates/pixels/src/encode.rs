//! Encoding as JPEG and lossy WebP with the settings of most software, and in the style of another file.

mod style;

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::RgbImage;

pub use style::{FileStyle, StyleError};

/// The chroma subsampling of a JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subsampling {
    /// 4:4:4: a chroma sample for every pixel.
    Full,
    /// 4:2:2: a chroma sample for two pixels of a row.
    Half,
    /// 4:2:0: a chroma sample for 2 x 2 pixels, the default of libjpeg, Pillow and most cameras.
    #[default]
    Quarter,
}

impl Subsampling {
    /// The width and height of the block of pixels that shares a chroma sample.
    fn block(self) -> (usize, usize) {
        match self {
            Self::Full => (1, 1),
            Self::Half => (2, 1),
            Self::Quarter => (2, 2),
        }
    }
}

/// The error if an image is too large for JPEG.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an image of {width}x{height} is too large for JPEG, whose sides have at most 65535 pixels")]
pub struct JpegSizeError {
    width: u32,
    height: u32,
}

/// Encodes `image` as a baseline JPEG with the standard tables (ITU-T T.81, annex K), scaled to `quality` as in
/// libjpeg. The quality is clamped to 1 to 100.
///
/// # Errors
/// A side exceeds 65,535 pixels.
pub fn jpeg(image: &RgbImage, quality: u8, subsampling: Subsampling) -> Result<Vec<u8>, JpegSizeError> {
    let too_large = || JpegSizeError { width: image.width(), height: image.height() };
    let width = u16::try_from(image.width()).map_err(|_| too_large())?;
    let height = u16::try_from(image.height()).map_err(|_| too_large())?;
    let (block_width, block_height) = subsampling.block();
    let samples = ycbcr(image, block_width, block_height);
    let mut bytes = Vec::with_capacity(samples.len() / 8 + 1024);
    let mut encoder = Encoder::new(&mut bytes, quality.clamp(1, 100));
    encoder.set_sampling_factor(match subsampling {
        Subsampling::Full => SamplingFactor::F_1_1,
        Subsampling::Half => SamplingFactor::F_2_1,
        Subsampling::Quarter => SamplingFactor::F_2_2,
    });
    encoder
        .encode(&samples, width, height, ColorType::Ycbcr)
        .expect("writing to memory does not fail, and there is a sample for every pixel");
    Ok(bytes)
}

/// The error if an image is too large for WebP, or if libwebp runs out of memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "failed to encode an image of {width}x{height} as WebP: {reason}; its sides may have at most {MAX_WEBP_SIDE} pixels"
)]
pub struct WebpError {
    width: u32,
    height: u32,
    reason: String,
}

/// The longest side of a WebP (`WEBP_MAX_DIMENSION`).
const MAX_WEBP_SIDE: u32 = 16_383;

/// Encodes `image` as a lossy WebP with Google's libwebp and its defaults (method 4, four segments), like Pillow and
/// most converters. The quality is clamped to 0 to 100.
///
/// # Errors
/// A side exceeds 16,383 pixels, or memory runs out.
pub fn webp(image: &RgbImage, quality: u8) -> Result<Vec<u8>, WebpError> {
    let (width, height) = (image.width(), image.height());
    let failed = |reason: String| WebpError { width, height, reason };
    if width.max(height) > MAX_WEBP_SIDE {
        return Err(failed("too large".to_owned()));
    }
    let encoder = webp::Encoder::from_rgb(image.data(), width, height);
    let bytes =
        encoder.encode_simple(false, f32::from(quality.min(100))).map_err(|error| failed(format!("{error:?}")))?;
    Ok(bytes.to_vec())
}

/// Converts an image to YCbCr, with Cb and Cr averaged over each block of `block_width` by `block_height` pixels.
///
/// `jpeg-encoder` subsamples by taking the chroma of one pixel of a block. libjpeg, which makes most JPEGs, takes the
/// mean. Every pixel of a block therefore gets the mean, so that `jpeg-encoder` gives the result of libjpeg.
fn ycbcr(image: &RgbImage, block_width: usize, block_height: usize) -> Vec<u8> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (pixels, _) = image.data().as_chunks::<3>();
    let mut samples: Vec<[u8; 3]> = pixels.iter().map(|&rgb| to_ycbcr(rgb)).collect();
    if block_width * block_height > 1 {
        for top in (0..height).step_by(block_height) {
            for left in (0..width).step_by(block_width) {
                // Blocks at the edge repeat the last row and column.
                let block = (0..block_height).flat_map(|dy| {
                    (0..block_width).map(move |dx| (top + dy).min(height - 1) * width + (left + dx).min(width - 1))
                });
                let odd = (left / block_width % 2) as u32;
                let [cb, cr] = mean_colour(block.clone().map(|index| samples[index]), odd);
                for index in block {
                    samples[index][1..].copy_from_slice(&[cb, cr]);
                }
            }
        }
    }
    samples.into_flattened()
}

/// Computes the means of Cb and Cr, rounded alternately up and down from block to block, so that errors do not add up
/// (`h2v1_downsample` and `h2v2_downsample` of libjpeg's `jcsample.c`).
fn mean_colour(block: impl Iterator<Item = [u8; 3]>, odd: u32) -> [u8; 2] {
    let (mut count, mut sums) = (0, [0u32; 2]);
    for [_, cb, cr] in block {
        count += 1;
        sums[0] += u32::from(cb);
        sums[1] += u32::from(cr);
    }
    let bias = count / 2 - 1 + odd;
    sums.map(|sum| ((sum + bias) / count) as u8)
}

/// Converts a pixel to YCbCr (JFIF) in the fixed-point arithmetic of libjpeg (`jccolor.c`).
fn to_ycbcr(rgb: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    const CENTRE: i32 = 128 << 16;
    let [r, g, b] = rgb.map(i32::from);
    let y = 19_595 * r + 38_470 * g + 7_471 * b + HALF;
    let cb = -11_059 * r - 21_709 * g + 32_768 * b + CENTRE + HALF - 1;
    let cr = 32_768 * r - 27_439 * g - 5_329 * b + CENTRE + HALF - 1;
    [y, cb, cr].map(|sum| (sum >> 16) as u8)
}
