//! The band of P(fake) in which a verdict is inconclusive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::threshold::halfway_above;
use crate::metrics::Ranking;

/// Highest error rates of verdicts on validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BandLimits {
    /// Highest share of real images that are called fake.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub false_accusations: f64,
    /// Highest share of fake images that are called real.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub misses: f64,
}

impl Default for BandLimits {
    fn default() -> BandLimits {
        BandLimits { false_accusations: 0.01, misses: 0.05 }
    }
}

/// The inconclusive band: an image is called real below `low`, and fake from `high` on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The verdict on an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// P(fake) is below the lower end of the band.
    Real,
    /// P(fake) is at or above the upper end of the band.
    Fake,
    /// P(fake) is in the band.
    Inconclusive,
}

impl Band {
    /// Returns the verdict on an image with this P(fake).
    pub fn verdict(self, p_fake: f64) -> Verdict {
        if p_fake >= self.high {
            Verdict::Fake
        } else if p_fake < self.low {
            Verdict::Real
        } else {
            Verdict::Inconclusive
        }
    }
}

/// Fits the narrowest band around `threshold` whose verdicts on validation keep to both limits. If the threshold alone
/// keeps to one of the limits, the band ends at the threshold on that side. `None` without images of both classes.
pub(crate) fn fit_band(ranking: &Ranking, threshold: f64, limits: BandLimits) -> Option<Band> {
    let (fakes, reals) = (ranking.fake().len() as f64, ranking.real().len() as f64);
    if fakes == 0.0 || reals == 0.0 {
        return None;
    }
    let accuses_too_many = |real: usize| real as f64 / reals > limits.false_accusations;
    let misses_too_many = |fake: usize| (ranking.fake().len() - fake) as f64 / fakes > limits.misses;
    let steps: Vec<(f64, usize, usize)> = ranking.thresholds().collect();
    // The highest score at which too many real images would be called fake. The upper end of the band is above it.
    let first_too_low = steps.iter().position(|&(_, _, real)| accuses_too_many(real));
    let high = match first_too_low {
        Some(index) if threshold <= steps[index].0 => {
            let above = if index == 0 { steps[0].0.max(1.0) } else { steps[index - 1].0 };
            halfway_above(steps[index].0, above)
        }
        _ => threshold,
    };
    let low = steps.iter().find(|&&(_, fake, _)| !misses_too_many(fake)).map_or(threshold, |step| step.0);
    Some(Band { low: threshold.min(low), high })
}

#[cfg(test)]
mod tests {
    use artifacts::Label;
    use artifacts::Label::{Fake, Real};

    use super::*;

    fn overlapping() -> Ranking {
        // Real images from 0.00 to 0.69, fakes from 0.30 to 0.99.
        let labels: Vec<Label> = [Real; 70].into_iter().chain([Fake; 70]).collect();
        let scores: Vec<f64> =
            (0..70).map(|i| f64::from(i) / 100.0).chain((30..100).map(|i| f64::from(i) / 100.0)).collect();
        Ranking::new(&labels, &scores).unwrap()
    }

    #[test]
    fn verdicts_keep_to_limits() {
        let ranking = overlapping();
        let limits = BandLimits { false_accusations: 0.1, misses: 0.2 };
        let band = fit_band(&ranking, 0.5, limits).unwrap();
        let accused = ranking.real().scores().iter().filter(|&&p| band.verdict(p) == Verdict::Fake).count();
        let missed = ranking.fake().scores().iter().filter(|&&p| band.verdict(p) == Verdict::Real).count();
        assert_eq!((accused, missed), (7, 14), "{band:?}");
        assert_eq!(band.verdict(0.5), Verdict::Inconclusive);
    }

    #[test]
    fn limit_is_inclusive() {
        // One miss of 20 fakes is 5%, but 1 - 19 / 20 is slightly more in floats.
        let labels: Vec<Label> = [Real; 20].into_iter().chain([Fake; 20]).collect();
        let scores: Vec<f64> =
            (0..20).map(|i| 0.01 * f64::from(i)).chain((0..20).map(|i| 0.1 + 0.04 * f64::from(i))).collect();
        let ranking = Ranking::new(&labels, &scores).unwrap();
        let band = fit_band(&ranking, 0.5, BandLimits { false_accusations: 0.01, misses: 0.05 }).unwrap();
        assert_eq!(band.low, 0.14);
    }

    #[test]
    fn real_image_with_p_fake_1_is_inconclusive() {
        let ranking = Ranking::new(&[Real, Fake, Real, Fake], &[1.0, 1.0, 0.2, 0.1]).unwrap();
        let band = fit_band(&ranking, 0.5, BandLimits { false_accusations: 0.01, misses: 0.05 }).unwrap();
        assert_eq!(band.verdict(1.0), Verdict::Inconclusive, "{band:?}");
    }

    #[test]
    fn separable_classes_have_an_empty_band() {
        let ranking = Ranking::new(&[Real, Fake], &[0.1, 0.9]).unwrap();
        let band = fit_band(&ranking, 0.5, BandLimits::default()).unwrap();
        assert_eq!(band, Band { low: 0.5, high: 0.5 });
    }
}
