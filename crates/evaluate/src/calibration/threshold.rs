//! The threshold with the highest balanced accuracy on validation.

use crate::metrics::Ranking;

/// Returns the threshold with the highest balanced accuracy, which is the one with the highest Youden index TPR - FPR.
/// `None` without images of both classes.
///
/// Accuracy would depend on the share of fakes in the validation split, which differs from the share in use. A
/// threshold is halfway between two neighbouring scores. Among equally good thresholds the one nearest to 0.5 is
/// chosen, and among equally near ones the higher, because a false accusation is worse than a miss.
pub(crate) fn fit_threshold(ranking: &Ranking) -> Option<f64> {
    let (fakes, reals) = (ranking.fake().len() as i64, ranking.real().len() as i64);
    if fakes == 0 || reals == 0 {
        return None;
    }
    let steps: Vec<(f64, usize, usize)> = ranking.thresholds().collect();
    // The Youden index times fakes * reals: an exact integer.
    let youden = |fake: usize, real: usize| fake as i64 * reals - real as i64 * fakes;
    let highest = steps.first().map_or(1.0, |step| step.0);
    let all_real = (youden(0, 0), halfway_above(highest, 1.0_f64.max(highest)));
    let cuts = steps.iter().enumerate().map(|(index, &(score, fake, real))| {
        let below = steps.get(index + 1).map_or(0.0_f64.min(score), |next| next.0);
        (youden(fake, real), halfway_above(below, score).min(score))
    });
    let better = |a: (i64, f64), b: (i64, f64)| {
        let distance = |threshold: f64| (threshold - 0.5).abs();
        match b.0.cmp(&a.0).then(distance(a.1).total_cmp(&distance(b.1))).then(b.1.total_cmp(&a.1)) {
            std::cmp::Ordering::Greater => b,
            _ => a,
        }
    };
    Some(cuts.fold(all_real, better).1)
}

/// Returns a threshold halfway from `score` to `next`. It is above `score` even if there is no float in between, so
/// that an image with that score is called real.
pub(super) fn halfway_above(score: f64, next: f64) -> f64 {
    (0.5 * (score + next)).max(score.next_up())
}

#[cfg(test)]
mod tests {
    use artifacts::Label::{Fake, Real};

    use super::*;

    fn fit(labels: &[artifacts::Label], scores: &[f64]) -> f64 {
        fit_threshold(&Ranking::new(labels, scores).unwrap()).unwrap()
    }

    #[test]
    fn lies_between_the_classes() {
        assert_eq!(fit(&[Real, Real, Fake, Fake], &[0.1, 0.6, 0.8, 0.9]), 0.7);
    }

    #[test]
    fn ties_prefer_nearest_to_half_then_higher() {
        // The index is equally high between 0.2 and 0.4 and between 0.6 and 0.8.
        assert_eq!(fit(&[Real, Fake, Real, Fake], &[0.2, 0.4, 0.6, 0.8]), 0.7);
        assert_eq!(fit(&[Real, Fake, Real, Fake], &[0.3, 0.45, 0.7, 0.9]), 0.375);
    }

    #[test]
    fn does_not_depend_on_class_sizes() {
        let mut labels = vec![Real; 90];
        labels.extend([Fake; 10]);
        let scores: Vec<f64> =
            (0..90).map(|i| f64::from(i) / 100.0).chain((0..10).map(|i| 0.8 + f64::from(i) / 100.0)).collect();
        // The threshold with the highest accuracy would be above 0.9.
        assert!(fit(&labels, &scores) < 0.8);
    }

    #[test]
    fn halfway_is_above_the_lower_score_for_adjacent_floats() {
        assert_eq!(halfway_above(0.25, 0.75), 0.5);
        assert_eq!(halfway_above(0.5, 0.5_f64.next_up()), 0.5_f64.next_up());
        assert!(halfway_above(1.0, 1.0) > 1.0);
    }

    #[test]
    fn one_class_has_no_threshold() {
        assert_eq!(fit_threshold(&Ranking::new(&[Real], &[0.3]).unwrap()), None);
    }
}
