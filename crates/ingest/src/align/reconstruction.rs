//! Reconstruction of a photograph by a simulated decoder, and its mixing with the photograph.

use std::ops::Range;

use artifacts::random::{self, StandardNormal, Stream};
use pixels::RgbImage;
use pixels::encode::{FileStyle, StyleError};
use rand::RngExt;
use sources::simulated::{Decoder, Radiance, Upsampling, closest_in_size, to_bytes};

use super::config::AlignConfig;
use super::mix::{Mix, combine};

/// The largest number of pixels that are reconstructed at once, because floating-point images take much memory.
const STRIP_PIXELS: usize = 1 << 20;
/// The side of the part of a photograph, in its centre, that the level of the noise is chosen for. A multiple of the
/// blocks of JPEG.
const MATCHED_SIDE: usize = 768;

/// The reconstruction of one photograph: how it is reduced, enlarged again and mixed.
pub(super) struct Reconstruction<'a> {
    picture: &'a RgbImage,
    enlargement: Enlargement,
    mixes: Vec<Mix>,
}

/// How the reconstruction is enlarged.
enum Enlargement {
    /// By simulated decoders, one for each doubling; with the seed of the noise.
    Simulated { decoders: Vec<Decoder>, noise: u64 },
    /// By an autoencoder, whose result this is.
    Done(RgbImage),
}

/// A part of an image in pixels.
#[derive(Clone)]
struct Area {
    columns: Range<usize>,
    rows: Range<usize>,
}

