//! Checks of the section `[train]`.

use std::borrow::Cow;

use artifacts::config::OutOfRange;
use artifacts::names;

use super::{Augment, Config};
use crate::balance::ClassBalance;

impl Config {
    /// Checks the ranges of all values, and that the detector has the options that are on.
    ///
    /// # Errors
    /// A value is out of range. The error names the first such key.
    pub fn validate(&self) -> Result<(), OutOfRange> {
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
        self.validate_optimisation()?;
        self.model.validate()?;
        self.validate_augment()
    }

    fn validate_augment(&self) -> Result<(), OutOfRange> {
        let Augment { crop, rotate, colour, blur, noise, cutout, webp, jpeg, .. } = &self.augment;
        for (key, share) in self.augment.probabilities() {
            check((0.0..=1.0).contains(&share), key, share.to_string(), "0 to 1")?;
        }
        let pairs = [
            ("augment.crop.area", crop.area, 0.01, 1.0, "[low, high] with 0.01 <= low <= high <= 1"),
            ("augment.noise.std", noise.std, 0.0, 255.0, "[low, high] with 0 <= low <= high <= 255"),
        ];
        for (key, [low, high], least, greatest, range) in pairs {
            let ordered = least <= low && low <= high && high <= greatest;
            check(ordered, key, format!("[{low}, {high}]"), range)?;
        }
        check(
            (0.0..=180.0).contains(&rotate.degrees),
            "augment.rotate.degrees",
            rotate.degrees.to_string(),
            "0 to 180",
        )?;
        for (key, strength) in [
            ("augment.colour.brightness", colour.brightness),
            ("augment.colour.contrast", colour.contrast),
            ("augment.colour.saturation", colour.saturation),
        ] {
            check((0.0..=1.0).contains(&strength), key, strength.to_string(), "0 to 1")?;
        }
        let is_side = cutout.side > 0.0 && cutout.side <= 1.0;
        check(is_side, "augment.cutout.side", cutout.side.to_string(), "above 0 and at most 1")?;
        let [low, high] = webp.quality;
        let range = "[low, high] with 0 <= low <= high <= 100";
        check(low <= high && high <= 100, "augment.webp.quality", format!("{:?}", webp.quality), range)?;
        let [low, high] = jpeg.times;
        let range = "[low, high] with 1 <= low <= high <= 10";
        check(1 <= low && low <= high && high <= 10, "augment.jpeg.times", format!("{:?}", jpeg.times), range)?;
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

    /// Checks the options of the optimiser and of the loss.
    fn validate_optimisation(&self) -> Result<(), OutOfRange> {
        let finite = |value: f64| value.is_finite() && value >= 0.0;
        let epochs = 0.0..=self.epochs as f64;
        check(
            epochs.contains(&self.warmup_epochs),
            "warmup_epochs",
            self.warmup_epochs.to_string(),
            "0 to train.epochs",
        )?;
        check(self.step_epochs > 0, "step_epochs", self.step_epochs.to_string(), "at least 1")?;
        let falls = self.step_factor > 0.0 && self.step_factor <= 1.0;
        check(falls, "step_factor", self.step_factor.to_string(), "above 0 and at most 1")?;
        // The decay multiplies the weights by 1 - learning_rate * weight_decay.
        let decays = finite(self.weight_decay) && self.weight_decay * self.learning_rate() < 1.0;
        let range = "at least 0, and less than 1 / train.learning_rate";
        check(decays, "weight_decay", self.weight_decay.to_string(), range)?;
        check(finite(self.clip_norm), "clip_norm", self.clip_norm.to_string(), "finite and at least 0")?;
        check((1..=100_000).contains(&self.accumulate), "accumulate", self.accumulate.to_string(), "1 to 100000")?;
        for (key, share) in [("label_smoothing", self.label_smoothing), ("ema", self.ema)] {
            check((0.0..1.0).contains(&share), key, share.to_string(), "at least 0 and less than 1")?;
        }
        if self.model.is_resnet() { Ok(()) } else { self.validate_for_branches() }
    }

    /// Checks that the options which only a ResNet has are off. Detectors of branches have keys of their own.
    fn validate_for_branches(&self) -> Result<(), OutOfRange> {
        let is = |value: f64| value == 0.0;
        let of_resnet = "for a detector of branches; only a ResNet in model.branches has it";
        let other = |key: &str| format!("for a detector of branches, which has {key}");
        let balance = serde_json::to_string(&self.class_balance).unwrap_or_default();
        for (valid, key, value, off, advice) in [
            (
                is(self.weight_decay),
                "weight_decay",
                self.weight_decay.to_string(),
                "0",
                other("model.fusion.weight_decay"),
            ),
            (
                is(self.label_smoothing),
                "label_smoothing",
                self.label_smoothing.to_string(),
                "0",
                other("model.fusion.label_smoothing"),
            ),
            (is(self.ema), "ema", self.ema.to_string(), "0", other("model.fusion.average")),
            (
                self.class_balance == ClassBalance::None,
                "class_balance",
                balance,
                "\"none\"",
                other("model.fusion.balance"),
            ),
            (is(self.clip_norm), "clip_norm", self.clip_norm.to_string(), "0", of_resnet.to_owned()),
            (self.accumulate == 1, "accumulate", self.accumulate.to_string(), "1", of_resnet.to_owned()),
        ] {
            check(valid, key, value, format!("{off} {advice}"))?;
        }
        Ok(())
    }
}

/// Returns an error that names `key` unless the value is valid.
fn check(valid: bool, key: &'static str, value: String, range: impl Into<Cow<'static, str>>) -> Result<(), OutOfRange> {
    if valid { Ok(()) } else { Err(OutOfRange::new(names::TRAIN, key, value, range)) }
}

#[cfg(test)]
mod tests {
    use branches::BranchName;

