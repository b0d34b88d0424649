//! The buffers of one group of images, kept from call to call: touching new pages is expensive.

use kernels::cpu::{Attention, Buffer, Isa};

use crate::config::TowerConfig;
use crate::error::Result;

/// The buffers for up to `images` images.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) images: usize,
    /// The tokens, `[images, tokens, width]`.
    pub(crate) x: Buffer,
    /// Normalised tokens, patches, or the output of the attention, `[images, tokens, width]`.
    pub(crate) y: Buffer,
    /// `[images, tokens, 3, heads, width of a head]`.
    pub(crate) qkv: Buffer,
    /// The hidden activations of the MLP, `[images, tokens, mlp width]`; before them, the normalised pixels and the
    /// packed keys and values.
    pub(crate) hidden: Buffer,
}

impl Workspace {
    pub(crate) fn new(config: &TowerConfig, side: usize, images: usize, isa: Isa) -> Result<Self> {
        let tokens = config.tokens(side);
        let rows = images * tokens;
        let attention = attention(config, side, images).scratch_len(isa.in_f32());
        let hidden = (rows * config.mlp_width).max(images * side * side * 3).max(attention);
        Ok(Self {
            images,
            x: Buffer::zeros(rows * config.width)?,
            y: Buffer::zeros(rows * config.width)?,
            qkv: Buffer::zeros(rows * 3 * config.width)?,
            hidden: Buffer::zeros(hidden)?,
        })
    }
}

/// Returns the shape of the attention for some images.
pub(crate) fn attention(config: &TowerConfig, side: usize, images: usize) -> Attention {
    Attention { images, tokens: config.tokens(side), heads: config.heads, width: config.width / config.heads }
}
