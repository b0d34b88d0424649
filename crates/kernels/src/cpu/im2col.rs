//! Im2col: packs the left operand of a convolution.
//!
//! The im2col matrix has a row for each position of a grid, usually the output pixels, and a column for each (tap,
//! channel). It is never built as a whole: [`Im2col::pack`] writes the block that the next tiles need into a small
//! buffer that stays in the cache.

use std::ops::Range;

use super::operand::Operand;
use super::simd::Simd;
use super::values::Element;

/// The largest depth of a block: columns of the im2col matrix that are packed at once (`kc` in BLIS).
pub(crate) const MAX_DEPTH: usize = 256;

/// The memory layout of a tensor `[images, height, width, channels]`, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageLayout {
    /// Rows.
    pub(crate) height: usize,
    /// Columns.
    pub(crate) width: usize,
    /// Stride from one pixel to the next.
    pub(crate) pixel: usize,
    /// Stride from one row to the next.
    pub(crate) row: usize,
    /// Stride from one image to the next.
    pub(crate) image: usize,
}

impl ImageLayout {
    /// Returns the layout without gaps.
    pub(crate) fn contiguous(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, pixel: channels, row: width * channels, image: height * width * channels }
    }
}

/// Consecutive positions in one row of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowSegment {
    /// The image.
    pub(crate) image: usize,
    /// The row.
    pub(crate) y: usize,
    /// The first column.
    pub(crate) x: usize,
    /// The number of columns.
    pub(crate) len: usize,
}

/// Splits the positions `range` into segments of rows. The grid has `height` rows of `width` positions for each image.
pub(crate) fn row_segments(range: Range<usize>, height: usize, width: usize) -> impl Iterator<Item = RowSegment> {
    let mut next = range.start;
    std::iter::from_fn(move || {
        (next < range.end).then(|| {
            let (row, x) = (next / width, next % width);
            let len = (width - x).min(range.end - next);
            next += len;
            RowSegment { image: row / height, y: row % height, x, len }
        })
    })
}

/// The description of an im2col matrix: the elements of a tensor that form its rows.
#[derive(Clone, Debug)]
pub(crate) struct Im2col {
    /// The tensor that is read.
    pub(crate) source: ImageLayout,
    /// Pixels in the source between two neighbouring positions of the grid.
    pub(crate) stride: usize,
    /// The offset (down, right) of each tap in the source. Pixels outside of the source are zero.
    pub(crate) taps: Vec<(isize, isize)>,
    /// The number of consecutive elements that a tap reads.
    pub(crate) channels: usize,
}

impl Im2col {
    /// The number of columns of the matrix.
    pub(crate) fn depth(&self) -> usize {
        self.taps.len() * self.channels
    }

    /// Packs the columns `depth` of the rows `segments` into `to`, `[rows, pitch]`.
    #[inline(always)]
    pub(crate) fn pack<S: Simd, T: Element>(
        &self,
        simd: S,
        operand: &Operand<'_>,
        segments: &[RowSegment],
        depth: Range<usize>,
        to: &mut [T],
        pitch: usize,
    ) {
        let mut column = depth.start;
        while column < depth.end {
            let (tap, channel) = (column / self.channels, column % self.channels);
            let len = (self.channels - channel).min(depth.end - column);
            let mut to = to[column - depth.start..].chunks_mut(pitch);
            for segment in segments {
                self.pack_segment(simd, operand, segment, self.taps[tap], channel, len, &mut to);
            }
            column += len;
        }
    }

    /// Packs one tap of one segment: the first `len` elements of the next `segment.len` rows of `to`.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the source, the destination and the transformation of one segment")]
    fn pack_segment<'a, S: Simd, T: Element + 'a>(
        &self,
        simd: S,
        operand: &Operand<'_>,
        segment: &RowSegment,
        (down, right): (isize, isize),
        channel: usize,
        len: usize,
        to: &mut impl Iterator<Item = &'a mut [T]>,
    ) {
        let inside = self.inside(segment, down, right);
        let column_offset = |at: usize| (at * self.stride).wrapping_add_signed(right) * self.source.pixel;
        let y = (segment.y * self.stride).wrapping_add_signed(down);
        let row =
            (segment.image * self.source.image).wrapping_add(y.wrapping_mul(self.source.row)).wrapping_add(channel);
        for (x, to) in (segment.x..segment.x + segment.len).zip(to) {
            if inside.contains(&x) {
                operand.copy(simd, row + column_offset(x), channel, &mut to[..len]);
            } else {
                to[..len].fill(T::default());
            }
        }
    }

    /// Returns the columns of the grid whose tap lies inside of the source.
    #[inline(always)]
    fn inside(&self, segment: &RowSegment, down: isize, right: isize) -> Range<usize> {
        let y = (segment.y * self.stride).checked_add_signed(down);
        if y.is_none_or(|y| y >= self.source.height) {
            return 0..0;
        }
        let before = right.min(0).unsigned_abs().div_ceil(self.stride);
        let after = self.source.width.saturating_add_signed(-right).div_ceil(self.stride);
        before..after
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Portable;
    use super::*;

    #[test]
    fn row_segments_cover_a_range_across_rows_and_images() {
        let found: Vec<_> = row_segments(2..11, 2, 3).collect();
        let segment = |image, y, x, len| RowSegment { image, y, x, len };
        assert_eq!(found, [segment(0, 0, 2, 1), segment(0, 1, 0, 3), segment(1, 0, 0, 3), segment(1, 1, 0, 2)]);
    }

    #[test]
    fn packs_a_block_of_the_im2col_matrix() {
        let (images, height, width, channels, stride) = (2, 5, 4, 3, 2);
        let source: Vec<f32> = (1..=images * height * width * channels).map(|i| i as f32).collect();
        let taps = vec![(-1, -1), (-1, 1), (0, 0), (1, -2), (1, 2)];
        let im2col =
            Im2col { source: ImageLayout::contiguous(height, width, channels), stride, taps: taps.clone(), channels };
        let (grid_height, grid_width, pitch) = (3, 2, 11);
        let rows: Vec<_> = row_segments(1..2 * grid_height * grid_width, grid_height, grid_width).collect();
        let depth = 2..im2col.depth() - 2;
        let mut packed = vec![f32::NAN; (2 * grid_height * grid_width - 1) * pitch];
        im2col.pack(Portable::new(), &Operand::Plain((&source).into()), &rows, depth.clone(), &mut packed, pitch);
        for (row, position) in (1..2 * grid_height * grid_width).enumerate() {
            let (image, y, x) =
                (position / (grid_height * grid_width), position / grid_width % grid_height, position % grid_width);
            for column in depth.clone() {
                let ((down, right), channel) = (taps[column / channels], column % channels);
                let (y, x) = ((y * stride) as isize + down, (x * stride) as isize + right);
                let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
                let at = || ((image * height + y as usize) * width + x as usize) * channels + channel;
                let expected = if inside { source[at()] } else { 0.0 };
                assert_eq!(packed[row * pitch + column - depth.start], expected, "row {row}, column {column}");
            }
        }
    }
}
