//! The section `[model]` of a pipeline file.

mod networks;
mod vit;

use std::fmt;

use artifacts::config::OutOfRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signals::augment::AugmentConfig;

pub use networks::{PatchesConfig, ResnetConfig};
pub use vit::{Crops, Tuning, VitConfig};

/// The name of the section, for messages.
const SECTION: &str = "model";

/// A kind of branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BranchName {
    /// ResNet-18 on the whole image. As the only branch, a ResNet sees the resized pixels of the shards.
    Resnet18,
    /// ResNet-34, likewise.
    Resnet34,
    /// ResNet-50, likewise. As the only branch, it is the baseline.
    Resnet50,
    /// ResNet-101, likewise.
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
    /// The branches: any of `vit`, `patches`, `frequency` and `metadata`, and at most one ResNet. A ResNet alone
    /// (`["resnet50"]` is the baseline) is trained on the resized pixels of the shards, with all options of `[train]`.
    #[schemars(
        extend("x-range" = "at most one ResNet, and some of \"vit\", \"patches\", \"frequency\" and \"metadata\""),
        example = ["vit", "metadata"]
    )]
    pub branches: Vec<BranchName>,
    /// The vision transformer.
    pub vit: VitConfig,
    /// The network on windows.
    pub patches: PatchesConfig,
    /// The ResNet of a detector that has other branches as well.
    pub resnet: ResnetConfig,
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
            resnet: ResnetConfig::default(),
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

/// Checks a condition on the value of a key.
fn check(valid: bool, key: &'static str, value: &dyn fmt::Display, range: &'static str) -> Result<(), OutOfRange> {
    if valid { Ok(()) } else { Err(OutOfRange::new(SECTION, key, value, range)) }
}

fn check_positive(key: &'static str, value: f64) -> Result<(), OutOfRange> {
    check(value.is_finite() && value > 0.0, key, &value, "finite and above 0")
}

fn check_not_negative(key: &'static str, value: f64) -> Result<(), OutOfRange> {
    check(value.is_finite() && value >= 0.0, key, &value, "finite and at least 0")
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

    /// The ResNet among the branches, if there is one.
    pub fn resnet_branch(&self) -> Option<BranchName> {
        self.branches.iter().copied().find(|branch| branch.is_resnet())
    }

    /// Checks the branches and the ranges of all values.
    ///
    /// # Errors
    /// The first value that is not valid.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let names: Vec<&str> = self.branches.iter().map(|branch| branch.name()).collect();
        let unique = self.branches.iter().enumerate().all(|(i, branch)| !self.branches[..i].contains(branch));
        let resnets = self.branches.iter().filter(|branch| branch.is_resnet()).count();
        let valid = !names.is_empty() && unique && resnets <= 1;
        let range = "one or more of \"vit\", \"patches\", \"frequency\", \"metadata\" and one ResNet (\"resnet18\", \
                     \"resnet34\", \"resnet50\", \"resnet101\"), each once";
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
            check_not_negative(key, value)?;
        }
        check((1..=100_000).contains(&anchors), "fusion.anchors", &anchors, "1 to 100000")?;
        self.patches.validate()?;
        self.resnet.validate()?;
        self.vit.validate()?;
        self.views.augment.validate("model.views")?;
        self.validation.augment.validate("model.validation")?;
        check(self.held_out_folds <= 100, "held_out_folds", &self.held_out_folds, "0 to 100")?;
        check(self.views.train <= 100, "views.train", &self.views.train, "0 to 100")
    }

    /// The branches whose features are computed once, in the configured order. Only a head is trained on them.
    pub fn frozen_branches(&self) -> impl Iterator<Item = BranchName> {
        self.branches.iter().copied().filter(|&branch| !self.is_trained(branch))
    }

    /// The branches whose networks are trained, in the configured order.
    pub fn trained_branches(&self) -> impl Iterator<Item = BranchName> {
        self.branches.iter().copied().filter(|&branch| self.is_trained(branch))
    }

    fn is_trained(&self, branch: BranchName) -> bool {
        match branch {
            BranchName::Vit => self.vit.is_tuned(),
            BranchName::Patches => true,
            BranchName::Frequency | BranchName::Metadata => false,
            _ => branch.is_resnet(),
        }
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
        for branches in [&[][..], &[Resnet18, Resnet50], &[Vit, Vit], &[Metadata]] {
            let error = message(branches).unwrap_err();
            assert!(error.starts_with("model.branches must be"), "{error}");
        }
        for branches in [&[Vit][..], &[Frequency, Metadata], &[Vit, Frequency, Metadata], &[Resnet50, Vit]] {
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
