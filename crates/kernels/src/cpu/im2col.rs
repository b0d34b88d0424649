//! Packing of the left operand: rows of the im2col matrix, gathered, strided and transformed on the fly.
//!
//! The matrix has a row for each position of a grid and a column for each (tap, channel). No such matrix is ever built:
//! [`Im2col::pack`] writes the block of it that the next tiles need into a small buffer that stays in the cache.

use std::ops::Range;

use super::operand::Operand;
use super::simd::Simd;

/// Most columns of the matrix that are packed at once; also the depth of a tile.
pub(crate) const MAX_DEPTH: usize = 256;

/// A tensor `[images, height, width, channels]` in memory, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Rows.
    pub(crate) height: usize,
    /// Columns.
    pub(crate) width: usize,
    /// From one position to the next.
    pub(crate) pixel: usize,
    /// From one row to the next.
    pub(crate) row: usize,
    /// From one image to the next.
    pub(crate) image: usize,
}

impl Picture {
    /// Without gaps.
    pub(crate) fn dense(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, pixel: channels, row: width * channels, image: height * width * channels }
    }
}

/// Consecutive positions of one row of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The image.
    pub(crate) image: usize,
    /// The row.
    pub(crate) y: usize,
    /// The first column.
    pub(crate) x: usize,
    /// The number of columns.
    pub(crate) len: usize,
}

/// The runs that the positions `range` of a grid of images with `height` rows of `width` make up.
pub(crate) fn runs(range: Range<usize>, height: usize, width: usize) -> impl Iterator<Item = Run> {
    let mut next = range.start;
    std::iter::from_fn(move || {
        (next < range.end).then(|| {
            let (row, x) = (next / width, next % width);
            let len = (width - x).min(range.end - next);
            next += len;
            Run { image: row / height, y: row % height, x, len }
        })
    })
}

/// Which elements of a picture make up the row of the matrix that belongs to a position of the grid.
#[derive(Clone, Debug)]
pub(crate) struct Im2col {
    /// The tensor that is read.
    pub(crate) source: Picture,
    /// Steps in the source for one step in the grid.
    pub(crate) stride: usize,
    /// Offsets (down, right) in the source, one for each tap; what lies outside of the source is zero.
    pub(crate) taps: Vec<(isize, isize)>,
    /// Consecutive elements that a tap reads.
    pub(crate) channels: usize,
}

impl Im2col {
    /// Columns of the matrix.
    pub(crate) fn depth(&self) -> usize {
        self.taps.len() * self.channels
    }

    /// Packs the columns `depth` of the rows `runs` into `to`, `[rows, pitch]`.
    #[inline(always)]
    pub(crate) fn pack<S: Simd>(
        &self,
        simd: S,
        operand: &Operand<'_>,
        runs: &[Run],
        depth: Range<usize>,
        to: &mut [f32],
        pitch: usize,
    ) {
        let mut column = depth.start;
        while column < depth.end {
            let (tap, channel) = (column / self.channels, column % self.channels);
            let len = (self.channels - channel).min(depth.end - column);
            let mut to = to[column - depth.start..].chunks_mut(pitch);
            for run in runs {
                self.pack_run(simd, operand, run, self.taps[tap], channel, len, &mut to);
            }
            column += len;
        }
    }

    /// One tap of one run: the first `len` elements of the next `run.len` rows of `to`.
    #[inline(always)]
    #[expect(
        clippy::too_many_arguments,
        reason = "one run of a panel: what is read, where to, and what is done on the way"
    )]
    fn pack_run<'a, S: Simd>(
        &self,
        simd: S,
        operand: &Operand<'_>,
        run: &Run,
        (down, right): (isize, isize),
        channel: usize,
        len: usize,
        to: &mut impl Iterator<Item = &'a mut [f32]>,
    ) {
        let inside = self.inside(run, down, right);
        let first = |at: usize| (at * self.stride).wrapping_add_signed(right) * self.source.pixel;
        let y = (run.y * self.stride).wrapping_add_signed(down);
        let row = (run.image * self.source.image).wrapping_add(y.wrapping_mul(self.source.row)).wrapping_add(channel);
        for (x, to) in (run.x..run.x + run.len).zip(to) {
            if inside.contains(&x) {
                operand.copy(simd, row + first(x), channel, &mut to[..len]);
            } else {
                to[..len].fill(0.0);
            }
        }
    }

    /// The columns of the grid for which the tap lies inside of the source.
    #[inline(always)]
    fn inside(&self, run: &Run, down: isize, right: isize) -> Range<usize> {
        let y = (run.y * self.stride).checked_add_signed(down);
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
    fn runs_cover_a_range_across_rows_and_images() {
        let found: Vec<_> = runs(2..11, 2, 3).collect();
        let run = |image, y, x, len| Run { image, y, x, len };
        assert_eq!(found, [run(0, 0, 2, 1), run(0, 1, 0, 3), run(1, 0, 0, 3), run(1, 1, 0, 2)]);
    }

    #[test]
    fn packs_what_an_im2col_matrix_holds() {
        let (images, height, width, channels, stride) = (2, 5, 4, 3, 2);
        let source: Vec<f32> = (1..=images * height * width * channels).map(|i| i as f32).collect();
        let taps = vec![(-1, -1), (-1, 1), (0, 0), (1, -2), (1, 2)];
        let gather = Im2col { source: Picture::dense(height, width, channels), stride, taps: taps.clone(), channels };
        let (grid_height, grid_width, pitch) = (3, 2, 11);
        let rows: Vec<_> = runs(1..2 * grid_height * grid_width, grid_height, grid_width).collect();
        let depth = 2..gather.depth() - 2;
        let mut packed = vec![f32::NAN; (2 * grid_height * grid_width - 1) * pitch];
        gather.pack(Portable::new(), &Operand::Plain(&source), &rows, depth.clone(), &mut packed, pitch);
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
