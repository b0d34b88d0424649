//! The tensor names of each family in Hugging Face's files, and the shapes that a configuration requires.

use crate::config::{Family, TowerConfig};
use crate::weights_file::WeightsFile;

/// The names of a tower's modules.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    family: Family,
    prefix: String,
}

/// The names of a block's modules. A module `m` has the tensors `m.weight` and `m.bias`.
#[derive(Clone, Debug)]
pub(crate) struct BlockNames {
    /// The norm before the attention.
    pub(crate) norm1: String,
    /// Queries, keys and values.
    pub(crate) qkv: [String; 3],
    /// The projection after the attention.
    pub(crate) output: String,
    /// The factors of the attention's output, in DINOv2. This is a tensor.
    pub(crate) scale1: Option<String>,
    /// The norm before the MLP.
    pub(crate) norm2: String,
    /// The first layer of the MLP.
    pub(crate) fc1: String,
    /// The second layer of the MLP.
    pub(crate) fc2: String,
    /// The factors of the MLP's output, in DINOv2. This is a tensor.
    pub(crate) scale2: Option<String>,
}

impl TowerConfig {
    /// Returns the names and shapes of all tensors of a file with this tower and no text tower.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let prefix = if self.family == Family::Dinov2 { "" } else { "vision_model." };
        Names { family: self.family, prefix: prefix.to_owned() }.tensors(self)
    }
}

/// The patch embedding of CLIP and SigLIP.
const PATCHES: &str = "embeddings.patch_embedding.weight";
/// The patch embedding of DINOv2.
const DINO_PATCHES: &str = "embeddings.patch_embeddings.projection.weight";
/// The prefixes of a tower's names in files of CLIP and SigLIP.
const PREFIXES: [&str; 2] = ["vision_model.", ""];
/// The prefixes of a tower's names in files of DINOv2.
const DINO_PREFIXES: [&str; 3] = ["", "dinov2.", "dinov2_with_registers."];
/// CLIP's projection of the pooled output. It stands beside the tower.
pub(crate) const PROJECTION: &str = "visual_projection.weight";

impl Names {
    /// Finds the tower in a file. Returns `None` if there is none.
    pub(crate) fn find(file: &WeightsFile) -> Option<Self> {
        for prefix in PREFIXES {
            if file.shape(&format!("{prefix}{PATCHES}")).is_some() {
                let clip = file.shape(&format!("{prefix}embeddings.class_embedding")).is_some();
                let family = if clip { Family::Clip } else { Family::Siglip };
                return Some(Self { family, prefix: prefix.to_owned() });
            }
        }
        DINO_PREFIXES
            .into_iter()
            .find(|prefix| file.shape(&format!("{prefix}{DINO_PATCHES}")).is_some())
            .map(|prefix| Self { family: Family::Dinov2, prefix: prefix.to_owned() })
    }

    /// Returns the prefix, with its last dot, that a wrapper such as `DistributedDataParallel` put before the names of a
    /// tower. Returns `None` if the file has no tower.
    pub(crate) fn outer_prefix(file: &WeightsFile) -> Option<String> {
        let clip = PREFIXES.map(|prefix| format!("{prefix}{PATCHES}"));
        let dino = DINO_PREFIXES.map(|prefix| format!("{prefix}{DINO_PATCHES}"));
        let prefixes = file.names().into_iter().flat_map(|name| {
            let prefixes = clip.iter().chain(&dino).filter_map(|patches| name.strip_suffix(patches.as_str()));
            prefixes.filter(|prefix| prefix.ends_with('.')).map(str::to_owned).collect::<Vec<_>>()
        });
        // `module.vision_model.` ends with a prefix of the family, which the shortest one leaves to it.
        prefixes.min_by_key(String::len)
    }

    /// The family that the names belong to.
    pub(crate) fn family(&self) -> Family {
        self.family
    }

    fn name(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }

    /// Returns the name of the tensor for one of several families, in the order of [`Family`].
    fn of_family(&self, names: [&str; 3]) -> String {
        self.name(names[self.family as usize])
    }

    /// The weight of the patch embedding, `[width, 3, patch, patch]`.
    pub(crate) fn patches(&self) -> String {
        self.of_family([PATCHES, DINO_PATCHES, PATCHES])
    }

    /// The bias of the patch embedding, except in CLIP.
    pub(crate) fn patches_bias(&self) -> Option<String> {
        (self.family != Family::Clip).then(|| self.patches().replace(".weight", ".bias"))
    }

    /// The class token, except in SigLIP.
    pub(crate) fn class(&self) -> Option<String> {
        let name = self.of_family(["embeddings.class_embedding", "embeddings.cls_token", ""]);
        (self.family != Family::Siglip).then_some(name)
    }

