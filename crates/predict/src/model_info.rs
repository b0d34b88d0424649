//! `candling.json`: everything about a model, apart from its weights, that a verdict and its reader need.

use std::path::Path;

use artifacts::hash::Hash;
use artifacts::schema::{Interval, Metrics, Proportion, RunMetrics, ScoreRange};
pub use artifacts::text::dataset_name;
use artifacts::{Label, Manifest, RunDir, Split, atomic};
use evaluate::calibration::Verdict;
use evaluate::significance::wilson;
use pixels::Limits;
use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, Evaluated, Uncalibrated};
use crate::profile::TrainingProfile;
use crate::row::ValidationAtScore;

/// What a verdict needs of a model apart from its weights, and what is known of its quality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The version of this schema.
    pub schema_version: u32,
    /// The BLAKE3 hash of the file of weights that this describes. `None` in files that people wrote.
    #[serde(default)]
    pub weights: Option<Hash>,
    /// The calibration; `None` if there is none.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// Why there is no calibration.
    #[serde(default)]
    pub why_uncalibrated: Option<String>,
    /// The images that validation has in each range of calibrated P(fake), in ascending order.
    #[serde(default)]
    pub validation: Vec<ScoreRange>,
    /// The formats and sizes of the training images.
    #[serde(default)]
    pub profile: TrainingProfile,
    /// The largest number of pixels of an image.
    pub max_pixels: u64,
    /// The images that the model was trained on.
    #[serde(default)]
    pub trained_on: Option<TrainingData>,
    /// The results of the evaluation that the calibration is from.
    #[serde(default)]
    pub measured: Option<Measured>,
    /// The version of Candling that wrote this.
    #[serde(default)]
    pub candling: String,
}

/// The images that a model was trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingData {
    /// The name of the data set: the last part of the path if it is a folder or file.
    pub source: String,
    /// Whether the images were simulated.
    pub simulated: bool,
    /// The number of real training images.
    pub reals: u64,
    /// The number of generated training images.
    pub fakes: u64,
    /// The generators of the training images.
    pub generators: Vec<String>,
    /// A sentence without its full stop, if fakes are reconstructions of photographs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconstructions: Option<String>,
}

/// The measured quality of a model on one set of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The name of the data set.
    pub dataset: String,
    /// Whether the images were simulated.
    pub simulated: bool,
    /// The split.
    pub split: Split,
    /// The number of images.
    pub images: u64,
    /// The ROC-AUC.
    pub roc_auc: Option<f64>,
    /// Its 95% interval.
    pub roc_auc_interval: Option<Interval>,
    /// The accuracy with the fitted threshold.
    pub accuracy: Option<f64>,
    /// Its 95% interval.
    pub accuracy_interval: Option<Interval>,
    /// The share of images whose verdict is inconclusive.
    pub inconclusive: Option<f64>,
    /// The share of real images that were called fake.
    pub false_accusations: Option<f64>,
    /// The share of fakes that were called real.
    pub misses: Option<f64>,
    /// The share of wrong verdicts among those that are not inconclusive.
    pub wrong: Option<f64>,
    /// Its 95% interval.
    pub wrong_interval: Option<Interval>,
}

