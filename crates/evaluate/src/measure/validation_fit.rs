//! Temperature, threshold and inconclusive band, fitted together on validation.

use artifacts::schema::{BandVerdicts, Inconclusive, Proportion, ScoreRange, VerdictCounts};

use super::ScoredImages;
use crate::bootstrap::OperatingPoint;
use crate::calibration::{
    Band, BandLimits, ProbabilityScale, Temperature, Verdict, fit_band, fit_temperature, fit_threshold,
};
use crate::metrics::{Error, Ranking};
use crate::significance::wilson;

/// Parameters that were fitted on validation. Threshold and band are values of calibrated P(fake).
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationFit {
    /// Number of validation images.
    pub images: usize,
    /// The temperature.
    pub temperature: Temperature,
    /// The threshold.
    pub threshold: f64,
    /// The inconclusive band.
    pub band: Band,
    /// The number of predictions for held-out generators that the band was fitted to, if not to validation.
    pub held_out: Option<usize>,
    /// The numbers of the images that the band was fitted to in ranges of calibrated P(fake).
    pub ranges: Vec<ScoreRange>,
}

impl ValidationFit {
    /// Fits the parameters to the validation images. `None` without images of both classes.
    ///
    /// # Errors
    /// A score that is not finite.
    pub fn new(validation: &ScoredImages, limits: BandLimits) -> Result<Option<ValidationFit>, Error> {
        let Some(temperature) = fit_temperature(&validation.labels, &validation.margins)? else {
            return Ok(None);
        };
        let calibrated: Vec<f64> = validation.margins.iter().map(|&margin| temperature.calibrate(margin)).collect();
        let ranking = Ranking::new(&validation.labels, &calibrated)?;
        let images = validation.labels.len();
        Ok(fit_threshold(&ranking).and_then(|threshold| {
            let band = fit_band(&ranking, threshold, limits)?;
            let ranges = ScoreRange::count(&validation.labels, &calibrated);
            Some(ValidationFit { images, temperature, threshold, band, held_out: None, ranges })
        }))
    }

    /// Fits the band again, to predictions for images of generators and folders that the predicting model was not trained
    /// on. Limits that are kept on these images can hold for generators that nobody has seen. Without images of both
    /// classes, the band stays that of validation.
    ///
    /// # Errors
    /// A score that is not finite.
    pub fn with_held_out(self, held_out: &ScoredImages, limits: BandLimits) -> Result<ValidationFit, Error> {
        let calibrated: Vec<f64> = held_out.margins.iter().map(|&margin| self.temperature.calibrate(margin)).collect();
        let ranking = Ranking::new(&held_out.labels, &calibrated)?;
        Ok(match fit_band(&ranking, self.threshold, limits) {
            Some(band) => {
                let ranges = ScoreRange::count(&held_out.labels, &calibrated);
                ValidationFit { band, held_out: Some(held_out.labels.len()), ranges, ..self }
            }
            None => self,
        })
    }

    /// The operating point with calibrated P(fake) and the fitted threshold.
    pub fn operating_point(&self) -> OperatingPoint {
        OperatingPoint { scale: ProbabilityScale::Calibrated(self.temperature), threshold: self.threshold }
    }

    /// Returns the band, and its share of images and error rates for a ranking of margins.
    pub fn inconclusive(&self, ranking: &Ranking) -> Inconclusive {
        let BandVerdicts { real, fake, inconclusive, wrong, wrong_interval } = self.verdicts(ranking);
        Inconclusive {
            low: self.band.low,
            high: self.band.high,
            held_out: self.held_out.map(|images| images as u64),
            share: inconclusive,
            false_accusations: Proportion { hits: real.called_fake, n: real.total() }.value(),
            misses: Proportion { hits: fake.called_real, n: fake.total() }.value(),
            wrong,
            wrong_interval,
        }
    }

    /// Counts the verdicts with the band on the images of a ranking of margins.
    pub fn verdicts(&self, ranking: &Ranking) -> BandVerdicts {
        let count = |margins: &[f64]| {
            let mut counts = VerdictCounts::default();
            for &margin in margins {
                *match self.band.verdict(self.temperature.calibrate(margin)) {
                    Verdict::Real => &mut counts.called_real,
                    Verdict::Fake => &mut counts.called_fake,
                    Verdict::Inconclusive => &mut counts.inconclusive,
                } += 1;
            }
            counts
        };
        let (real, fake) = (count(ranking.real().scores()), count(ranking.fake().scores()));
        let inconclusive = Proportion { hits: real.inconclusive + fake.inconclusive, n: real.total() + fake.total() };
        let wrong = Proportion { hits: real.called_fake + fake.called_real, n: inconclusive.n - inconclusive.hits };
        BandVerdicts {
            real,
            fake,
            inconclusive: inconclusive.value(),
            wrong: wrong.value(),
            wrong_interval: wilson(wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use artifacts::Label::{Fake, Real};

    use super::*;

    #[test]
    fn counts_wrong_verdicts_among_those_given() {
        let fit = ValidationFit {
            images: 4,
            temperature: Temperature(1.0),
            threshold: 0.5,
            band: Band { low: 0.4, high: 0.6 },
            held_out: None,
            ranges: Vec::new(),
        };
        let ranking = Ranking::new(&[Real, Real, Real, Fake, Fake], &[-2.0, 2.0, 0.0, 2.0, 0.1]).unwrap();
        let found = fit.verdicts(&ranking);
        assert_eq!(found.real, VerdictCounts { called_real: 1, called_fake: 1, inconclusive: 1 });
        assert_eq!(found.fake, VerdictCounts { called_real: 0, called_fake: 1, inconclusive: 1 });
        assert_eq!((found.inconclusive, found.wrong), (Some(0.4), Some(1.0 / 3.0)));
        assert!(found.wrong_interval.is_some_and(|interval| interval.low < 1.0 / 3.0 && interval.high > 1.0 / 3.0));
        let undecided = fit.verdicts(&Ranking::new(&[Real], &[0.0]).unwrap());
        assert_eq!((undecided.inconclusive, undecided.wrong, undecided.wrong_interval), (Some(1.0), None, None));
    }
}
