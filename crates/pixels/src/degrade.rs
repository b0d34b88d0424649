//! What happens to pictures on their way: operations for training's augmentation and for robustness tests.
//!
//! Each takes an RGB image of bytes and returns one. Randomness comes from the caller's generator alone, so the same
//! generator state gives the same bytes on every machine.

use artifacts::random::StandardNormal;
use rand::Rng;

use crate::encode::{self, JpegSizeError, Subsampling, WebpError};
use crate::{Filter, Limits, RgbImage, decode, resize_to};

/// An operation that cannot be done to this image.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DegradeError {
    /// The image does not fit into a JPEG.
    #[error(transparent)]
    Jpeg(#[from] JpegSizeError),
    /// The image cannot be saved as WebP.
    #[error(transparent)]
    Webp(#[from] WebpError),
    /// A parameter outside its range.
    #[error("{parameter} is {value}, and must be {range}")]
    #[expect(missing_docs, reason = "the names say it")]
    Parameter { parameter: &'static str, value: f32, range: &'static str },
    /// A rectangle that reaches over the edge.
    #[error(
        "a crop of {width}x{height} at ({left}, {top}) reaches over the edge of an image of {image_width}x{image_height}"
    )]
    #[expect(missing_docs, reason = "the names say it")]
    Crop { left: u32, top: u32, width: u32, height: u32, image_width: u32, image_height: u32 },
}

/// Saves as JPEG of `quality` (1 to 100, colour at a quarter of the resolution) and opens it again.
///
/// # Errors
/// If a side exceeds what JPEG can hold.
pub fn jpeg(image: &RgbImage, quality: u8) -> Result<RgbImage, DegradeError> {
    Ok(opened(&encode::jpeg(image, quality, Subsampling::Quarter)?))
}

/// Saves as lossy WebP of `quality` (0 to 100) and opens it again.
///
/// # Errors
/// If a side exceeds what WebP can hold.
pub fn webp(image: &RgbImage, quality: u8) -> Result<RgbImage, DegradeError> {
    Ok(opened(&encode::webp(image, quality)?))
}

fn opened(saved: &[u8]) -> RgbImage {
    decode(saved, &Limits { max_pixels: u64::MAX }).expect("what was just encoded can be decoded").rgb
}

/// Blurs with a Gaussian of deviation `sigma` in pixels, cut off at four deviations, the image mirrored at its edges: what
/// `scipy.ndimage.gaussian_filter` does to each channel, rounded once at the end.
///
/// # Errors
/// If `sigma` is negative or not finite.
pub fn gaussian_blur(image: &RgbImage, sigma: f32) -> Result<RgbImage, DegradeError> {
    at_least_zero("sigma", sigma)?;
    let kernel = gaussian_kernel(sigma);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let samples: Vec<f32> = image.data().iter().map(|&byte| f32::from(byte)).collect();
    // Down the columns, where a neighbour is a row away, then along the rows.
    let stride = image.stride();
    let mut blurred = vec![0.0; samples.len()];
    for y in 0..height {
        let row = &mut blurred[y * stride..][..stride];
        for (offset, &weight) in (-reach(&kernel)..).zip(&kernel) {
            let source = &samples[mirrored(y as isize + offset, height) * stride..][..stride];
            for (sum, &sample) in row.iter_mut().zip(source) {
                *sum += weight * sample;
            }
        }
    }
    let mut result = RgbImage::black(image.width(), image.height());
    for (row, out) in blurred.chunks_exact(stride).zip(result.data_mut().chunks_exact_mut(stride)) {
        for x in 0..width {
            let mut sums = [0.0f32; 3];
            for (offset, &weight) in (-reach(&kernel)..).zip(&kernel) {
                let source = &row[mirrored(x as isize + offset, width) * 3..][..3];
                for (sum, &sample) in sums.iter_mut().zip(source) {
                    *sum += weight * sample;
                }
            }
            for (byte, sum) in out[x * 3..][..3].iter_mut().zip(sums) {
                *byte = to_byte(sum);
            }
        }
    }
    Ok(result)
}

