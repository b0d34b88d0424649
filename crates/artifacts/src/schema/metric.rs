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
    /// What the metric needs to be defined. Without this, the metric is null in `metrics.json`.
    pub needs: Needs,
    /// Whether the metric, if all images are of one class, can have the same value for every model. Reports do not show
    /// that value, and means over groups leave it out.
    pub constant_for_one_class: bool,
    /// What the metric is computed from.
    pub basis: Basis,
    /// How the 95% interval is made.
    pub interval: IntervalMethod,
    /// How the 95% interval is made for a group of images (a generator or a source).
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

/// What a metric needs to be defined.
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

/// What a metric is computed from.
#[derive(Clone, Copy, Debug)]
pub enum Basis {
    /// A proportion of images, counted in the confusion matrix. Depends on the threshold.
    Proportion(fn(&Confusion) -> Proportion),
    /// Another function of the confusion matrix. Depends on the threshold.
    Confusion(fn(&Confusion) -> Option<f64>),
    /// The order of the scores.
    Ranking,
    /// The values of P(fake).
    Probabilities,
}

/// How the 95% interval of a metric over a whole split is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum IntervalMethod {
    /// Percentiles of a stratified bootstrap. If all resamples have the same value, as at a perfect score, a
    /// [`Basis::Proportion`] has Wilson's score interval and any other metric has none.
    Bootstrap,
    /// Like `Bootstrap`, for a metric at this false-positive rate. There is no interval if the rate allows fewer than
    /// [`IntervalMethod::MIN_FALSE_POSITIVES`] false positives.
    AtFalsePositiveRate(f64),
    /// No interval, for this reason.
    Omitted(&'static str),
}

impl IntervalMethod {
    /// The fewest false positives that a rate must allow for a metric at that rate to have an interval. With fewer, 69
    /// to 89 of 100 intervals of 95% held the true value in simulations; with ten, 94 did (`docs/metrics.md`).
    pub const MIN_FALSE_POSITIVES: f64 = 10.0;
}

/// How the 95% interval of a metric over a group of images is made. Groups are too many and too small for the
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

    /// The value in `scores` if it depends on the model; `None` if it is undefined or would be the same for every
    /// model. For example, average precision is 1 for any ranking of fakes alone.
    pub fn informative_value(&self, scores: &Scores) -> Option<f64> {
        self.value(scores).filter(|_| !self.constant_for_one_class || scores.confusion.has_both_classes())
    }

    /// Why there is no informative value, as a sentence without a full stop: "ROC-AUC is undefined: it needs images of
    /// both classes". `None` if there is one.
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

    /// The value that follows from a confusion matrix; `None` where it is undefined, and for metrics that do not depend
    /// on the threshold.
    pub fn value_at_threshold(&self, confusion: &Confusion) -> Option<f64> {
        match self.basis {
            Basis::Proportion(proportion) => proportion(confusion).value(),
            Basis::Confusion(value) => value(confusion),
            Basis::Ranking | Basis::Probabilities => None,
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
    /// Why a metric with this need is undefined.
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
