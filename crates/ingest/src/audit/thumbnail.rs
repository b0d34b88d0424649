//! Thumbnails, which are the mean colours of the cells of a grid, computed in one pass over the pixels.

use pixels::RgbImage;

/// The side of the grey thumbnail, which is used to find near-duplicates.
pub(super) const GREY_SIDE: usize = 24;
/// The side of the colour thumbnail, which is the input of a probe.
pub(super) const COLOUR_SIDE: usize = 8;

/// The number of cells of the grey thumbnail in one cell of the colour thumbnail, in each direction.
const CELLS_PER_SIDE: usize = GREY_SIDE / COLOUR_SIDE;
const _: () = assert!(
    CELLS_PER_SIDE * COLOUR_SIDE == GREY_SIDE,
    "a cell of the colour thumbnail must consist of whole cells of the grey one"
);

/// The mean colours of `GREY_SIDE` x `GREY_SIDE` cells.
pub(super) struct Thumbnail {
    /// RGB.
    cells: [[u8; 3]; GREY_SIDE * GREY_SIDE],
}

impl Thumbnail {
    pub(super) fn of(image: &RgbImage) -> Thumbnail {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut cells = [[0; 3]; GREY_SIDE * GREY_SIDE];
        let mut sums = vec![0_u32; width * 3];
        for (row, cells) in cells.chunks_exact_mut(GREY_SIDE).enumerate() {
            let rows = cell(row, height);
            // Whole rows are added first, because that loop is vectorised.
            sums.fill(0);
            for row in image.data()[rows.start * width * 3..rows.end * width * 3].chunks_exact(width * 3) {
                sums.iter_mut().zip(row).for_each(|(sum, &byte)| *sum += u32::from(byte));
            }
            let (pixels, _) = sums.as_chunks::<3>();
            for (column, mean) in cells.iter_mut().enumerate() {
                let columns = cell(column, width);
                let count = (rows.len() * columns.len()) as u64;
                *mean = mean_of(&pixels[columns], count);
            }
        }
        Thumbnail { cells }
    }

    /// Luma of ITU-R BT.601, `[GREY_SIDE, GREY_SIDE]`.
    pub(super) fn grey(&self) -> [u8; GREY_SIDE * GREY_SIDE] {
        self.cells.map(|[red, green, blue]| {
            let luma = 77 * u32::from(red) + 150 * u32::from(green) + 29 * u32::from(blue);
            (luma / 256) as u8
        })
    }

    /// RGB, `[COLOUR_SIDE, COLOUR_SIDE, 3]`, the unweighted means of cells.
    pub(super) fn colour(&self) -> [u8; COLOUR_SIDE * COLOUR_SIDE * 3] {
        let mut colour = [0; COLOUR_SIDE * COLOUR_SIDE * 3];
        for (i, mean) in colour.as_chunks_mut().0.iter_mut().enumerate() {
            let first = i / COLOUR_SIDE * CELLS_PER_SIDE * GREY_SIDE + i % COLOUR_SIDE * CELLS_PER_SIDE;
            let rows = (0..CELLS_PER_SIDE).flat_map(|row| &self.cells[first + row * GREY_SIDE..][..CELLS_PER_SIDE]);
            let mut sums = [[0; 3]];
            for cell in rows {
                sums[0].iter_mut().zip(cell).for_each(|(sum, &byte)| *sum += u32::from(byte));
            }
            *mean = mean_of(&sums, (CELLS_PER_SIDE * CELLS_PER_SIDE) as u64);
        }
        colour
    }
}

/// Returns the range of rows or columns of a cell. It contains the rows or columns whose centres lie in the cell, or
/// only the one at the centre of the cell if the side is shorter than the grid. A flipped image has flipped cells.
fn cell(index: usize, side: usize) -> std::ops::Range<usize> {
    if side < GREY_SIDE {
        let middle = (2 * index + 1) * side / (2 * GREY_SIDE);
        return middle..middle + 1;
    }
    let edge = |index: usize| (2 * index * side + GREY_SIDE) / (2 * GREY_SIDE);
    edge(index)..edge(index + 1)
}

fn mean_of(pixels: &[[u32; 3]], count: u64) -> [u8; 3] {
    std::array::from_fn(|channel| {
        let sum: u64 = pixels.iter().map(|pixel| u64::from(pixel[channel])).sum();
        ((sum + count / 2) / count) as u8
    })
}

#[cfg(test)]
mod tests {
    use pixels::{Filter, resize_to};

    use super::*;

    fn textured(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| [(x * 5 + y * 3) as u8, (x * y / 7) as u8, (x * 255 / width) as u8])
    }

    #[test]
    fn means_equal_a_box_filter() {
        for (width, height) in [(24, 24), (240, 120), (32, 64), (100, 56)] {
            let image = textured(width, height);
            let boxed = resize_to(&image, 24, 24, Filter::Box).unwrap().into_data();
            let found = Thumbnail::of(&image).cells;
            // The box filter rounds twice.
            assert!(found.as_flattened().iter().zip(boxed).all(|(a, b)| a.abs_diff(b) <= 1), "{width} x {height}");
        }
    }

    #[test]
    fn a_flipped_image_has_the_flipped_thumbnail() {
        for side in [1, 5, 20, 32, 64, 256] {
            let image = textured(side, 40);
            let mirrored = RgbImage::from_fn(side, 40, |x, y| {
                let at = (y * side + side - 1 - x) as usize * 3;
                [image.data()[at], image.data()[at + 1], image.data()[at + 2]]
            });
            let mut expected = Thumbnail::of(&image).cells;
            expected.chunks_exact_mut(GREY_SIDE).for_each(<[_]>::reverse);
            assert!(Thumbnail::of(&mirrored).cells == expected, "{side}");
        }
    }

    #[test]
    fn every_pixel_counts_once_and_small_images_have_all_cells() {
        for side in [24, 25, 47, 100, 1001] {
            let cells: Vec<usize> = (0..GREY_SIDE).flat_map(|index| cell(index, side)).collect();
            assert_eq!(cells, (0..side).collect::<Vec<_>>());
        }
        let small = Thumbnail::of(&RgbImage::from_fn(2, 1, |x, _| [x as u8 * 200, 10, 20]));
        assert_eq!((small.cells[0], small.cells[GREY_SIDE * GREY_SIDE - 1]), ([0, 10, 20], [200, 10, 20]));
        assert_eq!(small.colour()[..3], [0, 10, 20]);
    }
}
