//! A test of whether heat maps depend on the trained weights.

use artifacts::schema::SanityCheck;
use artifacts::statistics::mean;
use model::HeatMap;

/// The test fails if the mean absolute correlation is this or higher.
const MAX_CORRELATION: f64 = 0.5;

/// Runs the model-randomisation test of Adebayo et al. 2018 (arXiv 1810.03292): a model with random weights must give
/// different heat maps for the same images and classes. `pairs` holds a map of the detector, and the map of the same image
/// with random weights.
pub(crate) fn sanity_check(pairs: &[(HeatMap, HeatMap)]) -> SanityCheck {
    let correlations: Vec<f64> =
        pairs.iter().filter_map(|(own, random)| rank_correlation(&own.values, &random.values)).collect();
    let n = correlations.len();
    // Absolute values, because a map and its negative show the same structure and must not cancel out.
    let mean = (n > 0).then(|| correlations.iter().copied().map(f64::abs).sum::<f64>() / n as f64);
    SanityCheck { maps: n, mean_rank_correlation: mean, passed: mean.map(|mean| mean < MAX_CORRELATION) }
}

/// Spearman's rank correlation with mean ranks of ties; `None` if one of the lists is constant.
fn rank_correlation(a: &[f32], b: &[f32]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let product = |x: &[f64], y: &[f64], mean_x: f64, mean_y: f64| {
        x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>()
    };
    let spread = (product(&a, &a, mean_a, mean_a) * product(&b, &b, mean_b, mean_b)).sqrt();
    (spread > 0.0).then(|| product(&a, &b, mean_a, mean_b) / spread)
}

/// The rank of each value from 0; ties have their mean rank.
fn ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let before = order.partition_point(|&index| values[index].total_cmp(&values[tied[0]]).is_lt());
        for &index in tied {
            ranks[index] = before as f64 + 0.5 * (tied.len() - 1) as f64;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_scipy() {
        // scipy.stats.spearmanr([1, 2, 2, 3, 5], [2, 1, 4, 4, 5]) = 0.7631578947368421
        let rho = rank_correlation(&[1.0, 2.0, 2.0, 3.0, 5.0], &[2.0, 1.0, 4.0, 4.0, 5.0]).unwrap();
        assert!((rho - 0.763_157_894_736_842_1).abs() < 1e-12, "{rho}");
        assert_eq!(rank_correlation(&[1.0, 2.0], &[0.0, 0.0]), None);
        assert!((rank_correlation(&[1.0, 2.0, 9.0], &[3.0, 2.0, 1.0]).unwrap() + 1.0).abs() < 1e-12);
    }
}
