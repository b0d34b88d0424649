//! Simulated data sets, generated from a seed. They need no licence and no network, and can have any size.
//!
//! Every image starts as a procedural scene. Real images pass through a simulated camera: lens blur, Bayer mosaic, shot
//! and read noise, demosaicing, tone curve, JPEG. Fake images pass through the decoder of a simulated generator: the
//! scene at half the resolution, one of several up-samplings, a convolution that corrects the sharpness, JPEG. Scenes,
//! exposures, tone curves, JPEG settings and file sizes (see `simulated/file_size.rs`) have the same distributions in
//! both classes, and no file has metadata. The classes therefore differ only in the traces of how an image was made.
//!
//! The parts of the simulated decoder are public: `ingest.align` reconstructs photographs with them.
//!
//! The bytes of an image depend only on the [`SimulatedSet`] and the index. The number and the order of threads have no
//! effect.

mod camera;
mod decoder;
mod demosaic;
mod file_size;
mod generator;
mod noise;
mod radiance;
mod scene;
mod set;
mod texture;
mod tone;
mod upsampling;

use artifacts::random::{self, Stream};
use artifacts::{Label, Split};
use pixels::encode::{self, JpegSizeError, Subsampling};
use rand::RngExt;

use camera::Exposure;
pub use decoder::Decoder;
pub use file_size::closest_in_size;
use generator::Features;
use noise::Normal;
pub use radiance::Radiance;
use radiance::add_scaled;
use scene::OVERSAMPLING;
pub use set::{SimulatedEntry, SimulatedSet, SimulatedSetError};
use tone::ToneCurve;
pub use tone::to_bytes;
pub use upsampling::Upsampling;

/// One image of a simulated set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedImage {
    /// The path, as if the set were a folder: `train/fake/pixel_shuffle/000123.jpg`.
    pub path: String,
    /// The label.
    pub label: Label,
    /// The split.
    pub split: Split,
    /// The name of the simulated generator; empty for real images.
    pub generator: &'static str,
    /// The bytes of the file.
    pub jpeg: Vec<u8>,
}

impl SimulatedSet {
    /// Makes image `index`, which must be below [`SimulatedSet::len`].
    ///
    /// # Errors
    /// A side is longer than JPEG allows. This cannot happen for a [`SimulatedSet`] that was parsed.
    pub fn image(&self, index: u64) -> Result<SimulatedImage, JpegSizeError> {
        let entry = self.entry(index);
        let keys = [entry.split as u64, entry.index_in_split];
        // One stream for the steps that both classes share, another for the steps of one class.
        let mut shared = random::stream(self.seed, "simulated scene", &keys);
        let mut class_specific = random::stream(self.seed, "simulated path", &keys);

        let scene = scene::draw(self.size, &mut shared);
        let tone = ToneCurve::draw(&mut shared);
        let settings = JpegSettings::draw(&mut shared);
        let target_bytes = settings.encode(&reference_image(&scene, tone, &mut shared))?.len();
        let jpeg = match entry.generator {
            None => {
                let exposure = Exposure::take(&scene, tone, &mut class_specific);
                file_size::encode_to_size(target_bytes, |noise| settings.encode(&exposure.develop(noise)))
            }
            Some(upsampling) => {
                let features = Features::render(&scene, tone, upsampling, self.seed, &mut class_specific);
                file_size::encode_to_size(target_bytes, |noise| settings.encode(&features.decode(noise)))
            }
        }?;
        Ok(SimulatedImage {
            path: entry.path(),
            label: entry.label(),
            split: entry.split,
            generator: entry.generator.map_or("", Upsampling::name),
            jpeg,
        })
    }
}

/// Renders the scene with white noise, in display values. Neither class uses this image. Only the size of its file
/// matters, which is the target size for both classes.
fn reference_image(scene: &Radiance, tone: ToneCurve, stream: &mut Stream) -> Radiance {
    let noise_level = stream.random_range(0.015..0.035);
    let mut normal = Normal::new(stream);
    let soft = scene.gaussian_blur(0.7 * OVERSAMPLING as f32);
    soft.block_means(OVERSAMPLING).map(|mut light| {
        let noise = light.map(|light| noise::deviation(light) * normal.draw());
        add_scaled(&mut light, noise, noise_level);
        light.map(|value| tone.display(value))
    })
}

/// JPEG settings, drawn from the same distribution for both classes.
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
