//! What each detector said of the images that all have judged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::predictions::Prediction;
use artifacts::schema::{Metrics, RunMetrics};
use artifacts::{RunDir, names};

use super::Error;
use crate::bootstrap::View;
use crate::calibration::{Scale, Temperature};
use crate::evaluation::Evaluation;

/// One detector's evaluation.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What it is called.
    pub name: String,
    /// What was judged, and how.
    pub metrics: Metrics,
    /// The metrics of the training run that is compared.
    pub run: RunMetrics,
    /// The predictions of that training run.
    pub predictions: Vec<Prediction>,
    /// Images of it that another has not judged.
    pub left_out: usize,
}

impl Judged {
    /// How the fitted scores read P(fake), where validation chose a threshold.
    pub fn fitted_view(&self) -> Option<View> {
        let fitted = self.run.fitted.as_ref()?;
        let scale = Scale::Calibrated(Temperature(fitted.temperature));
        Some(View { scale, threshold: fitted.scores.threshold })
    }
}

/// Reads the evaluation of a run, or of the folder of an evaluation itself (`runs/demo/evaluate-faces`).
///
/// # Errors
/// No complete evaluation there, one that was changed since it was made, or none of that training run.
pub fn read(path: &Path, run: usize) -> Result<Judged, Error> {
    let dir = evaluation(path);
    let evaluation = Evaluation::require(&dir)?;
    let metrics = evaluation.metrics()?;
    let no_such_run = || Error::NoSuchRun { path: dir.clone(), run };
    let run_metrics = metrics.runs.iter().find(|metrics| metrics.run == run).cloned().ok_or_else(no_such_run)?;
    let mut predictions = evaluation.predictions()?;
    predictions.retain(|prediction| prediction.run as usize == run);
    Ok(Judged { name: path.display().to_string(), metrics, run: run_metrics, predictions, left_out: 0 })
}

fn evaluation(path: &Path) -> PathBuf {
    if path.join(names::PREDICTIONS).exists() { path.to_owned() } else { RunDir::new(path).evaluate() }
}

/// Keeps the images that all have judged, in the order of their ids, so that equal rows are equal images.
///
/// # Errors
/// No common image, or an image with two classes.
pub fn align(judged: &mut [Judged]) -> Result<(), Error> {
    let mut seen: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    for entrant in judged.iter_mut() {
        entrant.predictions.sort_by_key(|prediction| *prediction.id.as_bytes());
        entrant.predictions.dedup_by_key(|prediction| prediction.id);
        for prediction in &entrant.predictions {
            *seen.entry(*prediction.id.as_bytes()).or_default() += 1;
        }
    }
    let entrants = judged.len();
    let by_all = |id: &Hash| seen.get(id.as_bytes()) == Some(&entrants);
    for entrant in judged.iter_mut() {
        let before = entrant.predictions.len();
        entrant.predictions.retain(|prediction| by_all(&prediction.id));
        entrant.left_out = before - entrant.predictions.len();
    }
    let Some((first, others)) = judged.split_first().filter(|(first, _)| !first.predictions.is_empty()) else {
        return Err(Error::NothingInCommon { entrants });
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
