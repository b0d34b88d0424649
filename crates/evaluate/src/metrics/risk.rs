//! Metrics of selective classification: how many verdicts are wrong if the least certain images get none.
//!
//! An image is called fake if its score is at least a boundary; the confidence of this verdict is the distance of the
//! score from the boundary. The coverage is the share of images that get a verdict, and the risk is the share of wrong
//! verdicts among them (El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017, arXiv 1705.08500). Images of equal
//! confidence get a verdict together.

use artifacts::Label;
use artifacts::schema::CurvePoint;
use artifacts::statistics::ratio;
use rayon::slice::ParallelSliceMut;

use super::cumulative_counts::{BLOCK, CumulativeCounts, LANES, add_ratio_steps};
use super::ranking::TIE_END;
use super::{NamedValue, Ranking, ResampleCounts};

/// Flag of an image whose verdict is wrong.
const WRONG: u8 = 1;

/// The number of coverages at which [`RiskMetrics::weighted_with_grid`] computes the risk: 1/100, 2/100 … 1.
pub(crate) const GRID: usize = 100;

/// The risk at the smallest coverage that is at least 1/100, 2/100 … 1.
pub(crate) type RiskGrid = [f64; GRID];

/// The images of a [`Ranking`] in descending order of the confidence of their verdicts.
#[derive(Clone, Debug)]
pub struct ConfidenceOrder {
    /// The position of each image in [`ResampleCounts::all`].
    positions: Vec<u32>,
    /// [`WRONG`] and [`TIE_END`] of each image.
    flags: Vec<u8>,
    confidences: Vec<f64>,
}

impl ConfidenceOrder {
    /// Sorts the images of a ranking of margins. A margin of 0 is a P(fake) of 0.5.
    pub fn of_margins(ranking: &Ranking) -> ConfidenceOrder {
        ConfidenceOrder::new(ranking, 0.0)
    }

    /// Sorts the images of a ranking by the distance of their scores from `boundary`, in O(n log n). An image is called
    /// fake if its score is at least `boundary`.
    pub fn new(ranking: &Ranking, boundary: f64) -> ConfidenceOrder {
        let of_class = |scores: &[f64], class: Label| -> Vec<(f64, bool)> {
            scores
                .iter()
                .map(|&score| ((score - boundary).abs(), (score >= boundary) != (class == Label::Fake)))
                .collect()
        };
        let fakes = of_class(ranking.fake().scores(), Label::Fake);
        let reals = of_class(ranking.real().scores(), Label::Real);
        let mut images: Vec<(f64, u32, bool)> = fakes
            .into_iter()
            .chain(reals)
            .enumerate()
            .map(|(position, (confidence, wrong))| (confidence, position as u32, wrong))
            .collect();
        images.par_sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let ends_tie = |at: usize| images.get(at + 1).is_none_or(|next| next.0 != images[at].0);
        let flags = (0..images.len())
            .map(|at| if images[at].2 { WRONG } else { 0 } | if ends_tie(at) { TIE_END } else { 0 })
            .collect();
        let (confidences, positions) = images.iter().map(|image| (image.0, image.1)).unzip();
        ConfidenceOrder { positions, flags, confidences }
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }
}

/// Metrics of the risk at all coverages. Each is `None` without images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RiskMetrics {
    /// The mean over k = 1 … n of the share of wrong verdicts among the images whose confidence is at least the k-th
    /// highest (Geifman, Uziel and El-Yaniv 2019, arXiv 1805.08206).
    pub risk_coverage_area: Option<f64>,
    /// The largest coverage at which at most 5% of the verdicts are wrong; 0 if there is none.
    pub coverage_at_5_wrong: Option<f64>,
}

impl RiskMetrics {
    /// Computes the metrics of the images of a ranking, from their order.
    pub fn of(order: &ConfidenceOrder, ranking: &Ranking) -> RiskMetrics {
        RiskMetrics::weighted(order, &ResampleCounts::ones(ranking))
    }

    /// Computes the metrics of a resample in O(n), without sorting it.
    pub fn weighted(order: &ConfidenceOrder, weights: &ResampleCounts) -> RiskMetrics {
        RiskMetrics::weighted_with_grid(order, weights).0
    }

