//! The result for one file.

use std::collections::BTreeMap;

use artifacts::hash::Hash;
use pixels::metadata::Declared;
use serde::Serialize;

use crate::calibration::Verdict;

/// The result for one file. Missing values are null; `error` explains why.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// The path as given or found; "-" is standard input.
    pub path: String,
    /// The uncalibrated P(fake), equal to `p_fake` in `predictions.parquet`.
    pub p_fake: Option<f64>,
    /// P(fake) after temperature scaling, equal to `p_fake_calibrated` in `predictions.parquet`. The table shows it,
    /// and the verdict is based on it. Null if no evaluation of these weights fitted a temperature.
    pub p_fake_calibrated: Option<f64>,
    /// P(fake) of each branch of a detector of branches; null if the branch has nothing to say about the image. Empty for
    /// other detectors.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub branches: BTreeMap<String, Option<f64>>,
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// Why there is no verdict.
    pub error: Option<String>,
    /// Reasons for less confidence in the verdict: differences from the training images, or a missing calibration.
    pub warnings: Vec<String>,
    /// The file's own statements on how it was made, which do not influence the verdict. Their absence proves nothing,
    /// because saving an image again removes them.
    pub declares: Vec<Declared>,
    /// The path of the overlay with the evidence for the verdict, with `--explain`: Grad-CAM, or that of the first branch
    /// with a heat map.
    pub explanation: Option<String>,
    /// The path of the overlay of each branch with a heat map, with `--explain`. Empty for other detectors.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub explanations: BTreeMap<String, String>,
    /// The BLAKE3 hash of the file.
    pub file: Option<Hash>,
    /// The BLAKE3 hash of the model's weights.
    pub model: Option<Hash>,
    /// The format, determined from the content.
    pub format: Option<String>,
    /// The width in pixels, before EXIF orientation.
    pub width: Option<u32>,
    /// The height in pixels, before EXIF orientation.
    pub height: Option<u32>,
}
