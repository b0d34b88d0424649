//! The section `[train]` of a pipeline file.

mod augment;
mod criterion;
mod schedule;
mod validate;

use std::collections::BTreeMap;

use branches::ModelConfig;
use model::device::DeviceChoice;
use model::weights::Source;
use model::{NetworkConfig, PrecisionChoice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::balance::{BalanceBy, ClassBalance};

pub use augment::{Augment, Blur, Colour, Crop, Cutout, Jpeg, Noise, Rotate, Webp};
pub use criterion::Criterion;
pub use schedule::Schedule;
use schedule::Steps;

/// Learning rate for pretrained weights, as in the baseline. Larger rates destroy pretrained features.
const PRETRAINED_LEARNING_RATE: f64 = 1e-4;
/// Learning rate for random initial weights.
const SCRATCH_LEARNING_RATE: f64 = 1e-3;
/// Learning rate for the heads of frozen branches, whose loss is convex.
const HEAD_LEARNING_RATE: f64 = 1e-2;

/// The configuration of training. Each field is a key of the section `[train]`; the defaults are the recipe of the
/// ResNet-50 baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Initial weights: `hf:owner/repo[/file][@revision]`, a safetensors file, or `none` for random ones. With random
    /// weights, residual blocks start as identities (arXiv 1706.02677).
    #[schemars(
        with = "String",
        extend("x-range" = "hf:owner/repo[/file][@revision], the path of a safetensors file, or none"),
        example = &"none"
    )]
    pub weights: Source,
    /// Prefixes of tensors that the file of `train.weights` may lack, e.g. `["layer4."]`. Missing tensors are
    /// initialised randomly.
    #[schemars(extend("x-range" = "prefixes of tensor names"), example = ["layer4."])]
    pub allow_missing: Vec<String>,
    /// Passes over the training split. Raising it continues a finished training.
    #[schemars(range(min = 1))]
    pub epochs: usize,
    /// Images per step. The last batch of an epoch holds the remainder. A remainder of one image joins the batch before
    /// it, because batch normalisation cannot train on a single image.
    #[schemars(range(min = 2))]
    pub batch: usize,
    /// The highest learning rate of a training. The default is 1e-4 for pretrained weights, 1e-3 for random ones and 1e-2
    /// for the heads of frozen branches.
    #[schemars(extend("x-range" = "above 0"), example = 1e-4)]
    pub learning_rate: Option<f64>,
    /// How the learning rate changes after the warm-up: `constant`, `cosine` (it falls to 0 over all epochs,
    /// arXiv 1608.03983) or `step` (see `step_epochs`). The default is `constant` for the baseline, as published, and
    /// `cosine` for the fusion of branches.
    #[schemars(example = &"cosine")]
    pub schedule: Option<Schedule>,
    /// The length of the warm-up in epochs, such as 0.5. The learning rate rises linearly from nearly 0
    /// (arXiv 1706.02677). 0: no warm-up.
    #[schemars(extend("x-range" = "0 to train.epochs"), example = 0.5)]
    pub warmup_epochs: f64,
    /// Epochs between two falls of the learning rate, for the schedule `step`.
    #[schemars(range(min = 1))]
    pub step_epochs: usize,
    /// The factor of each fall, for the schedule `step`.
    #[schemars(extend("x-range" = "above 0 and at most 1"))]
    pub step_factor: f64,
    /// Weight decay of AdamW on all parameters, as `torch.optim.AdamW` (arXiv 1711.05101). 0: Adam. Detectors of branches
    /// have `model.fusion.weight_decay`.
    #[schemars(extend("x-range" = "at least 0 and less than 1 / train.learning_rate"), example = 0.05)]
    pub weight_decay: f64,
    /// The highest norm of the gradient over all parameters. Larger gradients are scaled down to it
    /// (arXiv 1211.5063). 0: no limit. For the baseline.
    #[schemars(extend("x-range" = "at least 0"), example = 1.0)]
    pub clip_norm: f64,
    /// Batches per step. Their gradients are averaged, so that a step sees `batch * accumulate` images in the memory of
    /// `batch`. Batch normalisation still works on single batches. The last step of an epoch takes the remainder. For the
    /// baseline.
    #[schemars(range(min = 1, max = 100000), example = 4)]
    pub accumulate: usize,
    /// The target of the loss is `1 - label_smoothing / 2` for the right class (arXiv 1512.00567). Detectors of branches
    /// have `model.fusion.label_smoothing`.
    #[schemars(extend("x-range" = "at least 0 and less than 1"), example = 0.1)]
    pub label_smoothing: f64,
    /// What compensates for unequal numbers of images: `none`, `weights` (in the loss, with mean 1) or `sampling` (each
    /// epoch has as many images as the split, the same number of each class; images of small groups recur with another
    /// augmentation). Detectors of branches have `model.fusion.balance`.
    #[schemars(example = &"weights")]
    pub class_balance: ClassBalance,
    /// What `class_balance` balances: `class`, or `generator` (the classes, and within them each generator, or each folder
    /// of images without a generator).
    #[schemars(example = &"generator")]
    pub balance_by: BalanceBy,
    /// Decay of the exponential moving average of the weights and running statistics, such as 0.999. Validation and the
    /// checkpoints' `model.safetensors` then have the average. 0: the weights of the last step. It averages about
    /// `1 / (1 - ema)` steps, which should be few beside the steps of the training. Detectors of branches have
    /// `model.fusion.average`.
    #[schemars(extend("x-range" = "at least 0 and less than 1"), example = 0.999)]
    pub ema: f64,
    /// Ends the training after this many epochs in a row without a better one, as `select` orders them. 0: trains all
    /// epochs.
    #[schemars(extend("x-range" = "0 (off) or a number of epochs"), example = 5)]
    pub early_stop: usize,
    /// The validation metric that chooses the checkpoint `best`: `accuracy`, `roc_auc` or `loss`. Of equal epochs, the one
    /// with the lower loss wins, then the earlier. The default is `accuracy` for the baseline, as published, and `roc_auc`
    /// for the fusion of branches.
    #[schemars(example = &"roc_auc")]
    pub select: Option<Criterion>,
    /// Generators whose images are used neither for training nor for validation, by name. Their images in the test split
    /// then show how the detector does on a generator that it was not trained on.
    #[schemars(extend("x-range" = "names of generators"), example = ["adm"])]
    pub leave_out: Vec<String>,
    /// The number of training images of some generators, by name. The first by the hash of their content are taken, and
    /// none of these generators is used for validation. With 0, a generator is left out.
    #[schemars(extend("x-range" = "a number for each generator"), example = BTreeMap::from([("adm", 10)]))]
    pub few_shot: BTreeMap<String, usize>,
    /// The number of independent trainings, `run-0`, `run-1` … They differ only in their seeds.
    #[schemars(range(min = 1, max = 1000), example = 3)]
    pub runs: usize,
    /// Seed of run 0. Run k derives its initial weights, shuffles and augmentation from `seed + k`.
    #[schemars(extend("x-range" = "0 to 2^64 - 1001"))]
    pub seed: u64,
    /// The device: `auto` (CUDA if the build and the machine have it), `cpu`, `cuda` or `cuda:N`.
    #[schemars(with = "String", extend("x-range" = "auto, cpu, cuda or cuda:N"), example = &"cpu")]
    pub device: DeviceChoice,
    /// Element type of the products of convolutions and of a frozen vision transformer: `auto` (f32 on the CPU, the
    /// fastest supported type on a GPU), `f32`, `bf16` or, on a GPU, `tf32`. In a detector of branches, a fine-tuned
    /// vision transformer computes in f32, and nothing on a GPU.
    #[schemars(with = "String", extend("x-range" = "auto, f32, bf16 or tf32"), example = &"f32")]
    pub precision: PrecisionChoice,
    /// Minutes between two saves of `last` in the middle of an epoch; 0 saves after each epoch only. Bounds the work
    /// that a killed training loses; does not change the result.
    #[schemars(extend("x-range" = "0 or a number of minutes"))]
    pub save_minutes: u64,
    /// With several processes, batch normalisation uses the statistics of the images of all processes instead of those of
    /// its own slice. The result then does not depend on the number of processes, but for rounding, and a step exchanges
    /// about a hundred more sums. No effect with one process. For ResNets on processors.
    pub sync_batch_norm: bool,
    /// Random changes to the stored pixels of training images, for the baseline. Detectors of branches have
    /// `model.views.augment`, which changes images at native resolution.
    pub augment: Augment,
    /// The detector: the section `[model]`.
    pub model: ModelConfig,
}

