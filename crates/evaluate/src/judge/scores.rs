//! One set of images at one threshold.

use std::collections::BTreeMap;

use artifacts::schema::{Interval, ReliabilityBin, Scores};

use super::Scored;
use super::width::mend;
use crate::bootstrap::{Plan, View, intervals};
use crate::metrics::{AtThreshold, Error, ProbabilityMetrics, RankMetrics, Ranking, reliability};

/// All scores of a set of images on a scale and at a threshold. `ranking` is the set's own.
///
/// # Errors
/// A P(fake) outside 0 to 1.
pub fn scores(scored: &Scored, ranking: &Ranking, view: View) -> Result<Scores, Error> {
    let rank = RankMetrics::of(ranking);
    let at = AtThreshold::of(ranking, view.threshold, |margin| view.scale.p_fake(margin));
    let probability = ProbabilityMetrics::of(&scored.labels, &on_scale(scored, view))?;
    Ok(Scores {
        n: scored.labels.len() as u64,
        threshold: view.threshold,
        confusion: at.confusion,
        accuracy: at.accuracy,
        balanced_accuracy: at.balanced_accuracy,
        real_accuracy: at.real_accuracy,
        fake_accuracy: at.fake_accuracy,
        roc_auc: rank.roc_auc,
        pr_auc: rank.pr_auc,
        f1: at.f1,
        precision: at.precision,
        recall: at.recall,
        equal_error_rate: rank.equal_error_rate,
        tpr_at_fpr_1: rank.tpr_at_fpr_1,
        tpr_at_fpr_5: rank.tpr_at_fpr_5,
        brier: probability.brier,
        log_loss: probability.log_loss,
        expected_calibration_error: probability.expected_calibration_error,
    })
}

/// The same at the headline's threshold, with the intervals that are issued: those of the bootstrap that the images can bear.
///
/// # Errors
/// A P(fake) outside 0 to 1.
pub fn with_intervals(
    scored: &Scored,
    ranking: &Ranking,
    resamples: u32,
    seed: u64,
) -> Result<(Scores, BTreeMap<String, Interval>), Error> {
    let plan = Plan { resamples, seed, views: vec![View::HEADLINE] };
    let drawn = intervals(ranking, &plan).into_iter().next().unwrap_or_default();
    let scores = scores(scored, ranking, View::HEADLINE)?;
    let intervals = mend(drawn, &scores);
    Ok((scores, intervals))
}

/// The reliability diagram on a scale.
///
/// # Errors
/// A P(fake) outside 0 to 1.
pub fn bins(scored: &Scored, view: View) -> Result<Vec<ReliabilityBin>, Error> {
    let bins = reliability(&scored.labels, &on_scale(scored, view))?;
    Ok(bins
        .iter()
        .map(|bin| ReliabilityBin {
            lower: bin.lower,
            upper: bin.upper,
            count: bin.count,
            mean_p_fake: bin.mean_p_fake(),
            share_fake: bin.share_fake(),
        })
        .collect())
}

/// P(fake) of each image on a scale.
pub(super) fn on_scale(scored: &Scored, view: View) -> Vec<f64> {
    scored.margins.iter().map(|&margin| view.scale.p_fake(margin)).collect()
}
