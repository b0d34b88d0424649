//! The area under the ROC curve, by ranks.

use artifacts::Label;

/// The probability that a fake has a higher score than a real image, ties counting half: the statistic of Mann and Whitney
/// (1947) over its maximum, equal to the area under the ROC curve. `None` if there is one class only.
pub(crate) fn roc_auc(scored: &mut [(f64, Label)]) -> Option<f64> {
    scored.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut reals_below, mut doubled_wins) = (0_u64, 0_u64);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let fakes = tied.iter().filter(|(_, label)| *label == Label::Fake).count() as u64;
        let reals = tied.len() as u64 - fakes;
        doubled_wins += fakes * (2 * reals_below + reals);
        reals_below += reals;
    }
    let pairs = reals_below * (scored.len() as u64 - reals_below);
    (pairs > 0).then(|| doubled_wins as f64 / (2 * pairs) as f64)
}

#[cfg(test)]
mod tests {
    use artifacts::Label::{Fake, Real};

    use super::*;

    #[test]
    fn ties_count_half() {
        // sklearn.metrics.roc_auc_score([0, 0, 1, 1], [.1, .4, .35, .8]), and by counting pairs.
        assert_eq!(roc_auc(&mut [(0.1, Real), (0.4, Real), (0.35, Fake), (0.8, Fake)]), Some(0.75));
        assert_eq!(roc_auc(&mut [(0.5, Real), (0.5, Fake)]), Some(0.5));
        assert_eq!(roc_auc(&mut [(0.5, Real), (0.5, Fake), (0.9, Fake), (0.1, Fake)]), Some(0.5));
        assert_eq!(roc_auc(&mut [(0.2, Real), (0.5, Real), (0.5, Fake)]), Some(0.75));
        assert_eq!(roc_auc(&mut [(0.0, Real), (-0.0, Fake)]), Some(0.5));
    }

    #[test]
    fn one_class_has_no_curve() {
        assert_eq!(roc_auc(&mut [(0.1, Fake), (0.4, Fake)]), None);
        assert_eq!(roc_auc(&mut []), None);
    }
}
