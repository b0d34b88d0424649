//! Computing the content of `metrics.json` from predictions.

mod groups;
mod intervals;
mod run;
mod scores;
mod validation_fit;

pub use groups::{by_column, by_generator, by_source_folder, measure_groups};
pub(crate) use run::roc_curve_for_drawing;
pub use run::{RunOptions, measure_run, over_runs};
pub use scores::{scores, scores_with_intervals};
pub use validation_fit::ValidationFit;

use artifacts::Label;
use artifacts::predictions::Prediction;

use crate::bootstrap::OperatingPoint;
use crate::metrics::{Error, Ranking};

/// Labels and margins of a set of images, in the same order.
#[derive(Clone, Debug, Default)]
pub struct ScoredImages {
    /// The true classes.
    pub labels: Vec<Label>,
    /// The margins, `logit_fake - logit_real`. P(fake) is the sigmoid of the margin, and rounds to 0 or 1 for
    /// large margins.
    pub margins: Vec<f64>,
}

impl ScoredImages {
    /// Collects labels and margins of predictions.
    pub fn of<'a>(predictions: impl IntoIterator<Item = &'a Prediction>) -> ScoredImages {
        let (labels, margins) =
            predictions.into_iter().map(|prediction| (prediction.label, prediction.margin())).unzip();
        ScoredImages { labels, margins }
    }

    /// Ranks the images by their margins.
    ///
    /// # Errors
    /// A margin that is not finite.
    pub fn ranking(&self) -> Result<Ranking, Error> {
        Ranking::new(&self.labels, &self.margins)
    }

    /// P(fake) of each image at an operating point.
    pub(crate) fn p_fake(&self, point: OperatingPoint) -> Vec<f64> {
        self.margins.iter().map(|&margin| point.p_fake(margin)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::Resampling;
    use crate::calibration::BandLimits;
    use crate::testing::prediction;

    /// Predictions with margins in proportion to `scale`. With a large `scale`, many values of P(fake) round to 0 or 1.
    fn predictions(scale: f32) -> Vec<Prediction> {
        let one = |i: u32| {
            let label = Label::ALL[i as usize % 2];
            let noise = ((i * 7919) % 1009) as f32 / 1009.0 * 8.0 - 4.0;
            prediction(&i.to_string(), label, "", scale * (noise + if label == Label::Fake { 1.5 } else { -1.5 }))
        };
        (0..1000).map(one).collect()
    }

    #[test]
    fn scaling_all_margins_changes_no_rank_metric_and_no_calibrated_metric() {
        let measured = |scale: f32| {
            let predictions = predictions(scale);
            let fit = ValidationFit::new(&ScoredImages::of(&predictions), BandLimits::default()).unwrap().unwrap();
            let options = RunOptions { run: 0, resampling: Resampling { resamples: 10, seed: 1 } };
            measure_run(&predictions, Some(&fit), options).unwrap()
        };
        let (small, large) = (measured(1.0), measured(32.0));
        let ranks = |run: &artifacts::schema::RunMetrics| {
            let scores = &run.scores;
            [scores.roc_auc, scores.pr_auc, scores.equal_error_rate, scores.tpr_at_fpr_1, scores.tpr_at_fpr_5]
        };
        assert_eq!(ranks(&large), ranks(&small));
        let (large, small) = (large.fitted.unwrap(), small.fitted.unwrap());
        assert!((large.temperature / small.temperature - 32.0).abs() < 1e-6, "{}", large.temperature);
        assert!((large.scores.log_loss.unwrap() - small.scores.log_loss.unwrap()).abs() < 1e-9);
        assert_eq!(large.scores.confusion, small.scores.confusion);
        assert_eq!(large.inconclusive.false_accusations, small.inconclusive.false_accusations);
    }
}
