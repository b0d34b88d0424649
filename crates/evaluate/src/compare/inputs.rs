//! Reading evaluations and aligning their predictions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::predictions::Prediction;
use artifacts::schema::{Metric, Metrics, RunMetrics};
use artifacts::{RunDir, names};

use super::Error;
use crate::bootstrap::OperatingPoint;
use crate::calibration::{ProbabilityScale, Temperature};
use crate::evaluation::Evaluation;

/// The evaluation of one training run.
#[derive(Clone, Debug)]
pub struct EvaluatedDetector {
    /// Its name in the comparison.
    pub name: String,
    /// The metrics of its evaluation.
    pub metrics: Metrics,
    /// The metrics of the training run.
    pub run: RunMetrics,
    /// The predictions of the training run.
    pub predictions: Vec<Prediction>,
    /// The folder of the shards with the evaluated images. It need not exist any more.
    pub shards: PathBuf,
    /// Number of images that [`align`] dropped because another detector has no prediction for them.
    pub left_out: usize,
}

impl EvaluatedDetector {
    /// The operating point that was fitted on validation; `None` if there is none.
    pub fn fitted_operating_point(&self) -> Option<OperatingPoint> {
        let fitted = self.run.fitted.as_ref()?;
        let scale = ProbabilityScale::Calibrated(Temperature(fitted.temperature));
        Some(OperatingPoint { scale, threshold: fitted.scores.threshold })
    }

    /// Whether a metric at threshold 0.5 has a meaning for its scores.
    pub(super) fn defines(&self, metric: &Metric) -> bool {
        self.metrics.judged.as_ref().is_none_or(|judged| judged.why_undefined(metric).is_none())
    }

    /// Like [`EvaluatedDetector::defines`], for the key of a metric.
    pub(super) fn defines_key(&self, key: &str) -> bool {
        Metric::by_key(key).is_none_or(|metric| self.defines(metric))
    }
}

/// Reads training run number `run` of an evaluation. `path` is the folder of a run, or of an evaluation
/// (`runs/demo/evaluate-faces`).
///
/// # Errors
/// An evaluation that is missing, incomplete or changed since it was made, or that lacks the training run.
pub fn read(path: &Path, run: usize) -> Result<EvaluatedDetector, Error> {
    let dir = evaluation_dir(path);
    let evaluation = Evaluation::require(&dir)?;
    let metrics = evaluation.metrics()?;
    let no_such_run = || Error::NoSuchRun { path: dir.clone(), run };
    let run_metrics = metrics.runs.iter().find(|metrics| metrics.run == run).cloned().ok_or_else(no_such_run)?;
    let mut predictions = evaluation.predictions()?;
    predictions.retain(|prediction| prediction.run as usize == run);
    Ok(EvaluatedDetector {
        name: path.display().to_string(),
        metrics,
        run: run_metrics,
        predictions,
        shards: evaluation.shards(),
        left_out: 0,
    })
}

fn evaluation_dir(path: &Path) -> PathBuf {
    if path.join(names::PREDICTIONS).exists() { path.to_owned() } else { RunDir::new(path).evaluate() }
}

/// Keeps the images that all detectors have predictions for, ordered by id, so that a row is the same image for all.
///
/// # Errors
/// No common image, or an image with different labels.
pub fn align(detectors: &mut [EvaluatedDetector]) -> Result<(), Error> {
    let mut predicted_by: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    for detector in detectors.iter_mut() {
        detector.predictions.sort_by_key(|prediction| *prediction.id.as_bytes());
        detector.predictions.dedup_by_key(|prediction| prediction.id);
        for prediction in &detector.predictions {
            *predicted_by.entry(*prediction.id.as_bytes()).or_default() += 1;
        }
    }
    let count = detectors.len();
    let by_all = |id: &Hash| predicted_by.get(id.as_bytes()) == Some(&count);
    for detector in detectors.iter_mut() {
        let before = detector.predictions.len();
        detector.predictions.retain(|prediction| by_all(&prediction.id));
        detector.left_out = before - detector.predictions.len();
    }
    let Some((first, others)) = detectors.split_first().filter(|(first, _)| !first.predictions.is_empty()) else {
        return Err(Error::NothingInCommon { detectors: count });
    };
    for other in others {
        let mut pairs = first.predictions.iter().zip(&other.predictions);
        if let Some((a, b)) = pairs.find(|(a, b)| a.label != b.label) {
            return Err(Error::Labels {
                path: a.path.clone(),
                first_name: first.name.clone(),
                first: a.label,
                second_name: other.name.clone(),
                second: b.label,
            });
        }
    }
    Ok(())
}
