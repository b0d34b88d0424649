//! RGB to JPEG and lossy WebP, as most software writes them.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::RgbImage;

/// How much of the colour a JPEG keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subsampling {
    /// A colour sample for every pixel: 4:4:4.
    Full,
    /// A colour sample for two pixels of a row: 4:2:2.
    Half,
    /// A colour sample for four pixels: 4:2:0, the default of libjpeg, Pillow and most cameras.
    #[default]
    Quarter,
}

impl Subsampling {
    /// Columns and rows of the pixels that share a colour sample.
    fn block(self) -> (usize, usize) {
        match self {
            Self::Full => (1, 1),
            Self::Half => (2, 1),
            Self::Quarter => (2, 2),
        }
    }
}

/// An image that JPEG cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a JPEG has at most 65535 pixels a side, and this image is {width}x{height}")]
pub struct JpegSizeError {
    width: u32,
    height: u32,
}

/// Writes `image` as a baseline JPEG with the standard tables (ITU-T T.81, annex K) scaled to `quality` as libjpeg does,
/// 1 to 100; what lies outside is brought inside.
///
/// # Errors
/// If a side exceeds 65,535 pixels.
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

/// An image that lossy WebP cannot hold, or that libwebp had no memory for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "libwebp cannot write an image of {width}x{height} ({reason}); a WebP has at most {MOST_WEBP_PIXELS} pixels a side"
)]
pub struct WebpError {
    width: u32,
    height: u32,
    reason: String,
}

/// The longest side of a WebP (`WEBP_MAX_DIMENSION`).
const MOST_WEBP_PIXELS: u32 = 16_383;

/// Writes `image` as a lossy WebP of `quality`, 0 to 100; what lies above is brought inside. It is Google's libwebp with its
/// own defaults (method 4, four segments), as Pillow and most converters use it.
///
/// # Errors
/// If a side exceeds 16,383 pixels, or memory runs out.
pub fn webp(image: &RgbImage, quality: u8) -> Result<Vec<u8>, WebpError> {
    let (width, height) = (image.width(), image.height());
    let failed = |reason: String| WebpError { width, height, reason };
    if width.max(height) > MOST_WEBP_PIXELS {
        return Err(failed("too large".to_owned()));
    }
    let encoder = webp::Encoder::from_rgb(image.data(), width, height);
    let bytes =
        encoder.encode_simple(false, f32::from(quality.min(100))).map_err(|error| failed(format!("{error:?}")))?;
    Ok(bytes.to_vec())
}

/// The image as Y, Cb, Cr, its colour averaged over each block of `block_width` by `block_height` pixels.
///
/// The encoder keeps one pixel's colour of a block and drops the others. libjpeg, and with it nearly every JPEG in the wild,
/// keeps their mean; with the mean in every pixel of the block the encoder does the same.
fn ycbcr(image: &RgbImage, block_width: usize, block_height: usize) -> Vec<u8> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (pixels, _) = image.data().as_chunks::<3>();
    let mut samples: Vec<[u8; 3]> = pixels.iter().map(|&rgb| to_ycbcr(rgb)).collect();
    if block_width * block_height > 1 {
        for top in (0..height).step_by(block_height) {
            for left in (0..width).step_by(block_width) {
                // What lies over the edge repeats the edge.
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

/// The means of Cb and Cr, rounded up in every other block and down in between so that no drift builds up
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

/// JFIF's conversion, in libjpeg's fixed-point arithmetic (`jccolor.c`).
fn to_ycbcr(rgb: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    const CENTRE: i32 = 128 << 16;
    let [r, g, b] = rgb.map(i32::from);
    let y = 19_595 * r + 38_470 * g + 7_471 * b + HALF;
    let cb = -11_059 * r - 21_709 * g + 32_768 * b + CENTRE + HALF - 1;
    let cr = 32_768 * r - 27_439 * g - 5_329 * b + CENTRE + HALF - 1;
    [y, cb, cr].map(|sum| (sum >> 16) as u8)
}
