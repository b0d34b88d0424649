//! The answer a reader came for: how good, how sure, and what it must not be trusted for. The page and the model card
//! both say it.

use artifacts::Split;
use artifacts::schema::{Metrics, Verdict};

use crate::evidence::Evidence;
use crate::figures::operation;
use crate::number::{compact, count, in_hundred, percent, ratio, score};
use crate::text::visible;

/// Fewer judged images than this leave an accuracy uncertain by more than about three points.
pub(crate) const FEW_IMAGES: u64 = 1000;
/// A calibration error above this makes P(fake) misleading as a probability.
const MISCALIBRATED: f64 = 0.05;

/// Plain sentences, none with markup.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// How good it is.
    pub(crate) verdict: String,
    /// Why that may mean nothing, where the audit of the data warns.
    pub(crate) caveat: Option<String>,
    /// How sure that is.
    pub(crate) certainty: Vec<String>,
    /// What it must not be trusted for.
    pub(crate) limits: Vec<Limit>,
}

/// One thing it must not be trusted for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    /// In a few words.
    pub(crate) what: String,
    /// Why.
    pub(crate) why: String,
}

impl Limit {
    /// In a few words, and why.
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Limit {
        Limit { what: what.into(), why: why.into() }
    }
}

/// Draws the answer from what the run found.
pub(crate) fn answer(evidence: &Evidence) -> Answer {
    let metrics = &evidence.evaluation.metrics;
    Answer {
        verdict: verdict(metrics),
        caveat: caveat(evidence),
        certainty: certainty(metrics),
        limits: limits(evidence),
    }
}

/// What the images are called wherever they are named: simulated ones always say so.
pub(crate) fn dataset(metrics: &Metrics) -> String {
    let name = visible(&metrics.dataset);
    let said = name.to_lowercase().contains("simulated");
    if metrics.simulated && !said { format!("{name} (simulated)") } else { name }
}

fn verdict(metrics: &Metrics) -> String {
    let scores = &metrics.headline;
    let images = format!(
        "{} {}images of the {} split",
        count(scores.n),
        if metrics.simulated { "simulated " } else { "" },
        metrics.split
    );
    let ranking = match scores.roc_auc {
        Some(roc_auc) => format!(
            "Shown one real image and one fake, it gives the fake the higher score {} times in 100.",
            in_hundred(roc_auc)
        ),
        None => "The split holds one class only, so how well it tells the classes apart is not known.".to_owned(),
    };
    format!("{ranking} At the threshold of 0.5 it is right on {} of the {images}.", percent(scores.accuracy))
}

fn certainty(metrics: &Metrics) -> Vec<String> {
    let mut sentences = Vec::new();
    let interval = |key: &str| metrics.intervals.get(key).map(|i| (score(Some(i.low)), score(Some(i.high))));
    sentences.push(match (interval("roc_auc"), interval("accuracy")) {
        (Some(roc), Some(accuracy)) => format!(
            "Over all images like these, ROC-AUC may well be anything between {} and {}, and accuracy between {} and {} \
             (95% intervals from {} stratified resamples of these images).",
            roc.0,
            roc.1,
            accuracy.0,
            accuracy.1,
            count(u64::from(metrics.bootstrap.resamples))
        ),
        (None, Some(accuracy)) => format!(
            "Over all images like these, accuracy may well be anything between {} and {} (95% interval).{}",
            accuracy.0,
            accuracy.1,
            match metrics.headline.roc_auc {
                Some(_) => " These images cannot say how far chance could move ROC-AUC: it is the same in every resample of them.",
                None => "",
            }
        ),
        _ => "No intervals were computed, so how far chance could move these scores is not known.".to_owned(),
    });
    match metrics.over_runs.get("roc_auc").filter(|_| metrics.runs.len() > 1) {
        Some(moments) => sentences.push(format!(
            "Over {} training runs with other seeds ROC-AUC is {} ± {} (mean and standard deviation).",
            metrics.runs.len(),
            score(Some(moments.mean)),
            score(moments.std)
        )),
        None => sentences.push("It was trained once, so the effect of another seed is unknown.".to_owned()),
    }
    sentences
}

fn limits(evidence: &Evidence) -> Vec<Limit> {
    let metrics = &evidence.evaluation.metrics;
    let scores = &metrics.headline;
    let mut limits: Vec<Limit> = audit_limit(evidence).into_iter().collect();
    if metrics.simulated {
        limits.push(Limit::new(
            "Real pictures",
            "the images were simulated, camera and generator both; the scores show that the pipeline works, and say \
             nothing about photographs or about any generator in use",
        ));
    }
    if metrics.split != Split::Test {
        limits.push(Limit::new(
            "Images it has not seen",
            format!("the {} split was judged, which the model was trained on or chosen by", metrics.split),
        ));
    }
    if scores.roc_auc.is_none() {
        limits.push(Limit::new("Telling the classes apart", "only one class was judged"));
    }
    limits.extend(group_limit(metrics));
    limits.push(Limit::new(
        "Generators it has not seen",
        "scores fall, and thresholds shift, on images from sources outside this data set",
    ));
    limits.push(robustness_limit(evidence));
    limits.extend(calibration_limit(metrics));
    if scores.n < FEW_IMAGES {
        limits.push(Limit::new(
            "Small differences",
            format!(
                "{} images were judged; two models must differ by several points before it means anything",
                count(scores.n)
            ),
        ));
    }
    limits.push(accusation_limit(metrics));
    limits
}