    /// Computes the metrics of a resample, and the risk at the coverages of the grid.
    pub(crate) fn weighted_with_grid(order: &ConfidenceOrder, weights: &ResampleCounts) -> (RiskMetrics, RiskGrid) {
        let counts = weights.all();
        let mut pass = RiskPass::new(counts.len() as u64);
        let mut block = CumulativeCounts::new();
        let (mut wrong, mut kept) = (0_u32, 0_u32);
        for (positions, flags) in order.positions.chunks(BLOCK).zip(order.flags.chunks(BLOCK)) {
            for (&position, flag) in positions.iter().zip(flags) {
                let count = u32::from(counts[position as usize]);
                kept += count;
                wrong += count & u32::from(flag & WRONG).wrapping_neg();
                block.put(wrong, kept, flag & TIE_END != 0);
            }
            pass.add(&block);
            block.keep_only_last();
        }
        pass.finish()
    }

    /// The key in `metrics.json` and the value of each metric.
    pub fn named(&self) -> [NamedValue; 2] {
        [("risk_coverage_area", self.risk_coverage_area), ("coverage_at_5_wrong", self.coverage_at_5_wrong)]
    }
}

/// State of a pass from the most to the least certain image.
struct RiskPass {
    images: u64,
    /// Sum over ties of (images of the tie) * risk.
    risk_steps: [f64; LANES],
    /// The most images that can be kept with at most 5% wrong.
    kept_at_5_wrong: u32,
    grid: RiskGrid,
    /// The number of entries of `grid` that are known.
    reached: usize,
}

impl RiskPass {
    fn new(images: u64) -> RiskPass {
        RiskPass { images, risk_steps: [0.0; LANES], kept_at_5_wrong: 0, grid: [0.0; GRID], reached: 0 }
    }

    fn add(&mut self, block: &CumulativeCounts) {
        let (wrong, kept) = block.slices();
        add_ratio_steps(&mut self.risk_steps, kept, wrong, kept);
        for (&wrong, &kept) in wrong.iter().zip(kept) {
            let allowed = 20 * u64::from(wrong) <= u64::from(kept);
            self.kept_at_5_wrong = self.kept_at_5_wrong.max(if allowed { kept } else { 0 });
        }
        let mut at = 0;
        while at < kept.len() && self.reaches_next(kept[kept.len() - 1]) {
            if self.reaches_next(kept[at]) {
                self.grid[self.reached] = f64::from(wrong[at]) / f64::from(kept[at]);
                self.reached += 1;
            } else {
                at += 1;
            }
        }
    }

    /// Whether `kept` images are at least the next coverage of the grid.
    fn reaches_next(&self, kept: u32) -> bool {
        let next = self.reached as u64 + 1;
        self.reached < GRID && kept > 0 && u64::from(kept) * GRID as u64 >= next * self.images
    }

    fn finish(self) -> (RiskMetrics, RiskGrid) {
        let n = self.images as f64;
        let metrics = RiskMetrics {
            risk_coverage_area: ratio(self.risk_steps.iter().sum(), n),
            coverage_at_5_wrong: ratio(f64::from(self.kept_at_5_wrong), n),
        };
        (metrics, self.grid)
    }
}

