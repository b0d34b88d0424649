//! The ROC and precision-recall curves as lists of points.

use super::Ranking;

/// A point of the ROC curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    /// P(fake) from which images are called fake; `None` at the curve's start, where none is.
    pub threshold: Option<f64>,
    /// False-positive rate, 0 to 1.
    pub fpr: f64,
    /// True-positive rate, 0 to 1.
    pub tpr: f64,
}

/// A point of the precision-recall curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrPoint {
    /// P(fake) from which images are called fake.
    pub threshold: f64,
    /// The share of fake images called fake.
    pub recall: f64,
    /// The share of images called fake that are.
    pub precision: f64,
}

/// The ROC curve from (0, 0) to (1, 1), one point for each distinct score
/// (`sklearn.metrics.roc_curve(drop_intermediate=False)`); empty unless both classes are there.
pub fn roc_curve(ranking: &Ranking) -> Vec<RocPoint> {
    let (fakes, reals) = (ranking.fake().len() as f64, ranking.real().len() as f64);
    if fakes == 0.0 || reals == 0.0 {
        return Vec::new();
    }
    let start = RocPoint { threshold: None, fpr: 0.0, tpr: 0.0 };
    let points = ranking.thresholds().map(|(threshold, fake, real)| RocPoint {
        threshold: Some(threshold),
        fpr: real as f64 / reals,
        tpr: fake as f64 / fakes,
    });
    std::iter::once(start).chain(points).collect()
}

/// The precision-recall curve by falling threshold, one point for each distinct score: scikit-learn's points in
/// reverse, without the (0, 1) that it appends; empty without fake images.
pub fn pr_curve(ranking: &Ranking) -> Vec<PrPoint> {
    let fakes = ranking.fake().len() as f64;
    if fakes == 0.0 {
        return Vec::new();
    }
    ranking
        .thresholds()
        .map(|(threshold, fake, real)| PrPoint {
            threshold,
            recall: fake as f64 / fakes,
            precision: fake as f64 / (fake + real) as f64,
        })
        .collect()
}

/// At most `limit` points of a curve, for drawing: the first, the last, and between them the points nearest to equal
/// steps along the curve, where `coordinates` are in 0 to 1. No point is moved, and no area is computed from these.
pub fn thin<P: Copy>(points: Vec<P>, limit: usize, coordinates: impl Fn(&P) -> (f64, f64)) -> Vec<P> {
    if points.len() <= limit || limit < 2 {
        return points;
    }
    let step_length = |pair: &[P]| {
        let ((x0, y0), (x1, y1)) = (coordinates(&pair[0]), coordinates(&pair[1]));
        (x1 - x0).hypot(y1 - y0)
    };
    let length: f64 = points.windows(2).map(step_length).sum();
    let step = length / (limit - 1) as f64;
    let last = points.len() - 1;
    let mut kept = vec![points[0]];
    let (mut walked, mut next) = (0.0, step);
    for (index, pair) in points.windows(2).enumerate() {
        walked += step_length(pair);
        if walked >= next && index + 1 < last && kept.len() < limit - 1 {
            kept.push(pair[1]);
            next = (walked / step).floor() * step + step;
        }
    }
    kept.push(points[last]);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_ends_and_the_limit() {
        let points: Vec<(f64, f64)> = (0..10_001).map(|i| (f64::from(i) / 1e4, (f64::from(i) / 1e4).sqrt())).collect();
        let thinned = thin(points.clone(), 200, |point| *point);
        assert!(thinned.len() <= 200 && thinned.len() > 150, "{}", thinned.len());
        assert_eq!(thinned.first(), points.first());
        assert_eq!(thinned.last(), points.last());
        let widest = thinned.windows(2).map(|pair| pair[1].0 - pair[0].0).fold(0.0, f64::max);
        assert!(widest < 0.02, "a gap of {widest}");
    }
}
