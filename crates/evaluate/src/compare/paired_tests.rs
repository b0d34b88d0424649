//! DeLong's and McNemar's tests and bootstrap differences of each pair of detectors.

use artifacts::Label;
use artifacts::schema::{DeLong, McNemar, Pair};

use super::{Error, RankedDetector};
use crate::bootstrap::{OperatingPoint, Resampling, paired_differences};
use crate::measure::ScoredImages;
use crate::significance::{delong, holm, mcnemar};

/// Tests one pair. Its `p_holm` values are uncorrected until [`correct_p_values`] replaces them.
pub(super) fn pair(
    ranked: &[RankedDetector<'_>],
    first: usize,
    second: usize,
    resampling: Resampling,
) -> Result<Pair, Error> {
    const HEADLINE: OperatingPoint = OperatingPoint::HEADLINE;
    let (a, b) = (&ranked[first], &ranked[second]);
    let fitted = a.detector.fitted_operating_point().zip(b.detector.fitted_operating_point());
    let is_defined = |key: &str| a.detector.defines_key(key) && b.detector.defines_key(key);
    let auc_test = delong(&a.images.labels, &a.images.margins, &b.images.margins).map_err(a.error())?;
    Ok(Pair {
        first,
        second,
        roc_auc: auc_test.filter(|_| is_defined("roc_auc")).map(|test| DeLong {
            difference: test.difference,
            interval: test.interval,
            z: test.z,
            p: test.p,
            p_holm: test.p,
        }),
        accuracy: test_accuracies((&a.images, HEADLINE), (&b.images, HEADLINE)),
        fitted_accuracy: fitted.map(|(point_a, point_b)| test_accuracies((&a.images, point_a), (&b.images, point_b))),
        differences: {
            let mut all = paired_differences((&a.ranking, HEADLINE), (&b.ranking, HEADLINE), resampling);
            all.retain(|difference| is_defined(&difference.score));
            all
        },
    })
}

fn test_accuracies(first: (&ScoredImages, OperatingPoint), second: (&ScoredImages, OperatingPoint)) -> McNemar {
    let is_correct = |(images, point): (&ScoredImages, OperatingPoint), row: usize| {
        point.calls_fake(images.margins[row]) == (images.labels[row] == Label::Fake)
    };
    let (mut only_first, mut only_second) = (0, 0);
    for row in 0..first.0.labels.len() {
        match (is_correct(first, row), is_correct(second, row)) {
            (true, false) => only_first += 1,
            (false, true) => only_second += 1,
            _ => {}
        }
    }
    mcnemar(only_first, only_second)
}

/// Applies Holm's correction to each kind of test over all pairs.
pub(super) fn correct_p_values(pairs: &mut [Pair]) {
    let adjusted = holm(&pairs.iter().map(|pair| pair.accuracy.p).collect::<Vec<_>>());
    pairs.iter_mut().zip(adjusted).for_each(|(pair, p)| pair.accuracy.p_holm = p);
    let areas: Vec<&mut DeLong> = pairs.iter_mut().filter_map(|pair| pair.roc_auc.as_mut()).collect();
    let adjusted = holm(&areas.iter().filter_map(|test| test.p).collect::<Vec<_>>());
    areas.into_iter().filter(|test| test.p.is_some()).zip(adjusted).for_each(|(test, p)| test.p_holm = Some(p));
    let fitted: Vec<&mut McNemar> = pairs.iter_mut().filter_map(|pair| pair.fitted_accuracy.as_mut()).collect();
    let adjusted = holm(&fitted.iter().map(|test| test.p).collect::<Vec<_>>());
    fitted.into_iter().zip(adjusted).for_each(|(test, p)| test.p_holm = p);
}
