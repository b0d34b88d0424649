//! What validation chooses, all of it at once.

use artifacts::schema::Inconclusive;
use artifacts::statistics::ratio;

use super::Scored;
use crate::bootstrap::View;
use crate::calibration::{Band, BandLimits, Scale, Temperature, Verdict, fit_band, fit_temperature, fit_threshold};
use crate::metrics::{Error, Ranking};

/// Temperature, threshold and band; the latter two are calibrated probabilities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Images that it was fitted on.
    pub images: usize,
    /// The temperature.
    pub temperature: Temperature,
    /// The threshold.
    pub threshold: f64,
    /// Where no verdict is given.
    pub band: Band,
}

impl Fit {
    /// Fits on the validation split. `None` unless both classes are there.
    ///
    /// # Errors
    /// A score that is not finite.
    pub fn new(validation: &Scored, limits: BandLimits) -> Result<Option<Fit>, Error> {
        let Some(temperature) = fit_temperature(&validation.labels, &validation.margins)? else {
            return Ok(None);
        };
        let calibrated: Vec<f64> = validation.margins.iter().map(|&margin| temperature.calibrate(margin)).collect();
        let ranking = Ranking::new(&validation.labels, &calibrated)?;
        let images = validation.labels.len();
        Ok(fit_threshold(&ranking).and_then(|threshold| {
            let band = fit_band(&ranking, threshold, limits)?;
            Some(Fit { images, temperature, threshold, band })
        }))
    }

    /// How the fitted scores read a ranking.
    pub fn view(&self) -> View {
        View { scale: Scale::Calibrated(self.temperature), threshold: self.threshold }
    }

    /// What the band does to a set of images.
    pub fn inconclusive(&self, ranking: &Ranking) -> Inconclusive {
        let count = |scores: &[f64], verdict: Verdict| {
            let verdicts = scores.iter().map(|&margin| self.band.verdict(self.temperature.calibrate(margin)));
            verdicts.filter(|&found| found == verdict).count() as f64
        };
        let (fake, real) = (ranking.fake().scores(), ranking.real().scores());
        let without = count(fake, Verdict::Inconclusive) + count(real, Verdict::Inconclusive);
        Inconclusive {
            low: self.band.low,
            high: self.band.high,
            share: ratio(without, ranking.len() as f64),
            false_accusations: ratio(count(real, Verdict::Fake), real.len() as f64),
            misses: ratio(count(fake, Verdict::Real), fake.len() as f64),
        }
    }
}
