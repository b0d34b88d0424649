//! Procedural scenes: the dead-leaves model.

use std::f32::consts::TAU;

use artifacts::random::Stream;
use rand::RngExt;

use super::noise::Normal;
use super::radiance::Radiance;
use super::texture::Texture;

/// The number of scene samples along each side of an image pixel.
pub(super) const OVERSAMPLING: usize = 2;

/// Draws a scene for an image of `size` x `size` pixels: linear light from 0 to 1, with [`OVERSAMPLING`] samples per
/// pixel in each direction.
///
/// Opaque leaves of all sizes occlude each other. Their radii have the density 1/r^3, which gives the scale invariance
/// and the 1/f^2 power spectrum of natural images (A. B. Lee, D. Mumford, J. Huang, "Occlusion models for natural
/// images: a statistical study of a scale-invariant dead leaves model", 2001). Each leaf has a colour from the scene's
/// palette, a texture and a soft shading. A gradient of light covers the scene.
pub(super) fn draw(size: usize, stream: &mut Stream) -> Radiance {
    let side = size * OVERSAMPLING;
    let palette = Palette::draw(stream);
    let texture = Texture::draw(side.next_power_of_two(), stream);
    let mut canvas = Canvas::new(side);
    // Leaves are drawn from front to back, so the first leaf that covers a sample determines it.
    for _ in 0..side * side {
        if canvas.uncovered * UNCOVERED_PART <= side * side {
            break;
        }
        let leaf = Leaf::draw(side as f32, &palette, stream);
        canvas.add(&leaf, &texture);
    }
    let background = palette.colour(stream);
    let light = Light::draw(stream);
    light.illuminate(canvas.finish(background))
}

/// Leaves are added until at most 1 of this many samples is uncovered. Uncovered samples show the background.
const UNCOVERED_PART: usize = 200;

/// The distribution of colours in a scene, as logarithms of reflectance.
struct Palette {
    grey: f32,
    tint: [f32; 3],
    contrast: f32,
    chroma: f32,
}

impl Palette {
    fn draw(stream: &mut Stream) -> Self {
        let mut normal = Normal::new(stream);
        let grey = -1.6 + 0.3 * normal.draw();
        let tint = [(); 3].map(|()| 0.15 * normal.draw());
        Self { grey, tint, contrast: stream.random_range(0.3..0.9), chroma: stream.random_range(0.05..0.35) }
    }

    /// Draws a reflectance, `[red, green, blue]`.
    fn colour(&self, stream: &mut Stream) -> [f32; 3] {
        let mut normal = Normal::new(stream);
        let grey = self.grey + self.contrast * normal.draw();
        self.tint.map(|tint| (grey + tint + self.chroma * normal.draw()).exp())
    }
}

/// A leaf: the superellipse |u|^p + |v|^p < 1 with p = 1 (a rhombus), 2 (an ellipse), 4 or 8 (rounded rectangles).
struct Leaf {
    centre: [f32; 2],
    /// The matrix from a position relative to the centre to (u, v).
    axes: [[f32; 2]; 2],
    /// The largest distance of the leaf from its centre in samples.
    reach: f32,
    exponent: i32,
    colour: [f32; 3],
    texture_amplitude: f32,
    texture_shift: [usize; 2],
    shading: [f32; 2],
}

impl Leaf {
    fn draw(side: f32, palette: &Palette, stream: &mut Stream) -> Self {
        let radius = radius(4.0, 0.6 * side, stream.random());
        let (sin, cos) = (TAU * stream.random::<f32>()).sin_cos();
        let stretch = stream.random_range(1.0..2.0_f32).sqrt();
        let (long, short) = (radius * stretch, radius / stretch);
        let exponent = 1 << stream.random_range(0..4);
        Self {
            centre: [(); 2].map(|()| side * stream.random_range(-0.2..1.2)),
            axes: [[cos / long, sin / long], [-sin / short, cos / short]],
            // The corner of a rectangle, p = infinity, is the upper bound for all p.
            reach: (long * long + short * short).sqrt(),
            exponent,
            colour: palette.colour(stream),
            texture_amplitude: stream.random_range(0.0..0.2),
            texture_shift: [(); 2].map(|()| stream.random_range(0..4096)),
            shading: [(); 2].map(|()| stream.random_range(-0.3..0.3)),
        }
    }

