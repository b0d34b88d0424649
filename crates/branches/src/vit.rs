//! What the branch `vit` sees of an image, and where it finds evidence. Frozen and trained transformers share it.

use model::HeatMap;
use pixels::RgbImage;
use vision::{PatchTokens, Preprocessing, Tower, TowerConfig};

use crate::config::{Crops, VitConfig};
use crate::error::{Error, Result};
use crate::fusion::FeatureGradient;

/// The parts of an image that the transformer looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VitInput {
    pub(crate) preprocessing: Preprocessing,
    pub(crate) crops: Crops,
}

impl VitInput {
    /// The number of parts of an image.
    pub(crate) fn count(&self) -> usize {
        self.crops.count()
    }

    /// The parts of an image at the size of the transformer's input, `[crops, side, side, 3]`.
    pub(crate) fn parts(&self, image: &RgbImage) -> Result<Vec<u8>> {
        let side = self.preprocessing.size as u32;
        let mut parts = self.preprocessing.apply(image)?.into_data();
        if self.crops == Crops::Both {
            let (width, height) = (image.width(), image.height());
            let native = (width >= side && height >= side)
                .then(|| pixels::degrade::crop(image, (width - side) / 2, (height - side) / 2, side, side).ok())
                .flatten();
            let second = native.map_or_else(|| parts.clone(), RgbImage::into_data);
            parts.extend_from_slice(&second);
        }
        Ok(parts)
    }
}

/// Returns the configured blocks of a transformer, counted from 0.
///
/// # Errors
/// A configured block does not exist.
pub(crate) fn layers(config: &VitConfig, depth: usize) -> Result<Vec<usize>> {
    let last: Vec<usize> = (depth * 7 / 12 + 1..=depth).collect();
    let blocks = if config.layers.is_empty() { last } else { config.layers.clone() };
    if let Some(&layer) = blocks.iter().find(|&&block| block == 0 || block > depth) {
        return Err(Error::Layer { layer, depth });
    }
    Ok(blocks.into_iter().map(|block| block - 1).collect())
}

/// The number of features of a part: for each block, the class token and the mean of the patch tokens.
pub(crate) fn width_of_part(config: &TowerConfig, layers: &[usize]) -> usize {
    layers.len() * config.summaries() * config.width
}

/// Computes what each patch of the transformer's input adds to the margin, to first order: the product of the gradient
/// with the difference between the patch's tokens and the mean over the training images. Class tokens and the centre of
/// the image are left out, because their contributions have no place in the whole image. `gradient` returns the gradient
/// at the features of a part, or `None` if there is none. Returns the contributions and the input.
///
/// # Errors
/// The vision transformer failed.
pub(crate) fn patch_contributions<'a>(
    tower: &Tower,
    layers: &[usize],
    image: &RgbImage,
    gradient: impl FnOnce(&[f32]) -> Result<Option<FeatureGradient<'a>>>,
) -> Result<Option<(HeatMap, RgbImage)>> {
    let input = tower.preprocessing().apply(image)?;
    let (config, grid) = (tower.config(), tower.grid());
    let PatchTokens { features, tokens } = tower.patch_tokens(input.data(), layers)?;
    let Some(FeatureGradient { gradient, mean }) = gradient(&features)? else { return Ok(None) };
    let mut values = vec![0.0; grid * grid];
    for (layer, tokens) in tokens.iter().enumerate() {
        // The mean patch token is the last summary of a block.
        let start = ((layer + 1) * config.summaries() - 1) * config.width;
        let (gradient, mean) = (&gradient[start..][..config.width], &mean[start..][..config.width]);
        for (value, token) in values.iter_mut().zip(tokens.chunks_exact(config.width)) {
            let terms = token.iter().zip(mean).zip(gradient).map(|((token, mean), slope)| slope * (token - mean));
            *value += terms.sum::<f32>() / (grid * grid) as f32;
        }
    }
    Ok(Some((HeatMap { values, height: grid, width: grid }, input)))
}