/// Returns the risk-coverage curve with one point for each distinct confidence, from the highest to the lowest. x is
/// the coverage, y the risk, and the threshold the lowest confidence that gets a verdict. Empty without images.
pub fn risk_coverage_curve(order: &ConfidenceOrder) -> Vec<CurvePoint> {
    let n = order.flags.len() as f64;
    let mut wrong = 0_u64;
    let mut points = Vec::new();
    for (at, (flag, &confidence)) in order.flags.iter().zip(&order.confidences).enumerate() {
        wrong += u64::from(flag & WRONG);
        if flag & TIE_END != 0 {
            let kept = (at + 1) as f64;
            points.push(CurvePoint { x: kept / n, y: wrong as f64 / kept, threshold: Some(confidence) });
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use artifacts::Label::{Fake, Real};

    use super::*;

    fn order(labels: &[Label], margins: &[f64]) -> (Ranking, ConfidenceOrder) {
        let ranking = Ranking::new(labels, margins).unwrap();
        let order = ConfidenceOrder::of_margins(&ranking);
        (ranking, order)
    }

    fn metrics(labels: &[Label], margins: &[f64]) -> [Option<f64>; 2] {
        let (ranking, order) = order(labels, margins);
        RiskMetrics::of(&order, &ranking).named().map(|(_, value)| value)
    }

    /// The definitions, in O(n^2).
    fn reference(labels: &[Label], margins: &[f64]) -> [f64; 2] {
        let n = labels.len() as f64;
        let mut sum = 0.0;
        let mut coverage: f64 = 0.0;
        for least in margins.iter().map(|margin| margin.abs()) {
            let kept: Vec<usize> = (0..labels.len()).filter(|&i| margins[i].abs() >= least).collect();
            let wrong = kept.iter().filter(|&&i| (margins[i] >= 0.0) != (labels[i] == Fake)).count();
            sum += wrong as f64 / kept.len() as f64;
            if 20 * wrong <= kept.len() {
                coverage = coverage.max(kept.len() as f64 / n);
            }
        }
        [sum / n, coverage]
    }

    #[test]
    fn equals_definition_with_and_without_ties() {
        for (n, step) in [(1, 1.0), (7, 0.5), (300, 0.0), (300, 0.25), (2500, 0.01), (2500, 0.0)] {
            let labels: Vec<Label> = (0..n).map(|i| Label::ALL[i % 2]).collect();
            let margins: Vec<f64> = (0..n)
                .map(|i| {
                    let noise = ((i * 7919) % 1009) as f64 / 1009.0 * 6.0 - 3.0 + i as f64 * 1e-7;
                    let margin = noise + if i % 2 == 1 { 2.0 } else { -2.0 };
                    if step > 0.0 { (margin / step).round() * step } else { margin }
                })
                .collect();
            let (found, expected) = (metrics(&labels, &margins), reference(&labels, &margins));
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((found.unwrap() - expected).abs() < 1e-12, "n {n}, step {step}: {found:?} {expected}");
            }
        }
    }

    #[test]
    fn keeps_equal_confidences_together() {
        // Of the two images of confidence 1, one verdict is right and one is wrong. Their order must not matter.
        for labels in [[Fake, Real, Fake], [Fake, Fake, Real]] {
            let [area, coverage] = metrics(&labels, &[2.0, 1.0, 1.0]).map(Option::unwrap);
            assert!((area - (0.0 + 1.0 / 3.0 + 1.0 / 3.0) / 3.0).abs() < 1e-15, "{area}");
            assert_eq!(coverage, 1.0 / 3.0);
        }
    }

    #[test]
    fn one_class_is_defined_and_no_image_is_not() {
        assert_eq!(metrics(&[Fake, Fake], &[3.0, -1.0]), [Some(0.25), Some(0.5)]);
        assert_eq!(metrics(&[Real, Real], &[-3.0, -1.0]), [Some(0.0), Some(1.0)]);
        assert_eq!(metrics(&[Real], &[3.0]), [Some(1.0), Some(0.0)]);
        assert_eq!(metrics(&[], &[]), [None, None]);
    }

    #[test]
    fn margin_of_0_is_called_fake_with_no_confidence() {
        assert_eq!(metrics(&[Real, Fake], &[0.0, -0.0]), [Some(0.5), Some(0.0)]);
    }

    #[test]
    fn curve_and_grid_have_the_risk_of_each_coverage() {
        let labels = [Fake, Real, Real, Fake];
        let (ranking, order) = order(&labels, &[4.0, 3.0, -2.0, -1.0]);
        let points: Vec<(f64, f64)> = risk_coverage_curve(&order).iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(points, [(0.25, 0.0), (0.5, 0.5), (0.75, 1.0 / 3.0), (1.0, 0.5)]);
        let (_, grid) = RiskMetrics::weighted_with_grid(&order, &ResampleCounts::ones(&ranking));
        assert_eq!(
            [0, 24, 25, 49, 50, 74, 75, 99].map(|at| grid[at]),
            [0.0, 0.0, 0.5, 0.5, 1.0 / 3.0, 1.0 / 3.0, 0.5, 0.5]
        );
    }
}
