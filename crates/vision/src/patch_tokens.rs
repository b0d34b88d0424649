//! The tokens of the patches of an image, beside the features that are made of them.

use crate::error::Result;
use crate::tower::{Tower, check_layers};

/// The features of one image, and the tokens of its patches.
#[derive(Clone, Debug)]
pub struct PatchTokens {
    /// As [`Features::layers`](crate::Features) of this image.
    pub features: Vec<f32>,
    /// For each layer the tokens of the patches, `[patches, width]`, row by row of the grid ([`Tower::grid`]). Their mean
    /// over the patches is the last summary of the layer.
    pub tokens: Vec<Vec<f32>>,
}

impl Tower {
    /// Computes features and patch tokens of one image after each of the blocks `layers`.
    ///
    /// # Errors
    /// As [`Tower::features`].
    pub fn patch_tokens(&self, pixels: &[u8], layers: &[usize]) -> Result<PatchTokens> {
        let config = self.config();
        let last = check_layers(config, layers)?;
        let (prefix, summaries) = (config.prefix_tokens() * config.width, config.summaries() * config.width);
        let mut features = vec![0.0; layers.len() * summaries];
        let mut tokens = vec![Vec::new(); layers.len()];
        self.forward(pixels, 1, last + 1, &mut |_, block, x, _| {
            let own = features.chunks_exact_mut(summaries).zip(&mut tokens).zip(layers);
            for ((features, tokens), _) in own.filter(|(_, layer)| **layer == block) {
                self.summarise(x, features);
                *tokens = x[prefix..].to_vec();
            }
        })?;
        Ok(PatchTokens { features, tokens })
    }
}
