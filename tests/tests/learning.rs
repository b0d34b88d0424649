//! Training learns to distinguish simulated photographs from simulated generated images.

use artifacts::names;
use pipeline_tests::{Sandbox, json};

/// A simulated data set and a training of the smallest ResNet.
const LEARNABLE: &str = "
[ingest]
source = 'simulated:train=400,test=400,size=48,seed=3'
size = 48
val_fraction = 0.15

[model]
branches = ['resnet18']

[train]
weights = 'none'
epochs = 5
batch = 32

[evaluate]
resamples = 50
examples = 1
";

/// The lowest accuracy that counts as learned.
///
/// Guessing has an accuracy of 0.5 on the 400 test images, with a standard deviation of 0.025. The bound is six
/// standard deviations above that. Five trainings with the seeds 3 to 7 of data and training had accuracies of 0.79 to 0.81
/// and ROC-AUCs of 0.87 to 0.90.
const BOUND: f64 = 0.65;

#[test]
fn training_beats_guessing_on_unseen_images() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(LEARNABLE);
    let run = sandbox.run("learned");
    sandbox.pipeline_into(&run, &["--until", "evaluate"]).expect_code(0);
    let metrics = json(&run.evaluate().join(names::METRICS));
    assert_eq!(metrics["n"], 400);
    let (accuracy, roc_auc) = (metrics["accuracy"].as_f64().unwrap(), metrics["roc_auc"].as_f64().unwrap());
    assert!(accuracy >= BOUND && roc_auc >= BOUND, "accuracy {accuracy}, ROC-AUC {roc_auc}");
}
