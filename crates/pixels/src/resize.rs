//! Resizing, bit for bit as Pillow 13 does it.
//!
//! When shrinking, a filter's support grows with the ratio, so that every source pixel counts (Pillow's `Resample.c`;
//! PyTorch's `interpolate(antialias=True)`). The two passes, along the rows and down the columns, round to bytes, with
//! weights of 22 fraction bits. Crates that do the same with 16-bit weights are within one or two levels of it.
//!
//! Since both passes round, their order shows. Pillow 13 goes down the columns first where the height loses more than twice
//! as many pixels as the width, which is quicker; Pillow 12 never does. Where it does, the two versions differ by one level
//! with box and bilinear weights, and by more with bicubic and Lanczos's where they overshoot what a byte holds: nine levels
//! in photographs, forty in noise. All other images are the same in both.

mod coefficients;
mod passes;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use self::coefficients::Coefficients;
use crate::{RgbImage, ShapeError};

/// The resampling filter, by Pillow's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The pixel under the centre; no anti-aliasing.
    Nearest,
    /// The mean of the pixels covered.
    Box,
    /// A triangle: torchvision's default, and this project's.
    #[default]
    Bilinear,
    /// Cubic convolution with a = -0.5.
    Bicubic,
    /// A sinc windowed over three lobes.
    Lanczos,
}

impl Filter {
    /// The name in configurations.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Both sides are resized to the size, whatever the aspect: torchvision's `Resize((size, size))`.
    #[default]
    Squash,
    /// The shorter side is resized to the size and the middle is cut out: torchvision's `Resize(size)` and
    /// `CenterCrop(size)` of a Pillow image.
    Crop,
}

impl Fit {
    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Squash => "squash",
            Self::Crop => "crop",
        }
    }
}

/// Makes `image` a square of `size` pixels.
///
/// # Errors
/// If `size` is zero.
pub fn resize(image: &RgbImage, size: u32, filter: Filter, fit: Fit) -> Result<RgbImage, ShapeError> {
    let (width, height) = (image.width(), image.height());
    let axis = |side| match fit {
        Fit::Squash => Axis::whole(side, size),
        Fit::Crop => Axis::middle(side, size, width.min(height)),
    };
    resample(image, &axis(width), &axis(height), filter)
}

/// Makes `image` `width` by `height`, whatever its aspect.
///
/// # Errors
/// If a side is zero.
pub fn resize_to(image: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<RgbImage, ShapeError> {
    resample(image, &Axis::whole(image.width(), width), &Axis::whole(image.height(), height), filter)
}

/// One side of a resize: `input` pixels become `resized` ones, of which only those that are `kept` are made.
///
/// So a sliver of one by a hundred thousand pixels costs no more than any other image, though its resized side is long.
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

    /// The middle `size` pixels of a side, once the shorter side of `short` pixels is resized to `size` and this one with it.
    fn middle(input: u32, size: u32, short: u32) -> Self {
        // torchvision truncates the longer side, and rounds the crop's offset half to even as Python does.
        let resized = (u64::from(size) * u64::from(input) / u64::from(short)) as usize;
        let size = size as usize;
        let offset = ((resized - size) as f64 / 2.0).round_ties_even() as usize;
        Self { input: input as usize, resized, kept: offset..offset + size }
    }

    fn is_resized(&self) -> bool {
        self.input != self.resized
    }

    /// How many pixels fewer there are of the resized side.
    fn shrinkage(&self) -> i64 {
        self.input as i64 - self.resized as i64
    }

    fn coefficients(&self, filter: Filter) -> Coefficients {
        Coefficients::new(filter, self.input, self.resized, self.kept.clone())
    }

    /// The nearest pixel's index for each kept position, summed up step by step as Pillow's `ImagingScaleAffine` does.
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
    let rows = weights.as_ref().map_or(down.kept.clone(), Coefficients::reach);
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

/// Whether Pillow 13 resizes the columns before the rows (`ImagingResampleInner` of its `Resample.c`).
fn is_vertical_first(across: &Axis, down: &Axis) -> bool {
    down.shrinkage() > (2 * across.shrinkage()).max(0)
}

/// Makes rows of `[across.kept, 3]` bytes of rows of `[across.input, 3]`.
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

/// Makes the kept rows, of `stride` bytes, of rows whose first is row `first` of the image.
fn resize_columns(source: &[u8], stride: usize, first: usize, weights: &Coefficients) -> Vec<u8> {
    let mut resized = vec![0; weights.len() * stride];
    passes::vertical(source, stride, first, weights, &mut resized);
    resized
}