impl<'a> Reconstruction<'a> {
    /// Draws the reconstruction of a photograph by simulated decoders with this up-sampling.
    pub(super) fn draw(
        picture: &'a RgbImage,
        upsampling: Upsampling,
        config: &AlignConfig,
        stream: &mut Stream,
    ) -> Reconstruction<'a> {
        let factor = config.factors[stream.random_range(0..config.factors.len())];
        let decoders = (0..factor.ilog2()).map(|_| Decoder::draw(upsampling, stream)).collect();
        let enlargement = Enlargement::Simulated { decoders, noise: stream.random() };
        Reconstruction { picture, enlargement, mixes: Mix::draw(config, stream) }
    }

    /// The reconstruction of a photograph by an autoencoder, with its result.
    pub(super) fn by_autoencoder(
        picture: &'a RgbImage,
        result: RgbImage,
        config: &AlignConfig,
        stream: &mut Stream,
    ) -> Reconstruction<'a> {
        Reconstruction { picture, enlargement: Enlargement::Done(result), mixes: Mix::draw(config, stream) }
    }

    /// The factor by which the photograph is reduced here.
    fn factor(&self) -> usize {
        match &self.enlargement {
            Enlargement::Simulated { decoders, .. } => 1 << decoders.len(),
            Enlargement::Done(_) => 1,
        }
    }

    /// Reconstructs the whole photograph. With `matched`, simulated decoders add noise, so much that the centre of the
    /// photograph takes as many bytes as before in this style.
    pub(super) fn image(&self, matched: Option<&FileStyle>) -> Result<RgbImage, StyleError> {
        let level = match matched {
            Some(style) => self.noise_level(style)?,
            None => 0.0,
        };
        let (width, height) = (self.picture.width() as usize, self.picture.height() as usize);
        let rows = (STRIP_PIXELS / width).max(self.factor());
        let mut data = Vec::with_capacity(width * height * 3);
        for start in (0..height).step_by(rows) {
            let area = Area { columns: 0..width, rows: start..(start + rows).min(height) };
            data.extend(to_bytes(&self.part(&area, level)).into_data());
        }
        RgbImage::new(self.picture.width(), self.picture.height(), data)
            .map_err(|error| StyleError::Encoder(error.to_string()))
    }

    /// Returns the level of the noise with which the centre of the reconstruction takes as many bytes as the centre of the
    /// photograph.
    fn noise_level(&self, style: &FileStyle) -> Result<f32, StyleError> {
        let style = style.without_metadata();
        let Enlargement::Simulated { .. } = &self.enlargement else { return Ok(0.0) };
        let centre = |side: u32| {
            let side = side as usize;
            let start = side.saturating_sub(MATCHED_SIDE) / 2 / 16 * 16;
            start..(start + MATCHED_SIDE).min(side)
        };
        let area = Area { columns: centre(self.picture.width()), rows: centre(self.picture.height()) };
        let target = style.save(&to_bytes(&picture_part(self.picture, &area)))?.len();
        let (base, noise) = (self.base(&area), self.noise(&area));
        let save = |level: f32| {
            let noisy = combine(&base, &noise, |base, noise| base + level * noise);
            Ok::<_, StyleError>((level, style.save(&to_bytes(&noisy))?.len()))
        };
        // Noise is needed only if the file would be shorter without it.
        if save(0.0)?.1 >= target {
            return Ok(0.0);
        }
        Ok(closest_in_size(target, save, |(_, length)| *length)?.map_or(0.0, |(level, _)| level))
    }

    /// Reconstructs a part of the photograph.
    fn part(&self, area: &Area, level: f32) -> Radiance {
        let base = self.base(area);
        if level == 0.0 { base } else { combine(&base, &self.noise(area), |base, noise| base + level * noise) }
    }

    /// Reconstructs a part of the photograph without noise.
    fn base(&self, area: &Area) -> Radiance {
        let outer = self.outer(area);
        let picture = picture_part(self.picture, &outer);
        let mut decoded = match &self.enlargement {
            Enlargement::Simulated { decoders, .. } => {
                let low = picture.block_means(self.factor());
                decoders.iter().fold(low, |low, decoder| decoder.decode(&low))
            }
            Enlargement::Done(result) => picture_part(result, &outer),
        };
        for mix in &self.mixes {
            decoded = mix.apply(&decoded, &picture);
        }
        cut(&decoded, &outer, area)
    }

    /// Returns what noise of level 1, added before the last doubling, adds to a part of the reconstruction.
    fn noise(&self, area: &Area) -> Radiance {
        let outer = self.outer(area);
        let mut noise = match &self.enlargement {
            Enlargement::Simulated { decoders, noise } => {
                let low = low_noise(*noise, &outer);
                decoders.last().map_or_else(|| low.clone(), |decoder| decoder.decode(&low))
            }
            Enlargement::Done(_) => Radiance::from_fn(outer.columns.len(), outer.rows.len(), |_, _| [0.0; 3]),
        };
        for mix in &self.mixes {
            noise = mix.apply_to_noise(&noise);
        }
        cut(&noise, &outer, area)
    }

    /// Returns an area with everything around it that its reconstruction depends on. Its borders are multiples of the
    /// factor. It may exceed the photograph, whose last row and column are then repeated.
    fn outer(&self, area: &Area) -> Area {
        let factor = self.factor();
        let reach = 4 * factor + self.mixes.iter().map(|mix| mix.reach()).sum::<usize>();
        let side = |inner: &Range<usize>, length: u32| {
            let start = inner.start.saturating_sub(reach) / factor * factor;
            let end = (inner.end + reach).min(length as usize).next_multiple_of(factor);
            start..end
        };
        Area { columns: side(&area.columns, self.picture.width()), rows: side(&area.rows, self.picture.height()) }
    }
}

/// Draws the noise of level 1 of an area at half its resolution.
fn low_noise(seed: u64, area: &Area) -> Radiance {
    let columns = area.columns.start / 2..area.columns.end / 2;
    let mut samples = Vec::with_capacity(columns.len() * area.rows.len() / 2);
    for row in area.rows.start / 2..area.rows.end / 2 {
        // A stream for each row, so that a part has the same noise as the whole.
        let mut stream = random::stream(seed, "align noise", &[row as u64]);
        let mut values = Vec::with_capacity(3 * columns.end + 1);
        while values.len() < 3 * columns.end {
            values.extend(f32::draw_pair(&mut stream));
        }
        let (pixels, _) = values[3 * columns.start..3 * columns.end].as_chunks::<3>();
        samples.extend_from_slice(pixels);
    }
    Radiance { width: columns.len(), height: area.rows.len() / 2, samples }
}

