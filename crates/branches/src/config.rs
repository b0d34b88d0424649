//! The section `[model]` of a pipeline file.

use std::fmt;

use artifacts::config::OutOfRange;
use model::weights::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signals::augment::AugmentConfig;
use signals::residual::Residual;

/// The name of the section, for messages.
const SECTION: &str = "model";

/// A kind of branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BranchName {
    /// ResNet-18 on the resized pixels of the shards, in place of ResNet-50.
    Resnet18,
    /// ResNet-34, likewise.
    Resnet34,
    /// ResNet-50 on the resized pixels of the shards: the baseline. A ResNet can only be the single branch of a detector.
    Resnet50,
    /// ResNet-101 on the resized pixels of the shards, in place of ResNet-50.
    Resnet101,
    /// A vision transformer (CLIP, DINOv2, SigLIP) on the whole image.
    Vit,
    /// A small network on windows at native resolution, trained from scratch.
    Patches,
    /// Statistics of the residual and its spectrum at native resolution.
    Frequency,
    /// The container, the coding and the metadata of the file.
    Metadata,
}

impl BranchName {
    /// All names, in the order in which detectors list their branches.
    pub const ALL: [BranchName; 8] = [
        BranchName::Resnet18,
        BranchName::Resnet34,
        BranchName::Resnet50,
        BranchName::Resnet101,
        BranchName::Vit,
        BranchName::Patches,
        BranchName::Frequency,
        BranchName::Metadata,
    ];

    /// Whether the branch is a ResNet on resized pixels.
    pub fn is_resnet(self) -> bool {
        matches!(self, BranchName::Resnet18 | BranchName::Resnet34 | BranchName::Resnet50 | BranchName::Resnet101)
    }

