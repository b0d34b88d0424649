//! The table of metrics, and the type that holds their values.
//!
//! To add a metric, add an entry to [`METRICS`] and one function that computes it:
//! - A metric that depends on the threshold is a method of [`Confusion`], which the entry's `basis` refers to.
//! - A metric of the order of the scores (`Basis::Ranking`) is a field of `evaluate::metrics::RankMetrics` with the
//!   same key.
//! - A metric of the verdicts in the order of their confidences (`Basis::Confidence`) is a field of
//!   `evaluate::metrics::RiskMetrics` with the same key.
//! - A metric of the probabilities (`Basis::Probabilities`) is a field of `evaluate::metrics::ProbabilityMetrics` with
//!   the same key.
//!
//! Everything else is derived from the table: the field of [`Scores`] and its key in `metrics.json`, intervals, means
//! and worst values over groups and runs, the report's tables, the list of a comparison, and the table in
//! `docs/metrics.md`.

use serde::{Deserialize, Serialize};

use super::{Basis, Confusion, Direction, Display, GroupInterval, IntervalMethod, Metric, Needs};

/// Defines [`Scores`] and [`METRICS`] from entries of the form `key { field of Metric: value, … }`. Fields
/// that an entry omits have the values of [`DEFAULTS`].
macro_rules! metrics {
    ($($key:ident { name: $name:literal, meaning: $meaning:literal, $($field:ident: $value:expr),+ $(,)? })+) => {
        /// Metrics of a set of images at one threshold. An undefined metric is `None`, and null in JSON.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Scores {
            /// Number of images.
            pub n: u64,
            /// An image is called fake if its P(fake) is at least this.
            pub threshold: f64,
            /// Confusion matrix.
            pub confusion: Confusion,
            $(
                #[doc = concat!($name, ": ", $meaning, ".")]
                pub $key: Option<f64>,
            )+
        }

        /// All metrics, in the order of their keys in `metrics.json`.
        pub static METRICS: &[Metric] = &[$(
            Metric {
                key: stringify!($key),
                name: $name,
                meaning: $meaning,
                field: |scores| scores.$key,
                $($field: $value,)+
                ..DEFAULTS
            },
        )+];

        impl Scores {
            /// Collects the metrics of a set of images. Metrics that depend on the threshold are computed from
            /// `confusion`; `values` holds the other metrics by key. A metric that is in neither is `None`.
            pub fn new(threshold: f64, confusion: Confusion, values: &[(&'static str, Option<f64>)]) -> Scores {
                let value = |key: &str| match values.iter().find(|(name, _)| *name == key) {
                    Some((_, value)) => *value,
                    None => Metric::by_key(key)?.value_at_threshold(&confusion),
                };
                Scores { n: confusion.total(), threshold, confusion, $($key: value(stringify!($key)),)+ }
            }
        }
    };
}

/// Default values of the fields of an entry: a range of 0 to 1, a bootstrap interval, no interval in groups, and a row
/// in the report's table of all metrics.
const DEFAULTS: Metric = Metric {
    key: "",
    name: "",
    meaning: "",
    definition: "",
    range: (0.0, 1.0),
    better: Direction::Higher,
    needs: Needs::Images,
    uninformative_for_one_class: false,
    basis: Basis::Ranking,
    interval: IntervalMethod::Bootstrap,
    group_interval: GroupInterval::None,
    display: Display::Detail,
    field: |_| None,
};

metrics! {
    accuracy {
        name: "Accuracy",
        meaning: "share of images that are classified correctly",
        definition: "`accuracy_score`",
        better: Direction::Higher,
        needs: Needs::Images,
        basis: Basis::Proportion(Confusion::accuracy),
        group_interval: GroupInterval::Wilson,
        display: Display::Headline,
    }
    balanced_accuracy {
        name: "Balanced accuracy",
        meaning: "mean of the accuracies on real and on fake images",
        definition: "`balanced_accuracy_score`",
        better: Direction::Higher,
        needs: Needs::BothClasses,
        basis: Basis::Confusion(Confusion::balanced_accuracy),
    }
    real_accuracy {
        name: "Accuracy on real",
        meaning: "share of the real images that are called real",
        definition: "`recall_score(pos_label=0)`, the specificity",
        better: Direction::Higher,
        needs: Needs::Reals,
        basis: Basis::Proportion(Confusion::real_accuracy),
        group_interval: GroupInterval::Wilson,
    }
    fake_accuracy {
        name: "Accuracy on fake",
        meaning: "share of the fakes that are called fake; equal to recall",
        definition: "`recall_score`",
        better: Direction::Higher,
        needs: Needs::Fakes,
        basis: Basis::Proportion(Confusion::fake_accuracy),
        group_interval: GroupInterval::Wilson,
        display: Display::Counterpart,
    }
    roc_auc {
        name: "ROC-AUC",
        meaning: "chance that a fake scores above a real image; 0.5 is guessing",
        definition: "`roc_auc_score`",
        better: Direction::Higher,
        needs: Needs::BothClasses,
        basis: Basis::Ranking,
        group_interval: GroupInterval::DeLong,
        display: Display::Headline,
    }
    pr_auc {
        name: "PR-AUC",
        meaning: "average precision over all thresholds",
        definition: "`average_precision_score`",
        better: Direction::Higher,
        needs: Needs::Fakes,
        uninformative_for_one_class: true,
        basis: Basis::Ranking,
        display: Display::Headline,
    }
    f1 {
        name: "F1 (fake)",
        meaning: "harmonic mean of precision and recall",
        definition: "`f1_score`",
        better: Direction::Higher,
        needs: Needs::FakesOrCalledFake,
        uninformative_for_one_class: true,
        basis: Basis::Confusion(Confusion::f1),
        display: Display::Headline,
    }
    precision {
        name: "Precision",
        meaning: "share of fakes among the images that are called fake",
        definition: "`precision_score`",
        better: Direction::Higher,
        needs: Needs::CalledFake,
        uninformative_for_one_class: true,
        basis: Basis::Proportion(Confusion::precision),
    }
    recall {
        name: "Recall",
        meaning: "share of the fakes that are called fake",
        definition: "`recall_score`",
        better: Direction::Higher,
        needs: Needs::Fakes,
        basis: Basis::Proportion(Confusion::fake_accuracy),
    }
    equal_error_rate {
        name: "Equal error rate",
        meaning: "error rate at the threshold where false positives are as frequent as false negatives",
        definition: "where `fpr` = 1 - `tpr` on the straight lines between the points of `roc_curve`",
        better: Direction::Lower,
        needs: Needs::BothClasses,
        basis: Basis::Ranking,
    }
    tpr_at_fpr_1 {
        name: "Recall at 1% false alarms",
        meaning: "share of the fakes that are found when at most 1% of the real images are called fake",
        definition: "highest `tpr` of `roc_curve` with `fpr` ≤ 0.01",
        better: Direction::Higher,
        needs: Needs::BothClasses,
        basis: Basis::Ranking,
        interval: IntervalMethod::AtFalsePositiveRate(0.01),
    }
    tpr_at_fpr_5 {
        name: "Recall at 5% false alarms",
        meaning: "share of the fakes that are found when at most 5% of the real images are called fake",
        definition: "highest `tpr` of `roc_curve` with `fpr` ≤ 0.05",
        better: Direction::Higher,
        needs: Needs::BothClasses,
        basis: Basis::Ranking,
        interval: IntervalMethod::AtFalsePositiveRate(0.05),
    }
    brier {
        name: "Brier score",
        meaning: "mean squared error of P(fake)",
        definition: "`brier_score_loss`",
        better: Direction::Lower,
        needs: Needs::Images,
        basis: Basis::Probabilities,
    }
    log_loss {
        name: "Log loss",
        meaning: "mean cross-entropy in nats",
        definition: "`log_loss`",
        range: (0.0, f64::INFINITY),
        better: Direction::Lower,
        needs: Needs::Images,
        basis: Basis::Probabilities,
    }
    expected_calibration_error {
        name: "Calibration error",
        meaning: "mean distance between P(fake) and the share of fakes, over 15 bins of P(fake)",
        definition: "expected calibration error with 15 bins of equal width (Guo et al. 2017, arXiv 1706.04599)",
        better: Direction::Lower,
        needs: Needs::Images,
        basis: Basis::Probabilities,
        interval: IntervalMethod::Omitted("noise makes it larger in every resample, so that only about 11 of 100 \
            percentile intervals would contain the true value"),
    }
    risk_coverage_area {
        name: "Risk-coverage area",
        meaning: "share of wrong verdicts, averaged over all coverages: only the most certain images get a verdict",
        definition: "mean over k = 1 … n of the share of wrong verdicts among the images whose confidence is at least \
            the k-th highest (Geifman, Uziel and El-Yaniv 2019, arXiv 1805.08206)",
        better: Direction::Lower,
        needs: Needs::Images,
        basis: Basis::Confidence,
    }
    coverage_at_5_wrong {
        name: "Coverage at 5% wrong",
        meaning: "largest share of images that can get a verdict while at most 5% of the verdicts are wrong",
        definition: "largest share of images whose confidence is at least any value, of which at most 5% have a wrong \
            verdict; 0 if there is none",
        better: Direction::Higher,
        needs: Needs::Images,
        basis: Basis::Confidence,
    }
}

impl Scores {
    /// Returns the scores without the metrics that `omit` names. Metrics that depend on the threshold are kept.
    #[must_use]
    pub fn without(&self, omit: impl Fn(&Metric) -> bool) -> Scores {
        let kept = METRICS.iter().filter(|metric| !omit(metric)).map(|metric| (metric.key, metric.value(self)));
        Scores::new(self.threshold, self.confusion, &kept.collect::<Vec<_>>())
    }

    /// The key and value of every metric, in the order of [`METRICS`].
    pub fn named(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> + '_ {
        METRICS.iter().map(|metric| (metric.key, metric.value(self)))
    }
}

impl Confusion {
    /// The key and value of every metric that depends on the threshold, in the order of [`METRICS`].
    pub fn named_metrics(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> + '_ {
        let at_threshold = METRICS.iter().filter(|metric| metric.depends_on_threshold());
        at_threshold.map(|metric| (metric.key, metric.value_at_threshold(self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(confusion: Confusion) -> Scores {
        Scores::new(0.5, confusion, &[("roc_auc", Some(0.9))])
    }

    #[test]
    fn serialises_metrics_under_their_keys() {
        let json = serde_json::to_value(scores(Confusion::default())).unwrap();
        let keys = ["n", "threshold", "confusion"].into_iter().chain(METRICS.iter().map(|metric| metric.key));
        assert!(keys.clone().all(|key| json.get(key).is_some()), "{json}");
        assert_eq!(json.as_object().unwrap().len(), keys.count());
    }

    #[test]
    fn computes_threshold_metrics_from_confusion() {
        let found = scores(Confusion { true_negative: 4, false_positive: 1, false_negative: 2, true_positive: 3 });
        assert_eq!((found.n, found.accuracy, found.precision), (10, Some(0.7), Some(0.75)));
        assert_eq!((found.real_accuracy, found.fake_accuracy, found.recall), (Some(0.8), Some(0.6), Some(0.6)));
        assert_eq!((found.balanced_accuracy, found.f1), (Some(0.7), Some(6.0 / 9.0)));
        assert_eq!((found.roc_auc, found.brier), (Some(0.9), None));
    }

    #[test]
    fn threshold_metrics_are_undefined_without_images() {
        assert!(Confusion::default().named_metrics().all(|(_, value)| value.is_none()));
    }

    #[test]
    fn constant_values_are_not_informative() {
        let fakes_only = scores(Confusion { true_positive: 3, ..Confusion::default() });
        let precision = Metric::by_key("precision").unwrap();
        assert_eq!((precision.value(&fakes_only), precision.informative_value(&fakes_only)), (Some(1.0), None));
        assert_eq!(Metric::by_key("recall").unwrap().informative_value(&fakes_only), Some(1.0));
    }

    #[test]
    fn undefined_metrics_have_a_reason() {
        let precision = Metric::by_key("precision").unwrap();
        let why = |confusion: Confusion| precision.why_undefined(&scores(confusion)).unwrap();
        let nothing_called_fake = Confusion { true_negative: 2, false_negative: 1, ..Confusion::default() };
        assert_eq!(why(nothing_called_fake), "Precision is undefined: no image was called fake");
        let fakes_only = Confusion { true_positive: 3, ..Confusion::default() };
        assert_eq!(why(fakes_only), "Precision is undefined: it needs images of both classes");
        let defined = scores(Confusion { true_negative: 2, true_positive: 1, ..Confusion::default() });
        assert_eq!(precision.why_undefined(&defined), None);
    }

    #[test]
    fn orders_errors_from_high_to_low() {
        let worst = |key: &str| {
            let metric = Metric::by_key(key).unwrap();
            [0.3, 0.1, 0.2].into_iter().min_by(|a, b| metric.cmp_quality(*a, *b))
        };
        assert_eq!((worst("roc_auc"), worst("brier")), (Some(0.1), Some(0.3)));
    }

    #[test]
    fn lists_headline_metrics_first() {
        let keys: Vec<&str> = Metric::listed().map(|metric| metric.key).collect();
        assert_eq!(keys[..4], ["accuracy", "roc_auc", "pr_auc", "f1"]);
        assert!(!keys.contains(&"fake_accuracy"), "it repeats recall");
        assert_eq!(keys.len(), METRICS.len() - 1);
    }
}
