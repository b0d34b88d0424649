//! Metrics of scored images, by scikit-learn's definitions.
//!
//! Fake is the positive class, and an image is called fake if its P(fake) is at least the threshold. Every metric that
//! depends on the order of the scores is computed from one [`Ranking`], which sorts them once.
//!
//! An undefined value is `None` and becomes `null` in JSON, never `NaN` and never 0. Precision is undefined if no image
//! is called fake, recall without fakes, and ROC-AUC and the equal error rate without images of both classes. For
//! precision, recall and F1, scikit-learn returns NaN in the same cases with `zero_division=nan`.
//!
//! The table of metrics is [`artifacts::schema::METRICS`].

mod confusion;
mod cumulative_counts;
mod curve;
mod error;
mod probability;
mod rank_metrics;
mod ranking;
mod risk;

pub(crate) use confusion::Cut;
pub use confusion::confusion;
pub(crate) use curve::thin;
pub use curve::{pr_curve, roc_curve};
pub use error::Error;
pub(crate) use probability::squared_error;
pub use probability::{ProbabilityMetrics, calibration_error_by_chance, reliability};
pub use rank_metrics::{RankMetrics, ResampleCounts};
pub use ranking::{ClassScores, Ranking};
pub use risk::{ConfidenceOrder, RiskMetrics, risk_coverage_curve};
pub(crate) use risk::{GRID, RiskGrid};

/// The key of a metric in `metrics.json` and its value; `None` is undefined.
pub type NamedValue = (&'static str, Option<f64>);