/// Weights that sum to one, `2 * radius + 1` of them.
fn gaussian_kernel(sigma: f32) -> Vec<f32> {
    let sigma = f64::from(sigma);
    // scipy: int(truncate * sigma + 0.5)
    let radius = (4.0 * sigma + 0.5).floor() as i32;
    if radius == 0 {
        return vec![1.0];
    }
    let weights: Vec<f64> = (-radius..=radius).map(|x| (-0.5 * (f64::from(x) / sigma).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| (weight / sum) as f32).collect()
}

fn reach(kernel: &[f32]) -> isize {
    (kernel.len() / 2) as isize
}

/// The index that `index` shows when the edge pixels themselves are mirrored: d c b a | a b c d | d c b a.
fn mirrored(index: isize, length: usize) -> usize {
    let length = length as isize;
    let folded = index.rem_euclid(2 * length);
    folded.min(2 * length - 1 - folded) as usize
}

/// Resizes by `factor` and back to the size it had.
///
/// # Errors
/// If `factor` is not above zero and at most 16.
pub fn resize_and_back(image: &RgbImage, factor: f32, filter: Filter) -> Result<RgbImage, DegradeError> {
    if !(factor > 0.0 && factor <= 16.0) {
        return Err(DegradeError::Parameter {
            parameter: "the factor",
            value: factor,
            range: "above zero and at most 16",
        });
    }
    let scaled = |side: u32| ((side as f32 * factor).round() as u32).max(1);
    let back = resize_to(image, scaled(image.width()), scaled(image.height()), filter)
        .and_then(|resized| resize_to(&resized, image.width(), image.height(), filter));
    Ok(back.expect("no side is zero"))
}

/// Adds Gaussian noise of deviation `std`, in levels of 0 to 255, to each channel of each pixel on its own.
///
/// # Errors
/// If `std` is negative or not finite.
pub fn noise(image: &RgbImage, std: f32, rng: &mut (impl Rng + ?Sized)) -> Result<RgbImage, DegradeError> {
    at_least_zero("std", std)?;
    let mut noisy = image.clone();
    for pair in noisy.data_mut().chunks_mut(2) {
        for (byte, normal) in pair.iter_mut().zip(f32::draw_pair(rng)) {
            *byte = to_byte(f32::from(*byte) + std * normal);
        }
    }
    Ok(noisy)
}

/// Cuts out `width` by `height` pixels whose first is at (`left`, `top`).
///
/// # Errors
/// If the rectangle is empty or reaches over the edge.
pub fn crop(image: &RgbImage, left: u32, top: u32, width: u32, height: u32) -> Result<RgbImage, DegradeError> {
    let fits =
        |start: u32, length: u32, side: u32| length > 0 && start.checked_add(length).is_some_and(|end| end <= side);
    if !fits(left, width, image.width()) || !fits(top, height, image.height()) {
        return Err(DegradeError::Crop {
            left,
            top,
            width,
            height,
            image_width: image.width(),
            image_height: image.height(),
        });
    }
    let mut cut = RgbImage::black(width, height);
    let (stride, cut_stride) = (image.stride(), cut.stride());
    let rows = image.data().chunks_exact(stride).skip(top as usize);
    for (target, source) in cut.data_mut().chunks_exact_mut(cut_stride).zip(rows) {
        target.copy_from_slice(&source[left as usize * 3..][..cut_stride]);
    }
    Ok(cut)
}

/// Mirrors `image` left to right, in place.
pub fn flip_horizontal(image: &mut RgbImage) {
    let stride = image.stride();
    for row in image.data_mut().chunks_exact_mut(stride) {
        let (pixels, _) = row.as_chunks_mut::<3>();
        pixels.reverse();
    }
}

fn to_byte(value: f32) -> u8 {
    // A cast saturates at 0 and 255.
    value.round() as u8
}

fn at_least_zero(parameter: &'static str, value: f32) -> Result<(), DegradeError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(DegradeError::Parameter { parameter, value, range: "a finite number of at least zero" })
}
