//! The calibration of a model, from the evaluations of its run.

use std::path::Path;

use artifacts::command;
use artifacts::hash::Hash;
use artifacts::schema::{Metrics, RunMetrics};
use artifacts::{RunDir, progress};
use evaluate::Evaluation;
use evaluate::calibration::{Band, Temperature, Verdict};
use serde::{Deserialize, Serialize};

/// The calibration of a model, fitted on validation images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The temperature of temperature scaling.
    pub temperature: f64,
    /// The range of calibrated P(fake) in which a verdict is inconclusive.
    pub band: Band,
    /// The number of validation images that the temperature was fitted on.
    #[serde(default)]
    pub fitted_on: u64,
    /// The number of predictions for held-out generators that the band was fitted to; `None` if it was fitted to
    /// validation.
    #[serde(default)]
    pub held_out: Option<u64>,
}

impl Calibration {
    /// Returns the calibrated P(fake) of a margin, the logit of fake minus the logit of real.
    pub fn p_fake(&self, margin: f64) -> f64 {
        Temperature(self.temperature).calibrate(margin)
    }

    /// Returns the verdict for a calibrated P(fake).
    pub fn verdict(&self, p_fake: f64) -> Verdict {
        self.band.verdict(p_fake)
    }

    /// Whether the numbers can be those of a calibration.
    pub(crate) fn is_valid(&self) -> bool {
        let Band { low, high } = self.band;
        self.temperature.is_finite() && self.temperature > 0.0 && low.is_finite() && high.is_finite() && low <= high
    }
}

/// Why a model has no calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncalibrated {
    /// No evaluation has these weights.
    #[error(
        "no evaluation has these weights; `{}` makes one beside the others",
        command::line("evaluate --ckpt CKPT --name NAME")
    )]
    NotEvaluated,
    /// The evaluation of these weights had no suitable validation images to fit on.
    #[error(
        "the evaluation of these weights fitted no temperature; fitting needs validation images of both classes that \
         are not themselves evaluated"
    )]
    NotFitted,
}

/// The metrics of a model from an evaluation of its run.
#[derive(Clone, Debug)]
pub(crate) struct Evaluated {
    /// The evaluation.
    pub(crate) metrics: Metrics,
    /// The metrics of these weights.
    pub(crate) run: RunMetrics,
}

impl Evaluated {
    /// Returns the metrics of these weights from an evaluation of the run, or why there are none. Looks in `evaluate`
    /// first, then in each `evaluate-NAME`; all of them are fitted on the same validation images. Unreadable evaluations
    /// with a name are skipped with a message.
    ///
    /// # Errors
    /// The evaluation `evaluate` is unreadable or was changed, and no other one has a calibration.
    pub(crate) fn find(run: &RunDir, weights: Hash) -> Result<Result<Evaluated, Uncalibrated>, artifacts::Error> {
        let mut found = Evaluated::read(&run.evaluate(), weights);
        if let Ok(Ok(_)) = found {
            return found;
        }
        for dir in run.named_evaluations()? {
            match Evaluated::read(&dir, weights) {
                Ok(Ok(evaluated)) => return Ok(Ok(evaluated)),
                Ok(Err(Uncalibrated::NotFitted)) if found.is_ok() => found = Ok(Err(Uncalibrated::NotFitted)),
                Ok(Err(_)) => {}
                Err(error) => progress::line(&format!("predict: skipping `{}`: {error}", dir.display())),
            }
        }
        found
    }

    fn read(dir: &Path, weights: Hash) -> Result<Result<Evaluated, Uncalibrated>, artifacts::Error> {
        let Some(evaluation) = Evaluation::find(dir)? else {
            return Ok(Err(Uncalibrated::NotEvaluated));
        };
        let metrics = evaluation.metrics()?;
        let Some(run) = metrics.runs.iter().find(|run| run.weights == Some(weights)).cloned() else {
            return Ok(Err(Uncalibrated::NotEvaluated));
        };
        Ok(if run.fitted.is_some() { Ok(Evaluated { metrics, run }) } else { Err(Uncalibrated::NotFitted) })
    }

    /// Returns the calibration.
    pub(crate) fn calibration(&self) -> Option<Calibration> {
        self.run.fitted.as_ref().map(|fitted| Calibration {
            temperature: fitted.temperature,
            band: Band { low: fitted.inconclusive.low, high: fitted.inconclusive.high },
            fitted_on: fitted.fitted_on,
            held_out: fitted.inconclusive.held_out,
        })
    }
}
