//! All rank statistics in one pass over the ranking, for the images themselves and for any resample of them.

use super::ranking::{FAKE, TIE_END};
use super::{Named, Ranking};

/// How often each image counts: all once, or as often as a bootstrap resample drew it.
///
/// Each class's list is in the order of its [`super::ClassScores`] and sums to the number of images of that class
/// (resampling is stratified). A byte is enough: the chance that any of a million images is drawn more than 255
/// times is below 1e-500.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// The fake images' counts, then the real images': one list, so that the sweep can pick by arithmetic where a
    /// branch on the class would be mispredicted every other time.
    counts: Vec<u8>,
    fakes: usize,
}

impl Weights {
    /// Every image once.
    pub fn ones(ranking: &Ranking) -> Weights {
        Weights { counts: vec![1; ranking.len()], fakes: ranking.fake().len() }
    }

    /// One count for each fake image.
    pub fn fake(&self) -> &[u8] {
        &self.counts[..self.fakes]
    }

    /// One count for each real image.
    pub fn real(&self) -> &[u8] {
        &self.counts[self.fakes..]
    }

    /// The fake and the real images' counts, to be filled.
    pub(crate) fn split_mut(&mut self) -> (&mut [u8], &mut [u8]) {
        self.counts.split_at_mut(self.fakes)
    }
}

/// The metrics that depend on nothing but the order of the scores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RankMetrics {
    /// The chance that a fake image scores above a real one, ties counting half; `None` without either class.
    pub roc_auc: Option<f64>,
    /// Average precision: the sum of precision times the step in recall; `None` without fake images.
    pub pr_auc: Option<f64>,
    /// The rate at which false positives equal false negatives, on the straight lines between the points of the ROC
    /// curve; `None` without either class.
    pub equal_error_rate: Option<f64>,
    /// The highest true-positive rate of any threshold with at most 1% false positives; `None` without either class.
    pub tpr_at_fpr_1: Option<f64>,
    /// The same with at most 5% false positives.
    pub tpr_at_fpr_5: Option<f64>,
}

impl RankMetrics {
    /// The metrics of the images themselves.
    pub fn of(ranking: &Ranking) -> RankMetrics {
        RankMetrics::weighted(ranking, &Weights::ones(ranking))
    }

    /// The metrics of a resample, in O(n) without sorting again.
    pub fn weighted(ranking: &Ranking, weights: &Weights) -> RankMetrics {
        let mut sweep = Sweep::new(weights.fake().len() as u64, weights.real().len() as u64);
        let counts = weights.counts.as_slice();
        let mut fakes_seen = 0;
        let (mut tied_fakes, mut tied_reals) = (0_u64, 0_u64);
        for (position, flag) in ranking.flags().iter().enumerate() {
            let is_fake = usize::from(flag & FAKE);
            let at = if is_fake == 1 { fakes_seen } else { weights.fakes + position - fakes_seen };
            let count = u64::from(counts[at]);
            fakes_seen += is_fake;
            tied_fakes += count * is_fake as u64;
            tied_reals += count * (1 - is_fake) as u64;
            if flag & TIE_END != 0 {
                sweep.step(tied_fakes, tied_reals);
                (tied_fakes, tied_reals) = (0, 0);
            }
        }
        sweep.finish()
    }

    /// The metrics under their names in `metrics.json`.
    pub fn named(&self) -> [Named; 5] {
        [
            ("roc_auc", self.roc_auc),
            ("pr_auc", self.pr_auc),
            ("equal_error_rate", self.equal_error_rate),
            ("tpr_at_fpr_1", self.tpr_at_fpr_1),
            ("tpr_at_fpr_5", self.tpr_at_fpr_5),
        ]
    }
}

/// The running counts as the threshold falls from one distinct score to the next.
struct Sweep {
    fakes: u64,
    reals: u64,
    true_positives: u64,
    false_positives: u64,
    /// Twice the area under the ROC curve, in units of 1 / (fakes * reals): exact in integers.
    twice_area: u64,
    /// Sum over thresholds of (new true positives) * precision.
    precision_steps: f64,
    equal_error_rate: Option<f64>,
    allowed: [u64; 2],
    found: [u64; 2],
}

impl Sweep {
    fn new(fakes: u64, reals: u64) -> Sweep {
        Sweep {
            fakes,
            reals,
            true_positives: 0,
            false_positives: 0,
            twice_area: 0,
            precision_steps: 0.0,
            equal_error_rate: None,
            allowed: [0.01, 0.05].map(|rate| allowed_false_positives(rate, reals)),
            found: [0; 2],
        }
    }

    #[inline(always)]
    fn step(&mut self, new_fakes: u64, new_reals: u64) {
        let true_positives = self.true_positives + new_fakes;
        let false_positives = self.false_positives + new_reals;
        self.twice_area += new_reals * (self.true_positives + true_positives);
        let called_fake = (true_positives + false_positives).max(1);
        self.precision_steps += float(new_fakes) * (float(true_positives) / float(called_fake));
        for (allowed, found) in self.allowed.iter().zip(&mut self.found) {
            *found = if false_positives <= *allowed { true_positives } else { *found };
        }
        if self.equal_error_rate.is_none() && self.crosses(true_positives, false_positives) {
            self.equal_error_rate = Some(self.crossing(true_positives, false_positives));
        }
        self.true_positives = true_positives;
        self.false_positives = false_positives;
    }

    /// Whether FPR + TPR reaches 1, that is, FPR reaches FNR.
    #[inline(always)]
    fn crosses(&self, true_positives: u64, false_positives: u64) -> bool {
        false_positives * self.fakes + true_positives * self.reals >= self.fakes * self.reals
    }

    /// The false-positive rate where the straight line from the last point to this one meets FPR = 1 - TPR.
    #[cold]
    fn crossing(&self, true_positives: u64, false_positives: u64) -> f64 {
        let tpr = |count: u64| count as f64 / self.fakes as f64;
        let fpr = |count: u64| count as f64 / self.reals as f64;
        let before = fpr(self.false_positives) + tpr(self.true_positives);
        let after = fpr(false_positives) + tpr(true_positives);
        let share = if after > before { (1.0 - before) / (after - before) } else { 0.0 };
        fpr(self.false_positives) + share * (fpr(false_positives) - fpr(self.false_positives))
    }

    fn finish(self) -> RankMetrics {
        let (fakes, reals) = (self.fakes as f64, self.reals as f64);
        let both = self.fakes > 0 && self.reals > 0;
        RankMetrics {
            roc_auc: both.then(|| self.twice_area as f64 / (2.0 * fakes * reals)),
            pr_auc: (self.fakes > 0).then(|| self.precision_steps / fakes),
            equal_error_rate: self.equal_error_rate.filter(|_| both),
            tpr_at_fpr_1: both.then(|| self.found[0] as f64 / fakes),
            tpr_at_fpr_5: both.then(|| self.found[1] as f64 / fakes),
        }
    }
}

/// The same as `count as f64`, in one instruction: x86-64 converts signed integers only, and counts are below 2^63.
#[inline(always)]
fn float(count: u64) -> f64 {
    count as i64 as f64
}

/// The largest number of false positives whose rate, as a quotient of floats, is at most `rate`.
fn allowed_false_positives(rate: f64, reals: u64) -> u64 {
    let within = |count: u64| count as f64 / reals as f64 <= rate;
    let mut count = (rate * reals as f64).floor() as u64;
    while count > 0 && !within(count) {
        count -= 1;
    }
    while count < reals && within(count + 1) {
        count += 1;
    }
    count
}
