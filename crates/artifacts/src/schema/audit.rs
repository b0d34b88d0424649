//! `audit.json`: features other than traces of generation that separate the classes of a data set.

use serde::{Deserialize, Serialize};

use crate::Split;

/// Content of `audit.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Whether shortcuts were found, or could have been.
    pub verdict: Verdict,
    /// The lowest ROC-AUC of a file property that an audit of these images reports as a shortcut in 9 of 10 cases. `None`
    /// if there is none, because a class has too few images, and in audits of earlier versions.
    #[serde(default)]
    pub detectable_roc_auc: Option<f64>,
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
    /// An audit without shortcuts passes only if [`Audit::detectable_roc_auc`] is at most this.
    ///
    /// Formats and sizes that differ between the classes usually reach more than 0.9, and slightly different subjects 0.6
    /// to 0.8. 50 images of each class are enough.
    pub const MAX_DETECTABLE_ROC_AUC: f64 = 0.75;

    /// Returns why the audit is inconclusive, as a sentence without its full stop. `None` if it is conclusive.
    pub fn why_inconclusive(&self) -> Option<String> {
        let found = match self.detectable_roc_auc {
            Some(area) => format!("only file properties with a ROC-AUC of at least {area:.2} would be found reliably"),
            None => "not even a file property that separates the classes perfectly would be found reliably".to_owned(),
        };
        let is = if self.images == 1 { "image is" } else { "images are" };
        (self.verdict == Verdict::Inconclusive).then(|| {
            format!("{} {is} too few to exclude shortcuts: {found}. 50 images of each class are enough", self.images)
        })
    }
}

/// Verdict of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No shortcut was found among enough images.
    Pass,
    /// No shortcut was found, but the images are too few to find one.
    Inconclusive,
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

    #[test]
    fn says_why_an_audit_is_inconclusive() {
        let probe = Probe { roc_auc: None, folds: 5, carried_by: Vec::new() };
        let mut audit = Audit {
            verdict: Verdict::Inconclusive,
            detectable_roc_auc: None,
            shortcuts: Vec::new(),
            images: 10,
            sampled: 10,
            associations: Vec::new(),
            probes: Probes { metadata: probe.clone(), colour_histogram: probe.clone(), thumbnail: probe },
            exact_duplicates: None,
            near_duplicates: NearDuplicates {
                within_a_split: 0,
                across_splits: 0,
                across_labels: 0,
                leaked_test_images: 0,
                leaked_val_images: None,
                pairs: Vec::new(),
            },
        };
        assert!(audit.why_inconclusive().unwrap().starts_with("10 images are too few to exclude shortcuts: not even"));
        audit.detectable_roc_auc = Some(0.853);
        assert!(audit.why_inconclusive().unwrap().contains("at least 0.85"));
        assert_eq!(serde_json::to_value(&audit).unwrap()["verdict"], "inconclusive");
        audit.verdict = Verdict::Pass;
        assert_eq!(audit.why_inconclusive(), None);
    }
}
