//! How an evaluation of predictions from files was made: the part `judged` of `metrics.json`.

use serde::{Deserialize, Serialize};

use super::{Basis, Metric};
use crate::Label;

/// The origin of the predictions of a judged detector, and what its evaluation leaves out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Name of the detector.
    pub model: String,
    /// Names of the files with its predictions.
    pub files: Vec<String>,
    /// What its scores are.
    pub scores: ScoreKind,
    /// The class that a higher score stands for.
    pub higher_is: Label,
    /// The threshold in units of the file's scores; `None` for verdicts.
    pub threshold: Option<f64>,
    /// Where the threshold comes from.
    pub threshold_from: ThresholdSource,
    /// Where the labels come from.
    pub labels_from: LabelSource,
    /// Whether the ids of the images are hashes of their files. Otherwise they are hashes of their paths, and only
    /// evaluations of the same paths can be compared.
    pub ids_from_content: bool,
    /// Number of images of the evaluated split that should have a prediction.
    pub images: u64,
    /// Number of validation images with a prediction.
    pub validation: u64,
    /// Number of rows of the detector, including those that were left out.
    pub rows: u64,
    /// Images of the evaluated split without a usable score.
    pub without_prediction: Omitted,
    /// Rows that match no image.
    pub without_image: Omitted,
    /// Rows whose score is empty, NaN or infinite.
    pub not_finite: Omitted,
    /// Rows of images of other splits.
    pub other_splits: Omitted,
    /// Rows that repeat an earlier row.
    pub repeated: Omitted,
    /// Images whose file equals that of an earlier image.
    pub identical: Omitted,
    /// Images without a label.
    pub unlabelled: Omitted,
    /// Rows with a probability of exactly 0 or 1.
    pub saturated: u64,
    /// Whether ROC-AUC is so far below 0.5 that the scores are probably reversed.
    pub probably_reversed: bool,
}

/// What the scores of a judged detector are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreKind {
    /// Probabilities from 0 to 1.
    Probabilities,
    /// Log-odds: P(fake) is their logistic function.
    Logits,
    /// Numbers of which only the order has a meaning.
    Unbounded,
    /// Only 0 and 1, or real and fake.
    Verdicts,
}

/// Where the threshold of a judged detector comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdSource {
    /// 0.5 for probabilities, 0 for logits.
    Default,
    /// The option `--threshold`.
    Option,
    /// The verdicts in the file.
    Verdicts,
    /// The validation rows.
    Validation,
}

/// Where the labels of a judged detector come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelSource {
    /// The files with the predictions.
    File,
    /// The source of the images.
    Source,
    /// Both, which agree.
    Both,
}

/// A number of rows or images, with the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    /// Their number.
    pub count: u64,
    /// The paths of the first ones.
    pub first: Vec<String>,
}

impl Omitted {
    /// The largest number of paths that are kept.
    pub const KEPT: usize = 5;

    /// Counts one more row or image.
    pub fn add(&mut self, path: &str) {
        self.count += 1;
        if self.first.len() < Omitted::KEPT {
            self.first.push(path.to_owned());
        }
    }
}

impl Judged {
    /// Explains why a metric of the headline has no meaning for these scores: "the file has verdicts and no scores".
    /// Returns `None` if it has one.
    pub fn why_undefined(&self, metric: &Metric) -> Option<&'static str> {
        match (metric.basis, self.scores) {
            (Basis::Proportion(_) | Basis::Confusion(_), _) => None,
            (_, ScoreKind::Verdicts) => Some("the file has verdicts and no scores"),
            (Basis::Probabilities, ScoreKind::Unbounded) => Some("the scores are not probabilities"),
            (Basis::Probabilities, _) if self.threshold_from != ThresholdSource::Default => {
                Some("the scores were moved so that the detector's own threshold is 0.5")
            }
            _ => None,
        }
    }

    /// Number of evaluated images.
    pub fn predicted(&self) -> u64 {
        self.images.saturating_sub(self.without_prediction.count)
    }

    /// Whether images or rows were left out of the scores because they have no partner.
    pub fn is_partial(&self) -> bool {
        self.without_prediction.count + self.without_image.count > 0
    }

    /// States how many images the scores are about: "600 of 606 images have a prediction, and 3 of 610 rows match no
    /// image".
    pub fn coverage(&self) -> String {
        format!(
            "{} of {} images have a prediction, and {} of {} rows match no image",
            self.predicted(),
            self.images,
            self.without_image.count,
            self.rows
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(scores: ScoreKind, threshold_from: ThresholdSource) -> Judged {
        Judged {
            model: "m".to_owned(),
            files: Vec::new(),
            scores,
            higher_is: Label::Fake,
            threshold: None,
            threshold_from,
            labels_from: LabelSource::File,
            ids_from_content: false,
            images: 10,
            validation: 0,
            rows: 12,
            without_prediction: Omitted { count: 2, first: Vec::new() },
            without_image: Omitted { count: 1, first: Vec::new() },
            not_finite: Omitted::default(),
            other_splits: Omitted::default(),
            repeated: Omitted::default(),
            identical: Omitted::default(),
            unlabelled: Omitted::default(),
            saturated: 0,
            probably_reversed: false,
        }
    }

    #[test]
    fn metrics_without_meaning_depend_on_the_kind_of_scores() {
        let undefined = |kind, from| -> Vec<&str> {
            let judged = judged(kind, from);
            let all = super::super::METRICS.iter();
            all.filter(|metric| judged.why_undefined(metric).is_some()).map(|metric| metric.key).collect()
        };
        use ThresholdSource::{Default, Option, Verdicts};
        assert!(undefined(ScoreKind::Probabilities, Default).is_empty());
        let probability = ["brier", "log_loss", "expected_calibration_error"];
        assert_eq!(undefined(ScoreKind::Probabilities, Option), probability);
        assert_eq!(undefined(ScoreKind::Unbounded, Default), probability);
        let of_verdicts = undefined(ScoreKind::Verdicts, Verdicts);
        assert!(of_verdicts.contains(&"roc_auc") && !of_verdicts.contains(&"balanced_accuracy"), "{of_verdicts:?}");
    }

    #[test]
    fn coverage_names_images_and_rows() {
        let text = judged(ScoreKind::Logits, ThresholdSource::Default).coverage();
        assert_eq!(text, "8 of 10 images have a prediction, and 1 of 12 rows match no image");
    }
}
