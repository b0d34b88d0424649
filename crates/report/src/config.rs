//! Configuration of the report stage.

use artifacts::stage::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[report]` of a pipeline file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The heading of the page. The default is "Real or generated: " followed by the run's name.
    #[schemars(extend("x-range" = "text"), example = &"ResNet-50 on my images")]
    pub title: Option<String>,
    /// Published results, shown with the run's own if both are for the same data set.
    #[schemars(
        extend("examples" = [{"dataset": "kaggle:owner/slug", "name": "published baseline", "accuracy": 0.85, "roc_auc": 0.96, "pr_auc": 0.96, "f1": 0.86}])
    )]
    pub published: Option<Published>,
    /// The maximum number of correctly classified examples of each class.
    #[schemars(extend("x-range" = "at least 0"))]
    pub correct: usize,
    /// The maximum number of false positives, of false negatives and of uncertain images in the error gallery.
    #[schemars(extend("x-range" = "at least 0"))]
    pub gallery: usize,
    /// The maximum number of examples of each kind that are shown with heat maps.
    #[schemars(extend("x-range" = "at least 0"))]
    pub heat_maps: usize,
    /// The maximum number of near-duplicate pairs that are shown.
    #[schemars(extend("x-range" = "at least 0"))]
    pub near_duplicates: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { title: None, published: None, correct: 8, gallery: 12, heat_maps: 4, near_duplicates: 12 }
    }
}

/// Published results on one data set. Scores that were not published are `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// The start of the data set's source, for example "kaggle:ayushmandatta1/deepdetect-2025".
    #[schemars(extend("x-range" = "the beginning of a source"))]
    pub dataset: String,
    /// The name under which the results are shown.
    #[schemars(extend("x-range" = "text"))]
    pub name: String,
    /// Accuracy at threshold 0.5.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub accuracy: Option<f64>,
    /// Area under the ROC curve.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub roc_auc: Option<f64>,
    /// Average precision.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub pr_auc: Option<f64>,
    /// F1 score, with fake as the positive class.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub f1: Option<f64>,
}

impl Config {
    /// Returns the published results if they are for the data set with this source.
    pub(crate) fn published_for(&self, source: &str) -> Option<&Published> {
        self.published
            .as_ref()
            .filter(|published| !published.dataset.is_empty() && source.starts_with(&published.dataset))
    }

    /// Checks that published scores lie between 0 and 1.
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
                return Err(Failure::usage(format!("report.published.{key} must be between 0 and 1, but is {score}")));
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
    fn shows_published_results_for_their_own_data_set_only() {
        assert!(published(0.85).published_for("kaggle:a/b@3").is_some());
        assert!(published(0.85).published_for("simulated:1000").is_none());
    }

    #[test]
    fn rejects_a_published_percentage() {
        assert!(published(0.85).validate().is_ok());
        assert!(published(85.0).validate().unwrap_err().to_string().contains("report.published.accuracy"));
    }
}