    /// Returns (u, v) of a sample if the leaf covers it.
    fn covers(&self, x: usize, y: usize) -> Option<[f32; 2]> {
        let position = [x as f32 - self.centre[0], y as f32 - self.centre[1]];
        let uv = self.axes.map(|axis| axis[0] * position[0] + axis[1] * position[1]);
        let inside = uv[0].abs().powi(self.exponent) + uv[1].abs().powi(self.exponent) < 1.0;
        inside.then_some(uv)
    }

    fn radiance(&self, x: usize, y: usize, uv: [f32; 2], texture: &Texture) -> [f32; 3] {
        let shading = self.shading[0] * uv[0] + self.shading[1] * uv[1];
        let value = texture.at(x + self.texture_shift[0], y + self.texture_shift[1]);
        let factor = (shading + self.texture_amplitude * value).exp();
        self.colour.map(|channel| channel * factor)
    }
}

/// Converts a uniform number between 0 and 1 to a radius between `smallest` and `largest` with density 1/r^3, by
/// inversion of the cumulative distribution.
fn radius(smallest: f32, largest: f32, uniform: f32) -> f32 {
    let (inner, outer) = (smallest.powi(-2), largest.powi(-2));
    (inner - uniform * (inner - outer)).powf(-0.5)
}

/// The scene while leaves are added; uncovered samples are `None`.
struct Canvas {
    side: usize,
    samples: Vec<Option<[f32; 3]>>,
    uncovered: usize,
}

impl Canvas {
    fn new(side: usize) -> Self {
        Self { side, samples: vec![None; side * side], uncovered: side * side }
    }

    /// Adds a leaf behind all others.
    fn add(&mut self, leaf: &Leaf, texture: &Texture) {
        let span = |centre: f32| {
            let first = (centre - leaf.reach).max(0.0) as usize;
            let end = (centre + leaf.reach + 1.0).clamp(0.0, self.side as f32) as usize;
            first..end
        };
        for y in span(leaf.centre[1]) {
            for x in span(leaf.centre[0]) {
                let sample = &mut self.samples[y * self.side + x];
                if sample.is_none()
                    && let Some(uv) = leaf.covers(x, y)
                {
                    *sample = Some(leaf.radiance(x, y, uv, texture));
                    self.uncovered -= 1;
                }
            }
        }
    }

    fn finish(self, background: [f32; 3]) -> Radiance {
        Radiance {
            width: self.side,
            height: self.side,
            samples: self.samples.into_iter().map(|sample| sample.unwrap_or(background)).collect(),
        }
    }
}

/// The light on a scene: the exposure, and a gradient across the image.
struct Light {
    mean: f32,
    slope: [f32; 2],
}

impl Light {
    fn draw(stream: &mut Stream) -> Self {
        Self { mean: stream.random_range(0.10..0.28), slope: [(); 2].map(|()| stream.random_range(-0.8..0.8)) }
    }

    /// Scales the scene so that its mean is the exposure, and clips it at the saturation of the sensor.
    fn illuminate(&self, scene: Radiance) -> Radiance {
        let sum: f32 = scene.samples.iter().flatten().sum();
        let gain = self.mean * (3 * scene.samples.len()) as f32 / sum.max(f32::MIN_POSITIVE);
        let centred = |pixel: usize, side: usize| pixel as f32 / side as f32 - 0.5;
        Radiance::from_fn(scene.width, scene.height, |x, y| {
            let slope = self.slope[0] * centred(x, scene.width) + self.slope[1] * centred(y, scene.height);
            scene.samples[y * scene.width + x].map(|value| (value * gain * slope.exp()).min(1.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use artifacts::random::stream;

    use super::*;

    #[test]
    fn scene_has_size_and_exposure() {
        let scene = draw(48, &mut stream(1, "scene test", &[]));
        assert_eq!((scene.width, scene.height), (96, 96));
        assert!(scene.samples.iter().flatten().all(|v| (0.0..=1.0).contains(v)));
        let mean: f32 = scene.samples.iter().flatten().sum::<f32>() / (3.0 * 96.0 * 96.0);
        assert!((0.05..0.35).contains(&mean), "{mean}");
    }

    #[test]
    fn radii_have_inverse_cube_density() {
        // The median of 1/r^3 between 1 and infinity is the square root of 2.
        assert!((radius(1.0, 1e6, 0.5) - 2.0_f32.sqrt()).abs() < 1e-3);
        assert!((radius(1.5, 40.0, 0.0) - 1.5).abs() < 1e-4);
        assert!((radius(1.5, 40.0, 1.0) - 40.0).abs() < 1e-2);
    }
}
