//! The texture of windows on a grid of offsets.

use std::cmp::Reverse;

use pixels::RgbImage;

/// Cells with a smaller mean difference, in levels, have no noise.
const FLAT: f64 = 0.1;

/// The number of cells without noise that a window may have, of 16.
const MAX_FLAT_CELLS: usize = 4;

/// The number of differences of a pixel: three channels to four neighbours.
const DIFFERENCES: f64 = 12.0;

/// The windows of an image on a grid of offsets.
pub(super) struct Candidates {
    /// Richest first.
    windows: Vec<Candidate>,
}

/// A window.
struct Candidate {
    position: [u32; 2],
    texture: u64,
    /// Whether the window has too many cells without noise.
    is_flat: bool,
}

impl Candidates {
    /// Computes the texture of every window whose offsets are multiples of a quarter of `side`. `None` if the image is
    /// smaller than a window.
    pub(super) fn of(image: &RgbImage, side: u32) -> Option<Candidates> {
        let step = side / 4;
        assert!(step > 0, "a window has at least four pixels");
        if image.width() < side || image.height() < side {
            return None;
        }
        let cells = Cells::of(image, step);
        let flat = (FLAT * DIFFERENCES * f64::from(step).powi(2)) as u32;
        let offsets = |length: u32| (0..=(length - side) / step).map(move |offset| offset * step);
        // A side that is not a multiple of four is a little longer than four steps. Its last pixels are ignored.
        let mut windows: Vec<Candidate> = offsets(image.height())
            .flat_map(|y| offsets(image.width()).map(move |x| [x, y]))
            .map(|position| {
                let (texture, flat_cells) = cells.sum(position.map(|offset| (offset / step) as usize), flat);
                Candidate { position, texture, is_flat: flat_cells > MAX_FLAT_CELLS }
            })
            .collect();
        windows.sort_unstable_by_key(|window| {
            let [x, y] = window.position;
            (Reverse(window.texture), y, x)
        });
        Some(Candidates { windows })
    }

    /// Chooses up to `count` windows, half of them rich and half poor, whose positions differ by at least `distance` in
    /// x or y.
    pub(super) fn choose(&self, count: usize, distance: u32) -> Vec<[u32; 2]> {
        let mut chosen: Vec<[u32; 2]> = Vec::with_capacity(count.min(self.windows.len()));
        let mut take = |windows: &mut dyn Iterator<Item = [u32; 2]>, count: usize| {
            for [x, y] in windows {
                if chosen.len() >= count {
                    break;
                }
                if chosen.iter().all(|other| x.abs_diff(other[0]).max(y.abs_diff(other[1])) >= distance) {
                    chosen.push([x, y]);
                }
            }
        };
        let poorest = || self.windows.iter().rev();
        let position = |window: &Candidate| window.position;
        take(&mut self.windows.iter().map(position), count.div_ceil(2));
        take(&mut poorest().filter(|window| !window.is_flat).map(position), count);
        take(&mut poorest().filter(|window| window.is_flat).map(position), count);
        chosen
    }
}

/// Sums of differences over square cells of an image, without the incomplete cells at the right and lower edge.
struct Cells {
    columns: usize,
    sums: Vec<u32>,
}

impl Cells {
    fn of(image: &RgbImage, step: u32) -> Cells {
        let stride = image.width() as usize * 3;
        let (columns, rows) = ((image.width() / step) as usize, (image.height() / step) as usize);
        let length = step as usize * 3;
        let mut sums = vec![0; columns * rows];
        let mut lines = image.data().chunks_exact(stride).peekable();
        for cells in sums.chunks_exact_mut(columns) {
            for _ in 0..step {
                let Some(line) = lines.next() else { break };
                // Without a line below, the differences to it are 0.
                let below = *lines.peek().unwrap_or(&line);
                add_differences(cells, line, below, length, lines.peek().is_some());
            }
        }
        Cells { columns, sums }
    }