    /// The name in configurations, checkpoints and results.
    pub fn name(self) -> &'static str {
        match self {
            BranchName::Resnet18 => "resnet18",
            BranchName::Resnet34 => "resnet34",
            BranchName::Resnet50 => "resnet50",
            BranchName::Resnet101 => "resnet101",
            BranchName::Vit => "vit",
            BranchName::Patches => "patches",
            BranchName::Frequency => "frequency",
            BranchName::Metadata => "metadata",
        }
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The configuration of a detector: its branches and their fusion. Each field is a key of the section `[model]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// The branches: one ResNet (`["resnet50"]` is the baseline; `resnet18`, `resnet34` and `resnet101` replace it), or any
    /// of `vit`, `patches`, `frequency` and `metadata`.
    #[schemars(
        extend("x-range" = "one ResNet, or some of \"vit\", \"patches\", \"frequency\" and \"metadata\""),
        example = ["vit", "metadata"]
    )]
    pub branches: Vec<BranchName>,
    /// The vision transformer.
    pub vit: VitConfig,
    /// The network on windows.
    pub patches: PatchesConfig,
    /// How the branches' logits become one.
    pub fusion: FusionConfig,
    /// The changed copies of images that features are computed of.
    pub views: ViewsConfig,
    /// The changed copies of validation images.
    pub validation: ValidationConfig,
    /// The number of additional trainings, each without some generators and photographs. Their predictions for what they
    /// were not trained on determine when a verdict is inconclusive. 0: none, and the validation split determines it.
    #[schemars(range(min = 0, max = 100))]
    pub held_out_folds: usize,
    /// Which photographs each of these trainings leaves out.
    pub held_out_photographs: HeldOutPhotographs,
}

impl Default for ModelConfig {
    fn default() -> Self {
        ModelConfig {
            branches: vec![BranchName::Resnet50],
            vit: VitConfig::default(),
            patches: PatchesConfig::default(),
            fusion: FusionConfig::default(),
            views: ViewsConfig::default(),
            validation: ValidationConfig::default(),
            held_out_folds: 10,
            held_out_photographs: HeldOutPhotographs::Content,
        }
    }
}

/// The photographs that a training without some generators leaves out as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeldOutPhotographs {
    /// An equal share of each folder. The verdicts then promise a share of errors for generators that training did not
    /// see, and for cameras that it saw.
    Content,
    /// Whole folders, such as those of a camera. The verdicts then promise it for unseen generators together with unseen
    /// cameras, and are fewer.
    Folders,
}

/// The branch `vit`: a frozen vision transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VitConfig {
    /// The weights of the transformer: `hf:owner/repo[/file][@revision]`, or a safetensors file under Hugging Face's
    /// names with `config.json` beside it.
    #[schemars(
        with = "String",
        extend("x-range" = "hf:owner/repo[/file][@revision], the path of a safetensors file, or none")
    )]
    pub weights: Source,
    /// The blocks whose output tokens are features, counted from 1. Empty: the last five twelfths of the blocks, as 8 to
    /// 12 of 12. Earlier blocks were of no use in experiments (docs/detection.md).
    #[schemars(extend("x-range" = "numbers of blocks, from 1"), example = [8, 9, 10, 11, 12])]
    pub layers: Vec<usize>,
    /// The parts of an image that the transformer looks at.
    pub crops: Crops,
}

impl Default for VitConfig {
    fn default() -> Self {
        VitConfig {
            weights: Source::Hub("hf:openai/clip-vit-base-patch16".to_owned()),
            layers: Vec::new(),
            crops: Crops::Both,
        }
    }
}

/// The parts of an image that a transformer looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Crops {
    /// The whole image, resized as the transformer was trained: shorter side, then the centre.
    Whole,
    /// The whole image, and its centre at native resolution. Images smaller than the transformer's input have no centre
    /// crop; the whole image takes its place.
    Both,
}

/// The branch `patches`: a small ResNet on residuals of windows at native resolution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PatchesConfig {
    /// The side of a window in pixels, from 32 to 256. The branch has nothing to say about smaller images.
    #[schemars(range(min = 32, max = 256))]
    pub side: usize,
    /// The number of windows of an image. Training takes windows at random positions, new ones in each epoch; inference
    /// takes those of the richest and of the poorest texture.
    #[schemars(range(min = 1, max = 64))]
    pub count: usize,
    /// What the network sees of a window: `none` (the pixels), `srm`, `median`, `neighbours` or `npr`. The pixels gave the
    /// best validation scores (docs/detection.md).
    pub residual: Residual,
    /// The learning rate of the first step. It follows `train.schedule`.
    #[schemars(extend("x-range" = "above 0"))]
    pub learning_rate: f64,
    /// Weight decay of the head. The network has none.
    #[schemars(extend("x-range" = "at least 0"), example = 0.01)]
    pub weight_decay: f64,
}

impl Default for PatchesConfig {
    fn default() -> Self {
        PatchesConfig {
            side: signals::patches::SIDE as usize,
            count: signals::patches::COUNT,
            residual: Residual::None,
            learning_rate: 1e-3,
            weight_decay: 0.0,
        }
    }
}

/// How the branches' logits become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FusionConfig {
    /// Whether the branch `metadata` takes part in the fused verdict. Anyone can write metadata, and in data sets they
    /// often reveal the class by accident. Without it, the branch's own P(fake) is still reported.
    pub metadata: bool,
    /// The width of the Gaussian kernel that compares features with those of training images:
    /// `exp(-gamma |x - a|²)` for vectors of length 1. 0: no kernel, a linear head on the features themselves.
    #[schemars(extend("x-range" = "at least 0"))]
    pub gamma: f64,
    /// The largest number of training images that features are compared with.
    #[schemars(range(min = 1, max = 100000))]
    pub anchors: usize,
    /// The penalty `l2 / 2 |w|²` on the weights of each head.
    #[schemars(extend("x-range" = "at least 0"))]
    pub l2: f64,
    /// The probability that training sets a projected feature to zero.
    #[schemars(extend("x-range" = "at least 0 and less than 1"), example = 0.1)]
    pub feature_dropout: f64,
    /// Weight decay of AdamW, decoupled from the gradient (Loshchilov and Hutter, arXiv 1711.05101).
    #[schemars(extend("x-range" = "at least 0"), example = 0.01)]
    pub weight_decay: f64,
    /// Decay of the moving average of the weights, which evaluation uses. 0 uses the weights of the last step.
    #[schemars(extend("x-range" = "at least 0 and less than 1"))]
    pub average: f64,
    /// The target of the loss for the right class is 1 - `label_smoothing` / 2.
    #[schemars(extend("x-range" = "at least 0 and less than 1"), example = 0.1)]
    pub label_smoothing: f64,
    /// Whether each class, within the fakes each generator, and within the photographs each folder of the source has
    /// the same weight in the loss.
    pub balance: bool,
}

impl Default for FusionConfig {
    fn default() -> Self {
        FusionConfig {
            metadata: false,
            gamma: 2.0,
            anchors: 2000,
            l2: 0.02,
            feature_dropout: 0.0,
            weight_decay: 0.0,
            average: 0.99,
            label_smoothing: 0.0,
            balance: true,
        }
    }
}

/// The changed copies of images that features of frozen branches are computed of. They are computed once and kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ViewsConfig {
    /// The number of changed copies of each training image, besides the image itself.
    #[schemars(range(min = 0, max = 100))]
    pub train: usize,
    /// The changes to training images, at native resolution.
    pub augment: AugmentConfig,
}

impl Default for ViewsConfig {
    fn default() -> Self {
        ViewsConfig { train: 2, augment: AugmentConfig::default() }
    }
}

/// The changed copies of validation images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationConfig {
    /// The changes to validation images. Half of the validation score, which chooses the best epoch, is computed on
    /// changed images, and training should not have seen these changes.
    pub augment: AugmentConfig,
}

impl ModelConfig {
    /// Whether the detector is a single ResNet on resized pixels, such as the ResNet-50 baseline. It has no fusion.
    pub fn is_resnet(&self) -> bool {
        self.resnet().is_some()
    }

    /// The name of the ResNet, if the detector is one.
    pub fn resnet(&self) -> Option<&'static str> {
        match self.branches[..] {
            [branch] if branch.is_resnet() => Some(branch.name()),
            _ => None,
        }
    }

    /// Checks the branches and the ranges of all values.
    ///
    /// # Errors
    /// The first value that is not valid.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let check = |valid: bool, key, value: &dyn fmt::Display, range| {
            if valid { Ok(()) } else { Err(OutOfRange::new(SECTION, key, value, range)) }
        };
        let names: Vec<&str> = self.branches.iter().map(|branch| branch.name()).collect();
        let unique = self.branches.iter().enumerate().all(|(i, branch)| !self.branches[..i].contains(branch));
        let combines = self.is_resnet() || !self.branches.iter().any(|branch| branch.is_resnet());
        let valid = !names.is_empty() && unique && combines;
        let range = "one ResNet (\"resnet18\", \"resnet34\", \"resnet50\", \"resnet101\"), or one or more of \"vit\", \
                     \"patches\", \"frequency\" and \"metadata\", each once";
        check(valid, "branches", &format!("{names:?}"), range)?;
        let visible = self.fused_branches().next().is_some();
        check(
            visible,
            "branches",
            &format!("{names:?}"),
            "more than \"metadata\", unless model.fusion.metadata is true",
        )?;
        for (key, share) in [
            ("fusion.feature_dropout", self.fusion.feature_dropout),
            ("fusion.average", self.fusion.average),
            ("fusion.label_smoothing", self.fusion.label_smoothing),
        ] {
            check((0.0..1.0).contains(&share), key, &share, "at least 0 and less than 1")?;
        }
        let FusionConfig { gamma, l2, weight_decay, anchors, .. } = self.fusion;
        for (key, value) in [("fusion.gamma", gamma), ("fusion.l2", l2), ("fusion.weight_decay", weight_decay)] {
            check(value.is_finite() && value >= 0.0, key, &value, "finite and at least 0")?;
        }
        check((1..=100_000).contains(&anchors), "fusion.anchors", &anchors, "1 to 100000")?;
        let PatchesConfig { side, count, learning_rate, weight_decay, .. } = self.patches;
        check((32..=256).contains(&side), "patches.side", &side, "32 to 256")?;
        check((1..=64).contains(&count), "patches.count", &count, "1 to 64")?;
        let positive = learning_rate.is_finite() && learning_rate > 0.0;
        check(positive, "patches.learning_rate", &learning_rate, "finite and above 0")?;
        let valid = weight_decay.is_finite() && weight_decay >= 0.0;
        check(valid, "patches.weight_decay", &weight_decay, "finite and at least 0")?;
        self.views.augment.validate("model.views")?;
        self.validation.augment.validate("model.validation")?;
        check(self.held_out_folds <= 100, "held_out_folds", &self.held_out_folds, "0 to 100")?;
        check(self.views.train <= 100, "views.train", &self.views.train, "0 to 100")?;
        check(!self.vit.layers.contains(&0), "vit.layers", &"0", "block numbers from 1")
    }

    /// The branches whose features are computed once, in the configured order.
    pub fn frozen_branches(&self) -> impl Iterator<Item = BranchName> {
        self.branches.iter().copied().filter(|&branch| branch != BranchName::Patches)
    }

    /// Whether the detector has the branch `patches`.
    pub fn has_patches(&self) -> bool {
        self.branches.contains(&BranchName::Patches)
    }

    /// The branches that take part in the fused logit.
    pub fn fused_branches(&self) -> impl Iterator<Item = BranchName> {
        let metadata = self.fusion.metadata;
        self.branches.iter().copied().filter(move |&branch| branch != BranchName::Metadata || metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_the_baseline() {
        let config = ModelConfig::default();
        assert!(config.is_resnet());
        config.validate().unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ModelConfig>(&json).unwrap(), config);
    }

    #[test]
    fn rejects_branches_that_cannot_be_combined() {
        use BranchName::{Frequency, Metadata, Resnet18, Resnet50, Vit};
        let message = |branches: &[BranchName]| {
            let config = ModelConfig { branches: branches.to_vec(), ..ModelConfig::default() };
            config.validate().map_err(|error| error.to_string())
        };
        for branches in [&[][..], &[Resnet50, Vit], &[Resnet18, Resnet50], &[Vit, Vit], &[Metadata]] {
            let error = message(branches).unwrap_err();
            assert!(error.starts_with("model.branches must be"), "{error}");
        }
        for branches in [&[Vit][..], &[Frequency, Metadata], &[Vit, Frequency, Metadata]] {
            message(branches).unwrap();
        }
    }

    #[test]
    fn metadata_is_left_out_of_the_fusion_by_default() {
        use BranchName::{Metadata, Vit};
        let mut config = ModelConfig { branches: vec![Vit, Metadata], ..ModelConfig::default() };
        assert_eq!(config.fused_branches().collect::<Vec<_>>(), [Vit]);
        config.fusion.metadata = true;
        assert_eq!(config.fused_branches().collect::<Vec<_>>(), [Vit, Metadata]);
    }
}
