//! The configuration of a tower, and its reading from `config.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

/// A family of vision transformers. The families differ in their tokens, norms and pooled outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// CLIP (Radford et al., arXiv 2103.00020).
    Clip,
    /// DINOv2 (Oquab et al., arXiv 2304.07193), also with registers (Darcet et al., arXiv 2309.16588).
    Dinov2,
    /// SigLIP (Zhai et al., arXiv 2303.15343).
    Siglip,
}

impl Family {
    /// Returns the name as papers write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "CLIP",
            Self::Dinov2 => "DINOv2",
            Self::Siglip => "SigLIP",
        }
    }
}

/// The activation function of the MLPs, by the names of transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Activation {
    /// The exact GELU.
    #[serde(rename = "gelu")]
    Gelu,
    /// GELU with a hyperbolic tangent.
    #[serde(rename = "gelu_pytorch_tanh")]
    GeluTanh,
    /// GELU with a sigmoid.
    #[serde(rename = "quick_gelu")]
    QuickGelu,
}

impl From<Activation> for kernels::cpu::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Gelu => Self::Gelu,
            Activation::GeluTanh => Self::GeluTanh,
            Activation::QuickGelu => Self::QuickGelu,
        }
    }
}

/// The shape of a tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TowerConfig {
    /// The family.
    pub family: Family,
    /// Channels of a token.
    pub width: usize,
    /// Blocks.
    pub depth: usize,
    /// Attention heads. Their number divides `width`.
    pub heads: usize,
    /// Hidden channels of the MLPs.
    pub mlp_width: usize,
    /// Height and width of a patch in pixels.
    pub patch: usize,
    /// Height and width in pixels of the images that the position embeddings belong to.
    pub side: usize,
    /// Register tokens.
    pub registers: usize,
    /// The activation function of the MLPs.
    pub activation: Activation,
    /// Added to the variance in layer norms.
    pub epsilon: f32,
    /// Width of CLIP's projected embedding, if the file has the projection.
    pub projection: Option<usize>,
    /// Whether there is SigLIP's attention pooling.
    pub attention_pool: bool,
}

impl TowerConfig {
    /// Whether the first token is a class token.
    #[must_use]
    pub fn has_class_token(&self) -> bool {
        self.family != Family::Siglip
    }

    /// The number of tokens before the patches: the class token and the registers.
    #[must_use]
    pub fn prefix_tokens(&self) -> usize {
        usize::from(self.has_class_token()) + self.registers
    }

    /// The number of vectors per block in [`Features`](crate::Features): 2 with a class token, 1 without.
    #[must_use]
    pub fn summaries(&self) -> usize {
        1 + usize::from(self.has_class_token())
    }

    /// The width of the pooled output, or `None` if the tower has none.
    #[must_use]
    pub fn pooled_width(&self) -> Option<usize> {
        match self.family {
            Family::Clip => Some(self.projection.unwrap_or(self.width)),
            Family::Dinov2 => Some(self.width),
            Family::Siglip => self.attention_pool.then_some(self.width),
        }
    }

    /// The number of patches in a row and in a column of an image of `side` pixels.
    pub(crate) fn grid(&self, side: usize) -> usize {
        side / self.patch
    }

    /// The number of tokens of an image of `side` pixels.
    pub(crate) fn tokens(&self, side: usize) -> usize {
        self.prefix_tokens() + self.grid(side) * self.grid(side)
    }

    /// Returns what is wrong with the numbers, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let Self { width, depth, heads, mlp_width, patch, side, .. } = *self;
        let positive = [width, depth, heads, mlp_width, patch, side].iter().all(|&number| number > 0);
        if !positive || width > 1 << 14 || depth > 1 << 10 || mlp_width > 1 << 16 || side > 1 << 13 || patch > side {
            return Some("its sizes are zero or too large for a vision transformer".to_owned());
        }
        if !width.is_multiple_of(heads) {
            return Some(format!("{heads} attention heads do not divide the width {width}"));
        }
        if width / heads > 256 {
            return Some(format!("heads of {} channels are not supported, at most 256 are", width / heads));
        }
        (self.registers > 1 << 10).then(|| format!("{} register tokens are too many", self.registers))
    }
}

/// What `config.json` says. What the tensors' shapes say as well (the projection) is taken from them.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile(Value);

