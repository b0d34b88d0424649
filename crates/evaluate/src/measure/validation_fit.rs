//! Temperature, threshold and inconclusive band, fitted together on validation.

use artifacts::schema::Inconclusive;
use artifacts::statistics::ratio;

use super::ScoredImages;
use crate::bootstrap::OperatingPoint;
use crate::calibration::{
    Band, BandLimits, ProbabilityScale, Temperature, Verdict, fit_band, fit_temperature, fit_threshold,
};
use crate::metrics::{Error, Ranking};

/// Parameters that were fitted on validation. Threshold and band are values of calibrated P(fake).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValidationFit {
    /// Number of validation images.
    pub images: usize,
    /// The temperature.
    pub temperature: Temperature,
    /// The threshold.
    pub threshold: f64,
    /// The inconclusive band.
    pub band: Band,
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
            Some(ValidationFit { images, temperature, threshold, band })
        }))
    }

    /// The operating point with calibrated P(fake) and the fitted threshold.
    pub fn operating_point(&self) -> OperatingPoint {
        OperatingPoint { scale: ProbabilityScale::Calibrated(self.temperature), threshold: self.threshold }
    }

    /// Returns the band, and its share of images and error rates for a ranking of margins.
    pub fn inconclusive(&self, ranking: &Ranking) -> Inconclusive {
        let count = |margins: &[f64], verdict: Verdict| {
            let verdicts = margins.iter().map(|&margin| self.band.verdict(self.temperature.calibrate(margin)));
            verdicts.filter(|&found| found == verdict).count() as f64
        };
        let (fake, real) = (ranking.fake().scores(), ranking.real().scores());
        let inconclusive = count(fake, Verdict::Inconclusive) + count(real, Verdict::Inconclusive);
        Inconclusive {
            low: self.band.low,
            high: self.band.high,
            share: ratio(inconclusive, ranking.len() as f64),
            false_accusations: ratio(count(real, Verdict::Fake), real.len() as f64),
            misses: ratio(count(fake, Verdict::Real), fake.len() as f64),
        }
    }
}
