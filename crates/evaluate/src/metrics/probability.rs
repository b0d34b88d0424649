//! Metrics of P(fake) as a probability: Brier score, log loss, and calibration by bins.

use artifacts::Label;
use artifacts::random::stream;
use artifacts::statistics::ratio;
use rand::RngExt;
use rayon::prelude::*;

use super::{Error, Named, RELIABILITY_BINS};

/// Rows handed to a thread at once. Fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// The metrics of P(fake) read as a probability; each `None` without images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProbabilityMetrics {
    /// The mean of (P(fake) - label)^2.
    pub brier: Option<f64>,
    /// The mean of -ln P(label), P(fake) clipped to 2^-52 and 1 - 2^-52.
    pub log_loss: Option<f64>,
    /// Expected calibration error: the mean over images of their bin's |share of fakes - mean P(fake)|.
    pub expected_calibration_error: Option<f64>,
}

impl ProbabilityMetrics {
    /// The metrics of the images.
    ///
    /// # Errors
    /// Lists of different lengths, and values outside 0 to 1.
    pub fn of(labels: &[Label], p_fake: &[f64]) -> Result<ProbabilityMetrics, Error> {
        let bins = reliability(labels, p_fake)?;
        let n = labels.len() as f64;
        let sums: Vec<(f64, f64)> = labels
            .par_chunks(CHUNK)
            .zip(p_fake.par_chunks(CHUNK))
            .map(|(labels, p_fake)| {
                labels.iter().zip(p_fake).fold((0.0, 0.0), |(squares, losses), (&label, &p)| {
                    (squares + squared_error(label, p), losses + log_loss(label, p))
                })
            })
            .collect();
        Ok(ProbabilityMetrics {
            brier: ratio(sums.iter().map(|sum| sum.0).sum(), n),
            log_loss: ratio(sums.iter().map(|sum| sum.1).sum(), n),
            expected_calibration_error: ratio(bins.iter().map(ReliabilityBin::weighted_gap).sum(), n),
        })
    }

    /// The metrics under their names in `metrics.json`.
    pub fn named(&self) -> [Named; 3] {
        [
            ("brier", self.brier),
            ("log_loss", self.log_loss),
            ("expected_calibration_error", self.expected_calibration_error),
        ]
    }
}

/// What the calibration error of honest probabilities stays below in 95 of 100 sets of these images: its 95th percentile
/// over `draws` sets of labels that are drawn as the probabilities say. Few images have a large one by chance alone. `None`
/// without images.
pub fn calibration_error_by_chance(p_fake: &[f64], draws: u64, seed: u64) -> Option<f64> {
    let edges = inner_edges();
    let bins: Vec<usize> = p_fake.iter().map(|&p| edges.partition_point(|&edge| edge < p)).collect();
    let error = |draw: u64| {
        let mut rng = stream(seed, "calibration-by-chance", &[draw]);
        let mut gaps = [0.0; RELIABILITY_BINS];
        for (&bin, &p) in bins.iter().zip(p_fake) {
            gaps[bin] += f64::from(u8::from(rng.random::<f64>() < p)) - p;
        }
        ratio(gaps.iter().map(|gap: &f64| gap.abs()).sum(), p_fake.len() as f64)
    };
    let mut errors: Vec<f64> = (0..draws).into_par_iter().filter_map(error).collect();
    errors.sort_unstable_by(f64::total_cmp);
    errors.get((0.95 * errors.len() as f64) as usize).copied()
}

/// (P(fake) - label)^2.
pub(crate) fn squared_error(label: Label, p_fake: f64) -> f64 {
    (p_fake - f64::from(label.index())).powi(2)
}

/// -ln of the probability given to the true class. P(fake) is clipped by the distance of 1.0 to the next float, as
/// scikit-learn does, so that one certain mistake does not make the mean infinite.
pub(crate) fn log_loss(label: Label, p_fake: f64) -> f64 {
    let p = p_fake.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    match label {
        Label::Fake => -p.ln(),
        Label::Real => -(1.0 - p).ln(),
    }
}

/// The images whose P(fake) lies in one of 15 equal bins; each bin holds its upper edge, and the
/// first its lower one too.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReliabilityBin {
    /// The bin's lower edge.
    pub lower: f64,
    /// The bin's upper edge.
    pub upper: f64,
    /// How many images it holds.
    pub count: u64,
    /// How many of them are fake.
    pub fakes: u64,
    /// The sum of their P(fake).
    pub p_fake_sum: f64,
}

impl ReliabilityBin {
    /// The mean P(fake) of the bin's images.
    pub fn mean_p_fake(&self) -> Option<f64> {
        ratio(self.p_fake_sum, self.count as f64)
    }

    /// The share of the bin's images that are fake.
    pub fn share_fake(&self) -> Option<f64> {
        ratio(self.fakes as f64, self.count as f64)
    }

    /// The number of images times |share of fakes - mean P(fake)|.
    pub(crate) fn weighted_gap(&self) -> f64 {
        (self.fakes as f64 - self.p_fake_sum).abs()
    }
}

/// The upper edge of each bin but the last, which is 1.
fn inner_edges() -> [f64; RELIABILITY_BINS - 1] {
    std::array::from_fn(|bin| (bin + 1) as f64 * (1.0 / RELIABILITY_BINS as f64))
}

/// The reliability diagram: all bins, empty ones included.
///
/// # Errors
/// Lists of different lengths, and values outside 0 to 1.
pub fn reliability(labels: &[Label], p_fake: &[f64]) -> Result<Vec<ReliabilityBin>, Error> {
    if labels.len() != p_fake.len() {
        return Err(Error::Lengths { labels: labels.len(), scores: p_fake.len() });
    }
    if let Some((row, &value)) = p_fake.iter().enumerate().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
        return Err(Error::NotProbability { row, value });
    }
    let edges = inner_edges();
    let mut bins = vec![ReliabilityBin::default(); RELIABILITY_BINS];
    for (index, bin) in bins.iter_mut().enumerate() {
        bin.lower = if index == 0 { 0.0 } else { edges[index - 1] };
        bin.upper = edges.get(index).copied().unwrap_or(1.0);
    }
    for (label, &p) in labels.iter().zip(p_fake) {
        let bin = &mut bins[edges.partition_point(|&edge| edge < p)];
        bin.count += 1;
        bin.fakes += u64::from(label.index());
        bin.p_fake_sum += p;
    }
    Ok(bins)
}
