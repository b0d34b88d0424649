//! Metrics of the order of the scores, computed in one pass over the ranking of the images or of a resample of them.

use super::cumulative_counts::{BLOCK, CumulativeCounts, LANES, add_ratio_steps};
use super::ranking::{FAKE, TIE_END};
use super::{NamedValue, Ranking};

/// How often each image is in a bootstrap resample.
///
/// The counts of a class are in the order of its [`super::ClassScores`]. They sum to the number of images of the class,
/// because resampling is stratified. A byte is enough: the probability that one of a million images is drawn more than
/// 255 times is below 1e-500.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResampleCounts {
    /// The counts of the fake images, then those of the real images. One list lets the pass choose the class by
    /// arithmetic; a branch would be mispredicted every other time.
    counts: Vec<u8>,
    fakes: usize,
}

impl ResampleCounts {
    /// Counts every image once.
    pub fn ones(ranking: &Ranking) -> ResampleCounts {
        ResampleCounts { counts: vec![1; ranking.len()], fakes: ranking.fake().len() }
    }

    /// The counts of the fake images.
    pub fn fake(&self) -> &[u8] {
        &self.counts[..self.fakes]
    }

    /// The counts of the real images.
    pub fn real(&self) -> &[u8] {
        &self.counts[self.fakes..]
    }

    /// The counts of the fake images, then those of the real images.
    pub(super) fn all(&self) -> &[u8] {
        &self.counts
    }

    /// The counts of the fake and of the real images.
    pub(crate) fn split_mut(&mut self) -> (&mut [u8], &mut [u8]) {
        self.counts.split_at_mut(self.fakes)
    }
}

/// Metrics that depend only on the order of the scores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RankMetrics {
    /// Probability that a fake image scores above a real one; ties count half. `None` without images of both classes.
    pub roc_auc: Option<f64>,
    /// Average precision: the sum of precision times the step in recall. `None` without fakes.
    pub pr_auc: Option<f64>,
    /// The error rate at the threshold where false-positive and false-negative rate are equal, interpolated linearly
    /// between the points of the ROC curve. `None` without images of both classes.
    pub equal_error_rate: Option<f64>,
    /// The highest true-positive rate of any threshold with at most 1% false positives. `None` without images of both
    /// classes.
    pub tpr_at_fpr_1: Option<f64>,
    /// The same with at most 5% false positives.
    pub tpr_at_fpr_5: Option<f64>,
}

impl RankMetrics {
    /// Computes the metrics of the images.
    pub fn of(ranking: &Ranking) -> RankMetrics {
        RankMetrics::weighted(ranking, &ResampleCounts::ones(ranking))
    }

    /// Computes the metrics of a resample in O(n), without sorting it.
    pub fn weighted(ranking: &Ranking, weights: &ResampleCounts) -> RankMetrics {
        let mut pass = RankPass::new(weights.fake().len() as u32, weights.real().len() as u32);
        let counts = weights.counts.as_slice();
        let mut block = CumulativeCounts::new();
        let (mut true_positives, mut called_fake) = (0_u32, 0_u32);
        let (mut fake_at, mut real_at) = (0, weights.fakes);
        for flags in ranking.flags().chunks(BLOCK) {
            for flag in flags {
                let is_fake = flag & FAKE;
                let count = u32::from(counts[if is_fake == 1 { fake_at } else { real_at }]);
                fake_at += usize::from(is_fake);
                real_at += usize::from(1 - is_fake);
                true_positives += count & u32::from(is_fake).wrapping_neg();
                called_fake += count;
                block.put(true_positives, called_fake, flag & TIE_END != 0);
            }
            pass.add(&block);
            block.keep_only_last();
        }
        pass.finish()
    }

    /// The key in `metrics.json` and the value of each metric.
    pub fn named(&self) -> [NamedValue; 5] {
        [
            ("roc_auc", self.roc_auc),
            ("pr_auc", self.pr_auc),
            ("equal_error_rate", self.equal_error_rate),
            ("tpr_at_fpr_1", self.tpr_at_fpr_1),
            ("tpr_at_fpr_5", self.tpr_at_fpr_5),
        ]
    }
}

/// State of a pass from the highest threshold to the lowest.
struct RankPass {
    fakes: u32,
    reals: u32,
    /// Twice the area under the ROC curve, in units of 1 / (fakes * reals): an exact integer.
    twice_area: u64,
    /// Sum over thresholds of (new true positives) * precision.
    precision_steps: [f64; LANES],
    equal_error_rate: Option<f64>,
    /// The numbers of false positives that rates of 1% and 5% allow.
    allowed: [u32; 2],
    /// The most true positives so far at a threshold with at most `allowed` false positives.
    true_positives_at: [u32; 2],
}

