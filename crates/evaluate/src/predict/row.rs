//! What is said of one file.

use artifacts::hash::Hash;
use pixels::metadata::Declared;
use serde::Serialize;

use crate::calibration::Verdict;

/// One line of the answer. What could not be found out is null; then `error` says why.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// The file as it was given or found; "-" is standard input.
    pub path: String,
    /// P(fake) as the network gives it: the `p_fake` of `predictions.parquet`.
    pub p_fake: Option<f64>,
    /// P(fake) after the temperature that validation chose: the `p_fake_calibrated` of `predictions.parquet`. It is what
    /// the table shows and what the verdict is about; null where no evaluation of these weights fitted one.
    pub p_fake_calibrated: Option<f64>,
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// Why there is no verdict.
    pub error: Option<String>,
    /// Why the verdict may be worth less: in what the picture is unlike the training data, and what the detector lacks.
    pub warnings: Vec<String>,
    /// What the file says of how it was made: evidence of its own, which the verdict does not rest on. That there is none proves
    /// nothing, because all of it is lost when a picture is saved again.
    pub declares: Vec<Declared>,
    /// The overlay of the predicted class, where one was asked for.
    pub explanation: Option<String>,
    /// BLAKE3 of the file.
    pub file: Option<Hash>,
    /// BLAKE3 of the model's weights.
    pub model: Option<Hash>,
    /// Format by its content.
    pub format: Option<String>,
    /// Width in pixels as stored.
    pub width: Option<u32>,
    /// Height in pixels as stored.
    pub height: Option<u32>,
}
