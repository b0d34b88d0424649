//! What a set of scored images says about a detector, with scikit-learn's definitions.
//!
//! Fake is the positive class, and an image is called fake when its P(fake) is at least the threshold. Everything
//! that depends on the order of the scores reads one [`Ranking`], which sorts them once.
//!
//! A value that is not defined is `None` and becomes `null`, never `NaN` and never a convenient 0: precision when
//! nothing was called fake, recall without fakes, both areas and all error rates without the class they are rates
//! of. For precision, recall and F1 that is what scikit-learn gives with `zero_division=nan`.

mod confusion;
mod curve;
mod error;
mod probability;
mod ranking;
mod sweep;

pub(crate) use confusion::Cut;
pub use confusion::confusion;
pub(crate) use curve::thin;
pub use curve::{pr_curve, roc_curve};
pub use error::Error;
pub use probability::{ProbabilityMetrics, ReliabilityBin, calibration_error_by_chance, reliability};
pub(crate) use probability::{log_loss, squared_error};
pub use ranking::{ClassScores, Ranking};
pub use sweep::{RankMetrics, Weights};

/// The number of equal-width bins of P(fake) in the reliability diagram and the expected calibration error, as in
/// Guo et al. 2017 (arXiv 1706.04599).
pub(crate) const RELIABILITY_BINS: usize = 15;

/// A metric's value under the name that `metrics.json` gives it; `None` where it is not defined.
pub type Named = (&'static str, Option<f64>);