impl RankPass {
    fn new(fakes: u32, reals: u32) -> RankPass {
        RankPass {
            fakes,
            reals,
            twice_area: 0,
            precision_steps: [0.0; LANES],
            equal_error_rate: None,
            allowed: [0.01, 0.05].map(|rate| allowed_false_positives(rate, reals)),
            true_positives_at: [0; 2],
        }
    }

    fn add(&mut self, block: &CumulativeCounts) {
        let (true_positives, called_fake) = block.slices();
        let last = called_fake.len() - 1;
        if last == 0 {
            return;
        }
        self.twice_area += twice_area(true_positives, called_fake);
        add_ratio_steps(&mut self.precision_steps, true_positives, true_positives, called_fake);
        let false_positives = |at: usize| called_fake[at] - true_positives[at];
        for (allowed, found) in self.allowed.iter().zip(&mut self.true_positives_at) {
            if false_positives(last) <= *allowed {
                *found = true_positives[last];
            } else if false_positives(0) <= *allowed {
                let at = (0..last).rfind(|at| false_positives(*at) <= *allowed).unwrap_or(0);
                *found = true_positives[at];
            }
        }
        let point = |at: usize| (true_positives[at], false_positives(at));
        if self.equal_error_rate.is_none() && self.crosses(point(last)) {
            let at = (1..last).find(|at| self.crosses(point(*at))).unwrap_or(last);
            self.equal_error_rate = Some(self.crossing(point(at - 1), point(at)));
        }
    }

    /// Whether FPR + TPR >= 1, that is, FPR >= FNR.
    fn crosses(&self, (true_positives, false_positives): (u32, u32)) -> bool {
        let [fakes, reals, true_positives, false_positives] =
            [self.fakes, self.reals, true_positives, false_positives].map(u64::from);
        false_positives * fakes + true_positives * reals >= fakes * reals
    }

    /// The false-positive rate where the straight line between two points meets FPR = 1 - TPR. A point is (true
    /// positives, false positives).
    fn crossing(&self, before: (u32, u32), after: (u32, u32)) -> f64 {
        let rates = |(true_positives, false_positives)| {
            let fpr = f64::from(false_positives) / f64::from(self.reals);
            (fpr, fpr + f64::from(true_positives) / f64::from(self.fakes))
        };
        let ((fpr_before, sum_before), (fpr_after, sum_after)) = (rates(before), rates(after));
        let share = if sum_after > sum_before { (1.0 - sum_before) / (sum_after - sum_before) } else { 0.0 };
        fpr_before + share * (fpr_after - fpr_before)
    }

    fn finish(self) -> RankMetrics {
        let (fakes, reals) = (f64::from(self.fakes), f64::from(self.reals));
        let both = self.fakes > 0 && self.reals > 0;
        RankMetrics {
            roc_auc: both.then(|| self.twice_area as f64 / (2.0 * fakes * reals)),
            pr_auc: (self.fakes > 0).then(|| self.precision_steps.iter().sum::<f64>() / fakes),
            equal_error_rate: self.equal_error_rate.filter(|_| both),
            tpr_at_fpr_1: both.then(|| f64::from(self.true_positives_at[0]) / fakes),
            tpr_at_fpr_5: both.then(|| f64::from(self.true_positives_at[1]) / fakes),
        }
    }
}

/// Returns twice the area under the ROC curve within a block.
fn twice_area(true_positives: &[u32], called_fake: &[u32]) -> u64 {
    let steps = true_positives.windows(2).zip(called_fake.windows(2));
    steps
        .map(|(positives, called)| {
            let new_reals = u64::from((called[1] - called[0]) - (positives[1] - positives[0]));
            new_reals * u64::from(positives[0]) + new_reals * u64::from(positives[1])
        })
        .sum()
}

/// The largest number of false positives whose rate, computed in floats, is at most `rate`.
fn allowed_false_positives(rate: f64, reals: u32) -> u32 {
    let within = |count: u32| f64::from(count) / f64::from(reals) <= rate;
    let mut count = (rate * f64::from(reals)).floor() as u32;
    while count > 0 && !within(count) {
        count -= 1;
    }
    while count < reals && within(count + 1) {
        count += 1;
    }
    count
}