/// Returns a part of a photograph in values from 0 to 1. Its last row and column are repeated beyond its border.
fn picture_part(picture: &RgbImage, area: &Area) -> Radiance {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Radiance::from_fn(area.columns.len(), area.rows.len(), |x, y| {
        let (x, y) = ((area.columns.start + x).min(width - 1), (area.rows.start + y).min(height - 1));
        let at = 3 * (y * width + x);
        [at, at + 1, at + 2].map(|at| f32::from(picture.data()[at]) / 255.0)
    })
}

/// Cuts `area` out of an image of `outer`.
fn cut(image: &Radiance, outer: &Area, area: &Area) -> Radiance {
    let (left, top) = (area.columns.start - outer.columns.start, area.rows.start - outer.rows.start);
    Radiance::from_fn(area.columns.len(), area.rows.len(), |x, y| image.samples[(top + y) * image.width + left + x])
}

#[cfg(test)]
mod tests {
    use pixels::Format;
    use pixels::encode::{Subsampling, jpeg};

    use super::super::config::{Band, FrequencyMix};
    use super::*;

    fn picture(width: u32, height: u32) -> RgbImage {
        let mut stream = random::stream(3, "picture", &[]);
        RgbImage::from_fn(width, height, |x, y| {
            let slow = 128.0 + 60.0 * (x as f32 / 9.0).sin() + 40.0 * (y as f32 / 7.0).cos();
            [0, 1, 2].map(|_| (slow + stream.random_range(-12.0..12.0)) as u8)
        })
    }

    fn config(factor: u32) -> AlignConfig {
        let mix_frequencies = FrequencyMix { probability: 1.0, band: Band::Low, ..FrequencyMix::default() };
        AlignConfig { factors: vec![factor], mix_frequencies, ..AlignConfig::default() }
    }

    #[test]
    fn parts_equal_the_whole() {
        let picture = picture(61, 75);
        for factor in [2, 4, 8] {
            let mut stream = random::stream(1, "parts", &[]);
            let made = Reconstruction::draw(&picture, Upsampling::TransposedConvolution, &config(factor), &mut stream);
            let whole = made.part(&Area { columns: 0..61, rows: 0..75 }, 0.1);
            for (columns, rows) in [(0..61, 30..75), (16..40, 0..33), (21..22, 74..75)] {
                let area = Area { columns, rows };
                let part = made.part(&area, 0.1);
                let expected = cut(&whole, &Area { columns: 0..61, rows: 0..75 }, &area);
                let differs = |(a, b): (&[f32; 3], &[f32; 3])| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-5);
                assert!(!part.samples.iter().zip(&expected.samples).any(differs), "{factor}");
            }
        }
    }

    #[test]
    fn noise_makes_the_file_as_long_as_the_photograph() {
        let picture = picture(200, 160);
        let file = jpeg(&picture, 90, Subsampling::Quarter).unwrap();
        let style = FileStyle::read(&file, Format::Jpeg, &picture).unwrap();
        let mut stream = random::stream(1, "length", &[]);
        let made = Reconstruction::draw(&picture, Upsampling::Bilinear, &AlignConfig::default(), &mut stream);
        let length = |image: RgbImage| style.save(&image).unwrap().len() as f64 / file.len() as f64;
        let (without, with) = (length(made.image(None).unwrap()), length(made.image(Some(&style)).unwrap()));
        assert!(without < 0.9 && (with - 1.0).abs() < 0.02, "{without} {with}");
    }

    #[test]
    fn decoders_leave_periodic_traces() {
        // Of a flat picture, only the checkerboard of a transposed convolution is left.
        let flat = RgbImage::from_fn(40, 40, |_, _| [120; 3]);
        let traces = |decoder| {
            let mut stream = random::stream(5, "traces", &[]);
            let made = Reconstruction::draw(&flat, decoder, &AlignConfig::default(), &mut stream);
            let image = made.image(None).unwrap();
            assert_eq!((image.width(), image.height()), (40, 40));
            !image.is_one_colour()
        };
        assert!(traces(Upsampling::TransposedConvolution) && traces(Upsampling::PixelShuffle));
        assert!(!traces(Upsampling::Nearest) && !traces(Upsampling::Bilinear));
    }
}
