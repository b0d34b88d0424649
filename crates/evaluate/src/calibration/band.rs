//! The band in which no verdict is given.

use serde::{Deserialize, Serialize};

use super::threshold::halfway_above;
use crate::metrics::Ranking;

/// The error rates that a verdict may have on validation. The lower one is for false accusations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BandLimits {
    /// The highest share of real images that may be called fake.
    pub false_accusations: f64,
    /// The highest share of fake images that may be called real.
    pub misses: f64,
}

impl Default for BandLimits {
    fn default() -> BandLimits {
        BandLimits { false_accusations: 0.01, misses: 0.05 }
    }
}

/// P(fake) below `low` is called real, from `high` on fake, and between them nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What is said of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// A photograph.
    Real,
    /// Made by a generator.
    Fake,
    /// The score does not say.
    Inconclusive,
}

impl Band {
    /// The verdict on an image.
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

/// The narrowest band around `threshold` whose verdicts on validation keep to the limits. Where the classes are so
/// far apart that the threshold alone keeps to one of them, the band ends at the threshold on that side. `None`
/// unless both classes are there.
pub(crate) fn fit_band(ranking: &Ranking, threshold: f64, limits: BandLimits) -> Option<Band> {
    let (fakes, reals) = (ranking.fake().len() as f64, ranking.real().len() as f64);
    if fakes == 0.0 || reals == 0.0 {
        return None;
    }
    let accuses_too_many = |real: usize| real as f64 / reals > limits.false_accusations;
    let misses_too_many = |fake: usize| (ranking.fake().len() - fake) as f64 / fakes > limits.misses;
    let steps: Vec<(f64, usize, usize)> = ranking.thresholds().collect();
    // The first score from the top that may not be called fake: the band's end must lie above it.
    let refused = steps.iter().position(|&(_, _, real)| accuses_too_many(real));
    let high = match refused {
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
        // Real 0.00 to 0.69, fake 0.30 to 0.99.
        let labels: Vec<Label> = [Real; 70].into_iter().chain([Fake; 70]).collect();
        let scores: Vec<f64> =
            (0..70).map(|i| f64::from(i) / 100.0).chain((30..100).map(|i| f64::from(i) / 100.0)).collect();
        Ranking::new(&labels, &scores).unwrap()
    }

    #[test]
    fn verdicts_keep_to_the_limits() {
        let ranking = overlapping();
        let limits = BandLimits { false_accusations: 0.1, misses: 0.2 };
        let band = fit_band(&ranking, 0.5, limits).unwrap();
        let accused = ranking.real().scores().iter().filter(|&&p| band.verdict(p) == Verdict::Fake).count();
        let missed = ranking.fake().scores().iter().filter(|&&p| band.verdict(p) == Verdict::Real).count();
        assert_eq!((accused, missed), (7, 14), "{band:?}");
        assert_eq!(band.verdict(0.5), Verdict::Inconclusive);
    }

    #[test]
    fn a_limit_may_be_reached() {
        // One miss of 20 fakes is 5%, though 1 - 19 / 20 is a little more in floats.
        let labels: Vec<Label> = [Real; 20].into_iter().chain([Fake; 20]).collect();
        let scores: Vec<f64> =
            (0..20).map(|i| 0.01 * f64::from(i)).chain((0..20).map(|i| 0.1 + 0.04 * f64::from(i))).collect();
        let ranking = Ranking::new(&labels, &scores).unwrap();
        let band = fit_band(&ranking, 0.5, BandLimits { false_accusations: 0.01, misses: 0.05 }).unwrap();
        assert_eq!(band.low, 0.14);
    }

    #[test]
    fn a_real_image_at_the_end_of_the_scale_is_not_accused() {
        let ranking = Ranking::new(&[Real, Fake, Real, Fake], &[1.0, 1.0, 0.2, 0.1]).unwrap();
        let band = fit_band(&ranking, 0.5, BandLimits { false_accusations: 0.01, misses: 0.05 }).unwrap();
        assert_eq!(band.verdict(1.0), Verdict::Inconclusive, "{band:?}");
    }

    #[test]
    fn separate_classes_leave_no_band() {
        let ranking = Ranking::new(&[Real, Fake], &[0.1, 0.9]).unwrap();
        let band = fit_band(&ranking, 0.5, BandLimits::default()).unwrap();
        assert_eq!(band, Band { low: 0.5, high: 0.5 });
    }
}
