//! The tiles of an image, which overlap, and their blending.

use pixels::RgbImage;

/// The channels of an image.
pub(crate) const CHANNELS: usize = 3;

/// A tile of an image in pixels. It may exceed the image at the right and the bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Tile {
    /// Returns the part of the image in values from -1 to 1: `[3, height, width]`. The last row and column of the image
    /// are repeated.
    pub(crate) fn values(&self, image: &RgbImage) -> Vec<f32> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut values = Vec::with_capacity(CHANNELS * self.width * self.height);
        for channel in 0..CHANNELS {
            for y in self.top..self.top + self.height {
                for x in self.left..self.left + self.width {
                    let at = y.min(height - 1) * width + x.min(width - 1);
                    values.push(f32::from(image.data()[CHANNELS * at + channel]) / 127.5 - 1.0);
                }
            }
        }
        values
    }
}

/// Divides an image into tiles of at most `side` pixels, which must be a multiple of `factor`. Neighbours overlap by at
/// least a quarter. The sides of all tiles are multiples of `factor`.
pub(crate) fn tiles(width: usize, height: usize, side: usize, factor: usize) -> Vec<Tile> {
    let columns = starts(width, side, factor);
    let tile = |(left, top): (usize, usize)| Tile {
        left,
        top,
        width: side.min(width.next_multiple_of(factor)),
        height: side.min(height.next_multiple_of(factor)),
    };
    let places = starts(height, side, factor).into_iter().flat_map(|top| columns.iter().map(move |&left| (left, top)));
    places.map(tile).collect()
}

/// Returns the first pixel of each tile along a side of the image.
fn starts(length: usize, side: usize, factor: usize) -> Vec<usize> {
    let padded = length.next_multiple_of(factor);
    if padded <= side {
        return vec![0];
    }
    let last = padded - side;
    let count = last.div_ceil((side - side / 4).max(1));
    // Multiples of the factor, evenly spread.
    (0..=count).map(|at| last * at / count / factor * factor).collect()
}

/// The weighted mean of overlapping tiles.
pub(crate) struct Accumulator {
    width: usize,
    height: usize,
    /// The weighted sums, `[height, width, 3]`.
    sums: Vec<[f32; CHANNELS]>,
    weights: Vec<f32>,
}

impl Accumulator {
    pub(crate) fn new(width: usize, height: usize) -> Accumulator {
        Accumulator { width, height, sums: vec![[0.0; CHANNELS]; width * height], weights: vec![0.0; width * height] }
    }

    /// Adds a tile, `[3, height, width]`. The weight of a pixel grows with its distance from the border of the tile.
    pub(crate) fn add(&mut self, tile: &Tile, values: &[f32]) {
        let weight = |at: usize, side: usize| (at + 1).min(side - at) as f32;
        for y in 0..tile.height.min(self.height - tile.top) {
            for x in 0..tile.width.min(self.width - tile.left) {
                let weight = weight(x, tile.width) * weight(y, tile.height);
                let at = (tile.top + y) * self.width + tile.left + x;
                self.weights[at] += weight;
                for (channel, sum) in self.sums[at].iter_mut().enumerate() {
                    *sum += weight * values[(channel * tile.height + y) * tile.width + x];
                }
            }
        }
    }

    /// Returns the image, with values rounded and clipped.
    pub(crate) fn finish(self) -> Result<RgbImage, pixels::ShapeError> {
        let mut data = Vec::with_capacity(CHANNELS * self.sums.len());
        for (sum, weight) in self.sums.iter().zip(&self.weights) {
            data.extend(sum.map(|sum| ((sum / weight + 1.0) * 127.5 + 0.5).clamp(0.0, 255.0) as u8));
        }
        RgbImage::new(self.width as u32, self.height as u32, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_an_image_with_overlaps() {
        for (width, height, side, factor) in [(100, 37, 32, 8), (64, 64, 64, 8), (65, 10, 64, 8), (9, 300, 16, 2)] {
            let tiles = tiles(width, height, side, factor);
            for tile in &tiles {
                assert!([tile.left, tile.top, tile.width, tile.height].iter().all(|n| n.is_multiple_of(factor)));
                assert!(tile.width <= side && tile.height <= side && tile.left < width && tile.top < height);
            }
            let covered = |x, y| {
                tiles.iter().any(|tile| {
                    (tile.left..tile.left + tile.width).contains(&x) && (tile.top..tile.top + tile.height).contains(&y)
                })
            };
            assert!((0..width).all(|x| (0..height).all(|y| covered(x, y))), "{width} {height}");
            let lefts: Vec<usize> = starts(width, side, factor);
            assert!(lefts.windows(2).all(|pair| pair[0] + side - side / 4 + factor > pair[1]), "{lefts:?}");
        }
    }

    #[test]
    fn tiles_of_an_image_blend_to_the_image() {
        let image = RgbImage::from_fn(70, 45, |x, y| [(3 * x) as u8, (5 * y) as u8, (x * y % 256) as u8]);
        let mut result = Accumulator::new(70, 45);
        for tile in tiles(70, 45, 32, 8) {
            result.add(&tile, &tile.values(&image));
        }
        assert_eq!(result.finish().unwrap(), image);
    }
}
