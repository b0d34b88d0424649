//! The section `[train]` of a pipeline file.

use artifacts::config::OutOfRange;
use artifacts::names;
use branches::ModelConfig;
use model::device::DeviceChoice;
use model::weights::Source;
use model::{NetworkConfig, PrecisionChoice};
use serde::{Deserialize, Serialize};

/// Learning rate for pretrained weights, as in the baseline. Larger rates destroy pretrained features.
const PRETRAINED_LEARNING_RATE: f64 = 1e-4;
/// Learning rate for random initial weights.
const SCRATCH_LEARNING_RATE: f64 = 1e-3;
/// Learning rate for the heads of frozen branches, whose loss is convex.
const HEAD_LEARNING_RATE: f64 = 1e-2;

/// The configuration of training. Each field is a key of the section `[train]`; the defaults are the recipe of the
/// ResNet-50 baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Initial weights: `hf:owner/repo[/file][@revision]`, a safetensors file, or `none` for random ones. With random
    /// weights, residual blocks start as identities ([`model::Network::zero_init_residual`]).
    pub weights: Source,
    /// Prefixes of tensors that the weights file may lack, e.g. `["layer4."]`. Missing tensors are initialised
    /// randomly.
    pub allow_missing: Vec<String>,
    /// Passes over the training split. Raising it continues a finished training.
    pub epochs: usize,
    /// Images per step. The last batch of an epoch holds the remainder. A remainder of one image joins the batch before
    /// it, because batch normalisation cannot train on a single image.
    pub batch: usize,
    /// The highest learning rate of a training. The default is 1e-4 for pretrained weights, 1e-3 for random ones and 1e-2
    /// for the heads of frozen branches.
    pub learning_rate: Option<f64>,
    /// How the learning rate changes: `constant`, or `cosine` (it falls to 0 over all epochs, arXiv 1608.03983). The
    /// default is `constant` for the baseline, as published, and `cosine` for the fusion of branches.
    pub schedule: Option<Schedule>,
    /// Generators whose images are used neither for training nor for validation, by name. Their images in the test split
    /// then show how the detector does on a generator that it was not trained on.
    pub leave_out: Vec<String>,
    /// The number of independent trainings, `run-0`, `run-1` … They differ only in their seeds.
    pub runs: usize,
    /// Seed of run 0. Run k derives its initial weights, shuffles and augmentation from `seed + k`.
    pub seed: u64,
    /// The device: `auto` (CUDA if the build and the machine have it), `cpu`, `cuda` or `cuda:N`.
    pub device: DeviceChoice,
    /// Element type of convolution inputs and weights: `auto` (f32 on the CPU, the fastest supported type on a GPU),
    /// `f32`, `bf16` or, on a GPU, `tf32`.
    pub precision: PrecisionChoice,
    /// Minutes between two saves of `last` in the middle of an epoch; 0 saves after each epoch only. Bounds the work
    /// that a killed training loses; does not change the result.
    pub save_minutes: u64,
    /// Random changes to the stored pixels of training images, for the baseline. Detectors of branches have
    /// `model.views.augment`, which changes images at native resolution.
    pub augment: Augment,
    /// The detector: the section `[model]`.
    pub model: ModelConfig,
}

/// How the learning rate changes during a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The same in all steps.
    Constant,
    /// Half a period of a cosine, from the highest rate to 0.
    Cosine,
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
            leave_out: Vec::new(),
            runs: 1,
            seed: 0,
            device: DeviceChoice::Auto,
            precision: PrecisionChoice::Auto,
            save_minutes: 15,
            augment: Augment::default(),
            model: ModelConfig::default(),
        }
    }
}

/// Random changes to training images, applied in the order of the fields. All are off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Flip each image horizontally with probability 0.5.
    pub flip: bool,
    /// Blur some images.
    pub blur: Blur,
    /// Compress some images as JPEG and decode them again.
    pub jpeg: Jpeg,
}

/// Gaussian blur as augmentation. The default range follows Wang et al. 2020 (arXiv 1912.11035).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blur {
    /// Probability that an image is blurred.
    pub probability: f64,
    /// Lowest and highest standard deviation in pixels of the stored image; drawn uniformly.
    pub sigma: [f32; 2],
}

impl Default for Blur {
    fn default() -> Self {
        Blur { probability: 0.0, sigma: [0.0, 3.0] }
    }
}

/// JPEG compression as augmentation. The default range follows Wang et al. 2020 (arXiv 1912.11035).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jpeg {
    /// Probability that an image is compressed.
    pub probability: f64,
    /// Lowest and highest quality, 1 to 100; drawn uniformly, both ends included.
    pub quality: [u8; 2],
}

