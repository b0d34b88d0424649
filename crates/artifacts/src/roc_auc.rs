//! The area under the ROC curve.

/// Computes the area under the ROC curve of pairs (score, is fake). It is the probability that a fake has a higher
/// score than a real image, where ties count half (Mann and Whitney 1947). Returns `None` without images of both
/// classes. Sorts `scored` by score.
pub fn roc_auc(scored: &mut [(f64, bool)]) -> Option<f64> {
    scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut reals_below, mut doubled_wins) = (0_u64, 0_u64);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let fakes = tied.iter().filter(|(_, fake)| *fake).count() as u64;
        let reals = tied.len() as u64 - fakes;
        doubled_wins += fakes * (2 * reals_below + reals);
        reals_below += reals;
    }
    let pairs = reals_below * (scored.len() as u64 - reals_below);
    (pairs > 0).then(|| doubled_wins as f64 / (2 * pairs) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: bool = false;
    const FAKE: bool = true;

    #[test]
    fn ties_count_half() {
        // sklearn.metrics.roc_auc_score([0, 0, 1, 1], [.1, .4, .35, .8]), and by counting pairs.
        assert_eq!(roc_auc(&mut [(0.1, REAL), (0.4, REAL), (0.35, FAKE), (0.8, FAKE)]), Some(0.75));
        assert_eq!(roc_auc(&mut [(0.5, REAL), (0.5, FAKE)]), Some(0.5));
        assert_eq!(roc_auc(&mut [(0.5, REAL), (0.5, FAKE), (0.9, FAKE), (0.1, FAKE)]), Some(0.5));
        assert_eq!(roc_auc(&mut [(0.2, REAL), (0.5, REAL), (0.5, FAKE)]), Some(0.75));
        assert_eq!(roc_auc(&mut [(0.0, REAL), (-0.0, FAKE)]), Some(0.5));
    }

    #[test]
    fn is_undefined_for_one_class() {
        assert_eq!(roc_auc(&mut [(0.1, FAKE), (0.4, FAKE)]), None);
        assert_eq!(roc_auc(&mut []), None);
    }
}
