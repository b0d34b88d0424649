//! DeLong's variance of a ROC-AUC, and DeLong's test of two ROC-AUCs on the same images.

use artifacts::Label;
use artifacts::schema::Interval;
use artifacts::statistics::{mean, ratio, sigmoid};

use super::normal::{QUANTILE_975, two_sided_p};
use crate::metrics::{Error, Ranking};

/// Result of DeLong's test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AucTest {
    /// The two areas.
    pub areas: [f64; 2],
    /// The variance of each.
    pub variances: [f64; 2],
    /// Their covariance.
    pub covariance: f64,
    /// First area minus second.
    pub difference: f64,
    /// The 95% interval of the difference, by normal approximation.
    pub interval: Interval,
    /// The difference in standard errors. If the variance of the difference is 0: 0 for equal areas, `None` for others.
    pub z: Option<f64>,
    /// The two-sided p-value.
    pub p: Option<f64>,
}

/// Computes DeLong's test (DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44) in O(n log n) by midranks (Sun & Xu
/// 2014, IEEE Signal Processing Letters 21). `None` with fewer than two images of a class, which have no variance.
///
/// # Errors
/// Lists of different lengths, and scores that are not finite.
pub fn delong(labels: &[Label], first: &[f64], second: &[f64]) -> Result<Option<AucTest>, Error> {
    let (a, b) = (Placements::new(labels, first)?, Placements::new(labels, second)?);
    let (Some(a), Some(b)) = (a, b) else {
        return Ok(None);
    };
    let covariance = Placements::covariance(&a, &b);
    let variances = [Placements::covariance(&a, &a), Placements::covariance(&b, &b)];
    let difference = a.area - b.area;
    let error = (variances[0] + variances[1] - 2.0 * covariance).max(0.0).sqrt();
    let z = if difference == 0.0 { Some(0.0) } else { ratio(difference, error) };
    Ok(Some(AucTest {
        areas: [a.area, b.area],
        variances,
        covariance,
        difference,
        interval: Interval { low: difference - QUANTILE_975 * error, high: difference + QUANTILE_975 * error },
        z,
        p: z.map(two_sided_p),
    }))
}

/// Returns the 95% interval of one ROC-AUC by normal approximation of its logit (Pepe 2003, The Statistical Evaluation
/// of Medical Tests, section 5.2.4). The distribution of an area near 1 is skewed, which a symmetric interval would
/// ignore. `None` with fewer than two images of a class, and if the area is 0 or 1.
///
/// # Errors
/// Lists of different lengths, and scores that are not finite.
pub fn delong_interval(labels: &[Label], scores: &[f64]) -> Result<Option<Interval>, Error> {
    let Some(placements) = Placements::new(labels, scores)?.filter(|found| found.area > 0.0 && found.area < 1.0) else {
        return Ok(None);
    };
    let area = placements.area;
    let (logit, error) = ((area / (1.0 - area)).ln(), Placements::covariance(&placements, &placements).sqrt());
    // The derivative of the logit is 1 / (area (1 - area)).
    let half = QUANTILE_975 * error / (area * (1.0 - area));
    Ok(Some(Interval { low: sigmoid(logit - half), high: sigmoid(logit + half) }))
}

/// The placement of each image: the share of images of the other class that it is ranked correctly against. Ties count
/// half.
struct Placements {
    area: f64,
    /// V10: one value for each fake image, in the order of rows.
    fake: Vec<f64>,
    /// V01: one value for each real image, in the order of rows.
    real: Vec<f64>,
}

impl Placements {
    fn new(labels: &[Label], scores: &[f64]) -> Result<Option<Placements>, Error> {
        let ranking = Ranking::new(labels, scores)?;
        let (fakes, reals) = (ranking.fake().len(), ranking.real().len());
        if fakes < 2 || reals < 2 {
            return Ok(None);
        }
        // Indexed by row, so that the placements of two detectors can be paired.
        let mut by_row = vec![0.0; labels.len()];
        let (mut fakes_before, mut reals_before) = (0, 0);
        for (_, fakes_now, reals_now) in ranking.thresholds() {
            let real_below = reals as f64 - 0.5 * (reals_before + reals_now) as f64;
            for &row in &ranking.fake().rows()[fakes_before..fakes_now] {
                by_row[row as usize] = real_below / reals as f64;
            }
            let fake_above = 0.5 * (fakes_before + fakes_now) as f64;
            for &row in &ranking.real().rows()[reals_before..reals_now] {
                by_row[row as usize] = fake_above / fakes as f64;
            }
            (fakes_before, reals_before) = (fakes_now, reals_now);
        }
        let of = |class: Label| -> Vec<f64> {
            labels.iter().zip(&by_row).filter(|(label, _)| **label == class).map(|(_, &placement)| placement).collect()
        };
        let (fake, real) = (of(Label::Fake), of(Label::Real));
        Ok(Some(Placements { area: mean(&fake), fake, real }))
    }

    /// The covariance of two areas: S10 / m + S01 / n.
    fn covariance(a: &Placements, b: &Placements) -> f64 {
        covariance(&a.fake, &b.fake) / a.fake.len() as f64 + covariance(&a.real, &b.real) / a.real.len() as f64
    }
}

/// The sample covariance, with n - 1.
fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum::<f64>() / (a.len() - 1) as f64
}
