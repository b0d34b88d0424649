//! A transformer block for inference, with packed weights.

use kernels::cpu::{Isa, LayerNorm, Linear, LinearEpilogue, layer_norm};

use crate::config::TowerConfig;
use crate::error::Result;
use crate::names::BlockNames;
use crate::source::{Module, Source};

/// The parameters of a layer norm.
#[derive(Debug)]
pub(crate) struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    pub(crate) fn read(source: &mut Source, name: &str) -> Result<Self> {
        let (weight, bias) = source.module(name)?;
        Ok(Self { weight, bias, epsilon: source.config.epsilon })
    }

    /// Normalises the rows of `x` into `to`.
    pub(crate) fn run(&self, x: &[f32], to: &mut [f32], isa: Isa) {
        let norm = LayerNorm { weight: &self.weight, bias: &self.bias, epsilon: self.epsilon };
        layer_norm(norm, x, to, isa.in_f32());
    }
}

/// The linear layers of a block. The factors of DINOv2's layer scale are folded into `output` and `fc2`.
#[derive(Clone, Debug)]
pub struct BlockTensors {
    /// The weight, `[3 width, width]`, of queries, keys and values, and its bias.
    pub qkv: Module,
    /// `[width, width]`.
    pub output: Module,
    /// `[mlp width, width]`.
    pub fc1: Module,
    /// `[width, mlp width]`.
    pub fc2: Module,
}

impl BlockTensors {
    pub(crate) fn read(source: &mut Source, names: &BlockNames) -> Result<Self> {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for name in &names.qkv {
            let (more_weight, more_bias) = source.module(name)?;
            weight.extend(more_weight);
            bias.extend(more_bias);
        }
        Ok(Self {
            qkv: (weight, bias),
            output: scaled_module(source, &names.output, names.scale1.as_deref())?,
            fc1: source.module(&names.fc1)?,
            fc2: scaled_module(source, &names.fc2, names.scale2.as_deref())?,
        })
    }
}

/// Reads a module and multiplies its outputs by the factors of a layer scale.
fn scaled_module(source: &mut Source, name: &str, scale: Option<&str>) -> Result<Module> {
    let (mut weight, mut bias) = source.module(name)?;
    if let Some(scale) = scale {
        let scale = source.read(scale)?;
        let inputs = weight.len() / bias.len();
        for ((row, bias), factor) in weight.chunks_exact_mut(inputs).zip(&mut bias).zip(scale) {
            row.iter_mut().for_each(|weight| *weight *= factor);
            *bias *= factor;
        }
    }
    Ok((weight, bias))
}

/// A block with packed weights.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) norm1: Norm,
    pub(crate) qkv: Linear,
    pub(crate) output: Linear,
    pub(crate) norm2: Norm,
    pub(crate) fc1: Linear,
    pub(crate) fc2: Linear,
}

impl Block {
    pub(crate) fn read(source: &mut Source, names: &BlockNames, isa: Isa) -> Result<Self> {
        let TowerConfig { width, mlp_width, .. } = source.config;
        let norm1 = Norm::read(source, &names.norm1)?;
        let norm2 = Norm::read(source, &names.norm2)?;
        let tensors = BlockTensors::read(source, names)?;
        let pack = |(weight, bias): Module, shape| Linear::new(&weight, &bias, shape, isa);
        Ok(Self {
            norm1,
            qkv: pack(tensors.qkv, [3 * width, width])?,
            output: pack(tensors.output, [width, width])?,
            norm2,
            fc1: pack(tensors.fc1, [mlp_width, width])?,
            fc2: pack(tensors.fc2, [width, mlp_width])?,
        })
    }

    /// Adds the MLP's output to `x`. `normalised` and `hidden` are scratch memory.
    pub(crate) fn mlp(
        &self,
        x: &mut [f32],
        normalised: &mut [f32],
        hidden: &mut [f32],
        activation: kernels::cpu::Activation,
        isa: Isa,
    ) {
        self.norm2.run(x, normalised, isa);
        let hidden = &mut hidden[..x.len() / self.fc1.inputs() * self.fc1.outputs()];
        self.fc1.run(normalised, hidden, LinearEpilogue { activation: Some(activation), accumulate: false });
        self.fc2.run(hidden, x, LinearEpilogue { activation: None, accumulate: true });
    }
}
