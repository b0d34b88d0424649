//! The description of a metric: its name, direction, requirements and interval.

use std::cmp::Ordering;

use super::{Confusion, METRICS, Proportion, Scores};

/// One metric of the table [`METRICS`].
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Key in `metrics.json`, for example `roc_auc`.
    pub key: &'static str,
    /// Name in reports, for example "ROC-AUC".
    pub name: &'static str,
    /// Meaning in one line, without the direction.
    pub meaning: &'static str,
    /// Exact definition as Markdown: a function of `sklearn.metrics`, or a formula.
    pub definition: &'static str,
    /// Lowest and highest possible value.
    pub range: (f64, f64),
    /// Whether higher or lower values are better.
    pub better: Direction,
    /// The images that the metric needs. Without them it is undefined, and null in `metrics.json`.
    pub needs: Needs,
    /// Whether the value is not informative if all images are of one class, although it is defined: precision and
    /// average precision are then constant, and F1 follows from the recall. Reports do not show the value, and means
    /// over groups leave it out.
    pub uninformative_for_one_class: bool,
    /// The quantity that the metric is computed from.
    pub basis: Basis,
    /// The method of the 95% interval.
    pub interval: IntervalMethod,
    /// The method of the 95% interval for a group of images (a generator or a source).
    pub group_interval: GroupInterval,
    /// Where reports show the metric.
    pub display: Display,
    /// Reads the field of [`Scores`].
    pub(super) field: fn(&Scores) -> Option<f64>,
}

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Higher values are better.
    Higher,
    /// Lower values are better: the metric is an error.
    Lower,
}

/// The images that a metric needs to be defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// At least one image.
    Images,
    /// At least one real image.
    Reals,
    /// At least one fake image.
    Fakes,
    /// Images of both classes.
    BothClasses,
    /// At least one image that is called fake.
    CalledFake,
    /// At least one image that is fake or called fake.
    FakesOrCalledFake,
}

/// The quantity that a metric is computed from.
#[derive(Clone, Copy, Debug)]
pub enum Basis {
    /// A proportion of images, counted in the confusion matrix. Depends on the threshold.
    Proportion(fn(&Confusion) -> Proportion),
    /// Another function of the confusion matrix. Depends on the threshold.
    Confusion(fn(&Confusion) -> Option<f64>),
    /// The order of the scores.
    Ranking,
    /// The verdicts at a P(fake) of 0.5, and the order of their confidences, the distances of P(fake) from 0.5.
    Confidence,
    /// The values of P(fake).
    Probabilities,
}

/// The method of the 95% interval of a metric over a whole split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum IntervalMethod {
    /// Percentiles of a stratified bootstrap. If all resamples agree, as they do at a perfect score, a
    /// [`Basis::Proportion`] has Wilson's score interval and any other metric has no interval.
    Bootstrap,
    /// Like [`IntervalMethod::Bootstrap`], for a metric at this false-positive rate. There is no interval if the rate
    /// allows fewer than [`IntervalMethod::MIN_FALSE_POSITIVES`] false positives.
    AtFalsePositiveRate(f64),
    /// No interval, for this reason.
    Omitted(&'static str),
}

impl IntervalMethod {
    /// The number of false positives that a false-positive rate must allow for a metric at that rate to have an
    /// interval. In simulations with fewer, 69% to 89% of the 95% intervals contained the true value; with ten, 94% did
    /// (`docs/metrics.md`).
    pub const MIN_FALSE_POSITIVES: f64 = 10.0;
}

/// The method of the 95% interval of a metric over a group of images. Groups are too many and too small for the
/// bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupInterval {
    /// No interval.
    None,
    /// DeLong's interval on the logit scale.
    DeLong,
    /// Wilson's score interval of a [`Basis::Proportion`].
    Wilson,
}

/// Where reports show a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// In the headline tables, because published baselines report this metric.
    Headline,
    /// In the table of all metrics.
    Detail,
    /// Only beside its counterpart for the other class, because another metric has the same value.
    Counterpart,
}

impl Metric {
    /// Finds a metric by its key in `metrics.json`.
    pub fn by_key(key: &str) -> Option<&'static Metric> {
        METRICS.iter().find(|metric| metric.key == key)
    }

    /// The metrics of headline tables.
    pub fn headline() -> impl Iterator<Item = &'static Metric> + Clone {
        METRICS.iter().filter(|metric| metric.display == Display::Headline)
    }

    /// The metrics of a table of all metrics, headline metrics first.
    pub fn listed() -> impl Iterator<Item = &'static Metric> + Clone {
        Metric::headline().chain(METRICS.iter().filter(|metric| metric.display == Display::Detail))
    }

    /// The value in `scores`, as `metrics.json` has it; `None` where it is undefined.
    pub fn value(&self, scores: &Scores) -> Option<f64> {
        (self.field)(scores)
    }

    /// The value in `scores`; `None` where it is undefined or [not informative](Metric::uninformative_for_one_class).
    /// For example, average precision is 1 for any ranking of fakes alone.
    pub fn informative_value(&self, scores: &Scores) -> Option<f64> {
        self.value(scores).filter(|_| !self.uninformative_for_one_class || scores.confusion.has_both_classes())
    }

    /// Explains why there is no informative value, in a sentence without a full stop: "ROC-AUC is undefined: it needs
    /// images of both classes". Returns `None` if there is one.
    pub fn why_undefined(&self, scores: &Scores) -> Option<String> {
        if self.informative_value(scores).is_some() {
            return None;
        }
        let reason = match self.value(scores) {
            None => self.needs.reason_undefined(),
            Some(_) => Needs::BothClasses.reason_undefined(),
        };
        Some(format!("{} is undefined: {reason}", self.name))
    }

    /// Computes the value from a confusion matrix. Returns `None` if it is undefined or the metric does not depend on
    /// the threshold.
    pub fn value_at_threshold(&self, confusion: &Confusion) -> Option<f64> {
        match self.basis {
            Basis::Proportion(proportion) => proportion(confusion).value(),
            Basis::Confusion(value) => value(confusion),
            Basis::Ranking | Basis::Confidence | Basis::Probabilities => None,
        }
    }

    /// Whether the metric depends on the threshold.
    pub fn depends_on_threshold(&self) -> bool {
        matches!(self.basis, Basis::Proportion(_) | Basis::Confusion(_))
    }

    /// Orders two values from worse to better.
    pub fn cmp_quality(&self, a: f64, b: f64) -> Ordering {
        match self.better {
            Direction::Higher => a.total_cmp(&b),
            Direction::Lower => b.total_cmp(&a),
        }
    }

    /// Meaning and direction: "mean squared error of P(fake); lower is better".
    pub fn description(&self) -> String {
        match self.better {
            Direction::Higher => self.meaning.to_owned(),
            Direction::Lower => format!("{}; lower is better", self.meaning),
        }
    }
}

impl Needs {
    /// Explains why a metric with this need is undefined.
    fn reason_undefined(self) -> &'static str {
        match self {
            Needs::Images => "there are no images",
            Needs::Reals => "there are no real images",
            Needs::Fakes => "there are no fakes",
            Needs::BothClasses => "it needs images of both classes",
            Needs::CalledFake => "no image was called fake",
            Needs::FakesOrCalledFake => "there are no fakes, and no image was called fake",
        }
    }
}
