//! Resizing, bit for bit as Pillow does it.
//!
//! When shrinking, a filter's support grows with the ratio, so that every source pixel counts (Pillow's `Resample.c`;
//! PyTorch's `interpolate(antialias=True)`). The rows are resized first and the columns then, each pass on bytes with
//! weights of 22 fraction bits. Crates that do the same with 16-bit weights are within one or two levels of it.

mod coefficients;
mod passes;

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

/// How an image that is not square becomes square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Both sides are resized to the size, whatever the aspect: torchvision's `Resize((size, size))`.
    #[default]
    Squash,
    /// The shorter side is resized to the size and the middle is cut out: torchvision's `Resize(size)` and `CenterCrop(size)`.
    Crop,
}

/// Makes `image` a square of `size` pixels.
///
/// # Errors
/// If `size` is zero.
pub fn resize(image: &RgbImage, size: u32, filter: Filter, fit: Fit) -> Result<RgbImage, ShapeError> {
    let (width, height) = (image.width(), image.height());
    let short = match fit {
        Fit::Squash => None,
        Fit::Crop => Some(width.min(height)),
    };
    resample(image, Axis::new(width, size, short), Axis::new(height, size, short), filter)
}

/// Makes `image` `width` by `height`, whatever its aspect.
///
/// # Errors
/// If a side is zero.
pub fn resize_to(image: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<RgbImage, ShapeError> {
    resample(image, Axis::new(image.width(), width, None), Axis::new(image.height(), height, None), filter)
}

/// One side of a resize: `output` positions of the interval `[from, to]` of a side of `input` pixels.
#[derive(Debug, Clone, Copy)]
struct Axis {
    input: u32,
    interval: [f64; 2],
    output: u32,
}

impl Axis {
    /// The whole side; or, where a crop keeps the aspect, its middle, given the length `short` of the shorter side.
    ///
    /// Only the middle is resized, so that a sliver of one by a million pixels costs no more than any other image.
    fn new(input: u32, output: u32, short: Option<u32>) -> Self {
        let side = f64::from(input);
        let interval = match short {
            None => [0.0, side],
            Some(short) => {
                let (short, size) = (f64::from(short), f64::from(output));
                // torchvision truncates the longer side, and rounds the crop's offset half to even as Python does.
                let resized = (size * side / short).floor();
                let offset = ((resized - size) / 2.0).round_ties_even();
                let scale = side / resized;
                [offset * scale, (offset + size) * scale]
            }
        };
        Self { input, interval, output }
    }

    fn is_identity(self) -> bool {
        self.input == self.output && self.interval == [0.0, f64::from(self.input)]
    }

    fn coefficients(self, filter: Filter) -> Coefficients {
        Coefficients::new(filter, self.input as usize, self.interval, self.output as usize)
    }

    /// The nearest pixel's index for each output position, summed up step by step as Pillow's `ImagingScaleAffine` does.
    fn nearest(self) -> Vec<usize> {
        let [from, to] = self.interval;
        let step = (to - from) / f64::from(self.output);
        let mut position = from + step * 0.5;
        let last = self.input as usize - 1;
        (0..self.output)
            .map(|_| {
                let index = (position as usize).min(last);
                position += step;
                index
            })
            .collect()
    }
}

fn resample(image: &RgbImage, across: Axis, down: Axis, filter: Filter) -> Result<RgbImage, ShapeError> {
    if across.output == 0 || down.output == 0 {
        return RgbImage::new(across.output, down.output, Vec::new());
    }
    if across.is_identity() && down.is_identity() {
        return Ok(image.clone());
    }
    let data = match filter {
        Filter::Nearest => nearest(image, across, down),
        _ => convolve(image, across, down, filter),
    };
    RgbImage::new(across.output, down.output, data)
}

fn nearest(image: &RgbImage, across: Axis, down: Axis) -> Vec<u8> {
    let columns = across.nearest();
    let mut data = Vec::with_capacity(across.output as usize * down.output as usize * 3);
    for y in down.nearest() {
        let (row, _) = image.data()[y * image.stride()..][..image.stride()].as_chunks::<3>();
        data.extend(columns.iter().flat_map(|&x| row[x]));
    }
    data
}

fn convolve(image: &RgbImage, across: Axis, down: Axis, filter: Filter) -> Vec<u8> {
    let vertical = (!down.is_identity()).then(|| down.coefficients(filter));
    let rows = match &vertical {
        Some(vertical) => vertical.reach(),
        None => 0..image.height() as usize,
    };
    let stride = across.output as usize * 3;
    let source = &image.data()[rows.start * image.stride()..rows.end * image.stride()];
    let widened = if across.is_identity() {
        source.to_vec()
    } else {
        let mut widened = vec![0; rows.len() * stride];
        let horizontal = across.coefficients(filter);
        passes::horizontal(source, image.stride(), &horizontal, &mut widened);
        widened
    };
    match vertical {
        None => widened,
        Some(vertical) => {
            let mut data = vec![0; down.output as usize * stride];
            passes::vertical(&widened, stride, rows.start, &vertical, &mut data);
            data
        }
    }
}
