//! The table `[ingest.align]`.

use artifacts::config::OutOfRange;
use artifacts::stage::to_json;
use artifacts::{Split, names};
use autoencoder::VaeSource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sources::simulated::Upsampling;

/// Pseudo-fakes: reconstructions of the photographs, which differ from them in the traces of a decoder alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlignConfig {
    /// The decoders: `nearest`, `bilinear`, `transposed_convolution` and `pixel_shuffle` double a picture with kernels
    /// that are drawn for each photograph; `vae` is the autoencoder `vae`. Each photograph is reconstructed by one of
    /// them, drawn from `ingest.seed` and its content. Default: the first four.
    #[schemars(extend("x-range" = "a list of at least one decoder"))]
    pub decoders: Vec<DecoderName>,
    /// The factors by which a photograph is reduced before a decoder enlarges it again; one is drawn for each photograph.
    /// Default: 2.
    #[schemars(extend("x-range" = "a list of 2, 4 and 8"))]
    pub factors: Vec<u32>,
    /// The splits whose photographs are reconstructed. Leave out `test` to test a model on collected fakes alone. Default:
    /// all.
    #[schemars(extend("x-range" = "a list of train, val and test"))]
    pub splits: Vec<Split>,
    /// The autoencoder of a diffusion model for the decoder `vae`: `hf:owner/repo[/file][@revision]`, or a safetensors
    /// file under diffusers' names with `config.json` beside it. It runs on the processor, which is slow.
    #[schemars(
        with = "Option<String>",
        extend("x-range" = "hf:owner/repo[/file][@revision], or the path of a safetensors file")
    )]
    pub vae: Option<VaeSource>,
    /// The side in pixels of the tiles in which the autoencoder reconstructs larger photographs. Tiles overlap by a
    /// quarter. Larger tiles take more memory. Default: 256.
    #[schemars(range(min = 64, max = 2048))]
    pub vae_tile: u32,
    /// Whether noise is added before the last enlargement, so much that a pseudo-fake compresses like its photograph.
    /// Without it, pseudo-fakes are smoother than photographs, and their files shorter. An autoencoder adds none. Default:
    /// true.
    pub match_file_size: bool,
    /// Mixes some pseudo-fakes with their photographs. Default: none.
    pub mix_pixels: PixelMix,
    /// Gives some pseudo-fakes the low or the high frequencies of their photographs. Default: none.
    pub mix_frequencies: FrequencyMix,
}

/// A decoder that reconstructs photographs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecoderName {
    /// Repeats each value in a block of 2 x 2.
    Nearest,
    /// Interpolates between two values in each direction.
    Bilinear,
    /// A transposed convolution with stride 2, whose overlap leaves a checkerboard.
    TransposedConvolution,
    /// A sub-pixel convolution: slightly different filters for each position in a block of 2 x 2.
    PixelShuffle,
    /// The autoencoder of a diffusion model.
    Vae,
}

impl DecoderName {
    /// The up-sampling of a simulated decoder; `None` for an autoencoder.
    pub(super) fn upsampling(self) -> Option<Upsampling> {
        match self {
            DecoderName::Nearest => Some(Upsampling::Nearest),
            DecoderName::Bilinear => Some(Upsampling::Bilinear),
            DecoderName::TransposedConvolution => Some(Upsampling::TransposedConvolution),
            DecoderName::PixelShuffle => Some(Upsampling::PixelShuffle),
            DecoderName::Vae => None,
        }
    }

    /// The name in generators and paths of pseudo-fakes.
    pub(super) fn name(self) -> &'static str {
        self.upsampling().map_or("vae", Upsampling::name)
    }
}

/// Mixing of a pseudo-fake with its photograph, pixel by pixel (DDA, arXiv 2505.14359, which draws the share up to 0.8 in
/// a fifth of the cases).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PixelMix {
    /// The probability that a pseudo-fake is mixed. Default: 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// Lowest and highest share of the photograph; drawn uniformly. Default: [0, 0.8].
    #[schemars(extend("x-range" = "[low, high] with 0 <= low <= high < 1"))]
    pub share: [f32; 2],
}

/// Mixing of a band of frequencies. A Gaussian filter divides an image into low and high frequencies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FrequencyMix {
    /// The probability that a pseudo-fake is mixed. Default: 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// The frequencies that come from the photograph: `low` (a pseudo-fake keeps its traces and gets the brightness and
    /// colours of the photograph) or `high` (it gets the details of the photograph). Default: low.
    pub band: Band,
    /// Lowest and highest share of the photograph in the band; drawn uniformly. Default: [1, 1].
    #[schemars(extend("x-range" = "[low, high] with 0 <= low <= high <= 1"))]
    pub share: [f32; 2],
    /// Lowest and highest standard deviation of the filter in pixels; drawn uniformly. Default: [1, 4].
    #[schemars(extend("x-range" = "[low, high] with 0.3 <= low <= high <= 20"))]
    pub sigma: [f32; 2],
}

/// A band of frequencies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Band {
    /// What the filter keeps.
    #[default]
    Low,
    /// What the filter removes.
    High,
}

impl Default for AlignConfig {
    fn default() -> Self {
        use DecoderName::{Bilinear, Nearest, PixelShuffle, TransposedConvolution};
        AlignConfig {
            decoders: vec![Nearest, Bilinear, TransposedConvolution, PixelShuffle],
            factors: vec![2],
            splits: Split::ALL.to_vec(),
            vae: None,
            vae_tile: 256,
            match_file_size: true,
            mix_pixels: PixelMix::default(),
            mix_frequencies: FrequencyMix::default(),
        }
    }
}

