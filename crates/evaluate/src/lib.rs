//! Evaluates checkpoints: predictions, metrics, explanations and robustness.
//!
//! - [`Evaluate`] is the stage, [`cli`] has the command lines. [`Detector`] is a loaded checkpoint.
//! - [`metrics`] computes metrics. [`calibration`] fits temperature, threshold and band on validation. [`bootstrap`]
//!   and [`significance`] compute intervals and tests. [`measure`] combines them into the content of `metrics.json`.
//! - [`explain`] chooses examples and draws their heat maps. [`robustness`] evaluates degraded images.
//! - `ablation` compares the branches of a detector. [`compare`] compares evaluations of several detectors.
//!   [`result_table`] writes tables of results for papers. The crate `predict` classifies single images.

mod ablation;
pub mod bootstrap;
pub mod calibration;
pub mod cli;
pub mod compare;
mod config;
mod detector;
mod error;
mod evaluation;
pub mod explain;
mod inference;
pub mod measure;
pub mod metrics;
mod printed_scores;
pub mod result_table;
pub mod robustness;
pub mod significance;
mod stage;
#[cfg(test)]
mod testing;

pub use config::Config;
pub use detector::{Detector, Score};
pub use error::Error;
pub use evaluation::Evaluation;
pub use inference::p_fake_of_branches;
pub use stage::Evaluate;
