//! Degradations for augmentation in training and for the robustness sweep: JPEG, WebP, blur, noise, resizing and
//! cropping.
//!
//! All random numbers come from the caller's generator, so that the same state gives the same bytes on every machine.

use artifacts::random::StandardNormal;
use rand::Rng;

use crate::encode::{self, JpegSizeError, Subsampling, WebpError};
use crate::{Filter, Limits, RgbImage, decode, resize_to};

/// The reason why an image cannot be degraded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DegradeError {
    /// The image cannot be encoded as JPEG.
    #[error(transparent)]
    Jpeg(#[from] JpegSizeError),
    /// The image cannot be encoded as WebP.
    #[error(transparent)]
    Webp(#[from] WebpError),
    /// A parameter is out of range.
    #[error("{parameter} must be {range}, but is {value}")]
    #[expect(missing_docs, reason = "the names are the documentation")]
    Parameter { parameter: &'static str, value: f32, range: &'static str },
    /// The crop does not fit into the image.
    #[error("a crop of {width}x{height} at ({left}, {top}) does not fit into an image of {image_width}x{image_height}")]
    #[expect(missing_docs, reason = "the names are the documentation")]
    Crop { left: u32, top: u32, width: u32, height: u32, image_width: u32, image_height: u32 },
}

/// A degraded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Degraded {
    /// The image.
    pub image: RgbImage,
    /// The file that holds it, if encoding was the last step of the degradation.
    pub file: Option<Vec<u8>>,
}

impl From<RgbImage> for Degraded {
    fn from(image: RgbImage) -> Degraded {
        Degraded { image, file: None }
    }
}

/// Encodes as JPEG of `quality` 1 to 100 with 4:2:0 chroma subsampling, and decodes the result.
///
/// # Errors
/// A side is too long for JPEG.
pub fn jpeg(image: &RgbImage, quality: u8) -> Result<RgbImage, DegradeError> {
    to_jpeg(image, quality).map(|degraded| degraded.image)
}

/// Degrades like [`jpeg`], and returns the file too.
///
/// # Errors
/// A side is too long for JPEG.
pub fn to_jpeg(image: &RgbImage, quality: u8) -> Result<Degraded, DegradeError> {
    Ok(decoded(encode::jpeg(image, quality, Subsampling::Quarter)?))
}

/// Encodes as lossy WebP of `quality` 0 to 100, and decodes the result.
///
/// # Errors
/// A side is too long for WebP.
pub fn webp(image: &RgbImage, quality: u8) -> Result<RgbImage, DegradeError> {
    to_webp(image, quality).map(|degraded| degraded.image)
}

/// Degrades like [`webp()`], and returns the file too.
///
/// # Errors
/// A side is too long for WebP.
pub fn to_webp(image: &RgbImage, quality: u8) -> Result<Degraded, DegradeError> {
    Ok(decoded(encode::webp(image, quality)?))
}

fn decoded(file: Vec<u8>) -> Degraded {
    let decoded = decode(&file, &Limits { max_pixels: u64::MAX }).expect("a file that was just encoded can be decoded");
    Degraded { image: decoded.rgb, file: Some(file) }
}

/// Blurs with a Gaussian of standard deviation `sigma` in pixels, truncated at four deviations, with mirrored edges.
/// The result equals `scipy.ndimage.gaussian_filter` on each channel, rounded once at the end.
///
/// # Errors
/// `sigma` is negative or not finite.
pub fn gaussian_blur(image: &RgbImage, sigma: f32) -> Result<RgbImage, DegradeError> {
    at_least_zero("sigma", sigma)?;
    let kernel = gaussian_kernel(sigma);
    let (width, height) = (image.width() as usize, image.height() as usize);
    let samples: Vec<f32> = image.data().iter().map(|&byte| f32::from(byte)).collect();
    // The first pass blurs along the columns, the second one along the rows.
    let stride = image.stride();
    let mut blurred = vec![0.0; samples.len()];
    for y in 0..height {
        let row = &mut blurred[y * stride..][..stride];
        for (offset, &weight) in (-radius(&kernel)..).zip(&kernel) {
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
            for (offset, &weight) in (-radius(&kernel)..).zip(&kernel) {
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

/// Returns the `2 * radius + 1` weights of a Gaussian, which sum to 1.
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

/// Returns the number of weights on each side of the centre of a kernel.
fn radius(kernel: &[f32]) -> isize {
    (kernel.len() / 2) as isize
}

/// Maps an index outside the image to an index inside by mirroring, with repeated edge pixels:
/// `d c b a | a b c d | d c b a`.
fn mirrored(index: isize, length: usize) -> usize {
    let length = length as isize;
    let folded = index.rem_euclid(2 * length);
    folded.min(2 * length - 1 - folded) as usize
}

/// Resizes by `factor`, and then back to the original size.
///
/// # Errors
/// `factor` is not above 0 and at most 16.
pub fn resize_and_back(image: &RgbImage, factor: f32, filter: Filter) -> Result<RgbImage, DegradeError> {
    if !(factor > 0.0 && factor <= 16.0) {
        return Err(DegradeError::Parameter {
            parameter: "the factor",
            value: factor,
            range: "above 0 and at most 16",
        });
    }
    let scaled = |side: u32| ((side as f32 * factor).round() as u32).max(1);
    let back = resize_to(image, scaled(image.width()), scaled(image.height()), filter)
        .and_then(|resized| resize_to(&resized, image.width(), image.height(), filter));
    Ok(back.expect("no side is zero"))
}

/// Adds independent Gaussian noise of standard deviation `std`, in levels of 0 to 255, to each channel of each pixel.
///
/// # Errors
/// `std` is negative or not finite.
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

/// Crops to `width` by `height` pixels from (`left`, `top`).
///
/// # Errors
/// The crop is empty or does not fit into the image.
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

/// Flips `image` horizontally, in place.
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
    Err(DegradeError::Parameter { parameter, value, range: "a finite number of at least 0" })
}
