//! Pseudo-fakes, which are reconstructions of the photographs of the source (`ingest.align`).
//!
//! A detector learns what distinguishes the classes. If fakes were collected elsewhere, that is also their subjects,
//! sizes and compression. A reconstruction shows the same subject as its photograph, is saved in the same way, and differs
//! only in the traces of the decoder (DDA, arXiv 2505.14359; AlignedForensics, arXiv 2410.11835; B-Free, arXiv
//! 2412.17671).
//!
//! A pseudo-fake is always in the split of its photograph. It depends only on the configuration, the seed and the
//! content of the photograph.

pub(crate) mod config;
mod mix;
mod reconstruction;

use artifacts::failure::chain;
use artifacts::hash::{self, Hash};
use artifacts::random::Stream;
use artifacts::stage::Failure;
use artifacts::{Label, Split, names, random};
use autoencoder::{Autoencoder, VaeSource};
use pixels::encode::FileStyle;
use pixels::{Format, Limits, decode};
use rand::RngExt;
use sources::Rejection;

pub use config::{AlignConfig, Band, DecoderName, FrequencyMix, PixelMix};
use reconstruction::Reconstruction;

use crate::Config;
use crate::select::Used;

/// A pseudo-fake.
pub(crate) struct PseudoFake {
    /// The generator: `reconstructed-` and the name of the decoder.
    pub(crate) generator: String,
    /// The encoded file, or the reason why the photograph cannot be reconstructed.
    pub(crate) file: Result<Vec<u8>, Rejection>,
}

impl PseudoFake {
    /// The path of a pseudo-fake: that of its photograph, and its generator.
    pub(crate) fn path(&self, photograph: &str) -> String {
        format!("{photograph}#{}", self.generator)
    }
}

impl AlignConfig {
    /// Whether a file gets a pseudo-fake.
    pub(crate) fn applies_to(&self, file: &Used) -> bool {
        file.label == Label::Real && self.splits.contains(&file.split)
    }

    /// The inputs of ingest besides the source: the autoencoder. A file is hashed by its content, and a name on the hub as
    /// text, so that an empty cache does not make an ingest stale.
    pub(crate) fn inputs(&self) -> Result<Option<Hash>, Failure> {
        match &self.vae {
            None => Ok(None),
            Some(VaeSource::Path(path)) => Ok(Some(hash::file(path).map_err(from_autoencoder)?)),
            Some(source) => Ok(source.hub_name().map(|name| Hash::of(name.as_bytes()))),
        }
    }

    /// Describes the download of the autoencoder. `None` if there is nothing to download.
    pub(crate) fn download_notice(&self) -> Result<Option<String>, hub::Error> {
        let name = self.vae.as_ref().and_then(VaeSource::hub_name);
        name.map_or(Ok(None), |name| hub::download_notice("autoencoder", &name))
    }
}

/// Makes pseudo-fakes.
pub(crate) struct Aligner {
    config: AlignConfig,
    seed: u64,
    autoencoder: Option<Autoencoder>,
}

impl Aligner {
    /// Opens the autoencoder, if there is one. `None` without `ingest.align`.
    ///
    /// # Errors
    /// The autoencoder cannot be downloaded or read.
    pub(crate) fn open(config: &Config) -> Result<Option<Aligner>, Failure> {
        let Some(align) = &config.align else { return Ok(None) };
        let open = |source: &VaeSource| Autoencoder::open(&source.resolve()?);
        let autoencoder = align.vae.as_ref().map(open).transpose().map_err(from_autoencoder)?;
        Ok(Some(Aligner { config: align.clone(), seed: config.seed, autoencoder }))
    }

    /// The same for the photographs of all splits.
    pub(crate) fn for_all_splits(self) -> Aligner {
        Aligner { config: AlignConfig { splits: Split::ALL.to_vec(), ..self.config }, ..self }
    }

    /// Whether a file gets a pseudo-fake.
    pub(crate) fn applies_to(&self, file: &Used) -> bool {
        self.config.applies_to(file)
    }

    /// Reconstructs the photograph in `file`, whose BLAKE3 hash is `id`.
    pub(crate) fn reconstruct(&self, id: Hash, file: &[u8], format: Format) -> PseudoFake {
        let (words, _) = id.as_bytes().as_chunks::<8>();
        let keys: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let mut stream = random::stream(self.seed, "align", &keys);
        let decoder = self.config.decoders[stream.random_range(0..self.config.decoders.len())];
        let generator = format!("{}{}", names::RECONSTRUCTED, decoder.name());
        PseudoFake { generator, file: self.encoded(file, format, decoder, &mut stream) }
    }

    fn encoded(
        &self,
        file: &[u8],
        format: Format,
        decoder: DecoderName,
        stream: &mut Stream,
    ) -> Result<Vec<u8>, Rejection> {
        fn failed(error: &(dyn std::error::Error + 'static)) -> Rejection {
            Rejection::new("not_reconstructed", chain(error))
        }
        // The file was decoded within the limits before.
        let picture = decode::decode_stored(file, &Limits { max_pixels: u64::MAX }).map_err(|error| failed(&error))?;
        let style = FileStyle::read(file, format, &picture).map_err(|error| failed(&error))?;
        let made = match (decoder.upsampling(), &self.autoencoder) {
            (Some(upsampling), _) => Reconstruction::draw(&picture, upsampling, &self.config, stream),
            (None, Some(autoencoder)) => {
                let result = autoencoder.reconstruct(&picture, self.config.vae_tile as usize);
                let result = result.map_err(|error| failed(&error))?;
                Reconstruction::by_autoencoder(&picture, result, &self.config, stream)
            }
            (None, None) => return Err(Rejection::new("not_reconstructed", "ingest.align.vae is not set")),
        };
        let image = made.image(self.config.match_file_size.then_some(&style)).map_err(|error| failed(&error))?;
        style.save(&image).map_err(|error| failed(&error))
    }
}

/// The failure to read `ingest.align.vae`.
fn from_autoencoder(error: impl std::error::Error + 'static) -> Failure {
    Failure::input(format!("ingest.align.vae: {}", chain(&error)))
}
