//! The variational autoencoder (VAE) of latent diffusion models (R. Rombach et al., "High-resolution image synthesis with
//! latent diffusion models", 2022), which reconstructs images.
//!
//! The network is candle-transformers' `AutoEncoderKL`, in f32 on processors. Its weights are a safetensors file under the
//! names of diffusers, with `config.json` beside it. The result depends only on the weights and the image: the mean of the
//! latent distribution is decoded, and not a sample of it.

mod config;
mod error;
mod source;
mod tiles;
mod weights;

use std::path::Path;

use candle_core::{Device, IndexOp, Tensor};
use candle_transformers::models::stable_diffusion::vae::AutoEncoderKL;
use pixels::RgbImage;

use config::VaeConfig;
use error::root_cause;
pub use error::{Error, Result};
pub use source::VaeSource;
use tiles::{Accumulator, CHANNELS, Tile, tiles};

/// An autoencoder.
#[derive(Debug)]
pub struct Autoencoder {
    network: AutoEncoderKL,
    /// The number of pixels in each direction that share a latent value.
    factor: usize,
}

impl Autoencoder {
    /// Reads an autoencoder from a safetensors file with `config.json` beside it.
    ///
    /// # Errors
    /// A file cannot be read, the configuration has values that are not supported, or a tensor is missing or has another
    /// shape.
    pub fn open(path: &Path) -> Result<Autoencoder> {
        let config = VaeConfig::beside(path)?;
        let variables = weights::read(path, &config)?;
        let failed = |error| Error::Weights { path: path.to_owned(), detail: root_cause(&error) };
        let network = AutoEncoderKL::new(variables, CHANNELS, CHANNELS, config.network()).map_err(failed)?;
        Ok(Autoencoder { network, factor: config.factor() })
    }

    /// Encodes and decodes an image. Images with a longer side than `tile` pixels are divided into tiles of that size,
    /// which overlap by a quarter and are blended there. The last row and column of an image are repeated up to a
    /// multiple of the factor by which the autoencoder reduces images.
    ///
    /// # Errors
    /// The network fails, as when memory runs out.
    pub fn reconstruct(&self, image: &RgbImage, tile: usize) -> Result<RgbImage> {
        let side = tile.next_multiple_of(self.factor);
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut result = Accumulator::new(width, height);
        for tile in tiles(width, height, side, self.factor) {
            let values = self.reconstruct_tile(image, &tile).map_err(Error::Network)?;
            result.add(&tile, &values);
        }
        result.finish().map_err(|error| Error::Network(candle_core::Error::msg(error)))
    }

    /// Returns a reconstructed tile: red, green and blue of each pixel from -1 to 1, channel by channel.
    fn reconstruct_tile(&self, image: &RgbImage, tile: &Tile) -> candle_core::Result<Vec<f32>> {
        let input = Tensor::from_vec(tile.values(image), (1, CHANNELS, tile.height, tile.width), &Device::Cpu)?;
        // The variance is 0, see `weights`, so that the sample is the mean.
        let latent = self.network.encode(&input)?.sample()?;
        self.network.decode(&latent)?.i(0)?.flatten_all()?.to_vec1()
    }
}