/// torchvision's ImageNet weights of a ResNet, in timm's repository.
fn default_weights(arch: &str) -> Source {
    Source::Hub(format!("hf:timm/{arch}.tv_in1k"))
}

impl Default for Config {
    fn default() -> Self {
        Config {
            weights: default_weights("resnet50"),
            allow_missing: Vec::new(),
            epochs: 60,
            batch: 32,
            learning_rate: None,
            schedule: None,
            warmup_epochs: 0.0,
            step_epochs: 30,
            step_factor: 0.1,
            weight_decay: 0.0,
            clip_norm: 0.0,
            accumulate: 1,
            label_smoothing: 0.0,
            class_balance: ClassBalance::None,
            balance_by: BalanceBy::Class,
            ema: 0.0,
            early_stop: 0,
            select: None,
            leave_out: Vec::new(),
            few_shot: BTreeMap::new(),
            runs: 1,
            seed: 0,
            device: DeviceChoice::Auto,
            precision: PrecisionChoice::Auto,
            save_minutes: 15,
            sync_batch_norm: false,
            augment: Augment::default(),
            model: ModelConfig::default(),
        }
    }
}

impl Config {
    /// Returns the configuration that the manifest of run `run` records. It has the seed of that run, and lacks the
    /// keys that do not change its result: a change of `runs`, `device` or `save_minutes` leaves finished runs up to
    /// date.
    pub(crate) fn of_run(&self, run: usize) -> serde_json::Value {
        let resolved = Config {
            seed: self.run_seed(run),
            learning_rate: Some(self.learning_rate()),
            schedule: Some(self.schedule()),
            select: Some(self.select()),
            ..self.clone()
        };
        let mut value = artifacts::stage::to_json(&resolved);
        if let Some(keys) = value.as_object_mut() {
            for key in ["runs", "device", "save_minutes"] {
                keys.remove(key);
            }
        }
        value
    }

