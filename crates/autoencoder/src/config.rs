//! `config.json` of an autoencoder, in the format of diffusers.

use std::fs;
use std::path::Path;

use candle_transformers::models::stable_diffusion::vae::AutoEncoderKLConfig;
use serde::Deserialize;

use crate::error::{Error, Result};

/// The keys of diffusers' `AutoencoderKL` that this crate reads. Others are ignored.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct VaeConfig {
    #[serde(rename = "_class_name")]
    class_name: Option<String>,
    in_channels: usize,
    out_channels: usize,
    block_out_channels: Vec<usize>,
    down_block_types: Vec<String>,
    up_block_types: Vec<String>,
    layers_per_block: usize,
    latent_channels: usize,
    #[serde(default = "default_groups")]
    norm_num_groups: usize,
    #[serde(default = "default_true")]
    use_quant_conv: bool,
    #[serde(default = "default_true")]
    use_post_quant_conv: bool,
    #[serde(default = "default_true")]
    mid_block_add_attention: bool,
    #[serde(default = "default_activation")]
    act_fn: String,
}

fn default_groups() -> usize {
    32
}

fn default_true() -> bool {
    true
}

fn default_activation() -> String {
    "silu".to_owned()
}

impl VaeConfig {
    /// Reads the file `config.json` in the folder of `weights`.
    pub(crate) fn beside(weights: &Path) -> Result<VaeConfig> {
        let path = weights.with_file_name("config.json");
        let text = fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let config: VaeConfig = serde_json::from_str(&text)
            .map_err(|error| Error::Config { path: path.clone(), problem: error.to_string() })?;
        match config.problem() {
            None => Ok(config),
            Some(problem) => Err(Error::Config { path, problem }),
        }
    }

    /// Returns why the network cannot be built. Limits keep a damaged file from taking all memory.
    fn problem(&self) -> Option<String> {
        let VaeConfig { class_name, block_out_channels: blocks, norm_num_groups: groups, .. } = self;
        let is = |problem: bool, text: &str| problem.then(|| text.to_owned());
        is(class_name.as_deref().is_some_and(|name| name != "AutoencoderKL"), "`_class_name` is not AutoencoderKL")
            .or_else(|| is((self.in_channels, self.out_channels) != (3, 3), "it does not have 3 channels"))
            .or_else(|| is(!(1..=6).contains(&blocks.len()), "`block_out_channels` does not have 1 to 6 entries"))
            .or_else(|| is(!(1..=4096).contains(groups), "`norm_num_groups` is not from 1 to 4096"))
            .or_else(|| {
                let fits = |channels: &usize| (1..=4096).contains(channels) && channels.is_multiple_of(*groups);
                is(
                    !blocks.iter().all(fits),
                    "`block_out_channels` is not divisible by `norm_num_groups`, or above 4096",
                )
            })
            .or_else(|| is(!(1..=8).contains(&self.layers_per_block), "`layers_per_block` is not from 1 to 8"))
            .or_else(|| is(!(1..=256).contains(&self.latent_channels), "`latent_channels` is not from 1 to 256"))
            .or_else(|| {
                let other =
                    |types: &[String], name: &str| types.len() != blocks.len() || types.iter().any(|t| t != name);
                let differs = other(&self.down_block_types, "DownEncoderBlock2D")
                    || other(&self.up_block_types, "UpDecoderBlock2D");
                is(differs, "it has blocks other than DownEncoderBlock2D and UpDecoderBlock2D")
            })
            .or_else(|| is(!self.mid_block_add_attention, "`mid_block_add_attention` is false"))
            .or_else(|| is(self.act_fn != "silu", "`act_fn` is not silu"))
    }

    /// The number of pixels in each direction that share a latent value. All blocks but the last halve an image.
    pub(crate) fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// The number of channels of the latent mean, and the name of the layer that computes mean and variance.
    pub(crate) fn latent_layer(&self) -> (usize, &'static str) {
        (self.latent_channels, if self.use_quant_conv { "quant_conv" } else { "encoder.conv_out" })
    }

    pub(crate) fn network(&self) -> AutoEncoderKLConfig {
        AutoEncoderKLConfig {
            block_out_channels: self.block_out_channels.clone(),
            layers_per_block: self.layers_per_block,
            latent_channels: self.latent_channels,
            norm_num_groups: self.norm_num_groups,
            use_quant_conv: self.use_quant_conv,
            use_post_quant_conv: self.use_post_quant_conv,
        }
    }
}