impl ModelInfo {
    /// The name of the file in the folder of a model.
    pub const FILE: &'static str = "candling.json";
    /// The version that this build writes. Newer versions are rejected.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Returns the description of a model of which nothing but its weights is known.
    pub fn unknown(weights: Hash) -> ModelInfo {
        ModelInfo {
            schema_version: ModelInfo::SCHEMA_VERSION,
            weights: Some(weights),
            calibration: None,
            why_uncalibrated: Some(Uncalibrated::NotEvaluated.to_string()),
            validation: Vec::new(),
            profile: TrainingProfile::default(),
            max_pixels: Limits::default().max_pixels,
            trained_on: None,
            measured: None,
            candling: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Collects the description of a model from its run. `weights` is the BLAKE3 hash of the model's file of weights.
    ///
    /// # Errors
    /// The evaluation `evaluate` is unreadable or was changed, and no other one has a calibration.
    pub fn of_run(run: &RunDir, weights: Hash) -> Result<ModelInfo, artifacts::Error> {
        let mut info = ModelInfo { profile: TrainingProfile::of_run(run), ..ModelInfo::unknown(weights) };
        match Evaluated::find(run, weights)? {
            Ok(evaluated) => {
                info.calibration = evaluated.calibration();
                info.why_uncalibrated = None;
                let fitted = evaluated.run.fitted.as_ref();
                info.validation = fitted.map(|fitted| fitted.validation.clone()).unwrap_or_default();
                info.measured = Some(measured(&evaluated.metrics, &evaluated.run));
            }
            Err(why) => info.why_uncalibrated = Some(why.to_string()),
        }
        if let Some(manifest) = Manifest::read(&run.ingest()).ok().flatten() {
            // The limit on pixels is the only part of the recipe that a checkpoint does not store.
            info.max_pixels = manifest.config["max_pixels"].as_u64().unwrap_or(info.max_pixels);
            info.trained_on = training_data(&manifest);
        }
        Ok(info)
    }

    /// Reads the description in the folder of a model. `None` if there is no such file.
    ///
    /// # Errors
    /// The file is unreadable, malformed or of a newer version, or describes other weights.
    pub fn read(dir: &Path, weights: Hash) -> Result<Option<ModelInfo>, artifacts::Error> {
        let path = dir.join(ModelInfo::FILE);
        if !path.exists() {
            return Ok(None);
        }
        let info: ModelInfo = atomic::read_versioned(&path, "description of a model", ModelInfo::SCHEMA_VERSION)?;
        let malformed = |detail: &str| artifacts::Error::Malformed {
            path: path.clone(),
            format: "description of a model",
            detail: detail.to_owned(),
        };
        if info.weights.is_some_and(|described| described != weights) {
            return Err(malformed("it describes other weights than those in its folder; export the model again"));
        }
        if info.calibration.is_some_and(|calibration| !calibration.is_valid()) {
            return Err(malformed("its calibration has a temperature or a band that is not possible"));
        }
        Ok(Some(info))
    }

    /// Returns what validation showed for images with a calibrated P(fake) in the same range, or why nothing is known.
    pub(crate) fn validation_at(&self, p_fake: f64, verdict: Verdict) -> Result<ValidationAtScore, String> {
        if self.calibration.is_none() {
            return Err("the model has no calibration".to_owned());
        }
        let Some(last) = self.validation.last() else {
            return Err("the evaluation of this model has no counts of validation images; evaluate it again".to_owned());
        };
        let range = self.validation.iter().find(|range| p_fake < range.high).unwrap_or(last);
        let images = range.reals + range.fakes;
        if images == 0 {
            return Err(format!("validation has no image with P(fake) from {} to {}", range.low, range.high));
        }
        let hits = match verdict {
            Verdict::Fake => Some(range.reals),
            Verdict::Real => Some(range.fakes),
            Verdict::Inconclusive => None,
        };
        let wrong = hits.map(|hits| Proportion { hits, n: images });
        Ok(ValidationAtScore {
            low: range.low,
            high: range.high,
            images,
            reals: range.reals,
            fakes: range.fakes,
            wrong: wrong.and_then(Proportion::value),
            wrong_interval: wrong.and_then(wilson),
        })
    }

    /// The BLAKE3 hash of the description, apart from the version of Candling that wrote it.
    pub fn hash(&self) -> Hash {
        let content = ModelInfo { candling: String::new(), ..self.clone() };
        Hash::of(serde_json::to_string(&content).unwrap_or_default().as_bytes())
    }

    /// Writes the description to the folder of a model.
    ///
    /// # Errors
    /// Errors of writing.
    pub fn write(&self, dir: &Path) -> Result<(), artifacts::Error> {
        atomic::write_json(&dir.join(ModelInfo::FILE), self)
    }
}

fn training_data(ingest: &Manifest) -> Option<TrainingData> {
    let summary: artifacts::schema::IngestSummary = serde_json::from_value(ingest.summary.clone()).ok()?;
    let train = summary.splits.get(&Split::Train).cloned().unwrap_or_default();
    let count = |label| train.labels.get(&label).copied().unwrap_or_default();
    Some(TrainingData {
        source: dataset_name(&summary.source),
        simulated: summary.simulated,
        reals: count(Label::Real),
        fakes: count(Label::Fake),
        generators: train.generators.keys().filter(|name| !name.is_empty()).cloned().collect(),
        reconstructions: summary.training_reconstructions(),
    })
}

fn measured(metrics: &Metrics, run: &RunMetrics) -> Measured {
    let fitted = run.fitted.as_ref();
    let band = fitted.map(|fitted| fitted.inconclusive);
    let interval = |key: &str| fitted.and_then(|fitted| fitted.intervals.get(key)).copied();
    Measured {
        dataset: dataset_name(&metrics.dataset),
        simulated: metrics.simulated,
        split: metrics.split,
        images: run.scores.n,
        roc_auc: run.scores.roc_auc,
        roc_auc_interval: run.intervals.get("roc_auc").copied(),
        accuracy: fitted.and_then(|fitted| fitted.scores.accuracy),
        accuracy_interval: interval("accuracy"),
        inconclusive: band.and_then(|band| band.share),
        false_accusations: band.and_then(|band| band.false_accusations),
        misses: band.and_then(|band| band.misses),
        wrong: band.and_then(|band| band.wrong),
        wrong_interval: band.and_then(|band| band.wrong_interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_descriptions_of_other_weights_and_impossible_calibrations() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (Hash::of(b"own"), Hash::of(b"other"));
        assert_eq!(ModelInfo::read(dir.path(), own).unwrap(), None);
        let info = ModelInfo::unknown(own);
        info.write(dir.path()).unwrap();
        assert_eq!(ModelInfo::read(dir.path(), own).unwrap(), Some(info.clone()));
        assert!(ModelInfo::read(dir.path(), other).unwrap_err().to_string().contains("other weights"));
        let band = evaluate::calibration::Band { low: 0.9, high: 0.1 };
        let calibration = Some(Calibration { temperature: 1.0, band, fitted_on: 4, held_out: None });
        ModelInfo { calibration, ..info.clone() }.write(dir.path()).unwrap();
        assert!(ModelInfo::read(dir.path(), own).unwrap_err().to_string().contains("not possible"));
        ModelInfo { schema_version: 99, ..info }.write(dir.path()).unwrap();
        assert!(ModelInfo::read(dir.path(), own).unwrap_err().to_string().contains("schema version 99"));
    }

    #[test]
    fn finds_the_validation_images_with_a_similar_score() {
        let band = evaluate::calibration::Band { low: 0.4, high: 0.6 };
        let labels = [Label::Real, Label::Fake, Label::Fake, Label::Fake];
        let info = ModelInfo {
            calibration: Some(Calibration { temperature: 1.0, band, fitted_on: 4, held_out: None }),
            validation: ScoreRange::count(&labels, &[0.92, 0.93, 0.9, 1.0]),
            ..ModelInfo::unknown(Hash::of(b"w"))
        };
        let found = info.validation_at(0.94, Verdict::Fake).unwrap();
        assert_eq!((found.low, found.high, found.images, found.reals, found.fakes), (0.9, 0.95, 3, 1, 2));
        assert_eq!(found.wrong, Some(1.0 / 3.0));
        assert!(found.wrong_interval.is_some());
        assert_eq!(info.validation_at(0.94, Verdict::Real).unwrap().wrong, Some(2.0 / 3.0));
        assert_eq!(info.validation_at(0.94, Verdict::Inconclusive).unwrap().wrong, None);
        assert_eq!(info.validation_at(1.0, Verdict::Fake).unwrap().images, 1, "1 is in the last range");
        assert!(info.validation_at(0.2, Verdict::Real).unwrap_err().contains("0.2 to 0.3"));
        let older = ModelInfo { validation: Vec::new(), ..info };
        assert!(older.validation_at(0.94, Verdict::Fake).unwrap_err().contains("evaluate it again"));
    }

    #[test]
    fn data_sets_are_named_by_their_folder() {
        assert_eq!(dataset_name("/home/someone/faces/"), "faces");
        assert_eq!(dataset_name("C:\\Users\\someone\\faces.zip"), "faces.zip");
        assert_eq!(dataset_name("kaggle:owner/set@3"), "kaggle:owner/set@3");
        assert_eq!(dataset_name("faces"), "faces");
    }
}