    /// Returns the texture of the window of 4 x 4 cells at this column and row of cells, and the number of its cells
    /// with at most the texture `flat`.
    fn sum(&self, [column, row]: [usize; 2], flat: u32) -> (u64, usize) {
        let start = row * self.columns + column;
        let cells = (0..4).flat_map(|row| &self.sums[start + row * self.columns..][..4]);
        cells.fold((0, 0), |(sum, count), &cell| (sum + u64::from(cell), count + usize::from(cell <= flat)))
    }
}

/// Adds the differences of the pixels of a line to the cells, each `length` bytes wide. Neighbours outside the image
/// are left out.
fn add_differences(cells: &mut [u32], line: &[u8], below: &[u8], length: usize, has_below: bool) {
    for (cell, sum) in cells.iter_mut().enumerate() {
        let start = cell * length;
        let pixels = &line[start..start + length];
        // The last pixel of the image has no neighbours at its right.
        let right = |line: &'_ [u8]| -> usize { (line.len() - start - 3).min(length) };
        let mut total = distance(&pixels[..right(line)], &line[start + 3..][..right(line)]);
        if has_below {
            total += distance(pixels, &below[start..start + length]);
            total += distance(&pixels[..right(below)], &below[start + 3..][..right(below)]);
            // The first pixel of the image has no neighbour at its left.
            let skipped = if start == 0 { 3 } else { 0 };
            total += distance(&pixels[skipped..], &below[start + skipped - 3..start + length - 3]);
        }
        *sum += total;
    }
}

/// Computes the sum of absolute differences.
fn distance(a: &[u8], b: &[u8]) -> u32 {
    let mut total = 0;
    // Blocks of 256 bytes have sums that fit into 16 bits, so that the compiler uses short lanes.
    for (a, b) in a.chunks(256).zip(b.chunks(256)) {
        total += u32::from(a.iter().zip(b).map(|(a, b)| u16::from(a.abs_diff(*b))).sum::<u16>());
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes the texture of a window pixel by pixel.
    fn reference(image: &RgbImage, left: u32, top: u32, side: u32) -> u64 {
        let at = |x: i64, y: i64| -> Option<[u8; 3]> {
            let inside = (0..i64::from(image.width())).contains(&x) && (0..i64::from(image.height())).contains(&y);
            let start = (y * i64::from(image.width()) + x) * 3;
            inside.then(|| image.data()[start as usize..][..3].try_into().unwrap())
        };
        let mut sum = 0;
        for y in i64::from(top)..i64::from(top + side) {
            for x in i64::from(left)..i64::from(left + side) {
                let pixel = at(x, y).unwrap();
                for neighbour in [at(x + 1, y), at(x, y + 1), at(x + 1, y + 1), at(x - 1, y + 1)].into_iter().flatten()
                {
                    sum += pixel.iter().zip(neighbour).map(|(a, b)| u64::from(a.abs_diff(b))).sum::<u64>();
                }
            }
        }
        sum
    }

    #[test]
    fn texture_equals_the_sum_over_pixels() {
        for (width, height) in [(16, 16), (33, 48), (50, 21)] {
            let image = RgbImage::from_fn(width, height, |x, y| {
                [(x * 37 + y * y * 11) as u8, (x * x * 5 + y * 91) as u8, (x * y * 7) as u8]
            });
            let candidates = Candidates::of(&image, 16).unwrap();
            let expected = ((width - 16) / 4 + 1) * ((height - 16) / 4 + 1);
            assert_eq!(candidates.windows.len(), expected as usize);
            for &Candidate { position: [x, y], texture, .. } in &candidates.windows {
                assert_eq!(texture, reference(&image, x, y, 16), "({x}, {y}) of {width}x{height}");
            }
        }
    }

    #[test]
    fn differences_of_extreme_images_fit() {
        let image = RgbImage::from_fn(512, 512, |x, y| [if (x + y) % 2 == 0 { 0 } else { 255 }; 3]);
        let candidates = Candidates::of(&image, 512).unwrap();
        assert_eq!(candidates.windows[0].texture, reference(&image, 0, 0, 512));
    }
}
