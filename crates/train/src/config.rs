//! The section `[train]` of a pipeline file.

use artifacts::config::OutOfRange;
use artifacts::names;
use model::device::DeviceChoice;
use model::weights::Source;
use model::{AdamConfig, PrecisionChoice};
use serde::{Deserialize, Serialize};

/// How to train. Each field is a key of the section `[train]`; the defaults are the recipe of the ResNet-50 baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The first weights: `hf:owner/repo[/file][@revision]`, a safetensors file, or `none` for freshly drawn ones, with
    /// which residual blocks start as their shortcuts ([`model::Network::zero_init_residual`]).
    pub weights: Source,
    /// Prefixes of tensors that the file may lack, e.g. `["layer4."]`; they are drawn freshly.
    pub allow_missing: Vec<String>,
    /// Passes over the training split. Raising it lets a finished training go on where it ended.
    pub epochs: usize,
    /// Images of a step. The last batch of an epoch holds what is left; a single image left joins the batch before it,
    /// because batch norm cannot learn from one.
    pub batch: usize,
    /// Learning rate of Adam, whose other constants are PyTorch's defaults. Unless it is set, that of
    /// [`Config::learning_rate`].
    pub learning_rate: Option<f64>,
    /// Independent trainings, `run-0`, `run-1` …, that differ in their seed.
    pub runs: usize,
    /// Run k derives its first weights, shuffles and augmentation from `seed + k`.
    pub seed: u64,
    /// Where to compute: `auto` (CUDA where the build and the machine have it), `cpu`, `cuda` or `cuda:N`.
    pub device: DeviceChoice,
    /// What convolutions multiply: `auto` (f32 on the CPU, a card's best), `f32`, `bf16` or, on a card, `tf32`.
    pub precision: PrecisionChoice,
    /// Saves `last` in the middle of an epoch when so many minutes have passed since it was saved; 0 saves it only after
    /// each epoch. Changes what a killed training loses, never its result.
    pub save_minutes: u64,
    /// Random changes to training images.
    pub augment: Augment,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            weights: Source::Hub("hf:timm/resnet50.tv_in1k".to_owned()),
            allow_missing: Vec::new(),
            epochs: 60,
            batch: 32,
            learning_rate: None,
            runs: 1,
            seed: 0,
            device: DeviceChoice::Auto,
            precision: PrecisionChoice::Auto,
            save_minutes: 15,
            augment: Augment::default(),
        }
    }
}

/// Random changes to training images, all off by default, applied in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Mirrors half of the images left to right.
    pub flip: bool,
    /// Gaussian blur.
    pub blur: Blur,
    /// Saving as JPEG and opening again.
    pub jpeg: Jpeg,
}

/// Gaussian blur of some images. The default range is that of Wang et al. 2020 (arXiv 1912.11035).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blur {
    /// Share of the images that are blurred.
    pub probability: f64,
    /// Lowest and highest deviation in pixels of the stored size; drawn uniformly.
    pub sigma: [f32; 2],
}

impl Default for Blur {
    fn default() -> Self {
        Blur { probability: 0.0, sigma: [0.0, 3.0] }
    }
}

/// JPEG compression of some images. The default range is that of Wang et al. 2020 (arXiv 1912.11035).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jpeg {
    /// Share of the images that are compressed.
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
    /// Checks what types cannot express.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let check = |valid: bool, key, value: String, range| {
            if valid { Ok(()) } else { Err(OutOfRange::new(names::TRAIN, key, value, range)) }
        };
        check(self.epochs > 0, "epochs", self.epochs.to_string(), "at least 1")?;
        check(self.batch > 1, "batch", self.batch.to_string(), "at least 2: batch norm cannot learn from one image")?;
        let rate = self.learning_rate();
        check(rate.is_finite() && rate > 0.0, "learning_rate", rate.to_string(), "finite and above 0")?;
        check((1..=1000).contains(&self.runs), "runs", self.runs.to_string(), "1 to 1000")?;
        check(
            self.seed.checked_add(1000).is_some(),
            "seed",
            self.seed.to_string(),
            "small enough to add `runs` to it",
        )?;
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

    /// The configuration of one run as its manifest records it: with the run's own seed, and without what does not change
    /// its result, so that more runs, another device or another saving interval leave finished runs up to date.
    pub(crate) fn of_run(&self, run: usize) -> serde_json::Value {
        let (seed, learning_rate) = (self.run_seed(run), Some(self.learning_rate()));
        let own = Config { seed, learning_rate, ..self.clone() };
        let mut value = artifacts::stage::to_json(&own);
        if let Some(keys) = value.as_object_mut() {
            for key in ["runs", "device", "save_minutes"] {
                keys.remove(key);
            }
        }
        value
    }

    /// The learning rate: the baseline's 1e-4, which keeps what pretrained weights know, or 1e-3 for freshly drawn ones.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate.unwrap_or(if self.weights == Source::None { 1e-3 } else { 1e-4 })
    }

    /// The optimiser: PyTorch's defaults but for the learning rate.
    pub(crate) fn adam(&self) -> AdamConfig {
        AdamConfig { lr: self.learning_rate(), ..AdamConfig::default() }
    }

    /// The seed of one run.
    pub(crate) fn run_seed(&self, run: usize) -> u64 {
        self.seed + run as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_follows_the_weights_unless_it_is_set() {
        let pretrained = Config::default();
        let fresh = Config { weights: Source::None, ..Config::default() };
        assert_eq!((pretrained.learning_rate(), fresh.learning_rate()), (1e-4, 1e-3));
        assert_eq!(Config { learning_rate: Some(0.5), ..fresh.clone() }.learning_rate(), 0.5);
        // The manifest records the value, so that a change of the rule makes a training stale.
        assert_eq!(fresh.of_run(0)["learning_rate"], 1e-3);
    }

    #[test]
    fn the_defaults_are_valid_and_survive_json() {
        let config = Config::default();
        config.validate().unwrap();
        // A key that is unset by default is a key all the same: --set looks it up among the defaults.
        assert!(artifacts::stage::to_json(&config).get("learning_rate").is_some());
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    }

    #[test]
    fn impossible_values_are_named() {
        let fails = |change: fn(&mut Config), key: &str| {
            let mut config = Config::default();
            change(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(&format!("train.{key} is ")), "{message}");
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
    fn a_run_is_described_by_its_own_seed_alone() {
        let one = Config { seed: 5, ..Config::default() };
        let three = Config { runs: 3, save_minutes: 1, ..one.clone() };
        assert_eq!(one.of_run(0), three.of_run(0));
        assert_ne!(three.of_run(0), three.of_run(1));
        assert_eq!(three.of_run(2)["seed"], 7);
    }
}