impl Default for PixelMix {
    fn default() -> Self {
        PixelMix { probability: 0.0, share: [0.0, 0.8] }
    }
}

impl Default for FrequencyMix {
    fn default() -> Self {
        FrequencyMix { probability: 0.0, band: Band::Low, share: [1.0, 1.0], sigma: [1.0, 4.0] }
    }
}

impl AlignConfig {
    /// The example in the documentation of the keys.
    pub(crate) fn example() -> serde_json::Value {
        use DecoderName::{PixelShuffle, Vae};
        let vae = "hf:stabilityai/sd-vae-ft-mse".parse().ok();
        to_json(&AlignConfig { decoders: vec![PixelShuffle, Vae], vae, ..AlignConfig::default() })
    }

    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub(crate) fn validate(&self) -> Result<(), OutOfRange> {
        let error = |key, value: String, range: &'static str| Err(OutOfRange::new(names::INGEST, key, value, range));
        if self.decoders.is_empty() {
            return error("align.decoders", "[]".to_owned(), "a list of at least one decoder");
        }
        match (&self.vae, self.decoders.contains(&DecoderName::Vae)) {
            (None, true) => {
                let range = "hf:owner/repo[/file] or a safetensors file, because ingest.align.decoders has \"vae\"";
                return error("align.vae", "not set".to_owned(), range);
            }
            (Some(_), false) => {
                let names: Vec<&str> = self.decoders.iter().map(|decoder| decoder.name()).collect();
                return error(
                    "align.decoders",
                    format!("{names:?}"),
                    "a list with \"vae\", because ingest.align.vae is set",
                );
            }
            _ => {}
        }
        if !(64..=2048).contains(&self.vae_tile) {
            return error("align.vae_tile", self.vae_tile.to_string(), "64 to 2048");
        }
        if self.splits.is_empty() {
            return error("align.splits", "[]".to_owned(), "a list of at least one of train, val and test");
        }
        if self.factors.is_empty() || !self.factors.iter().all(|factor| matches!(factor, 2 | 4 | 8)) {
            return error("align.factors", format!("{:?}", self.factors), "a list of 2, 4 and 8");
        }
        for (key, probability) in [
            ("align.mix_pixels.probability", self.mix_pixels.probability),
            ("align.mix_frequencies.probability", self.mix_frequencies.probability),
        ] {
            if !(0.0..=1.0).contains(&probability) {
                return error(key, probability.to_string(), "0 to 1");
            }
        }
        let is_range = |[low, high]: [f32; 2], least: f32, most: f32| least <= low && low <= high && high <= most;
        let [_, most] = self.mix_pixels.share;
        // A pseudo-fake that is the whole photograph would be a photograph with the label of a fake.
        if !is_range(self.mix_pixels.share, 0.0, 1.0) || most >= 1.0 {
            let range = "[low, high] with 0 <= low <= high < 1";
            return error("align.mix_pixels.share", format!("{:?}", self.mix_pixels.share), range);
        }
        let FrequencyMix { share, sigma, .. } = self.mix_frequencies;
        if !is_range(share, 0.0, 1.0) {
            let range = "[low, high] with 0 <= low <= high <= 1";
            return error("align.mix_frequencies.share", format!("{share:?}"), range);
        }
        if !is_range(sigma, 0.3, 20.0) {
            let range = "[low, high] with 0.3 <= low <= high <= 20";
            return error("align.mix_frequencies.sigma", format!("{sigma:?}"), range);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_key() {
        let message = |config: AlignConfig| config.validate().unwrap_err().to_string();
        let base = AlignConfig::default();
        assert_eq!(base.validate(), Ok(()));
        assert_eq!(
            message(AlignConfig { factors: vec![2, 3], ..base.clone() }),
            "ingest.align.factors must be a list of 2, 4 and 8, but is [2, 3]"
        );
        assert!(message(AlignConfig { decoders: vec![], ..base.clone() }).contains("align.decoders"));
        let decoders = vec![DecoderName::Vae];
        assert!(
            message(AlignConfig { decoders, ..base.clone() }).starts_with("ingest.align.vae must be hf:owner/repo")
        );
        let vae = "vae.safetensors".parse().ok();
        assert!(message(AlignConfig { vae, ..base.clone() }).contains("align.decoders must be a list with \"vae\""));
        assert!(message(AlignConfig { vae_tile: 8, ..base.clone() }).contains("align.vae_tile"));
        assert!(message(AlignConfig { splits: vec![], ..base.clone() }).contains("align.splits"));
        for share in [[0.5, 0.2], [-0.1, 0.5], [0.0, 1.0], [0.0, f32::NAN]] {
            let mix_pixels = PixelMix { probability: 1.0, share };
            assert!(message(AlignConfig { mix_pixels, ..base.clone() }).contains("align.mix_pixels.share"));
        }
        let mix_pixels = PixelMix { probability: 1.5, ..PixelMix::default() };
        assert!(message(AlignConfig { mix_pixels, ..base.clone() }).contains("align.mix_pixels.probability"));
        let mix_frequencies = FrequencyMix { sigma: [0.0, 1.0], ..FrequencyMix::default() };
        assert!(message(AlignConfig { mix_frequencies, ..base }).contains("align.mix_frequencies.sigma"));
    }
}
