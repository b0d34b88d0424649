//! The tensor shapes that kernels take, and the launch grids for them.

use super::engine::{Arg, THREADS};
use crate::precision::Precision;
use crate::shape::max_pool_side;

/// The number of channels must be a multiple of this, because a 16-byte pack holds 8 bf16.
pub const CHANNEL_MULTIPLE: usize = 8;
/// The number of input channels of a convolution must be a multiple of this. The three colours of a pixel are padded to
/// four.
pub const INPUT_MULTIPLE: usize = 4;
/// Partial sums per channel and row chunk. Equal to `PARTIAL_SUMS` in `norm.cuh`.
pub const PARTIAL_SUMS: usize = 3;
/// Coefficients per channel of a batch norm. Equal to the number of values of `Coefficient` in `norm.cuh`.
pub const NORM_COEFFICIENTS: usize = 7;
/// Channels per block of the kernels that turn partial sums into coefficients. Equal to `CHANNELS_PER_BLOCK` in
/// `norm.cuh`.
pub(crate) const CHANNELS_PER_BLOCK: usize = 8;
/// The largest number of row chunks: a few per multiprocessor of a large card. It does not depend on the card, so that
/// all cards add in the same order.
const MAX_ROW_CHUNKS: usize = 1024;
/// The fewest rows per thread of the kernels that write partial sums, if the tensor has enough rows.
const ROWS_PER_THREAD: usize = 8;
/// The fewest rows per thread of the elementwise kernels, if the tensor has enough rows. Equal to the largest number of
/// rows that these kernels prefetch.
const PREFETCHED_ROWS: usize = 4;
/// The largest number of blocks along the rows of the elementwise kernels.
const MAX_BLOCKS: usize = 4096;

/// The shape of a tensor, viewed as a matrix with a row per pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixShape {
    /// Images x height x width.
    pub rows: usize,
    /// Channels.
    pub channels: usize,
    /// Element type.
    pub precision: Precision,
}

/// The division of a tensor's rows into chunks. Kernels write the partial sums of each chunk, which another kernel
/// adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowChunks {
    /// Number of chunks, none of them empty.
    pub count: usize,
    /// Rows per chunk. The last chunk may have fewer.
    pub rows: usize,
}

/// The assignment of blocks to a tensor. It must match `ThreadPosition` in `element.cuh`.
struct BlockLayout {
    /// Rows that a block covers at a time.
    lanes: usize,
    /// Blocks side by side along the channels.
    across: usize,
}

impl MatrixShape {
    /// Bytes of the tensor.
    pub fn bytes(&self) -> usize {
        self.rows * self.channels * self.precision.bytes()
    }

    fn block_layout(&self) -> BlockLayout {
        let packs = self.channels * self.precision.bytes() / 16;
        let width = packs.min(THREADS as usize);
        BlockLayout { lanes: THREADS as usize / width, across: packs.div_ceil(width) }
    }

    /// The row chunks of this shape.
    pub fn row_chunks(&self) -> RowChunks {
        let rows_per_block = self.block_layout().lanes * ROWS_PER_THREAD;
        let chunks = self.rows.div_ceil(rows_per_block).clamp(1, MAX_ROW_CHUNKS);
        let rows = self.rows.div_ceil(chunks);
        RowChunks { count: self.rows.div_ceil(rows), rows }
    }

    /// The grid of the kernels that write the partial sums of row chunks.
    pub(crate) fn reduction_grid(&self) -> [u32; 2] {
        [self.row_chunks().count as u32, self.block_layout().across as u32]
    }

    /// The grid of the elementwise kernels.
    pub(crate) fn elementwise_grid(&self) -> [u32; 2] {
        let BlockLayout { lanes, across } = self.block_layout();
        [self.rows.div_ceil(lanes * PREFETCHED_ROWS).min(MAX_BLOCKS) as u32, across as u32]
    }

    /// Rows and channels as kernel arguments.
    pub(crate) fn args(&self) -> [Arg; 2] {
        [Arg::Long(self.rows as i64), Arg::Int(self.channels as i32)]
    }
}

/// The shape `[images, height, width, channels]`, for kernels that need the positions of pixels.
#[derive(Clone, Copy, Debug)]
pub struct ImageShape {
    /// Number of images.
    pub images: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// Element type.
    pub precision: Precision,
}

impl ImageShape {
    /// The same tensor with a row per pixel.
    pub fn matrix(&self) -> MatrixShape {
        let rows = self.images * self.positions();
        MatrixShape { rows, channels: self.channels, precision: self.precision }
    }

    /// Pixels per image.
    pub fn positions(&self) -> usize {
        self.height * self.width
    }

    /// The shape after max pooling.
    pub fn pooled(&self) -> Self {
        Self { height: max_pool_side(self.height), width: max_pool_side(self.width), ..*self }
    }

    /// 16-byte packs per pixel.
    pub fn packs(&self) -> usize {
        self.channels * self.precision.bytes() / 16
    }

    /// Images, height, width and channels as kernel arguments.
    pub(crate) fn args(&self) -> [Arg; 4] {
        [self.images, self.height, self.width, self.channels].map(int)
    }

    /// Images, positions and channels as kernel arguments.
    pub(crate) fn positions_args(&self) -> [Arg; 3] {
        [self.images, self.positions(), self.channels].map(int)
    }
}

/// The shape of the classifier.
#[derive(Clone, Copy, Debug)]
pub struct HeadShape {
    /// Number of images.
    pub images: usize,
    /// Classes.
    pub classes: usize,
    /// Features per image.
    pub inputs: usize,
}

/// Converts a size to a kernel's `int` argument.
pub(crate) fn int(value: usize) -> Arg {
    Arg::Int(value as i32)
}
