//! Metrics of the order of the scores, computed in one pass over the ranking of the images or of a resample of them.

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
        let mut block = Block::new();
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

/// The number of images that are summed by vector instructions before a scalar search for the thresholds at which a
/// rate is reached.
const BLOCK: usize = 1024;
/// Number of independent sums: one for each lane of a vector register. The order of summation does not depend on the
/// register's real width.
const LANES: usize = 4;

/// Cumulative counts at each distinct score, in descending order of the scores. The first entry is the last one of the
/// previous block.
struct Block {
    true_positives: [u32; BLOCK + 1],
    called_fake: [u32; BLOCK + 1],
    len: usize,
}

impl Block {
    fn new() -> Block {
        Block { true_positives: [0; BLOCK + 1], called_fake: [0; BLOCK + 1], len: 1 }
    }

    /// Appends the counts at a score. The next call overwrites them unless `tie_ends`.
    #[inline(always)]
    fn put(&mut self, true_positives: u32, called_fake: u32, tie_ends: bool) {
        // `len` is at most BLOCK, so `min` never changes it; it lets the compiler drop two bounds checks.
        let at = self.len.min(BLOCK);
        self.true_positives[at] = true_positives;
        self.called_fake[at] = called_fake;
        self.len = at + usize::from(tie_ends);
    }

    /// Begins the next block with the last entry of this one.
    fn keep_only_last(&mut self) {
        self.true_positives[0] = self.true_positives[self.len - 1];
        self.called_fake[0] = self.called_fake[self.len - 1];
        self.len = 1;
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

    fn add(&mut self, block: &Block) {
        let last = block.len - 1;
        if last == 0 {
            return;
        }
        let (true_positives, called_fake) = (&block.true_positives[..block.len], &block.called_fake[..block.len]);
        self.twice_area += twice_area(true_positives, called_fake);
        add_precision_steps(&mut self.precision_steps, true_positives, called_fake);
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

/// Adds (new true positives) * precision at each threshold of a block to `sums`.
fn add_precision_steps(sums: &mut [f64; LANES], true_positives: &[u32], called_fake: &[u32]) {
    let step = |before: u32, positives: u32, called: u32| {
        float(positives - before) * (float(positives) / float(called.max(1)))
    };
    let before = true_positives.chunks_exact(LANES);
    let after = true_positives[1..].chunks_exact(LANES).zip(called_fake[1..].chunks_exact(LANES));
    for (before, (positives, called)) in before.zip(after) {
        for lane in 0..LANES {
            sums[lane] += step(before[lane], positives[lane], called[lane]);
        }
    }
    let thresholds = true_positives.len() - 1;
    for at in thresholds - thresholds % LANES..thresholds {
        sums[at % LANES] += step(true_positives[at], true_positives[at + 1], called_fake[at + 1]);
    }
}

/// Converts a count by way of `i32`, because x86-64 has a vector instruction for signed integers only. A [`Ranking`]
/// has at most `i32::MAX` images.
#[inline(always)]
fn float(count: u32) -> f64 {
    f64::from(count as i32)
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
