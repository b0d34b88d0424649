//! A checkpoint and shards to predictions, metrics and explanations.
//!
//! [`metrics`] measures, [`calibration`] decides on validation alone, [`bootstrap`] and [`significance`] say how sure
//! it is, [`judge`] puts them together into `metrics.json`. [`Detector`] is a checkpoint that is ready to judge,
//! [`explain`] shows where it looked, [`robustness`] judges again after JPEG and the like, and [`Evaluate`] is the stage
//! that does all of it to a run. [`compare`] sets evaluations side by side, [`predict`] judges single pictures.

pub mod bootstrap;
pub mod calibration;
pub mod compare;
mod config;
mod detector;
mod error;
mod evaluation;
pub mod explain;
mod inference;
pub mod judge;
pub mod metrics;
pub mod predict;
pub mod robustness;
pub mod significance;
mod stage;
#[cfg(test)]
mod testing;

pub use config::Config;
pub use detector::{Detector, Score};
pub use error::Error;
pub use stage::Evaluate;
