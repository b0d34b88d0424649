//! Resizing with the same result as Pillow 13, bit for bit.
//!
//! When an image shrinks, the support of a filter grows with the ratio, so that every source pixel contributes (as in
//! Pillow's `Resample.c` and PyTorch's `interpolate(antialias=True)`). The horizontal and the vertical pass both round
//! to bytes. Weights have 22 fraction bits; the results of crates with 16-bit weights differ by one or two levels.
//!
//! Because both passes round, their order matters. If the height shrinks by more than twice as many pixels as the
//! width, Pillow 13 runs the vertical pass first, which is faster. Pillow 12 always runs the horizontal pass first. For
//! such images, the two versions differ by one level with box and bilinear filters. With bicubic and Lanczos filters,
//! which overshoot the range of a byte, they differ by up to nine levels in photographs and forty in noise.

mod coefficients;
mod passes;

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::coefficients::Coefficients;
use crate::{RgbImage, ShapeError};

/// The resampling filter, by Pillow's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The pixel at the centre, without anti-aliasing.
    Nearest,
    /// The mean of the covered pixels.
    Box,
    /// A triangle, the default of torchvision and of this project.
    #[default]
    Bilinear,
    /// Cubic convolution with a = -0.5.
    Bicubic,
    /// A windowed sinc with three lobes.
    Lanczos,
}

impl Filter {
    /// Returns the name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Box => "box",
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
        }
    }
}

/// How an image that is not square becomes square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Resizes both sides to the same length, without keeping the aspect ratio: `Resize((size, size))` of torchvision.
    #[default]
    Squash,
    /// Resizes the shorter side and crops the centre: `Resize(size)` and `CenterCrop(size)` of torchvision, applied to
    /// a Pillow image.
    Crop,
}

impl Fit {
    /// Returns the name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Squash => "squash",
            Self::Crop => "crop",
        }
    }
}

/// Resizes `image` to a square of `size` pixels.
///
/// # Errors
/// `size` is 0.
pub fn resize(image: &RgbImage, size: u32, filter: Filter, fit: Fit) -> Result<RgbImage, ShapeError> {
    let (width, height) = (image.width(), image.height());
    let axis = |side| match fit {
        Fit::Squash => Axis::whole(side, size),
        Fit::Crop => Axis::middle(side, size, width.min(height)),
    };
    resample(image, &axis(width), &axis(height), filter)
}

/// Resizes `image` to `width` by `height` pixels, without keeping the aspect ratio.
///
/// # Errors
/// A side is 0.
pub fn resize_to(image: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<RgbImage, ShapeError> {
    resample(image, &Axis::whole(image.width(), width), &Axis::whole(image.height(), height), filter)
}

/// One axis of a resize: `input` pixels are resized to `resized` pixels, but only the range `kept` of the result is
/// computed.
///
/// A crop of an image of 1 by 100,000 pixels therefore takes no more time than other crops, although the resized side
/// is long.
#[derive(Debug, Clone)]
struct Axis {
    input: usize,
    resized: usize,
    kept: Range<usize>,
}

impl Axis {
    fn whole(input: u32, output: u32) -> Self {
        Self { input: input as usize, resized: output as usize, kept: 0..output as usize }
    }

    /// Keeps the central `size` pixels of a side of `input` pixels, after the image is resized so that its shorter
    /// side, of `short` pixels, has `size` pixels.
    fn middle(input: u32, size: u32, short: u32) -> Self {
        // torchvision truncates the longer side, and rounds the offset of the crop half to even, like Python.
        let resized = (u64::from(size) * u64::from(input) / u64::from(short)) as usize;
        let size = size as usize;
        let offset = ((resized - size) as f64 / 2.0).round_ties_even() as usize;
        Self { input: input as usize, resized, kept: offset..offset + size }
    }

    fn is_resized(&self) -> bool {
        self.input != self.resized
    }

    /// Returns the number of pixels by which the side shrinks.
    fn shrinkage(&self) -> i64 {
        self.input as i64 - self.resized as i64
    }

    fn coefficients(&self, filter: Filter) -> Coefficients {
        Coefficients::new(filter, self.input, self.resized, self.kept.clone())
    }

    /// Returns the index of the nearest pixel for each kept position. Positions are accumulated step by step as in
    /// Pillow's `ImagingScaleAffine`, so that they have the same rounding errors.
    fn nearest(&self) -> Vec<usize> {
        let step = self.input as f64 / self.resized as f64;
        let mut position = step * 0.5;
        for _ in 0..self.kept.start {
            position += step;
        }
        let index = |_| {
            let index = (position as usize).min(self.input - 1);
            position += step;
            index
        };
        self.kept.clone().map(index).collect()
    }
}

fn resample(image: &RgbImage, across: &Axis, down: &Axis, filter: Filter) -> Result<RgbImage, ShapeError> {
    let (width, height) = (across.kept.len() as u32, down.kept.len() as u32);
    let data = match filter {
        _ if width == 0 || height == 0 => Vec::new(),
        Filter::Nearest => nearest(image, across, down),
        _ => convolve(image, across, down, filter),
    };
    RgbImage::new(width, height, data)
}

fn nearest(image: &RgbImage, across: &Axis, down: &Axis) -> Vec<u8> {
    let columns = across.nearest();
    let mut data = Vec::with_capacity(across.kept.len() * down.kept.len() * 3);
    for y in down.nearest() {
        let (row, _) = image.data()[y * image.stride()..][..image.stride()].as_chunks::<3>();
        data.extend(columns.iter().flat_map(|&x| row[x]));
    }
    data
}

fn convolve(image: &RgbImage, across: &Axis, down: &Axis, filter: Filter) -> Vec<u8> {
    let weights = down.is_resized().then(|| down.coefficients(filter));
    let rows = weights.as_ref().map_or(down.kept.clone(), Coefficients::input_range);
    let source = &image.data()[rows.start * image.stride()..rows.end * image.stride()];
    match weights {
        None => resize_rows(source, across, filter),
        Some(weights) if is_vertical_first(across, down) => {
            let shortened = resize_columns(source, image.stride(), rows.start, &weights);
            resize_rows(&shortened, across, filter)
        }
        Some(weights) => {
            let narrowed = resize_rows(source, across, filter);
            resize_columns(&narrowed, across.kept.len() * 3, rows.start, &weights)
        }
    }
}

/// Whether Pillow 13 runs the vertical pass before the horizontal one (`ImagingResampleInner` of its `Resample.c`).
fn is_vertical_first(across: &Axis, down: &Axis) -> bool {
    down.shrinkage() > (2 * across.shrinkage()).max(0)
}

/// Resizes rows of `[across.input, 3]` bytes to rows of `[across.kept, 3]` bytes.
fn resize_rows(source: &[u8], across: &Axis, filter: Filter) -> Vec<u8> {
    let (stride, kept) = (across.input * 3, across.kept.len() * 3);
    let mut resized = vec![0; source.len() / stride * kept];
    if across.is_resized() {
        passes::horizontal(source, stride, &across.coefficients(filter), &mut resized);
    } else {
        for (row, out) in source.chunks_exact(stride).zip(resized.chunks_exact_mut(kept)) {
            out.copy_from_slice(&row[across.kept.start * 3..][..kept]);
        }
    }
    resized
}

/// Computes the kept rows, of `stride` bytes each. `source` begins with row `first` of the image.
fn resize_columns(source: &[u8], stride: usize, first: usize, weights: &Coefficients) -> Vec<u8> {
    let mut resized = vec![0; weights.len() * stride];
    passes::vertical(source, stride, first, weights, &mut resized);
    resized
}