/// That the scores are of another model, or the audit's warning, where it has one: the strongest shortcut in its words, and
/// the names of the others.
fn caveat(evidence: &Evidence) -> Option<String> {
    if let Some(stale) = stale(&evidence.stale_runs(&evidence.evaluation.metrics)) {
        return Some(stale);
    }
    let audit = evidence.audit().filter(|audit| audit.verdict == Verdict::Warning)?;
    let (strongest, others) = audit.shortcuts.split_first()?;
    let alone = match strongest.roc_auc {
        Some(roc_auc) => {
            format!(" That alone, without a look at the picture, has a ROC-AUC of {}.", score(Some(roc_auc)))
        }
        None => String::new(),
    };
    let others: Vec<String> = others.iter().take(4).map(|shortcut| visible(&shortcut.feature)).collect();
    let others =
        if others.is_empty() { String::new() } else { format!(" The audit also warns of {}.", others.join(", ")) };
    Some(format!("Do not trust these scores yet: {}.{alone}{others}", visible(&strongest.explanation)))
}

/// That scores are of other weights than the run has now. The headline is that of run 0; the others are in the mean.
fn stale(runs: &[usize]) -> Option<String> {
    let what = match runs {
        [] => return None,
        [0, ..] => "These scores are not of the model whose training is shown: it was trained again since.".to_owned(),
        others => format!(
            "The mean over the runs is not that of the trainings that are shown: the weights that were judged in run {} are \
             gone.",
            others.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
        ),
    };
    Some(format!("{what} `cargo xtask evaluate` judges what there is now."))
}

fn audit_limit(evidence: &Evidence) -> Option<Limit> {
    match evidence.audit() {
        Some(audit) if audit.verdict == Verdict::Warning => {
            let named: Vec<String> =
                audit.shortcuts.iter().take(3).map(|shortcut| visible(&shortcut.feature)).collect();
            Some(Limit::new(
                "Looking at the picture itself",
                format!(
                    "the audit of the data found shortcuts ({}), which a model can read instead of traces of generation",
                    named.join(", ")
                ),
            ))
        }
        Some(_) => None,
        None => Some(Limit::new(
            "Freedom from shortcuts",
            "the data were not audited for differences in format, size or compression between the classes",
        )),
    }
}

fn group_limit(metrics: &Metrics) -> Option<Limit> {
    let generators = &metrics.runs.first()?.generators;
    let worst = generators.worst.get("roc_auc").filter(|_| generators.groups.len() > 1)?;
    let mean = score(generators.mean.get("roc_auc").copied());
    let lowest = score(Some(worst.value));
    // Where all are alike to the last digit that is shown there is nothing to say.
    (lowest != mean).then(|| {
        Limit::new(
            format!("Every generator alike: {}", visible(&worst.name)),
            format!("ROC-AUC is {lowest} there, against a mean of {mean}"),
        )
    })
}

fn robustness_limit(evidence: &Evidence) -> Limit {
    const WHAT: &str = "Re-encoded, resized or screenshotted pictures";
    let robustness = evidence.evaluation.robustness.as_ref();
    let untouched = robustness.map(|robustness| (robustness.untouched.roc_auc, robustness.images));
    let points = robustness
        .iter()
        .flat_map(|robustness| &robustness.curves)
        .flat_map(|curve| curve.points.iter().filter_map(move |point| Some((curve, point, point.scores.roc_auc?))));
    match points.min_by(|a, b| a.2.total_cmp(&b.2)) {
        None => Limit::new(WHAT, "its verdicts under such changes were not measured in this run"),
        Some((curve, point, roc_auc)) => Limit::new(
            WHAT,
            format!(
                "with {} at {} {} ROC-AUC is {}, against {} of the same {} images untouched, and {} of the verdicts flip",
                operation(curve),
                visible(&curve.unit),
                compact(point.level, 2),
                score(Some(roc_auc)),
                score(untouched.and_then(|(roc_auc, _)| roc_auc)),
                count(untouched.map_or(0, |(_, images)| images)),
                percent(point.flipped)
            ),
        ),
    }
}

fn calibration_limit(metrics: &Metrics) -> Option<Limit> {
    let run = metrics.runs.first()?;
    let by_chance = run.calibration_error_by_chance;
    let error = metrics.headline.expected_calibration_error.filter(|error| *error > MISCALIBRATED)?;
    if by_chance.is_some_and(|by_chance| error <= by_chance) {
        return None;
    }
    let chance = match by_chance {
        Some(by_chance) => format!(", where chance alone gives honest probabilities up to {}", score(Some(by_chance))),
        None => String::new(),
    };
    let after = run.fitted.as_ref().and_then(|fitted| fitted.scores.expected_calibration_error);
    let after = match after {
        Some(after) => format!("; calibrated on validation it is off by {}", score(Some(after))),
        None => String::new(),
    };
    Some(Limit::new(
        "P(fake) as a probability",
        format!("it is off by {} on average{chance}{after}", score(Some(error))),
    ))
}

fn accusation_limit(metrics: &Metrics) -> Limit {
    let confusion = metrics.headline.confusion;
    let reals = confusion.true_negative + confusion.false_positive;
    let rate = match ratio(confusion.false_positive, reals) {
        Some(0.0) => {
            format!("none of {} real images was called fake, which does not prove that none ever is", count(reals))
        }
        Some(rate) => format!("it calls {} of the real images fake at the threshold of 0.5", percent(Some(rate))),
        None => "how often it calls real images fake was not measured".to_owned(),
    };
    Limit::new(
        "Proof against a person",
        format!("{rate}; a score is a reason to look closer, never evidence by itself"),
    )
}
