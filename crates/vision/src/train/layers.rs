//! The layers of a trainable tower.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};

use super::ops::{
    FrozenLinear, activate_with_gradient, attention_with_gradient, layer_norm_with_gradient, linear_with_gradient,
};
use crate::block::BlockTensors;
use crate::changes::module;
use crate::config::Activation;
use crate::error::{Error, Result};
use crate::fine_tuning::{FineTuning, LoraLayer, lora_names};
use crate::names::BlockNames;
use crate::source::Source;

/// Makes layers from the tensors of a file, and from parameters where there are any.
pub(crate) struct Builder<'a> {
    pub(crate) source: &'a mut Source,
    pub(crate) parameters: &'a BTreeMap<String, Var>,
    pub(crate) method: &'a FineTuning,
}

impl Builder<'_> {
    /// Returns a parameter, or else a constant from the file.
    pub(crate) fn tensor(&mut self, name: &str) -> Result<Tensor> {
        if let Some(parameter) = self.parameters.get(name) {
            return Ok(parameter.as_tensor().clone());
        }
        let shape = self.source.file.shape(name).unwrap_or(&[]).to_vec();
        Ok(Tensor::from_vec(self.source.read(name)?, shape, &Device::Cpu)?)
    }

    /// Makes the layer norm `name`.
    pub(crate) fn norm(&mut self, name: &str) -> Result<NormLayer> {
        let epsilon = self.source.config.epsilon;
        let (weight, bias) = (self.tensor(&format!("{name}.weight"))?, self.tensor(&format!("{name}.bias"))?);
        Ok(NormLayer { weight, bias, epsilon })
    }

    /// Makes the linear layer `name` of plain tensors.
    pub(crate) fn plain(&mut self, name: &str) -> Result<LinearLayer> {
        self.stacked(&[name.to_owned()], None)
    }

    /// Makes a linear layer whose outputs are those of several modules, times the factors of a layer scale.
    fn stacked(&mut self, names: &[String], scale: Option<&str>) -> Result<LinearLayer> {
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for name in names {
            weights.push(self.tensor(&format!("{name}.weight"))?);
            biases.push(self.tensor(&format!("{name}.bias"))?);
        }
        let scale = scale.map(|name| self.tensor(name)).transpose()?;
        Ok(LinearLayer { base: Base::Plain { weights, biases, scale }, additions: Vec::new() })
    }

    /// Makes a frozen linear layer with the additions of LoRA to `layers`.
    fn frozen(
        &mut self,
        (weight, bias): &(Vec<f32>, Vec<f32>),
        layers: &[LoraLayer],
        names: &BlockNames,
        scale: Option<&str>,
    ) -> Result<LinearLayer> {
        let shape = [bias.len(), weight.len() / bias.len()];
        let base = Base::Frozen(FrozenLinear::new(weight, bias, shape, self.method.trains())?);
        let scale = scale.map(|name| self.tensor(name)?.reshape(((), 1)).map_err(Error::from)).transpose()?;
        let mut additions = Vec::new();
        let Some(lora) = self.method.lora().filter(|lora| layers.iter().any(|layer| lora.layers.contains(layer)))
        else {
            return Ok(LinearLayer { base, additions });
        };
        let factor = f64::from(lora.alpha / lora.rank as f32);
        for &layer in layers {
            let (name, [outputs, _]) = module(names, layer, &self.source.config);
            let [a, b] = lora_names(&name).map(|name| self.parameters.get(&name));
            let matrices = a.zip(b).map(|(a, b)| [a, b].map(|parameter| parameter.as_tensor().clone()));
            additions.push(Addition { matrices, factor, scale: scale.clone(), outputs });
        }
        Ok(LinearLayer { base, additions })
    }

    /// Makes a block.
    pub(crate) fn block(&mut self, names: &BlockNames) -> Result<TrainableBlock> {
        let (norm1, norm2) = (self.norm(&names.norm1)?, self.norm(&names.norm2)?);
        let (scale1, scale2) = (names.scale1.as_deref(), names.scale2.as_deref());
        let config = &self.source.config;
        let (heads, activation) = (config.heads, config.activation);
        if *self.method == FineTuning::Full {
            return Ok(TrainableBlock {
                norm1,
                qkv: self.stacked(&names.qkv, None)?,
                output: self.stacked(std::slice::from_ref(&names.output), scale1)?,
                norm2,
                fc1: self.plain(&names.fc1)?,
                fc2: self.stacked(std::slice::from_ref(&names.fc2), scale2)?,
                heads,
                activation,
            });
        }
        let tensors = BlockTensors::read(self.source, names)?;
        let qkv = [LoraLayer::Query, LoraLayer::Key, LoraLayer::Value];
        Ok(TrainableBlock {
            norm1,
            qkv: self.frozen(&tensors.qkv, &qkv, names, None)?,
            output: self.frozen(&tensors.output, &[LoraLayer::Output], names, scale1)?,
            norm2,
            fc1: self.frozen(&tensors.fc1, &[LoraLayer::Fc1], names, None)?,
            fc2: self.frozen(&tensors.fc2, &[LoraLayer::Fc2], names, scale2)?,
            heads,
            activation,
        })
    }
}

