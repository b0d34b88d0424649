//! From scored images to everything that `metrics.json` says of them.

mod fitted;
mod groups;
mod run;
mod scores;
mod width;

pub use fitted::Fit;
pub use groups::{generators, sources};
pub(crate) use run::roc;
pub use run::{RunPlan, judge_run, over_runs};
pub use scores::{bins, scores, with_intervals};

use artifacts::Label;
use artifacts::predictions::Prediction;

use crate::metrics::{Error, Ranking};

/// Labels and margins of a set of images, in the order of their rows.
#[derive(Clone, Debug, Default)]
pub struct Scored {
    /// The classes.
    pub labels: Vec<Label>,
    /// The logits of fake minus those of real: P(fake), before it is rounded to 0 and 1.
    pub margins: Vec<f64>,
}

impl Scored {
    /// Of some predictions.
    pub fn of<'a>(predictions: impl IntoIterator<Item = &'a Prediction>) -> Scored {
        let (labels, margins) =
            predictions.into_iter().map(|prediction| (prediction.label, prediction.margin())).unzip();
        Scored { labels, margins }
    }

    /// The images by falling margin.
    ///
    /// # Errors
    /// A margin that is not finite.
    pub fn ranking(&self) -> Result<Ranking, Error> {
        Ranking::new(&self.labels, &self.margins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::BandLimits;
    use crate::testing::prediction;

    /// Predictions whose margins are `scale` times as large, so that P(fake) is 0 or 1 to the last digit for many.
    fn predictions(scale: f32) -> Vec<Prediction> {
        let one = |i: u32| {
            let label = Label::ALL[i as usize % 2];
            let noise = ((i * 7919) % 1009) as f32 / 1009.0 * 8.0 - 4.0;
            prediction(&i.to_string(), label, "", scale * (noise + if label == Label::Fake { 1.5 } else { -1.5 }))
        };
        (0..1000).map(one).collect()
    }

    #[test]
    fn a_network_that_is_surer_of_the_same_order_has_the_same_scores() {
        let judged = |scale: f32| {
            let predictions = predictions(scale);
            let fit = Fit::new(&Scored::of(&predictions), BandLimits::default()).unwrap().unwrap();
            judge_run(&predictions, Some(&fit), RunPlan { run: 0, resamples: 10, seed: 1 }).unwrap()
        };
        let (modest, sure) = (judged(1.0), judged(32.0));
        let ranks = |run: &artifacts::schema::RunMetrics| {
            let scores = &run.scores;
            [scores.roc_auc, scores.pr_auc, scores.equal_error_rate, scores.tpr_at_fpr_1, scores.tpr_at_fpr_5]
        };
        assert_eq!(ranks(&sure), ranks(&modest));
        let (sure, modest) = (sure.fitted.unwrap(), modest.fitted.unwrap());
        assert!((sure.temperature / modest.temperature - 32.0).abs() < 1e-6, "{}", sure.temperature);
        assert!((sure.scores.log_loss.unwrap() - modest.scores.log_loss.unwrap()).abs() < 1e-9);
        assert_eq!(sure.scores.confusion, modest.scores.confusion);
        assert_eq!(sure.inconclusive.false_accusations, modest.inconclusive.false_accusations);
    }
}
