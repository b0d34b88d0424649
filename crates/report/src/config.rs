//! What a user may say about the report.

use artifacts::stage::Failure;
use serde::{Deserialize, Serialize};

/// The section `[report]` of a pipeline file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The heading; without one it is made of the data set's name.
    pub title: Option<String>,
    /// Results that somebody published, shown beside ours where the data set is theirs.
    pub published: Option<Published>,
    /// Correct examples of each class in the page, at most.
    pub correct: usize,
    /// False negatives, false positives and uncertain images in the gallery, at most so many of each.
    pub gallery: usize,
    /// Examples of each kind with heat maps, at most.
    pub heat_maps: usize,
    /// Pairs of near-duplicates that the page shows, at most.
    pub near_duplicates: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { title: None, published: None, correct: 8, gallery: 12, heat_maps: 4, near_duplicates: 12 }
    }
}

/// Published results on one data set; what was not published is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// How the source of that data set starts, e.g. "kaggle:ayushmandatta1/deepdetect-2025".
    pub dataset: String,
    /// What to call the results.
    pub name: String,
    /// Accuracy at threshold 0.5.
    #[serde(default)]
    pub accuracy: Option<f64>,
    /// Area under the ROC curve.
    #[serde(default)]
    pub roc_auc: Option<f64>,
    /// Average precision.
    #[serde(default)]
    pub pr_auc: Option<f64>,
    /// F1 of the class fake.
    #[serde(default)]
    pub f1: Option<f64>,
}

impl Config {
    /// The published results, if they are of the data set with this source.
    pub(crate) fn published_for(&self, source: &str) -> Option<&Published> {
        self.published
            .as_ref()
            .filter(|published| !published.dataset.is_empty() && source.starts_with(&published.dataset))
    }

    /// Checks that published scores are scores.
    pub(crate) fn validate(&self) -> Result<(), Failure> {
        let Some(published) = &self.published else { return Ok(()) };
        let scores = [
            ("accuracy", published.accuracy),
            ("roc_auc", published.roc_auc),
            ("pr_auc", published.pr_auc),
            ("f1", published.f1),
        ];
        for (key, score) in scores {
            if let Some(score) = score.filter(|score| !(0.0..=1.0).contains(score)) {
                return Err(Failure::usage(format!("report.published.{key} is {score}; a score lies between 0 and 1")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(accuracy: f64) -> Config {
        let published = Published {
            dataset: "kaggle:a/b".to_owned(),
            name: "theirs".to_owned(),
            accuracy: Some(accuracy),
            roc_auc: None,
            pr_auc: None,
            f1: None,
        };
        Config { published: Some(published), ..Config::default() }
    }

    #[test]
    fn published_results_stand_beside_their_own_data_set_only() {
        assert!(published(0.85).published_for("kaggle:a/b@3").is_some());
        assert!(published(0.85).published_for("simulated:1000").is_none());
    }

    #[test]
    fn a_percentage_is_no_score() {
        assert!(published(0.85).validate().is_ok());
        assert!(published(85.0).validate().unwrap_err().to_string().contains("report.published.accuracy"));
    }
}
