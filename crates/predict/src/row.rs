//! The result for one file.

use std::collections::BTreeMap;

use artifacts::hash::Hash;
use artifacts::schema::Interval;
use evaluate::calibration::Verdict;
use pixels::metadata::Declared;
use provenance::Provenance;
use serde::{Deserialize, Serialize};

use crate::words::verdict_words;

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
    /// The verdict: `fake`, `inconclusive` or `real`.
    pub verdict: Option<Verdict>,
    /// The verdict in the words that people read: "traces of generation", "inconclusive" or "no traces found".
    pub verdict_words: Option<&'static str>,
    /// What validation showed at this score. Null if nothing is known; `validation_missing` says why.
    pub validation: Option<ValidationAtScore>,
    /// Why there is no `validation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_missing: Option<String>,
    /// How P(fake) changes when the picture is encoded, scaled and cropped a little, with `--stability`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stability: Option<Stability>,
    /// Why there is no verdict.
    pub error: Option<String>,
    /// Reasons for less confidence in the verdict: differences from the training images, or a missing calibration.
    pub warnings: Vec<String>,
    /// The file's own statements on how it was made, which do not influence the verdict. Their absence proves nothing,
    /// because saving an image again removes them. Short; `provenance` has all of them.
    pub declares: Vec<Declared>,
    /// What the file declares about its origin, with the check of its Content Credentials. Null if the file cannot be
    /// decoded.
    pub provenance: Option<Provenance>,
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

impl Row {
    /// Sets the verdict, in both forms.
    pub(crate) fn set_verdict(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
        self.verdict_words = Some(verdict_words(verdict));
    }
}

/// The validation images whose calibrated P(fake) is in the same range as that of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationAtScore {
    /// Lower end of the range.
    pub low: f64,
    /// Upper end of the range.
    pub high: f64,
    /// The number of images.
    pub images: u64,
    /// How many of them are real.
    pub reals: u64,
    /// How many of them are fake.
    pub fakes: u64,
    /// The share on which the verdict would be wrong. Null if the verdict is inconclusive or there are no images.
    pub wrong: Option<f64>,
    /// Wilson's 95% interval of `wrong`.
    pub wrong_interval: Option<Interval>,
}

/// How P(fake) changes when the picture is encoded, scaled and cropped a little.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    /// The lowest P(fake) of the picture and its changed copies: calibrated, if the model has a calibration.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// Whether a changed copy has another verdict. The verdict is then inconclusive.
    pub flips: bool,
    /// The verdict on the unchanged picture.
    pub unchanged: Verdict,
    /// The changed copies.
    pub changes: Vec<Changed>,
}

/// A changed copy of the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// The change in words: "JPEG quality 85".
    pub change: String,
    /// P(fake) of the copy: calibrated, if the model has a calibration.
    pub p_fake: f64,
    /// The verdict on the copy.
    pub verdict: Verdict,
}
