//! The estimated duration and disk space of a training, printed before it starts.

use std::process::Command;

use artifacts::schema::TrainingRate;
use artifacts::stage::{Failure, StagePlan};
use artifacts::{RunDir, Split};
use serde_json::Value;

use super::ingested_splits;
use super::options::is_selected;
use crate::args::{PipelineArgs, StageName};
use crate::process;

/// The disk space in GB of `best` and `last` of a ResNet-50: its weights twice, and Adam's two moments once.
const CHECKPOINTS_GB: f64 = 0.4;

/// Measures how fast this machine trains on images of `size` x `size` pixels. `train` is the command of the stage.
pub(super) fn measure_rate(mut train: Command, size: u64) -> Result<TrainingRate, Failure> {
    let output = process::capture(train.arg("--rate").arg(size.to_string()))?;
    serde_json::from_slice(&output).map_err(|e| Failure::failed(format!("failed to read the training rate: {e}")))
}

/// Returns the number of training images, or `None` if the source does not state it. If ingest is left out, returns the
/// number of images that were ingested.
pub(super) fn training_images(run: &RunDir, plans: &[StagePlan], args: &PipelineArgs) -> Option<u64> {
    let expected = plans[StageName::Ingest as usize].splits.as_ref()?.get(&Split::Train).copied()?;
    if is_selected(StageName::Ingest, args) {
        return expected;
    }
    // If nothing was ingested, the estimate is omitted, and train fails with its own message.
    expected.and_then(|_| Some(ingested_splits(run).ok()?.get(&Split::Train)?.labels.values().sum()))
}

/// Describes how long the training will take. `train` is its configuration.
pub(super) fn training_time(images: u64, train: &Value, rate: &TrainingRate) -> String {
    let TrainingRate { device, images_per_second } = rate;
    let number = |key: &str| train[key].as_f64().unwrap_or(1.0);
    let (epochs, runs) = (number("epochs"), number("runs"));
    let hours = images as f64 * epochs * runs / images_per_second.max(1e-9) / 3600.0;
    format!(
        "{runs} training run(s) of {epochs} epochs on about {images} images: {hours:.1} hours at {images_per_second:.1} \
         images/s (measured now on {device}), plus the time for validation; checkpoints take about {:.1} GB",
        runs * CHECKPOINTS_GB
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pipeline::tests::plans;

    #[test]
    fn estimates_time_from_images_epochs_and_runs() {
        let rate = TrainingRate { device: "a card".to_owned(), images_per_second: 100.0 };
        let text = training_time(900, &json!({ "epochs": 60, "runs": 2 }), &rate);
        // 900 images, 60 epochs, 2 runs: 1080 s.
        assert!(text.contains("900 images: 0.3 hours at 100.0 images/s"), "{text}");
    }

    #[test]
    fn returns_number_of_images_only_if_the_source_states_it() {
        let images = |splits: &[(Split, Option<u64>)], rest: &[&str]| {
            let mut plans = plans([true; 4]);
            plans[StageName::Ingest as usize].splits = Some(splits.iter().copied().collect());
            training_images(&RunDir::new("no/such/run"), &plans, &PipelineArgs::of_demo(rest))
        };
        assert_eq!(images(&[(Split::Train, Some(720)), (Split::Val, Some(80))], &[]), Some(720));
        assert_eq!(images(&[(Split::Train, None)], &[]), None);
        assert_eq!(images(&[], &[]), None);
        assert_eq!(images(&[(Split::Train, Some(720))], &["--from", "train"]), None);
    }
}