    /// The position embeddings.
    pub(crate) fn positions(&self) -> String {
        let [clip, dino] = ["embeddings.position_embedding.weight", "embeddings.position_embeddings"];
        self.of_family([clip, dino, clip])
    }

    /// The register tokens of DINOv2.
    pub(crate) fn registers(&self) -> String {
        self.name("embeddings.register_tokens")
    }

    /// The norm before the first block, in CLIP. The name is spelt so in the files.
    pub(crate) fn norm_before(&self) -> Option<String> {
        (self.family == Family::Clip).then(|| self.name("pre_layrnorm"))
    }

    /// The norm after the last block.
    pub(crate) fn norm_after(&self) -> String {
        self.of_family(["post_layernorm", "layernorm", "post_layernorm"])
    }

    /// A part of SigLIP's attention pooling.
    pub(crate) fn head(&self, part: &str) -> String {
        self.name(&format!("head.{part}"))
    }

    /// The modules of a block.
    pub(crate) fn block(&self, block: usize) -> BlockNames {
        let dino = self.family == Family::Dinov2;
        let name = |clip: &str, of_dino: &str| match dino {
            true => self.name(&format!("encoder.layer.{block}.{of_dino}")),
            false => self.name(&format!("encoder.layers.{block}.{clip}")),
        };
        BlockNames {
            norm1: name("layer_norm1", "norm1"),
            qkv: [
                name("self_attn.q_proj", "attention.attention.query"),
                name("self_attn.k_proj", "attention.attention.key"),
                name("self_attn.v_proj", "attention.attention.value"),
            ],
            output: name("self_attn.out_proj", "attention.output.dense"),
            scale1: dino.then(|| name("", "layer_scale1.lambda1")),
            norm2: name("layer_norm2", "norm2"),
            fc1: name("mlp.fc1", "mlp.fc1"),
            fc2: name("mlp.fc2", "mlp.fc2"),
            scale2: dino.then(|| name("", "layer_scale2.lambda1")),
        }
    }

    /// Returns the names and shapes of all tensors of a tower with `config`.
    pub(crate) fn tensors(&self, config: &TowerConfig) -> Vec<(String, Vec<usize>)> {
        let TowerConfig { width, patch, mlp_width, .. } = *config;
        let mut all = vec![(self.patches(), vec![width, 3, patch, patch])];
        all.extend(self.patches_bias().map(|name| (name, vec![width])));
        let positions = config.grid(config.side).pow(2) + usize::from(config.has_class_token());
        match self.family {
            Family::Clip => all.extend(self.class().map(|name| (name, vec![width]))),
            _ => all.extend(self.class().map(|name| (name, vec![1, 1, width]))),
        }
        match self.family {
            Family::Dinov2 => all.push((self.positions(), vec![1, positions, width])),
            _ => all.push((self.positions(), vec![positions, width])),
        }
        if config.registers > 0 {
            all.push((self.registers(), vec![1, config.registers, width]));
        }
        let module = |all: &mut Vec<(String, Vec<usize>)>, name: &str, shape: Vec<usize>| {
            all.push((format!("{name}.bias"), shape[..1].to_vec()));
            all.push((format!("{name}.weight"), shape));
        };
        for name in self.norm_before().into_iter().chain([self.norm_after()]) {
            module(&mut all, &name, vec![width]);
        }
        for block in (0..config.depth).map(|block| self.block(block)) {
            for name in [&block.norm1, &block.norm2] {
                module(&mut all, name, vec![width]);
            }
            for name in block.qkv.iter().chain([&block.output]) {
                module(&mut all, name, vec![width, width]);
            }
            module(&mut all, &block.fc1, vec![mlp_width, width]);
            module(&mut all, &block.fc2, vec![width, mlp_width]);
            all.extend(block.scale1.into_iter().chain(block.scale2).map(|name| (name, vec![width])));
        }
        if let Some(outputs) = config.projection {
            all.push((PROJECTION.to_owned(), vec![outputs, width]));
        }
        if config.attention_pool {
            all.push((self.head("probe"), vec![1, 1, width]));
            all.push((self.head("attention.in_proj_weight"), vec![3 * width, width]));
            all.push((self.head("attention.in_proj_bias"), vec![3 * width]));
            module(&mut all, &self.head("attention.out_proj"), vec![width, width]);
            module(&mut all, &self.head("layernorm"), vec![width]);
            module(&mut all, &self.head("mlp.fc1"), vec![mlp_width, width]);
            module(&mut all, &self.head("mlp.fc2"), vec![width, mlp_width]);
        }
        all
    }
}
