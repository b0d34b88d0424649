//! Attention rollout (Abnar and Zuidema, arXiv 2005.00928): how much each patch contributes to the output token, if
//! information flows along the attention and the residual connections alone.

use kernels::cpu::Attention;

use crate::error::Result;
use crate::tower::{Observed, Tower};

impl Tower {
    /// Returns the attention rollout of `n` images, `[n, grid, grid]` with the grid [`Tower::grid`].
    ///
    /// `pixels` is as in [`Tower::features`]. The values of an image are shares: at least 0, with a sum of at most 1.
    /// The rest falls on the class token and registers. The output token is the class token; in SigLIP, it is the
    /// learned query of the attention pooling, or the mean of all tokens if there is none.
    ///
    /// # Errors
    /// As [`Tower::features`].
    pub fn attention_rollout(&self, pixels: &[u8], n: usize) -> Result<Vec<f32>> {
        let config = self.config();
        let (pooling, isa, tokens) = self.explained();
        let image = pixels.len().checked_div(n).unwrap_or(0);
        let mut maps = Vec::new();
        // One image at a time: the probabilities of all blocks are kept.
        for pixels in (0..n).map(|i| &pixels[i * image..][..image]) {
            let mut blocks = Vec::with_capacity(config.depth);
            let mut weights = None;
            let width = config.width / config.heads;
            let attention = Attention { images: 1, tokens, heads: config.heads, width };
            self.forward(pixels, 1, config.depth, &mut |_, block, observed| match observed {
                Observed::Attention(qkv) => {
                    let mut probabilities = vec![0.0; tokens * tokens];
                    attention.mean_probabilities(qkv, &mut probabilities, isa);
                    blocks.push(probabilities);
                }
                Observed::Tokens(x, scratch) if block + 1 == config.depth => {
                    weights = pooling.weights(x, scratch, tokens, isa);
                }
                Observed::Tokens(..) => {}
            })?;
            let start = weights.unwrap_or_else(|| match config.has_class_token() {
                true => (0..tokens).map(|token| f32::from(u8::from(token == 0))).collect(),
                false => vec![1.0 / tokens as f32; tokens],
            });
            maps.extend_from_slice(&roll_out(start, &blocks)[config.prefix_tokens()..]);
        }
        Ok(maps)
    }
}

/// Multiplies the row vector `start` by `(A + I) / 2` for each block's probabilities `A`, from the last block to the
/// first.
fn roll_out(start: Vec<f32>, blocks: &[Vec<f32>]) -> Vec<f32> {
    blocks.iter().rev().fold(start, |row, probabilities| {
        let mut next: Vec<f32> = row.iter().map(|value| 0.5 * value).collect();
        for (value, probabilities) in row.iter().zip(probabilities.chunks_exact(row.len())) {
            next.iter_mut().zip(probabilities).for_each(|(next, p)| *next += 0.5 * value * p);
        }
        next
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplies_from_the_last_block_to_the_first() {
        // Token 0 reads token 1 in the last block, and token 1 reads token 2 in the first.
        let first = vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        let last = vec![0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        assert_eq!(roll_out(vec![1.0, 0.0, 0.0], &[first, last]), [0.5, 0.25, 0.25]);
    }
}