impl ConfigFile {
    /// Reads `config.json` in the folder of the weights. Returns `None` if there is none.
    pub(crate) fn beside(weights: &Path) -> Result<Option<(std::path::PathBuf, Self)>> {
        let path = weights.with_file_name("config.json");
        Ok(read_json(&path)?.map(|value| (path, Self(value))))
    }

    /// Returns the tower's configuration, with the defaults of transformers 5 for keys that are left out.
    pub(crate) fn tower(&self, path: &Path, family: Family, attention_pool: bool) -> Result<TowerConfig> {
        let failed = |problem: String| Error::Config { path: path.to_owned(), problem };
        let model_type = self.0.get("model_type").and_then(Value::as_str).unwrap_or("").to_owned();
        let (expected, registers): (&[&str], usize) = match family {
            Family::Clip => (&["clip", "clip_vision_model"], 0),
            Family::Dinov2 if model_type == "dinov2_with_registers" => (&["dinov2_with_registers"], 4),
            Family::Dinov2 => (&["dinov2", "dinov2_with_registers"], 0),
            Family::Siglip => (&["siglip", "siglip_vision_model"], 0),
        };
        if !expected.contains(&model_type.as_str()) {
            return Err(failed(format!(
                "`model_type` is \"{model_type}\", but the tensors are those of {} ({}); put the config.json of these \
                 weights beside them",
                family.name(),
                expected.join(", ")
            )));
        }
        let section = self.0.get("vision_config").unwrap_or(&self.0);
        let number = |key: &str, default: usize| match section.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Array(sides)) if sides.iter().all(|side| Some(side) == sides.first()) => {
                sides.first().and_then(as_usize).ok_or_else(|| failed(format!("`{key}` is no number of pixels")))
            }
            Some(value) => as_usize(value).ok_or_else(|| failed(format!("`{key}` is {value}, not a whole number"))),
        };
        if section.get("use_swiglu_ffn").and_then(Value::as_bool) == Some(true) {
            return Err(failed("`use_swiglu_ffn` is not supported: choose a model with plain MLPs".to_owned()));
        }
        let width = number("hidden_size", 768)?;
        let mlp_width = match family {
            Family::Dinov2 => width.saturating_mul(number("mlp_ratio", 4)?),
            _ => number("intermediate_size", 3072)?,
        };
        let (activation, epsilon, patch) = match family {
            Family::Clip => (Activation::QuickGelu, 1e-5, 32),
            Family::Dinov2 => (Activation::Gelu, 1e-6, if registers > 0 { 16 } else { 14 }),
            Family::Siglip => (Activation::GeluTanh, 1e-6, 16),
        };
        let activation = match section.get("hidden_act") {
            None | Some(Value::Null) => activation,
            Some(value) => Activation::deserialize(value).map_err(|_| {
                failed(format!("`hidden_act` is {value}; supported are gelu, gelu_pytorch_tanh and quick_gelu"))
            })?,
        };
        let epsilon = match section.get("layer_norm_eps") {
            None | Some(Value::Null) => epsilon,
            Some(value) => value
                .as_f64()
                .filter(|value| (0.0..1.0).contains(value))
                .ok_or_else(|| failed(format!("`layer_norm_eps` is {value}, not a small number")))?,
        };
        let config = TowerConfig {
            family,
            width,
            depth: number("num_hidden_layers", 12)?,
            heads: number("num_attention_heads", 12)?,
            mlp_width,
            patch: number("patch_size", patch)?,
            side: number("image_size", 224)?,
            registers: if family == Family::Dinov2 { number("num_register_tokens", registers)? } else { 0 },
            activation,
            epsilon: epsilon as f32,
            projection: None,
            attention_pool,
        };
        match config.problem() {
            Some(problem) => Err(failed(problem)),
            None => Ok(config),
        }
    }
}

pub(crate) fn as_usize(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|number| usize::try_from(number).ok())
}

/// The most bytes of a JSON file beside the weights.
const MAX_JSON_BYTES: u64 = 1 << 20;

/// Reads a JSON file. Returns `None` if it does not exist.
pub(crate) fn read_json(path: &Path) -> Result<Option<Value>> {
    use std::io::Read;
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut text = String::new();
    file.take(MAX_JSON_BYTES).read_to_string(&mut text).map_err(failed)?;
    let problem = |error: serde_json::Error| Error::Config { path: path.to_owned(), problem: error.to_string() };
    serde_json::from_str(&text).map(Some).map_err(problem)
}
