//! Shapes as the kernels see them, and the grids that follow from them.

use super::engine::{Arg, THREADS};
use crate::precision::Precision;
use crate::shape::max_pool_side;

/// Channels must be a multiple of it: one 16-byte pack of bf16.
pub const CHANNEL_MULTIPLE: usize = 8;
/// Input channels of a convolution must be a multiple of it: the three colours of a pixel become four.
pub const INPUT_MULTIPLE: usize = 4;
/// Kinds of sums of a unit; `SUMS` in `norm.cuh`.
pub const SUMS: usize = 3;
/// Coefficients of a batch norm; the length of `Coefficient` in `norm.cuh`.
pub const COEFFICIENTS: usize = 7;
/// Channels that a block of the kernels that add up units covers; `CHANNELS_PER_BLOCK` in `norm.cuh`.
pub(crate) const CHANNELS_PER_BLOCK: usize = 8;
/// Units at most: enough to fill a large card a few times over. Not read off the card, so that every card adds up in the
/// same order.
const MAX_UNITS: usize = 1024;
/// Rows that a thread has at least, where there are as many.
const ROWS_PER_THREAD: usize = 8;
/// Rows that a thread of the kernels that walk down the rows without adding up has at least, where there are as many: as
/// many as it asks memory for at a time.
const ROWS_AHEAD: usize = 4;
/// Blocks of those kernels.
const MAX_BLOCKS: usize = 4096;

/// A tensor's shape as kernels see it, and what they are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Images x height x width.
    pub rows: usize,
    /// Channels.
    pub channels: usize,
    /// The element.
    pub precision: Precision,
}

/// How the rows of a tensor are dealt out to the units whose sums are added up later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// Number of units, none of them empty.
    pub count: usize,
    /// Rows of each but the last.
    pub rows: usize,
}

impl Matrix {
    /// Bytes of the tensor.
    pub fn bytes(&self) -> usize {
        self.rows * self.channels * self.precision.bytes()
    }

    /// Packs of a row that a block covers, rows it covers at a time, and blocks side by side; `Place` in `element.cuh`.
    fn place(&self) -> (usize, usize, usize) {
        let packs = self.channels * self.precision.bytes() / 16;
        let width = packs.min(THREADS as usize);
        (width, THREADS as usize / width, packs.div_ceil(width))
    }

    /// The units of this shape.
    pub fn units(&self) -> Units {
        let (_, lanes, _) = self.place();
        let wanted = self.rows.div_ceil(lanes * ROWS_PER_THREAD).clamp(1, MAX_UNITS);
        let rows = self.rows.div_ceil(wanted);
        Units { count: self.rows.div_ceil(rows), rows }
    }

    /// The grid of the kernels that leave units' sums.
    pub(crate) fn reduction_grid(&self) -> [u32; 2] {
        [self.units().count as u32, self.place().2 as u32]
    }

    /// The grid of the kernels that walk down the rows.
    pub(crate) fn elementwise_grid(&self) -> [u32; 2] {
        let (_, lanes, across) = self.place();
        [self.rows.div_ceil(lanes * ROWS_AHEAD).min(MAX_BLOCKS) as u32, across as u32]
    }

    /// The arguments that most kernels take.
    pub(crate) fn rows_and_channels(&self) -> [Arg; 2] {
        [Arg::Long(self.rows as i64), Arg::Int(self.channels as i32)]
    }
}

/// `[images, height, width, channels]` under a window or an average.
#[derive(Clone, Copy, Debug)]
pub struct Images {
    /// Number of images.
    pub images: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// The element.
    pub precision: Precision,
}

impl Images {
    /// One row a pixel.
    pub fn matrix(&self) -> Matrix {
        let rows = self.images * self.positions();
        Matrix { rows, channels: self.channels, precision: self.precision }
    }

    /// Pixels of an image.
    pub fn positions(&self) -> usize {
        self.height * self.width
    }

    /// The shape after the pooling.
    pub fn pooled(&self) -> Self {
        Self { height: max_pool_side(self.height), width: max_pool_side(self.width), ..*self }
    }

    /// 16-byte packs of a pixel.
    pub fn packs(&self) -> usize {
        self.channels * self.precision.bytes() / 16
    }

    /// Images, height, width and channels.
    pub(crate) fn args(&self) -> [Arg; 4] {
        [self.images, self.height, self.width, self.channels].map(int)
    }

    /// Images, positions and channels.
    pub(crate) fn positions_args(&self) -> [Arg; 3] {
        [self.images, self.positions(), self.channels].map(int)
    }
}

/// The head: features per image and classes.
#[derive(Clone, Copy, Debug)]
pub struct HeadShape {
    /// Number of images.
    pub images: usize,
    /// Classes.
    pub classes: usize,
    /// Features per image.
    pub inputs: usize,
}

/// A size as a kernel's `int`.
pub(crate) fn int(value: usize) -> Arg {
    Arg::Int(value as i32)
}
