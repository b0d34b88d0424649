//! The tokens of the patches of an image, before they are averaged.

use crate::error::Result;
use crate::tower::{Observed, Tower, check_layers};

impl Tower {
    /// Returns the tokens of the patches of one image after each of the blocks `layers`, `[layers][patches, width]`, row
    /// by row of the grid ([`Tower::grid`]). Their mean over the patches is the last summary of
    /// [`Features::layers`](crate::Features).
    ///
    /// # Errors
    /// As [`Tower::features`].
    pub fn patch_tokens(&self, pixels: &[u8], layers: &[usize]) -> Result<Vec<Vec<f32>>> {
        let last = check_layers(self.config(), layers)?;
        let prefix = self.config().prefix_tokens() * self.config().width;
        let mut tokens = vec![Vec::new(); layers.len()];
        self.forward(pixels, 1, last + 1, &mut |_, block, observed| {
            let Observed::Tokens(x, _) = observed else { return };
            for (tokens, _) in tokens.iter_mut().zip(layers).filter(|(_, layer)| **layer == block) {
                *tokens = x[prefix..].to_vec();
            }
        })?;
        Ok(tokens)
    }
}
