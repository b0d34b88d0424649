//! The ROC and precision-recall curves as lists of points. Their thresholds are scores of the ranking.

use artifacts::schema::CurvePoint;

use super::Ranking;

/// Returns the ROC curve from (0, 0) to (1, 1) with one point for each distinct score, as
/// `sklearn.metrics.roc_curve(drop_intermediate=False)` does. x is the false-positive rate, y the true-positive rate.
/// Empty without images of both classes.
pub fn roc_curve(ranking: &Ranking) -> Vec<CurvePoint> {
    let (fakes, reals) = (ranking.fake().len() as f64, ranking.real().len() as f64);
    if fakes == 0.0 || reals == 0.0 {
        return Vec::new();
    }
    let start = CurvePoint { x: 0.0, y: 0.0, threshold: None };
    let points = ranking.thresholds().map(|(threshold, fake, real)| CurvePoint {
        x: real as f64 / reals,
        y: fake as f64 / fakes,
        threshold: Some(threshold),
    });
    std::iter::once(start).chain(points).collect()
}

/// Returns the precision-recall curve by descending threshold with one point for each distinct score: the points of
/// `sklearn.metrics.precision_recall_curve` in reverse order, without the (0, 1) that it appends. x is the recall, y
/// the precision. Empty without fakes.
pub fn pr_curve(ranking: &Ranking) -> Vec<CurvePoint> {
    let fakes = ranking.fake().len() as f64;
    if fakes == 0.0 {
        return Vec::new();
    }
    ranking
        .thresholds()
        .map(|(threshold, fake, real)| CurvePoint {
            x: fake as f64 / fakes,
            y: fake as f64 / (fake + real) as f64,
            threshold: Some(threshold),
        })
        .collect()
}

/// Thins a curve to at most `limit` points for drawing: the first, the last, and between them the points nearest to
/// equal steps along the curve. Areas must not be computed from the result.
pub(crate) fn thin(points: Vec<CurvePoint>, limit: usize) -> Vec<CurvePoint> {
    if points.len() <= limit || limit < 2 {
        return points;
    }
    let step_length = |pair: &[CurvePoint]| (pair[1].x - pair[0].x).hypot(pair[1].y - pair[0].y);
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
    fn thin_keeps_ends_and_limit() {
        let point = |x: f64| CurvePoint { x, y: x.sqrt(), threshold: None };
        let points: Vec<CurvePoint> = (0..10_001).map(|i| point(f64::from(i) / 1e4)).collect();
        let thinned = thin(points.clone(), 200);
        assert!(thinned.len() <= 200 && thinned.len() > 150, "{}", thinned.len());
        assert_eq!(thinned.first(), points.first());
        assert_eq!(thinned.last(), points.last());
        let widest = thinned.windows(2).map(|pair| pair[1].x - pair[0].x).fold(0.0, f64::max);
        assert!(widest < 0.02, "a gap of {widest}");
    }
}
