//! The pooled output of each family.

use kernels::cpu::{Activation, Isa, Linear, LinearEpilogue};

use crate::block::Norm;
use crate::config::{Family, TowerConfig};
use crate::error::Result;
use crate::names::PROJECTION;
use crate::source::Source;

/// What follows the last block.
#[derive(Debug)]
pub(crate) struct Pooling {
    norm: Norm,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The class token (DINOv2, and CLIP without a projection).
    Class,
    /// CLIP's projection of the class token.
    Projected(Linear),
    /// SigLIP's attention pooling.
    Attention(Box<AttentionPool>),
    /// SigLIP without its attention pooling.
    Nothing,
}

/// A learned query that attends to all tokens, and an MLP.
#[derive(Debug)]
struct AttentionPool {
    /// The projected query, times 1 / sqrt(width of a head), `[width]`.
    query: Vec<f32>,
    /// Keys and values, from `width` to `2 width`.
    keys_and_values: Linear,
    output: Linear,
    norm: Norm,
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
    heads: usize,
}

impl Pooling {
    pub(crate) fn read(source: &mut Source, isa: Isa) -> Result<Self> {
        let (names, config) = (source.names.clone(), source.config.clone());
        let norm = Norm::read(source, &names.norm_after())?;
        let kind = match (config.family, config.projection) {
            (Family::Clip, Some(outputs)) => {
                Kind::Projected(Linear::new(&source.read(PROJECTION)?, &[], [outputs, config.width], isa)?)
            }
            (Family::Siglip, _) if config.attention_pool => {
                Kind::Attention(Box::new(AttentionPool::read(source, &config, isa)?))
            }
            (Family::Siglip, _) => Kind::Nothing,
            _ => Kind::Class,
        };
        Ok(Self { norm, kind })
    }

    /// Computes the pooled outputs, `[images, pooled width]`, of the tokens `x`, `[images, tokens, width]`. `y` is
    /// scratch memory of the same length.
    pub(crate) fn run(&self, x: &[f32], y: &mut [f32], tokens: usize, width: usize, isa: Isa) -> Option<Vec<f32>> {
        let class = || {
            let class: Vec<f32> = x.chunks_exact(tokens * width).flat_map(|image| image[..width].to_vec()).collect();
            let mut normalised = vec![0.0; class.len()];
            self.norm.run(&class, &mut normalised, isa);
            normalised
        };
        match &self.kind {
            Kind::Nothing => None,
            Kind::Class => Some(class()),
            Kind::Projected(projection) => {
                let class = class();
                let mut to = vec![0.0; class.len() / width * projection.outputs()];
                projection.run(&class, &mut to, LinearEpilogue::default());
                Some(to)
            }
            Kind::Attention(pool) => {
                self.norm.run(x, y, isa);
                Some(pool.run(y, tokens, isa))
            }
        }
    }
}

impl AttentionPool {
    fn read(source: &mut Source, config: &TowerConfig, isa: Isa) -> Result<Self> {
        let TowerConfig { width, mlp_width, heads, .. } = *config;
        let names = source.names.clone();
        let probe = source.read(&names.head("probe"))?;
        let weight = source.read(&names.head("attention.in_proj_weight"))?;
        let bias = source.read(&names.head("attention.in_proj_bias"))?;
        let project = Linear::new(&weight[..width * width], &bias[..width], [width, width], isa.in_f32())?;
        let mut query = vec![0.0; width];
        project.run(&probe, &mut query, LinearEpilogue::default());
        let scale = 1.0 / ((width / heads) as f32).sqrt();
        query.iter_mut().for_each(|value| *value *= scale);
        let mut module = |name: &str, shape| -> Result<Linear> {
            let (weight, bias) = source.module(&names.head(name))?;
            Ok(Linear::new(&weight, &bias, shape, isa)?)
        };
        Ok(Self {
            query,
            keys_and_values: Linear::new(&weight[width * width..], &bias[width..], [2 * width, width], isa)?,
            output: module("attention.out_proj", [width, width])?,
            fc1: module("mlp.fc1", [mlp_width, width])?,
            fc2: module("mlp.fc2", [width, mlp_width])?,
            norm: Norm::read(source, &names.head("layernorm"))?,
            activation: config.activation.into(),
            heads,
        })
    }

    /// Returns the pooled outputs, `[images, width]`.
    fn run(&self, x: &[f32], tokens: usize, isa: Isa) -> Vec<f32> {
        let width = self.query.len();
        let images = x.len() / (tokens * width);
        let mut keys_and_values = vec![0.0; 2 * x.len()];
        self.keys_and_values.run(x, &mut keys_and_values, LinearEpilogue::default());
        let mut mixed = vec![0.0; images * width];
        for (image, mixed) in keys_and_values.chunks_exact(tokens * 2 * width).zip(mixed.chunks_exact_mut(width)) {
            for head in 0..self.heads {
                let channels = head * width / self.heads..(head + 1) * width / self.heads;
                let query = &self.query[channels.clone()];
                let dot = |row: &[f32]| query.iter().zip(&row[channels.clone()]).map(|(q, k)| q * k).sum::<f32>();
                let scores: Vec<f32> = image.chunks_exact(2 * width).map(dot).collect();
                let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exponentials: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
                let total: f32 = exponentials.iter().sum();
                for (row, value) in image.chunks_exact(2 * width).zip(exponentials) {
                    let share = value / total;
                    let values = &row[width..][channels.clone()];
                    mixed[channels.clone()].iter_mut().zip(values).for_each(|(to, value)| *to += share * value);
                }
            }
        }
        let mut pooled = vec![0.0; mixed.len()];
        self.output.run(&mixed, &mut pooled, LinearEpilogue::default());
        self.norm.run(&pooled, &mut mixed, isa);
        let mut hidden = vec![0.0; pooled.len() / width * self.fc1.outputs()];
        let activated = LinearEpilogue { activation: Some(self.activation), accumulate: false };
        self.fc1.run(&mixed, &mut hidden, activated);
        self.fc2.run(&hidden, &mut pooled, LinearEpilogue { activation: None, accumulate: true });
        pooled
    }
}
