//! Reduces curves of up to a million points to their visible points.

/// Keeps the first, lowest, highest and last point in each column of `column` pixels, so that the curve still covers
/// the same pixels (M4: Jugel et al., VLDB 2014). `points` are in pixels and sorted by x.
pub(crate) fn downsample(points: &[(f64, f64)], column: f64) -> Vec<(f64, f64)> {
    let mut kept = Vec::new();
    let mut start = 0;
    while start < points.len() {
        let index = (points[start].0 / column).floor();
        let length = points[start..].iter().take_while(|point| (point.0 / column).floor() == index).count().max(1);
        let end = start + length;
        let by_y = |a: &usize, b: &usize| points[*a].1.total_cmp(&points[*b].1);
        let lowest = (start..end).min_by(by_y).unwrap_or(start);
        let highest = (start..end).max_by(by_y).unwrap_or(start);
        let mut indices = [start, lowest, highest, end - 1];
        indices.sort_unstable();
        kept.extend(
            indices.iter().enumerate().filter(|(i, at)| *i == 0 || indices[i - 1] != **at).map(|(_, at)| points[*at]),
        );
        start = end;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_extremes_of_every_column() {
        let n = 1_000_000;
        let points: Vec<(f64, f64)> =
            (0..n).map(|i| (300.0 * i as f64 / n as f64, ((i * 7919) % 1013) as f64 / 1013.0)).collect();
        let kept = downsample(&points, 0.5);
        assert!(kept.len() <= 4 * 601, "{}", kept.len());
        assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[n - 1]));
        let extent = |points: &[(f64, f64)], column: f64| {
            let inside = points.iter().filter(|p| (p.0 / 0.5).floor() == column).map(|p| p.1);
            inside.fold((f64::MAX, f64::MIN), |(low, high), y| (low.min(y), high.max(y)))
        };
        for column in [0.0, 17.0, 599.0] {
            assert_eq!(extent(&kept, column), extent(&points, column));
        }
    }

    #[test]
    fn keeps_all_points_of_a_short_curve() {
        let points = [(0.0, 5.0), (0.0, 1.0), (3.0, 1.0), (9.0, 0.0)];
        assert_eq!(downsample(&points, 0.5), points);
        assert!(downsample(&[], 0.5).is_empty());
    }
}