    /// The highest learning rate. If it is not configured, it is 1e-4 for pretrained weights, 1e-3 for random
    /// weights and 1e-2 for the heads of frozen branches.
    pub fn learning_rate(&self) -> f64 {
        let default = match self.weights {
            _ if !self.model.is_resnet() => HEAD_LEARNING_RATE,
            Source::None => SCRATCH_LEARNING_RATE,
            _ => PRETRAINED_LEARNING_RATE,
        };
        self.learning_rate.unwrap_or(default)
    }

    /// The ResNet of the detector.
    pub fn network(&self) -> NetworkConfig {
        let default = NetworkConfig::default();
        let arch = self.model.resnet_branch().map_or_else(|| default.arch.clone(), |branch| branch.name().to_owned());
        NetworkConfig { arch, ..default }
    }

    /// The source of the initial weights of [`Config::network`]. The default, ImageNet weights of ResNet-50, stands for
    /// those of the configured ResNet.
    pub fn network_weights(&self) -> Source {
        let arch = self.network().arch;
        if self.weights == default_weights("resnet50") { default_weights(&arch) } else { self.weights.clone() }
    }

    /// How the learning rate changes.
    pub fn schedule(&self) -> Schedule {
        let default = if self.model.is_resnet() { Schedule::Constant } else { Schedule::Cosine };
        self.schedule.unwrap_or(default)
    }

    /// The validation metric that chooses the best epoch.
    pub fn select(&self) -> Criterion {
        let default = if self.model.is_resnet() { Criterion::Accuracy } else { Criterion::RocAuc };
        self.select.unwrap_or(default)
    }

    /// The learning rate of step number `step`, counted from 0.
    pub(crate) fn learning_rate_at(&self, step: u64, steps_per_epoch: u64) -> f64 {
        let steps = |epochs: usize| (epochs as u64).saturating_mul(steps_per_epoch);
        let schedule = Steps {
            schedule: self.schedule(),
            highest: self.learning_rate(),
            warmup: (self.warmup_epochs * steps_per_epoch as f64).round() as u64,
            total: steps(self.epochs),
            interval: steps(self.step_epochs),
            factor: self.step_factor,
        };
        schedule.rate(step)
    }

    /// The seed of run `run`.
    pub(crate) fn run_seed(&self, run: usize) -> u64 {
        self.seed + run as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_learning_rate_depends_on_weights() {
        let pretrained = Config::default();
        let fresh = Config { weights: Source::None, ..Config::default() };
        assert_eq!((pretrained.learning_rate(), fresh.learning_rate()), (1e-4, 1e-3));
        assert_eq!(Config { learning_rate: Some(0.5), ..fresh.clone() }.learning_rate(), 0.5);
        // The manifest records the value, so that a changed default makes a training stale.
        assert_eq!(fresh.of_run(0)["learning_rate"], 1e-3);
    }

    #[test]
    fn cosine_falls_from_the_highest_rate_to_zero() {
        let config = Config { schedule: Some(Schedule::Cosine), epochs: 2, ..Config::default() };
        let rate = |step| config.learning_rate_at(step, 10);
        assert_eq!((rate(0), Config::default().learning_rate_at(15, 10)), (1e-4, 1e-4));
        assert!((rate(10) - 5e-5).abs() < 1e-15 && rate(19) < 1e-6 && rate(20).abs() < 1e-15);
    }

    #[test]
    fn defaults_are_valid_and_round_trip_through_json() {
        let config = Config::default();
        config.validate().unwrap();
        // `--set` accepts only keys in the serialised defaults, so an unset key must be serialised too.
        assert!(artifacts::stage::to_json(&config).get("learning_rate").is_some());
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    }

    #[test]
    fn manifest_config_has_the_seed_of_its_run() {
        let one = Config { seed: 5, ..Config::default() };
        let three = Config { runs: 3, save_minutes: 1, ..one.clone() };
        assert_eq!(one.of_run(0), three.of_run(0));
        assert_ne!(three.of_run(0), three.of_run(1));
        assert_eq!(three.of_run(2)["seed"], 7);
    }
}