    use super::*;
    use crate::config::Schedule;

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
        fails(|c| c.warmup_epochs = 61.0, "warmup_epochs");
        fails(|c| c.step_epochs = 0, "step_epochs");
        fails(|c| c.step_factor = 0.0, "step_factor");
        fails(|c| c.weight_decay = 1e4, "weight_decay");
        fails(|c| c.clip_norm = -1.0, "clip_norm");
        fails(|c| c.accumulate = 0, "accumulate");
        fails(|c| c.label_smoothing = 1.0, "label_smoothing");
        fails(|c| c.ema = f64::NAN, "ema");
        fails(|c| c.augment.crop.area = [0.0, 1.0], "augment.crop.area");
        fails(|c| c.augment.rotate.degrees = f32::NAN, "augment.rotate.degrees");
        fails(|c| c.augment.colour.contrast = 1.5, "augment.colour.contrast");
        fails(|c| c.augment.noise.std = [5.0, 1.0], "augment.noise.std");
        fails(|c| c.augment.cutout.side = 0.0, "augment.cutout.side");
        fails(|c| c.augment.webp.quality = [50, 101], "augment.webp.quality");
        fails(|c| c.augment.jpeg.times = [0, 1], "augment.jpeg.times");
        fails(|c| c.augment.blur.sigma = [2.0, 1.0], "augment.blur.sigma");
        fails(|c| c.augment.jpeg.quality = [0, 50], "augment.jpeg.quality");
    }

    #[test]
    fn rejects_options_that_a_detector_of_branches_lacks() {
        let fails = |change: fn(&mut Config), key: &str, advice: &str| {
            let mut config = Config::default();
            config.model.branches = vec![BranchName::Frequency];
            config.validate().unwrap();
            change(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(&format!("train.{key} must be ")) && message.contains(advice), "{message}");
        };
        fails(|c| c.weight_decay = 0.1, "weight_decay", "model.fusion.weight_decay");
        fails(|c| c.label_smoothing = 0.1, "label_smoothing", "model.fusion.label_smoothing");
        fails(|c| c.ema = 0.9, "ema", "model.fusion.average");
        fails(|c| c.class_balance = ClassBalance::Sampling, "class_balance", "model.fusion.balance");
        fails(|c| c.clip_norm = 1.0, "clip_norm", "only a ResNet");
        fails(|c| c.accumulate = 2, "accumulate", "only a ResNet");
        let mut config =
            Config { warmup_epochs: 1.0, early_stop: 3, schedule: Some(Schedule::Step), ..Config::default() };
        config.model.branches = vec![BranchName::Frequency];
        config.validate().unwrap();
    }
}
