//! A simulated data set, made from a seed: it carries no licence, needs no network, and can have any size.
//!
//! Every picture starts as a procedural scene. A real one is then taken by a simulated camera: lens blur, Bayer mosaic,
//! shot and read noise, demosaicing, tone curve, JPEG. A fake one is decoded by a simulated generator: the scene at half
//! the resolution, one of several up-samplings, a smoothing convolution, JPEG. Both draw their scenes, exposures, tone
//! curves and JPEG settings alike, carry the same metadata (none), and have as many bytes as a budget allows that is
//! made from the scene alone; so the class is in the traces of how the picture came to be, and nowhere else.
//!
//! A picture is a function of ([`Spec`], index): any number of threads, in any order, make the same bytes.

mod budget;
mod camera;
mod demosaic;
mod generator;
mod noise;
mod radiance;
mod scene;
mod spec;
mod texture;
mod tone;
mod upsampling;

use artifacts::random::{self, Stream};
use artifacts::{Label, Split};
use pixels::encode::{self, JpegSizeError, Subsampling};
use rand::RngExt;

use camera::Exposure;
use generator::Features;
use noise::Normal;
use radiance::{Radiance, add_scaled};
use scene::OVERSAMPLING;
pub use spec::{Entry, Spec, SpecError};
use tone::ToneCurve;
pub use upsampling::Upsampling;

/// One picture of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The path as a folder would have it, e.g. `train/fake/pixel_shuffle/000123.jpg`.
    pub path: String,
    /// The class.
    pub label: Label,
    /// The split.
    pub split: Split,
    /// The simulated generator's name; empty for a real picture.
    pub generator: &'static str,
    /// The file.
    pub jpeg: Vec<u8>,
}

impl Spec {
    /// Makes picture `index`, which is below [`Spec::len`].
    ///
    /// # Errors
    /// If a side is more than JPEG can hold, which [`Spec`]'s parsing rules out.
    pub fn sample(&self, index: u64) -> Result<Sample, JpegSizeError> {
        let entry = self.entry(index);
        let keys = [entry.split as u64, entry.place];
        // One stream for what both classes draw alike, and one for what each path draws for itself.
        let mut common = random::stream(self.seed, "simulated scene", &keys);
        let mut own = random::stream(self.seed, "simulated path", &keys);

        let scene = scene::draw(self.size, &mut common);
        let tone = ToneCurve::draw(&mut common);
        let settings = JpegSettings::draw(&mut common);
        let budget = settings.encode(&sketch(&scene, tone, &mut common))?.len();
        let jpeg = match entry.generator {
            None => {
                let exposure = Exposure::take(&scene, tone, &mut own);
                budget::spend(budget, |noise| settings.encode(&exposure.develop(noise)))
            }
            Some(upsampling) => {
                let features = Features::imagine(&scene, tone, upsampling, self.seed, &mut own);
                budget::spend(budget, |noise| settings.encode(&features.decode(noise)))
            }
        }?;
        Ok(Sample {
            path: entry.path(),
            label: entry.label(),
            split: entry.split,
            generator: entry.generator.map_or("", Upsampling::name),
            jpeg,
        })
    }
}

/// A picture of the scene that neither path makes, white noise on it, in display values: its file's length is the budget.
fn sketch(scene: &Radiance, tone: ToneCurve, stream: &mut Stream) -> Radiance {
    let noise_level = stream.random_range(0.015..0.035);
    let mut normal = Normal::new(stream);
    let soft = scene.gaussian_blur(0.7 * OVERSAMPLING as f32);
    soft.block_means(OVERSAMPLING).map(|mut light| {
        let noise = light.map(|light| noise::deviation(light) * normal.draw());
        add_scaled(&mut light, noise, noise_level);
        light.map(|value| tone.display(value))
    })
}

/// How a picture is saved. Both classes draw from the same settings.
#[derive(Clone, Copy, Debug)]
struct JpegSettings {
    quality: u8,
    subsampling: Subsampling,
}

impl JpegSettings {
    fn draw(stream: &mut Stream) -> Self {
        Self {
            quality: stream.random_range(92..=98),
            subsampling: if stream.random() { Subsampling::Full } else { Subsampling::Quarter },
        }
    }

    fn encode(self, picture: &Radiance) -> Result<Vec<u8>, JpegSizeError> {
        encode::jpeg(&tone::to_bytes(picture), self.quality, self.subsampling)
    }
}
