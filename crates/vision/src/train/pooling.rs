//! The pooled output of a trainable tower.

use candle_core::{D, Tensor};

use super::layers::{Builder, LinearLayer, NormLayer};
use super::ops::{activate_with_gradient, linear_with_gradient};
use crate::config::{Activation, Family, TowerConfig};
use crate::error::Result;
use crate::names::PROJECTION;

/// What follows the last block.
pub(crate) struct PoolingLayer {
    norm: NormLayer,
    kind: Kind,
}

enum Kind {
    Class { projection: Option<Tensor> },
    Attention(Box<AttentionPool>),
    Nothing,
}

/// SigLIP's attention pooling.
struct AttentionPool {
    /// `[1, width]`.
    probe: Tensor,
    /// `[3 width, width]`: queries, keys, values.
    weight: Tensor,
    /// `[3 width]`.
    bias: Tensor,
    output: LinearLayer,
    norm: NormLayer,
    fc1: LinearLayer,
    fc2: LinearLayer,
    activation: Activation,
    heads: usize,
}

impl PoolingLayer {
    pub(crate) fn build(builder: &mut Builder<'_>) -> Result<Self> {
        let (names, config) = (builder.source.names.clone(), builder.source.config.clone());
        let norm = builder.norm(&names.norm_after())?;
        let kind = match config.family {
            Family::Siglip if !config.attention_pool => Kind::Nothing,
            Family::Siglip => Kind::Attention(Box::new(AttentionPool {
                probe: builder.tensor(&names.head("probe"))?.reshape((1, config.width))?,
                weight: builder.tensor(&names.head("attention.in_proj_weight"))?,
                bias: builder.tensor(&names.head("attention.in_proj_bias"))?,
                output: builder.plain(&names.head("attention.out_proj"))?,
                norm: builder.norm(&names.head("layernorm"))?,
                fc1: builder.plain(&names.head("mlp.fc1"))?,
                fc2: builder.plain(&names.head("mlp.fc2"))?,
                activation: config.activation,
                heads: config.heads,
            })),
            _ => Kind::Class { projection: config.projection.map(|_| builder.tensor(PROJECTION)).transpose()? },
        };
        Ok(Self { norm, kind })
    }

    /// Computes the pooled outputs, `[images, pooled width]`, of the tokens, `[images * tokens, width]`.
    pub(crate) fn apply(&self, x: &Tensor, images: usize, config: &TowerConfig) -> Result<Option<Tensor>> {
        match &self.kind {
            Kind::Nothing => Ok(None),
            Kind::Class { projection } => {
                let class = x.reshape((images, (), config.width))?.narrow(1, 0, 1)?.squeeze(1)?;
                let class = self.norm.apply(&class)?;
                Ok(Some(match projection {
                    Some(projection) => linear_with_gradient(&class, projection, None)?,
                    None => class,
                }))
            }
            Kind::Attention(pool) => Ok(Some(pool.apply(&self.norm.apply(x)?, images)?)),
        }
    }
}

impl AttentionPool {
    fn apply(&self, x: &Tensor, images: usize) -> Result<Tensor> {
        let width = x.dim(1)?;
        let head = width / self.heads;
        let part = |first: usize, count: usize| -> candle_core::Result<(Tensor, Tensor)> {
            Ok((self.weight.narrow(0, first, count)?, self.bias.narrow(0, first, count)?))
        };
        let (weight, bias) = part(0, width)?;
        let query = (linear_with_gradient(&self.probe, &weight, Some(&bias))? * (1.0 / (head as f64).sqrt()))?;
        let (weight, bias) = part(width, 2 * width)?;
        let both = linear_with_gradient(x, &weight, Some(&bias))?.reshape((images, (), 2, self.heads, head))?;
        // [images, tokens, heads, width of a head]
        let [keys, values] = [both.narrow(2, 0, 1)?.squeeze(2)?, both.narrow(2, 1, 1)?.squeeze(2)?];
        let scores = keys.broadcast_mul(&query.reshape((self.heads, head))?)?.sum(D::Minus1)?;
        let shifted = scores.broadcast_sub(&scores.detach().max_keepdim(1)?)?.exp()?;
        let shares = shifted.broadcast_div(&shifted.sum_keepdim(1)?)?;
        let mixed = values.broadcast_mul(&shares.unsqueeze(D::Minus1)?)?.sum(1)?.reshape((images, width))?;
        let mixed = self.output.apply(&mixed)?;
        let hidden = self.fc1.apply(&self.norm.apply(&mixed)?)?;
        Ok((&mixed + self.fc2.apply(&activate_with_gradient(&hidden, self.activation)?)?)?)
    }
}
