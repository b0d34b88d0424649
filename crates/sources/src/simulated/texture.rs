//! Random textures with the power spectrum of natural images.

use artifacts::random::Stream;

use super::noise::Normal;

/// A periodic field of mean 0 and variance about 1, row-major `[side, side]`.
///
/// Its power falls as 1/f^2 with the spatial frequency f, like in photographs of natural scenes (D. J. Field,
/// "Relations between the statistics of natural images and the response properties of cortical cells", 1987). In two
/// dimensions, each octave then has the same variance. The field is therefore the sum of several value-noise fields of
/// equal amplitude. Each has half the lattice spacing of the one before (K. Perlin, "An image synthesizer", 1985).
pub(super) struct Texture {
    side: usize,
    values: Vec<f32>,
}

impl Texture {
    /// Draws a field of `side` x `side` samples. The finest lattice has a node every two samples.
    pub(super) fn draw(side: usize, stream: &mut Stream) -> Self {
        let mut values = vec![0.0; side * side];
        let mut normal = Normal::new(stream);
        let mut octaves = 0;
        let mut nodes = 2;
        while nodes * 2 <= side {
            let lattice: Vec<f32> = (0..nodes * nodes).map(|_| normal.draw()).collect();
            add_octave(&mut values, side, &lattice, nodes);
            octaves += 1;
            nodes *= 2;
        }
        let scale = 1.0 / (octaves as f32 * INTERPOLATED_VARIANCE).sqrt();
        values.iter_mut().for_each(|value| *value *= scale);
        Self { side, values }
    }

    /// Returns the field at a position. Positions wrap around at the sides.
    pub(super) fn at(&self, x: usize, y: usize) -> f32 {
        self.values[(y % self.side) * self.side + x % self.side]
    }
}

/// The mean variance of unit normals on a lattice after bilinear interpolation: (2/3)^2.
const INTERPOLATED_VARIANCE: f32 = 4.0 / 9.0;

/// Adds a periodic lattice of `nodes` x `nodes` values, interpolated bilinearly to `[side, side]`.
fn add_octave(values: &mut [f32], side: usize, lattice: &[f32], nodes: usize) {
    let position = |pixel: usize| {
        let place = pixel as f32 * nodes as f32 / side as f32;
        let node = place as usize;
        (node % nodes, (node + 1) % nodes, place - node as f32)
    };
    let columns: Vec<_> = (0..side).map(position).collect();
    for (y, row) in values.chunks_exact_mut(side).enumerate() {
        let (above, below, down) = position(y);
        let (above, below) = (&lattice[above * nodes..], &lattice[below * nodes..]);
        for (value, &(left, right, across)) in row.iter_mut().zip(&columns) {
            let upper = above[left] + across * (above[right] - above[left]);
            let lower = below[left] + across * (below[right] - below[left]);
            *value += upper + down * (lower - upper);
        }
    }
}

#[cfg(test)]
mod tests {
    use artifacts::random::stream;

    use super::*;

    /// The mean squared difference between samples at a `distance` along the rows.
    fn variogram(texture: &Texture, distance: usize) -> f32 {
        let side = texture.side;
        let sum: f32 = (0..side * side)
            .map(|i| {
                let (x, y) = (i % side, i / side);
                (texture.at(x + distance, y) - texture.at(x, y)).powi(2)
            })
            .sum();
        sum / (side * side) as f32
    }

    #[test]
    fn power_falls_with_the_square_of_the_frequency() {
        // With power 1/f^2, the variance of differences grows with the logarithm of the distance.
        let textures: Vec<_> = (0..20).map(|key| Texture::draw(128, &mut stream(3, "texture test", &[key]))).collect();
        let mean = |distance| textures.iter().map(|t| variogram(t, distance)).sum::<f32>() / textures.len() as f32;
        let steps = [mean(4) - mean(2), mean(8) - mean(4), mean(16) - mean(8), mean(32) - mean(16)];
        for step in steps {
            assert!((0.15..0.6).contains(&step), "{steps:?}");
        }
    }

    #[test]
    fn has_unit_variance() {
        let mut sum = 0.0;
        for key in 0..20 {
            let texture = Texture::draw(64, &mut stream(5, "texture test", &[key]));
            sum += texture.values.iter().map(|v| v * v).sum::<f32>() / (64.0 * 64.0);
        }
        assert!((sum / 20.0 - 1.0).abs() < 0.25, "{}", sum / 20.0);
    }
}
