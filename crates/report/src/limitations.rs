//! The limitations of a model: what it cannot be relied on for, derived from the results of its run.

use artifacts::Split;
use artifacts::concerns::concerns;
use artifacts::schema::{Metrics, Verdict};

use crate::degradation::operation_at_level;
use crate::escape::visible;
use crate::format_number::{count, percent, ratio, score};
use crate::run_results::RunResults;

/// With fewer images than this, the interval of an accuracy is wider than about ±3 percentage points.
pub(crate) const FEW_IMAGES: u64 = 1000;
/// With a larger calibration error than this, P(fake) is misleading as a probability.
const MAX_CALIBRATION_ERROR: f64 = 0.05;

/// A limitation of a model or of a comparison, as plain text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limitation {
    /// Completes the sentence "Do not rely on this model for …".
    pub(crate) topic: String,
    /// The reason, without a full stop.
    pub(crate) reason: String,
}

impl Limitation {
    pub(crate) fn new(topic: impl Into<String>, reason: impl Into<String>) -> Limitation {
        Limitation { topic: topic.into(), reason: reason.into() }
    }
}

/// Returns the limitations of the model of a run.
pub(crate) fn limitations(results: &RunResults) -> Vec<Limitation> {
    let metrics = &results.evaluation.metrics;
    let scores = &metrics.headline;
    let mut limitations: Vec<Limitation> = audit_limitation(results).into_iter().collect();
    let concerns = concerns(metrics);
    if !concerns.is_empty() {
        let reason = concerns.join(" ").trim_end_matches('.').to_owned();
        limitations.insert(0, Limitation::new("Any decision", lowercase_first(&reason)));
    }
    if metrics.simulated {
        limitations.push(Limitation::new(
            "Real photographs",
            "both the camera images and the generated images are simulated. The scores show that the pipeline works, and \
             do not carry over to photographs or to any existing generator",
        ));
    }
    if let Some(described) = results.ingest.as_ref().and_then(|ingest| ingest.summary.training_reconstructions()) {
        limitations
            .push(Limitation::new("Generators that leave other traces than the decoders of training", described));
    }
    if metrics.split != Split::Test {
        limitations.push(Limitation::new(
            "New images",
            format!("the scores are from the {} split, which was used to train or to select the model", metrics.split),
        ));
    }
    if !scores.confusion.has_both_classes() {
        limitations.push(Limitation::new("Telling the classes apart", "only one class was evaluated"));
    }
    limitations.extend(worst_generator_limitation(metrics));
    limitations.push(Limitation::new(
        "Images from other generators and cameras",
        "scores are usually lower on images from sources outside this data set, and the best threshold differs",
    ));
    limitations.push(robustness_limitation(results));
    limitations.extend(calibration_limitation(metrics));
    if scores.n < FEW_IMAGES {
        limitations.push(Limitation::new(
            "Small differences between models",
            format!(
                "with only {} images, a difference of a few percentage points can be due to chance",
                count(scores.n)
            ),
        ));
    }
    limitations.push(accusation_limitation(metrics));
    limitations
}

fn lowercase_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn audit_limitation(results: &RunResults) -> Option<Limitation> {
    match results.audit() {
        Some(audit) if audit.verdict == Verdict::Warning => {
            let names: Vec<String> =
                audit.shortcuts.iter().take(3).map(|shortcut| visible(&shortcut.feature)).collect();
            Some(Limitation::new(
                "Recognising traces of generation",
                format!(
                    "the audit found shortcuts in the data ({}). The model may have learned these instead of traces that a \
                     generator leaves",
                    names.join(", ")
                ),
            ))
        }
        Some(audit) => audit.why_inconclusive().map(|why| {
            Limitation::new("Recognising traces of generation", format!("the audit of the data is inconclusive: {why}"))
        }),
        None => Some(Limitation::new(
            "Recognising traces of generation",
            "the data were not audited for shortcuts, such as differences in format, size or compression between real \
             images and fakes",
        )),
    }
}

fn worst_generator_limitation(metrics: &Metrics) -> Option<Limitation> {
    let generators = &metrics.runs.first()?.generators;
    let worst = generators.worst.get("roc_auc").filter(|_| generators.groups.len() > 1)?;
    let mean = score(generators.mean.get("roc_auc").copied());
    let lowest = score(Some(worst.value));
    // If the scores are the same in all digits shown, there is no worst generator to name.
    (lowest != mean).then(|| {
        Limitation::new(
            format!("Fakes from the generator “{}”", visible(&worst.name)),
            format!("ROC-AUC is {lowest} for this generator, and {mean} on average over all generators"),
        )
    })
}

fn robustness_limitation(results: &RunResults) -> Limitation {
    const TOPIC: &str = "Re-encoded, resized or screenshotted images";
    let lowest = results.evaluation.robustness.as_ref().and_then(|robustness| {
        let points = robustness
            .curves
            .iter()
            .flat_map(|curve| curve.points.iter().filter_map(move |point| Some((curve, point, point.scores.roc_auc?))));
        Some((robustness, points.min_by(|a, b| a.2.total_cmp(&b.2))?))
    });
    match lowest {
        None => Limitation::new(TOPIC, "the effect of such changes was not measured in this run"),
        Some((robustness, (curve, point, roc_auc))) => Limitation::new(
            TOPIC,
            format!(
                "after {}, ROC-AUC is {}, compared with {} for the same {} images unchanged, and {} of the verdicts change",
                operation_at_level(curve, point.level),
                score(Some(roc_auc)),
                score(robustness.untouched.roc_auc),
                count(robustness.images),
                percent(point.flipped)
            ),
        ),
    }
}

fn calibration_limitation(metrics: &Metrics) -> Option<Limitation> {
    let run = metrics.runs.first()?;
    let error = metrics.headline.expected_calibration_error.filter(|error| *error > MAX_CALIBRATION_ERROR)?;
    let by_chance = run.calibration_error_by_chance;
    if by_chance.is_some_and(|by_chance| error <= by_chance) {
        return None;
    }
    let mut reason = format!("on average it is off by {}", score(Some(error)));
    if let Some(by_chance) = by_chance {
        reason.push_str(&format!(". Chance alone would explain up to {}", score(Some(by_chance))));
    }
    if let Some(after) = run.fitted.as_ref().and_then(|fitted| fitted.scores.expected_calibration_error) {
        reason.push_str(&format!(". After calibration on the validation split it is off by {}", score(Some(after))));
    }
    Some(Limitation::new("Reading P(fake) as a probability", reason))
}

fn accusation_limitation(metrics: &Metrics) -> Limitation {
    let confusion = metrics.headline.confusion;
    let reals = confusion.true_negative + confusion.false_positive;
    let rate = match ratio(confusion.false_positive, reals) {
        Some(0.0) => {
            format!("none of the {} real images was called fake, but that does not rule it out", count(reals))
        }
        Some(rate) => format!("at the threshold of 0.5 it calls {} of the real images fake", percent(Some(rate))),
        None => "how often it calls real images fake was not measured".to_owned(),
    };
    Limitation::new("Accusing a person", format!("{rate}. A high score is a reason to look closer. It is not proof"))
}
