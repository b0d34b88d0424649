//! The names people know the scores by, what each means, and why it may be undefined.

use artifacts::schema::Scores;

/// A score of `metrics.json`, described.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    /// Its name in `metrics.json`.
    pub(crate) key: &'static str,
    /// Its name for people.
    pub(crate) name: &'static str,
    /// What it means, in one line.
    pub(crate) meaning: &'static str,
    /// What must be there for it to be defined.
    needs: &'static str,
    /// Whether it depends on the threshold.
    pub(crate) at_threshold: bool,
}

const BOTH: &str = "it needs images of both classes";
const REALS: &str = "there are no real images";
const FAKES: &str = "there are no fakes";
const NONE_CALLED: &str = "no image was called fake, or there are none of one class";
const ANY: &str = "there are no images";

const fn metric(
    key: &'static str,
    name: &'static str,
    at_threshold: bool,
    needs: &'static str,
    meaning: &'static str,
) -> Metric {
    Metric { key, name, meaning, needs, at_threshold }
}

/// All scores, the most asked for first.
pub(crate) const ALL: [Metric; 14] = [
    metric("accuracy", "Accuracy", true, ANY, "share of right verdicts"),
    metric("roc_auc", "ROC-AUC", false, BOTH, "chance that a fake scores above a real image; 0.5 is guessing"),
    metric("pr_auc", "PR-AUC", false, BOTH, "average precision over all thresholds"),
    metric("f1", "F1 (fake)", true, BOTH, "harmonic mean of precision and recall"),
    metric("precision", "Precision", true, NONE_CALLED, "share of fakes among what is called fake"),
    metric("recall", "Recall", true, FAKES, "share of the fakes that are called fake"),
    metric("real_accuracy", "Accuracy on real", true, REALS, "share of the real images that are called real"),
    metric("balanced_accuracy", "Balanced accuracy", true, BOTH, "mean of the accuracies on real and on fake"),
    metric(
        "equal_error_rate",
        "Equal error rate",
        false,
        BOTH,
        "where false alarms are as frequent as misses; lower is better",
    ),
    metric(
        "tpr_at_fpr_1",
        "Recall at 1% false alarms",
        false,
        BOTH,
        "fakes found when at most 1% of the real images are called fake",
    ),
    metric(
        "tpr_at_fpr_5",
        "Recall at 5% false alarms",
        false,
        BOTH,
        "fakes found when at most 5% of the real images are called fake",
    ),
    metric("brier", "Brier score", false, ANY, "mean squared error of P(fake); lower is better"),
    metric("log_loss", "Log loss", false, ANY, "mean cross-entropy in nats; lower is better"),
    metric(
        "expected_calibration_error",
        "Calibration error",
        false,
        ANY,
        "how far P(fake) is from the share of fakes, 15 bins; lower is better",
    ),
];

/// The scores that the published baselines of the field report.
const HEADLINE: [&str; 4] = ["accuracy", "roc_auc", "pr_auc", "f1"];

/// These scores.
pub(crate) fn headline() -> impl Iterator<Item = &'static Metric> + Clone {
    HEADLINE.iter().filter_map(|key| Metric::named(key))
}

impl Metric {
    /// The score of that name.
    fn named(key: &str) -> Option<&'static Metric> {
        ALL.iter().find(|metric| metric.key == key)
    }

    /// Its value; `None` where it is undefined, or would be the same whatever the model says: of fakes alone precision and
    /// average precision are 1.
    pub(crate) fn of(&self, scores: &Scores) -> Option<f64> {
        let confusion = scores.confusion;
        let has_both = confusion.true_negative + confusion.false_positive > 0
            && confusion.true_positive + confusion.false_negative > 0;
        if !has_both && matches!(self.key, "pr_auc" | "precision" | "f1") {
            return None;
        }
        scores.named().into_iter().find(|(name, _)| *name == self.key).and_then(|(_, value)| value)
    }

    /// Why it is undefined, if it is: "ROC-AUC is undefined: it needs images of both classes".
    pub(crate) fn why_undefined(&self, scores: &Scores) -> Option<String> {
        self.of(scores).is_none().then(|| format!("{} is undefined: {}", self.name, self.needs))
    }
}

#[cfg(test)]
mod tests {
    use artifacts::schema::Confusion;

    use super::*;
    use crate::test_data;

    #[test]
    fn every_score_is_found_under_its_name() {
        let scores = test_data::scores();
        for metric in ALL {
            assert!(scores.named().iter().any(|(name, _)| *name == metric.key), "{}", metric.key);
        }
        assert_eq!(headline().count(), HEADLINE.len());
    }

    #[test]
    fn what_is_undefined_says_why() {
        let mut scores = test_data::scores();
        let precision = Metric::named("precision").unwrap();
        assert_eq!(precision.why_undefined(&scores), None);
        scores.precision = None;
        assert_eq!(
            precision.why_undefined(&scores).unwrap(),
            "Precision is undefined: no image was called fake, or there are none of one class"
        );
        let of_fakes = Scores {
            confusion: Confusion { true_positive: 3, ..Confusion::default() },
            precision: Some(1.0),
            ..scores
        };
        assert_eq!(precision.of(&of_fakes), None);
    }
}