impl Default for Jpeg {
    fn default() -> Self {
        Jpeg { probability: 0.0, quality: [30, 100] }
    }
}

impl Config {
    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// A value is out of range. The error names the first such key.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let check = |valid: bool, key, value: String, range| {
            if valid { Ok(()) } else { Err(OutOfRange::new(names::TRAIN, key, value, range)) }
        };
        check(self.epochs > 0, "epochs", self.epochs.to_string(), "at least 1")?;
        check(
            self.batch > 1,
            "batch",
            self.batch.to_string(),
            "at least 2: batch normalisation cannot train on one image",
        )?;
        let learning_rate = self.learning_rate();
        let usable = learning_rate.is_finite() && learning_rate > 0.0;
        check(usable, "learning_rate", learning_rate.to_string(), "finite and above 0")?;
        check((1..=1000).contains(&self.runs), "runs", self.runs.to_string(), "1 to 1000")?;
        check(
            self.seed.checked_add(1000).is_some(),
            "seed",
            self.seed.to_string(),
            "at most 2^64 - 1001, so that the seeds of all runs fit",
        )?;
        self.model.validate()?;
        let Augment { blur, jpeg, .. } = &self.augment;
        for (key, share) in
            [("augment.blur.probability", blur.probability), ("augment.jpeg.probability", jpeg.probability)]
        {
            check((0.0..=1.0).contains(&share), key, share.to_string(), "0 to 1")?;
        }
        let [low, high] = blur.sigma;
        let ordered = low >= 0.0 && low <= high && high.is_finite();
        check(ordered, "augment.blur.sigma", format!("{:?}", blur.sigma), "[low, high] with 0 <= low <= high")?;
        let [low, high] = jpeg.quality;
        let ordered = 1 <= low && low <= high && high <= 100;
        check(
            ordered,
            "augment.jpeg.quality",
            format!("{:?}", jpeg.quality),
            "[low, high] with 1 <= low <= high <= 100",
        )
    }

    /// Returns the configuration that the manifest of run `run` records. It has the seed of that run, and lacks the
    /// keys that do not change its result: a change of `runs`, `device` or `save_minutes` leaves finished runs up to
    /// date.
    pub(crate) fn of_run(&self, run: usize) -> serde_json::Value {
        let resolved = Config {
            seed: self.run_seed(run),
            learning_rate: Some(self.learning_rate()),
            schedule: Some(self.schedule()),
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
            _ if !self.model.is_baseline() => HEAD_LEARNING_RATE,
            Source::None => SCRATCH_LEARNING_RATE,
            _ => PRETRAINED_LEARNING_RATE,
        };
        self.learning_rate.unwrap_or(default)
    }

    /// The network of a detector that is a ResNet.
    pub fn network(&self) -> NetworkConfig {
        let default = NetworkConfig::default();
        let arch = self.model.resnet().map_or_else(|| default.arch.clone(), str::to_owned);
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
        let default = if self.model.is_baseline() { Schedule::Constant } else { Schedule::Cosine };
        self.schedule.unwrap_or(default)
    }

    /// The learning rate of step number `step`, counted from 0.
    pub(crate) fn learning_rate_at(&self, step: u64, steps_per_epoch: u64) -> f64 {
        let highest = self.learning_rate();
        match self.schedule() {
            Schedule::Constant => highest,
            Schedule::Cosine => {
                let steps = (self.epochs as u64).saturating_mul(steps_per_epoch).max(1);
                let done = (step as f64 / steps as f64).min(1.0);
                highest * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
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
    fn rejects_values_out_of_range() {
        let fails = |change: fn(&mut Config), key: &str| {
            let mut config = Config::default();
            change(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(&format!("train.{key} must be ")), "{message}");
        };
        fails(|c| c.epochs = 0, "epochs");
        fails(|c| c.batch = 1, "batch");
        fails(|c| c.learning_rate = Some(f64::NAN), "learning_rate");
        fails(|c| c.learning_rate = Some(0.0), "learning_rate");
        fails(|c| c.runs = 0, "runs");
        fails(|c| c.seed = u64::MAX, "seed");
        fails(|c| c.augment.jpeg.probability = 1.5, "augment.jpeg.probability");
        fails(|c| c.augment.blur.sigma = [2.0, 1.0], "augment.blur.sigma");
        fails(|c| c.augment.jpeg.quality = [0, 50], "augment.jpeg.quality");
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
