//! `audit.json`: features other than traces of generation that separate the classes of a data set.

use serde::{Deserialize, Serialize};

use crate::Split;

/// Content of `audit.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Whether shortcuts were found.
    pub verdict: Verdict,
    /// Features that separate the classes, strongest first.
    pub shortcuts: Vec<Shortcut>,
    /// Number of images.
    pub images: u64,
    /// Number of images that probes and associations are computed from.
    pub sampled: u64,
    /// Association of each feature of the files with the class, strongest first.
    pub associations: Vec<Association>,
    /// Classifiers whose inputs contain no traces of generation.
    pub probes: Probes,
    /// Files with the same bytes as another file. `images` does not count them. `None` in audits of earlier versions.
    #[serde(default)]
    pub exact_duplicates: Option<ExactDuplicates>,
    /// Pairs of nearly equal images.
    pub near_duplicates: NearDuplicates,
}

impl Audit {
    /// With fewer images than this, an audit finds only the most obvious shortcuts.
    pub const ENOUGH_IMAGES: u64 = 100;

    /// Whether the images are too few for the absence of shortcuts to mean anything.
    pub fn is_too_small(&self) -> bool {
        self.images < Audit::ENOUGH_IMAGES
    }
}

/// Verdict of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No shortcut was found.
    Pass,
    /// A model may score well without detecting traces of generation.
    Warning,
}

/// A feature that separates the classes and is not a trace of generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shortcut {
    /// Name of the feature: "format", "file size" …
    pub feature: String,
    /// Cross-validated ROC-AUC of a classifier of this feature alone; `None` if undefined.
    pub roc_auc: Option<f64>,
    /// Explanation of the shortcut in words.
    pub explanation: String,
}

/// Association of a feature with the class, and the counts behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Association {
    /// Name of the feature.
    pub feature: String,
    /// Cross-validated ROC-AUC of a classifier of this feature alone; `None` if a class has too few images.
    pub roc_auc: Option<f64>,
    /// Cramér's V from 0 (independent) to 1 (the feature determines the class), without correction for small samples.
    pub cramers_v: f64,
    /// Mutual information of feature and class in bits, from 0 to 1.
    pub mutual_information: f64,
    /// Counts of each value or range.
    pub bins: Vec<AssociationBin>,
}

/// Number of images of each class with one value of a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssociationBin {
    /// The value or range.
    pub value: String,
    /// Number of real images.
    pub real: u64,
    /// Number of fake images.
    pub fake: u64,
}

impl AssociationBin {
    /// Number of images of both classes.
    pub fn total(&self) -> u64 {
        self.real + self.fake
    }
}

/// Classifiers whose inputs contain no traces of generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probes {
    /// Classifier of the file's metadata: size, format …
    pub metadata: Probe,
    /// Classifier of a colour histogram of 4 x 4 x 4 bins.
    pub colour_histogram: Probe,
    /// Classifier of the image at 8 x 8 pixels.
    pub thumbnail: Probe,
}

/// Result of one classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// ROC-AUC, mean over the folds of a cross-validation; `None` if a class has too few images.
    pub roc_auc: Option<f64>,
    /// Number of folds.
    pub folds: u64,
    /// Features with their shares of the total gain of the fitted classifier, largest first.
    pub carried_by: Vec<ProbeShare>,
}

/// Contribution of a feature to a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeShare {
    /// Name of the feature.
    pub feature: String,
    /// Share of the total gain, from 0 to 1.
    pub share: f64,
}

/// Numbers of files that are left out because another file has the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactDuplicates {
    /// Files left out as copies of a file of the same split.
    pub within_a_split: u64,
    /// Files left out as copies of a file of another split.
    pub across_splits: u64,
    /// Files with the same bytes under both labels; none of them is used.
    pub across_labels: u64,
    /// Test images with a copy in training or validation. Published scores on the original data set include them.
    pub leaked_test_images: u64,
}

/// Pairs of nearly equal images. A pair across labels may also be across splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearDuplicates {
    /// Pairs within one split.
    pub within_a_split: u64,
    /// Pairs across two splits.
    pub across_splits: u64,
    /// Pairs across labels.
    pub across_labels: u64,
    /// Test images with a near-duplicate in training or validation.
    pub leaked_test_images: u64,
    /// Validation images with a near-duplicate in training; `None` in audits of earlier versions.
    #[serde(default)]
    pub leaked_val_images: Option<u64>,
    /// The first pairs: across labels, then across splits, then the others.
    pub pairs: Vec<NearDuplicate>,
}

/// A pair of near-duplicates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearDuplicate {
    /// Paths in the source.
    pub paths: [String; 2],
    /// Splits, in the same order.
    pub splits: [Split; 2],
    /// Whether one image is the other mirrored left to right.
    pub flipped: bool,
    /// Correlation of their thumbnails.
    pub similarity: f32,
    /// Whether the labels differ.
    pub labels_differ: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_audit_without_leaked_val_images() {
        let old =
            r#"{"within_a_split": 0, "across_splits": 3, "across_labels": 0, "leaked_test_images": 1, "pairs": []}"#;
        let read: NearDuplicates = serde_json::from_str(old).unwrap();
        assert_eq!((read.leaked_test_images, read.leaked_val_images), (1, None));
    }
}
