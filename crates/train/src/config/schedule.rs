//! The learning rate of each step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate changes during a training, after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The same in all steps.
    Constant,
    /// Half a period of a cosine, from the highest rate to 0 at the end of the last epoch (arXiv 1608.03983).
    Cosine,
    /// Multiplied by `train.step_factor` every `train.step_epochs` epochs.
    Step,
}

impl Schedule {
    /// Whether the rate of a step depends on the number of epochs. If not, more epochs continue the same training.
    pub(crate) fn depends_on_epochs(name: &str) -> bool {
        name == "cosine"
    }
}

/// A schedule in units of steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    pub(super) schedule: Schedule,
    /// The learning rate at the end of the warm-up.
    pub(super) highest: f64,
    /// The number of steps of the warm-up.
    pub(super) warmup: u64,
    /// The number of steps of the whole training.
    pub(super) total: u64,
    /// The number of steps between two falls of `step`.
    pub(super) interval: u64,
    /// The factor of each fall.
    pub(super) factor: f64,
}

impl Steps {
    /// Returns the learning rate of step number `step`, counted from 0.
    ///
    /// In PyTorch, it is `SequentialLR` of `LinearLR(start_factor=1 / (warmup + 1), total_iters=warmup)` and
    /// `ConstantLR`, `CosineAnnealingLR(total - warmup)` or `StepLR(interval, factor)`.
    pub(super) fn rate(&self, step: u64) -> f64 {
        let Steps { schedule, highest, warmup, total, interval, factor } = *self;
        if step < warmup {
            return highest * (step + 1) as f64 / (warmup + 1) as f64;
        }
        let step = step - warmup;
        match schedule {
            Schedule::Constant => highest,
            Schedule::Cosine => {
                let done = (step as f64 / total.saturating_sub(warmup).max(1) as f64).min(1.0);
                highest * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
            Schedule::Step => highest * factor.powf((step / interval.max(1)) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        highest: f64,
        warmup: u64,
        interval: u64,
        factor: f64,
        total: u64,
        rates: BTreeMap<String, Vec<f64>>,
    }

    /// The golden values are from `tests/golden/training.py`.
    #[test]
    fn rates_agree_with_pytorch() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/training/options.json");
        let all: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let golden: Golden = serde_json::from_value(all["schedules"].clone()).unwrap();
        assert_eq!(golden.rates.len(), 6);
        let schedules = [("constant", Schedule::Constant), ("cosine", Schedule::Cosine), ("step", Schedule::Step)];
        for (name, schedule) in schedules {
            for warmup in [0, golden.warmup] {
                let Golden { highest, interval, factor, total, .. } = golden;
                let steps = Steps { schedule, highest, warmup, total, interval, factor };
                let expected = &golden.rates[&format!("{name}, warm-up {warmup}")];
                for (step, expected) in (0..total).zip(expected) {
                    let rate = steps.rate(step);
                    assert!((rate - expected).abs() < 1e-12, "{name}, step {step}: {rate} instead of {expected}");
                }
            }
        }
    }
}
