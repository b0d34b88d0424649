//! `audit.json`: whether the class can be told from something that is no trace of generation.

use serde::{Deserialize, Serialize};

use crate::Split;

/// The whole of `audit.json`: the verdict and the tables that it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Whether a detector may be trained on the data without further ado.
    pub verdict: Verdict,
    /// What tells the classes apart, strongest first.
    pub shortcuts: Vec<Shortcut>,
    /// Number of images that were looked at.
    pub images: u64,
    /// Number of images that the probes and associations rest on.
    pub sampled: u64,
    /// Association of the class with each feature of the files, strongest first.
    pub associations: Vec<Association>,
    /// Classifiers that see no trace.
    pub probes: Probes,
    /// Files of the source with the same bytes, none of which is among `images`; null in audits from before they were counted.
    #[serde(default)]
    pub exact_duplicates: Option<ExactDuplicates>,
    /// Pictures that are nearly the same.
    pub near_duplicates: NearDuplicates,
}

/// The plain verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No shortcut was found.
    Pass,
    /// A model may score well without looking at the images.
    Warning,
}

/// One way to tell the classes apart without looking for traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shortcut {
    /// What was looked at: "format", "file size" …
    pub feature: String,
    /// How well it alone tells the classes apart, cross-validated; null where that is not defined.
    pub roc_auc: Option<f64>,
    /// What is the matter, for people.
    pub explanation: String,
}

/// Counts of one feature's bins by class, and what they say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Association {
    /// The feature.
    pub feature: String,
    /// Cross-validated ROC-AUC of a classifier that sees this feature alone; null where a class has too few images.
    pub roc_auc: Option<f64>,
    /// Cramér's V, 0 (none) to 1 (the feature decides the class), without correction for small samples.
    pub cramers_v: f64,
    /// Mutual information of feature and class in bits, 0 to 1.
    pub mutual_information: f64,
    /// The bins, in order.
    pub bins: Vec<AssociationBin>,
}

/// One bin of a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssociationBin {
    /// The value or the range.
    pub value: String,
    /// Real images in it.
    pub real: u64,
    /// Fake images in it.
    pub fake: u64,
}

impl AssociationBin {
    /// Images in it.
    pub fn total(&self) -> u64 {
        self.real + self.fake
    }
}

/// Classifiers that see no trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probes {
    /// Sees all that a file tells without its pixels.
    pub metadata: Probe,
    /// Sees a histogram of 4 x 4 x 4 colours.
    pub colour_histogram: Probe,
    /// Sees 8 x 8 pixels.
    pub thumbnail: Probe,
}

/// One classifier that sees no trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// ROC-AUC, mean over the folds of a cross-validation; null where a class has too few images.
    pub roc_auc: Option<f64>,
    /// Folds of the cross-validation.
    pub folds: u64,
    /// The features that carry it, with their shares of what it gained in fitting, largest first.
    pub carried_by: Vec<ProbeShare>,
}

/// What one feature adds to a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeShare {
    /// The feature.
    pub feature: String,
    /// Its share of all gains, 0 to 1.
    pub share: f64,
}

/// Files that are not used because others have the same bytes, by where those stand in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactDuplicates {
    /// Copies of a file in the same split, which is used.
    pub within_a_split: u64,
    /// Copies of a file in another split, which is used.
    pub across_splits: u64,
    /// Files whose bytes stand under both labels, and are used under neither.
    pub across_labels: u64,
    /// Number of test images with a copy in training or validation: scores of others on the set as it was published count them.
    pub leaked_test_images: u64,
}

/// Pictures that are nearly the same, counted by where they stand. A pair with both labels may also be across splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearDuplicates {
    /// Pairs within one split.
    pub within_a_split: u64,
    /// Pairs across two splits.
    pub across_splits: u64,
    /// Pairs with both labels.
    pub across_labels: u64,
    /// Number of test images with a near-duplicate in training or validation.
    pub leaked_test_images: u64,
    /// Number of validation images with a near-duplicate in training; null in audits from before it was counted.
    #[serde(default)]
    pub leaked_val_images: Option<u64>,
    /// The first pairs; across labels first, then across splits, then the others.
    pub pairs: Vec<NearDuplicate>,
}

/// One pair of near-duplicates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearDuplicate {
    /// Paths in the source.
    pub paths: [String; 2],
    /// Splits, in the same order.
    pub splits: [Split; 2],
    /// Whether one is the other mirrored left to right.
    pub flipped: bool,
    /// Correlation of the thumbnails.
    pub similarity: f32,
    /// Whether the labels differ.
    pub labels_differ: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_from_before_validation_leaks_were_counted_is_read() {
        let old =
            r#"{"within_a_split": 0, "across_splits": 3, "across_labels": 0, "leaked_test_images": 1, "pairs": []}"#;
        let read: NearDuplicates = serde_json::from_str(old).unwrap();
        assert_eq!((read.leaked_test_images, read.leaked_val_images), (1, None));
    }
}