/// A layer norm.
pub(crate) struct NormLayer {
    weight: Tensor,
    bias: Tensor,
    epsilon: f32,
}

impl NormLayer {
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        Ok(layer_norm_with_gradient(x, &self.weight, &self.bias, self.epsilon)?)
    }
}

/// A linear layer with optional additions of LoRA.
pub(crate) struct LinearLayer {
    base: Base,
    /// One for each module whose outputs are stacked, or none at all.
    additions: Vec<Addition>,
}

enum Base {
    /// Packed once. Only the input has a gradient.
    Frozen(FrozenLinear),
    /// Tensors that may be parameters, packed at each call.
    Plain { weights: Vec<Tensor>, biases: Vec<Tensor>, scale: Option<Tensor> },
}

/// The addition to the outputs of one module.
struct Addition {
    /// `A`, `[rank, inputs]`, and `B`, `[outputs, rank]`; `None` adds zero.
    matrices: Option<[Tensor; 2]>,
    /// alpha / rank.
    factor: f64,
    /// The layer scale, `[outputs, 1]`.
    scale: Option<Tensor>,
    outputs: usize,
}

impl LinearLayer {
    /// Computes the layer for `x`, `[rows, inputs]`.
    pub(crate) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let y = match &self.base {
            Base::Frozen(linear) => linear.apply(x)?,
            Base::Plain { weights, biases, scale } => {
                let y = linear_with_gradient(x, &stack(weights)?, Some(&stack(biases)?))?;
                match scale {
                    Some(scale) => y.broadcast_mul(scale)?,
                    None => y,
                }
            }
        };
        if self.additions.is_empty() {
            return Ok(y);
        }
        let parts = self.additions.iter().map(|addition| addition.apply(x)).collect::<Result<Vec<_>>>()?;
        let addition = if parts.len() == 1 { parts[0].clone() } else { Tensor::cat(&parts, 1)? };
        Ok((y + addition)?)
    }
}

impl Addition {
    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let Some([a, b]) = &self.matrices else {
            return Ok(Tensor::zeros((x.dims2()?.0, self.outputs), x.dtype(), x.device())?);
        };
        let mut b = (b * self.factor)?;
        if let Some(scale) = &self.scale {
            b = b.broadcast_mul(scale)?;
        }
        Ok(linear_with_gradient(&linear_with_gradient(x, a, None)?, &b, None)?)
    }
}

/// Stacks tensors along their first dimension.
fn stack(tensors: &[Tensor]) -> Result<Tensor> {
    match tensors {
        [one] => Ok(one.clone()),
        several => Ok(Tensor::cat(several, 0)?),
    }
}

/// A transformer block.
pub(crate) struct TrainableBlock {
    norm1: NormLayer,
    qkv: LinearLayer,
    output: LinearLayer,
    norm2: NormLayer,
    fc1: LinearLayer,
    fc2: LinearLayer,
    heads: usize,
    activation: Activation,
}

impl TrainableBlock {
    /// Computes the tokens after the block, `[images * tokens, width]`.
    pub(crate) fn apply(&self, x: &Tensor, images: usize) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let qkv = self.qkv.apply(&self.norm1.apply(x)?)?;
        let mixed = attention_with_gradient(&qkv, [images, rows / images, self.heads, width / self.heads])?;
        let x = (x + self.output.apply(&mixed)?)?;
        let hidden = self.fc1.apply(&self.norm2.apply(&x)?)?;
        Ok((&x + self.fc2.apply(&activate_with_gradient(&hidden, self.activation)?)?)?)
    }
}
