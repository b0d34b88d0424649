//! Metrics of P(fake) as a probability: Brier score, log loss and calibration error.

use artifacts::Label;
use artifacts::random::stream;
use artifacts::schema::ReliabilityBin;
use artifacts::statistics::{log_loss, ratio};
use rand::RngExt;
use rayon::prelude::*;

use super::{Error, NamedValue};

/// The number of equal-width bins of P(fake) in the reliability diagram and the expected calibration error, as in
/// Guo et al. 2017 (arXiv 1706.04599).
const BINS: usize = 15;

/// The number of rows that a thread sums at once. It is fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 1 << 14;

/// Metrics of P(fake) as a probability. Each is `None` without images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProbabilityMetrics {
    /// The mean of (P(fake) - label)^2.
    pub brier: Option<f64>,
    /// The mean of -ln P(label), with P(fake) clipped to 2^-52 and 1 - 2^-52.
    pub log_loss: Option<f64>,
    /// The mean over images of |share of fakes - mean P(fake)| in their bin.
    pub expected_calibration_error: Option<f64>,
}

impl ProbabilityMetrics {
    /// Computes the metrics of a set of images.
    ///
    /// # Errors
    /// Lists of different lengths, and values outside 0 to 1.
    pub fn of(labels: &[Label], p_fake: &[f64]) -> Result<ProbabilityMetrics, Error> {
        let bins = bin_totals(labels, p_fake)?;
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
            expected_calibration_error: ratio(bins.iter().map(BinTotals::weighted_error).sum(), n),
        })
    }

    /// The key in `metrics.json` and the value of each metric.
    pub fn named(&self) -> [NamedValue; 3] {
        [
            ("brier", self.brier),
            ("log_loss", self.log_loss),
            ("expected_calibration_error", self.expected_calibration_error),
        ]
    }
}

/// (P(fake) - label)^2.
pub(crate) fn squared_error(label: Label, p_fake: f64) -> f64 {
    (p_fake - f64::from(label.index())).powi(2)
}

/// Returns the 95th percentile of the expected calibration error that perfectly calibrated probabilities have by
/// chance. It is computed for `draws` random sets of labels, in which each image is fake with its P(fake). A small set
/// of images has a large error by chance alone. `None` without images.
pub fn calibration_error_by_chance(p_fake: &[f64], draws: u64, seed: u64) -> Option<f64> {
    let edges = inner_edges();
    let bins: Vec<usize> = p_fake.iter().map(|&p| bin_of(&edges, p)).collect();
    let error = |draw: u64| {
        let mut rng = stream(seed, "calibration-by-chance", &[draw]);
        let mut differences = [0.0; BINS];
        for (&bin, &p) in bins.iter().zip(p_fake) {
            differences[bin] += f64::from(u8::from(rng.random::<f64>() < p)) - p;
        }
        ratio(differences.iter().map(|difference: &f64| difference.abs()).sum(), p_fake.len() as f64)
    };
    let mut errors: Vec<f64> = (0..draws).into_par_iter().filter_map(error).collect();
    errors.sort_unstable_by(f64::total_cmp);
    errors.get((0.95 * errors.len() as f64) as usize).copied()
}

/// Returns all bins of the reliability diagram, empty ones included. Each bin contains its upper edge, and the first
/// bin its lower edge too.
///
/// # Errors
/// Lists of different lengths, and values outside 0 to 1.
pub fn reliability(labels: &[Label], p_fake: &[f64]) -> Result<Vec<ReliabilityBin>, Error> {
    let edges = inner_edges();
    let totals = bin_totals(labels, p_fake)?;
    let bin = |(index, bin): (usize, &BinTotals)| ReliabilityBin {
        lower: if index == 0 { 0.0 } else { edges[index - 1] },
        upper: edges.get(index).copied().unwrap_or(1.0),
        count: bin.count,
        mean_p_fake: ratio(bin.p_fake, bin.count as f64),
        share_fake: ratio(bin.fakes as f64, bin.count as f64),
    };
    Ok(totals.iter().enumerate().map(bin).collect())
}

/// Sums over the images of one bin.
#[derive(Clone, Copy, Debug, Default)]
struct BinTotals {
    count: u64,
    fakes: u64,
    p_fake: f64,
}

impl BinTotals {
    /// count * |share of fakes - mean P(fake)|.
    fn weighted_error(&self) -> f64 {
        (self.fakes as f64 - self.p_fake).abs()
    }
}

/// The upper edge of each bin but the last, which is 1.
fn inner_edges() -> [f64; BINS - 1] {
    std::array::from_fn(|bin| (bin + 1) as f64 * (1.0 / BINS as f64))
}

/// The index of the bin of a probability.
fn bin_of(edges: &[f64; BINS - 1], p_fake: f64) -> usize {
    edges.partition_point(|&edge| edge < p_fake)
}

fn bin_totals(labels: &[Label], p_fake: &[f64]) -> Result<[BinTotals; BINS], Error> {
    if labels.len() != p_fake.len() {
        return Err(Error::Lengths { labels: labels.len(), scores: p_fake.len() });
    }
    if let Some((row, &value)) = p_fake.iter().enumerate().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
        return Err(Error::NotProbability { row, value });
    }
    let edges = inner_edges();
    let mut bins = [BinTotals::default(); BINS];
    for (label, &p) in labels.iter().zip(p_fake) {
        let bin = &mut bins[bin_of(&edges, p)];
        bin.count += 1;
        bin.fakes += u64::from(label.index());
        bin.p_fake += p;
    }
    Ok(bins)
}
